# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Entries of the decision journal: hashed, and locked from the start."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from typing import Any

from pms_service.store import JOURNAL, Row, Write

HASHED = (
    "entry_type",
    "instrument",
    "direction",
    "notional_brl",
    "entry_price",
    "manager_notes",
    "system_notes",
)


def content_hash(entry: Row) -> str:
    """Return the SHA-256 of what an entry says."""
    text = json.dumps({name: entry[name] for name in HASHED}, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def record(
    write: Write,
    entry_type: str,
    about: Row | None = None,
    *,
    price: float = 0.0,
    notes: str | None = None,
    system_notes: str | None = None,
    position_id: int | None = None,
    proposal_id: int | None = None,
    **more: Any,
) -> Row:
    """Write an entry about a position or a proposal, and return it."""
    about = about or {}
    notional = about.get("notional_brl", about.get("suggested_notional_brl"))
    entry: Row = {
        "created_at": datetime.now(UTC),
        "entry_type": entry_type,
        "position_id": position_id,
        "proposal_id": proposal_id,
        "instrument": about.get("instrument"),
        "direction": about.get("direction"),
        "notional_brl": None if notional is None else float(notional),
        "entry_price": None if price is None else float(price),
        "manager_notes": notes,
        "system_notes": system_notes,
        "is_locked": True,
    } | more
    return write(JOURNAL, entry | {"content_hash": content_hash(entry)})
