# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Sequences that move while they are backed up.

The value of a sequence belongs to no snapshot: pg_dump reads it when it comes to it. So the facts
hold the value before the dump began and, in ``moved_to``, the one after it ended; a copy is
faithful if its value lies between them.
"""

from __future__ import annotations

from typing import Any

Sequences = dict[str, dict[str, Any]]
MOVED = "moved_to"
_VALUE = ("last_value", "is_called")


def between(before: Sequences, after: Sequences) -> Sequences:
    """Return the facts of sequences that were read *before* a dump and *after* it."""
    result = {}
    for name, facts in before.items():
        later = after.get(name, facts)
        moved = any(facts[each] != later[each] for each in _VALUE)
        result[name] = facts | ({MOVED: later["last_value"]} if moved else {})
    return result


def understood(wanted: Sequences, found: Sequences) -> tuple[Sequences, Sequences]:
    """Return both sides with one value where the copy's lies within the recorded ones."""
    wanted, found = dict(wanted), dict(found)
    for name, facts in wanted.items():
        if MOVED not in facts:
            continue
        first, last = facts["last_value"], facts[MOVED]
        wanted[name] = {each: value for each, value in facts.items() if each != MOVED}
        copy = found.get(name)
        if copy and _within(first, last, copy["last_value"], ascending=int(facts["step"]) > 0):
            wanted[name] |= {each: copy[each] for each in _VALUE}
    return wanted, found


def _within(first: int, last: int, value: int, *, ascending: bool) -> bool:
    """Tell whether a sequence that went from *first* to *last* passed *value*."""
    if not ascending:
        first, last, value = -first, -last, -value
    if first <= last:
        return first <= value <= last
    return value >= first or value <= last  # it began anew, or somebody set it
