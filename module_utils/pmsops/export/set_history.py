# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""What became of the sets: proved, found damaged later, and how old the newest one was."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from pathlib import PurePath
from typing import Any

from ansible.module_utils.pmsops.common.business_zone import BUSINESS_ZONE
from ansible.module_utils.pmsops.evidence import verdicts
from ansible.module_utils.pmsops.export.segment import Line, Segment

PROVED, DAMAGED, FAILED = "proved", "found_damaged", "proof_failed"
# How repository/sets.py names a set whose files do not fit its manifest. Drills of releases before
# 0.2.0 that failed have the set in this text only.
_NAMED = re.compile(r"Set (.+) is damaged: ")
_CODE = "set.damaged"


def set_of(line: Line) -> str | None:
    """Return the set that a proof was of: its own field, or the text of its error."""
    said = line.record
    if said.get("set"):
        return str(said["set"])
    return named_in_error(line)


def named_in_error(line: Line) -> str | None:
    """Return the set that only the text of the error names."""
    said = line.record
    found = _NAMED.match(str(said.get("why") or ""))
    if said.get("set") or said.get("code") != _CODE or not found:
        return None
    return PurePath(found[1]).name


def events(proofs: Iterable[Line]) -> list[dict[str, Any]]:
    """Return what the proofs of a set came to, oldest first; of those without a verdict nothing."""
    found = []
    for line in sorted(proofs, key=lambda each: each.number):
        verdict = verdicts.of(line.kind, line.record)
        if verdict == verdicts.PASS:
            event = PROVED
        elif verdict == verdicts.FAIL:
            event = DAMAGED if line.record.get("code") == _CODE else FAILED
        else:
            continue
        found.append({"event": event, "line": line.number, "at": line.entry and line.entry["at"]})
    return found


def shown(happened: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the events without those that the next one only repeats."""
    return [
        each
        for number, each in enumerate(happened, 1)
        if number == len(happened) or happened[number]["event"] != each["event"]
    ]


def damaged_later(row: Mapping[str, Any]) -> bool:
    """Tell whether a set was proved once, and its newest proof found it damaged or failed."""
    happened = row["events"]
    proved = any(each["event"] == PROVED for each in happened)
    return proved and happened[-1]["event"] != PROVED


def newest_good(
    segment: Segment, sets: Iterable[Mapping[str, Any]], now: datetime | None
) -> dict[str, Any] | None:
    """Return the newest set of the period that was proved and not found damaged at its end.

    A set that was removed by then does not count, nor what a later proof said. Its age is at the
    end of the period, or at *now* where the period is not over.
    """
    at = {each.number: each.at for each in segment.lines}
    end = min(segment.period.end, now or segment.period.end)
    for row in sorted(sets, key=lambda each: -each["line"]):
        before = [each for each in row["events"] if _before(at.get(each["line"]), end)]
        gone = row["removed_by"] and _before(at.get(row["removed_by"]), end)
        made = at.get(row["line"])
        if row["other"] or gone or not before or before[-1]["event"] != PROVED or made is None:
            continue
        age = (end - made).total_seconds()
        return {"set": row["set"], "line": row["line"], "age_seconds": age}
    return None


def _before(at: datetime | None, end: datetime) -> bool:
    return at is not None and at < end


def made_moments(segment: Segment, end: datetime) -> list[datetime]:
    """Return when the sets of the system's own database were made, up to *end*, oldest first."""
    return sorted(
        each.at
        for each in segment.lines
        if each.kind == "backup"
        and each.record.get("set")
        and not each.record.get("other_database")
        and each.at is not None
        and each.at < end
    )


def ages(segment: Segment, now: datetime | None) -> list[dict[str, Any]]:
    """Return for each month of the period the greatest age of the newest set, in seconds.

    It is the most that a disaster of that month would have cost. None: before the first set that
    this export knows of. Months that had not begun at the export are not there.
    """
    end = min(segment.period.end, now or segment.period.end)
    made = made_moments(segment, end)
    found = []
    start = segment.period.start
    while start < end:
        following = min(_next_month(start), end)
        ends = [each for each in made if start <= each < following] + [following]
        spans = [
            (moment - before).total_seconds()
            for moment in ends
            if (before := max((each for each in made if each < moment), default=None))
        ]
        month = f"{start.astimezone(BUSINESS_ZONE):%Y-%m}"
        found.append({"month": month, "seconds": max(spans, default=None), "sets": len(ends) - 1})
        start = following
    return found


def _next_month(at: datetime) -> datetime:
    first = at.astimezone(BUSINESS_ZONE).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    later = (first + timedelta(days=32)).replace(day=1)
    return later.astimezone(at.tzinfo)
