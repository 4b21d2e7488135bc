# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a record says nothing about: parts that a set, a proof or a run of the gate left out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

# The parts beside the database, by the names of a set's parts.
PARTS = {
    "databases": "the server's other databases",
    "redis": "Redis",
    "grafana": "Grafana's files",
    "compose": "the Compose files",
}
DATABASE = "the database"
# Kinds that prove or replace the database alone, unless their record names parts.
_DATABASE_ONLY = frozenset({"drill", "proof", "restore", "swap", "rollback"})
SHOWN_CHECKS = 10
_NOT_TAKEN = "NOT TAKEN"  # how the line of such a part begins; see repository/set_parts.py


def lines(kind: str, record: Mapping[str, Any], known: Iterable[str]) -> list[str]:
    """Return what is not covered, a line each; *known* is what the inventory says of it."""
    found = [*known]
    if kind == "gate":
        found += _of_gate(record)
    elif kind == "backup" and record.get("set"):
        lines_of_parts = (str(each).partition(": ") for each in record.get("parts") or ())
        taken = [name for name, _, what in lines_of_parts if not what.startswith(_NOT_TAKEN)]
        found += [f"{text}: not in the set" for text in _others(taken)]
    elif kind in _DATABASE_ONLY:
        found += _of_restore(record)
    return list(dict.fromkeys(found))


def _of_restore(record: Mapping[str, Any]) -> list[str]:
    parts = record.get("parts")
    if isinstance(parts, list):
        return [f"{text}: not restored" for text in (DATABASE, *_others(map(str, parts)))]
    others = [f"{text}: not restored" for text in PARTS.values()]
    # Single tables are named; a whole server has a number of them.
    one = isinstance(record.get("tables"), list)
    return ["other tables: not restored", *others] if one else others


def _others(names: Iterable[str]) -> list[str]:
    """Return the parts that are not among these; another database is a part by its own name."""
    known = {name if name in PARTS else "databases" for name in names}
    return [text for name, text in PARTS.items() if name not in known]


def _of_gate(record: Mapping[str, Any]) -> list[str]:
    found = ["sections or checks that were left out"] if record.get("partial") else []
    mute = [
        str(each["id"]) for each in record.get("results") or () if each.get("status") == "unknown"
    ]
    if mute:
        more = f" and {len(mute) - SHOWN_CHECKS} more" if len(mute) > SHOWN_CHECKS else ""
        found.append(f"checks without an answer: {', '.join(mute[:SHOWN_CHECKS])}{more}")
    return found
