# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The hash that protects a row of the PMS's decision journal."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

TEXTS = ("entry_type", "instrument", "direction", "manager_notes", "system_notes")
NUMBERS = ("notional_brl", "entry_price")


def content_hash(row: Mapping[str, Any]) -> str:
    """Return the SHA-256, in hex, of a journal row's seven hashed fields.

    Numbers count as Python floats (``10000000.0``). An outcome note is stored without an entry
    price but was hashed with 0.0.

    Source: the PMS's ``content_hash``: SHA-256 of ``json.dumps(fields, sort_keys=True,
    default=str)`` in UTF-8, with the default separators and ASCII escapes.
    """
    fields: dict[str, Any] = {name: row.get(name) for name in TEXTS}
    for name in NUMBERS:
        value = row.get(name)
        fields[name] = None if value is None else float(value)
    if fields["entry_price"] is None and fields["entry_type"] == "NOTE":
        fields["entry_price"] = 0.0
    text = json.dumps(fields, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()
