# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The plan that a second person approves: what will be done, to what, and on whose order."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

from ansible.module_utils.pmsops.repository import signing

Plan = dict[str, Any]
# Operations; persisted in plans and in the ledger.
SWAP, ROLLBACK = "swap", "rollback"
TABLES, TABLES_ROLLBACK = "exchange of tables", "rollback of tables"
SERVER, SERVER_ROLLBACK = "whole server", "rollback of a whole server"
PRUNE = "off-site prune"


def sha256(plan: Mapping[str, Any]) -> str:
    """Return the hash by which a plan is approved."""
    return hashlib.sha256(signing.signed_bytes(dict(plan))).hexdigest()


def changed(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Return the fields in which two plans differ."""
    return sorted(name for name in {*before, *now} if before.get(name) != now.get(name))


def lines(plan: Mapping[str, Any]) -> list[str]:
    """Return a plan for people, a line for each field."""
    return list(_lines(plan))


def _lines(plan: Mapping[str, Any]) -> Iterator[str]:
    for name, value in plan.items():
        label = name.replace("_", " ")
        if isinstance(value, list):
            yield from (f"{label}: {each}" for each in value)
        elif isinstance(value, str):
            yield f"{label}: {value}"
        else:
            yield f"{label}: {'none' if value is None else json.dumps(value, sort_keys=True)}"
