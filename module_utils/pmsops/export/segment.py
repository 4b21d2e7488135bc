# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The lines of the ledger that an export has.

Whole lines, from the last one before the period to the end of the ledger. The hash of a line is
over all of it, so hashes alone would show nothing: only who has a line's content can tell that the
next one refers to it. What was anchored is a line at or after the end of the period, so the lines
between have to be whole, too. The line before the period shows that none of the period was left
out at its start.

Of earlier lines come those that say what was in force: the keys of the ledger, waivers that had
not ended, deficiencies, holds. A line that is signed shows by itself who wrote it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ansible.module_utils.pmsops.evidence import chain
from ansible.module_utils.pmsops.export import records
from ansible.module_utils.pmsops.export.period import Period, read_moment

KEYS, WAIVER, DEFICIENCY, HOLD = chain.SIGNING, "waiver", "deficiency", "hold"


@dataclass(frozen=True)
class Line:
    """A line of the ledger: its place, its bytes, and its entry (see records.py) if it is whole."""

    number: int
    content: bytes
    entry: dict[str, Any] | None

    @property
    def at(self) -> datetime | None:
        """Return when it was written."""
        return read_moment(self.entry["at"]) if self.entry else None

    @property
    def kind(self) -> str:
        """Return its kind; empty where it is damaged."""
        return str(self.entry["kind"]) if self.entry else ""

    @property
    def record(self) -> dict[str, Any]:
        """Return its record."""
        found = self.entry["record"] if self.entry else {}
        return found if isinstance(found, dict) else {}


@dataclass(frozen=True)
class Segment:
    """The *earlier* lines that were in force, and all *lines* up to the end of the ledger."""

    period: Period
    earlier: tuple[Line, ...]
    lines: tuple[Line, ...]
    total: int
    begins: datetime | None = None  # when the first line of the whole ledger was written

    @property
    def begins_inside(self) -> bool:
        """Tell whether the ledger has nothing of the first part of the period."""
        return self.begins is not None and self.begins >= self.period.start

    @property
    def inside(self) -> list[Line]:
        """Return the lines of the period."""
        return [each for each in self.lines if self.period.holds(each.at)]

    @property
    def start(self) -> int:
        """Return the number of the first line; one more than there are, without any."""
        return self.lines[0].number if self.lines else self.total + 1

    def of_kind(self, *kinds: str) -> list[Line]:
        """Return the lines of the period that are of these kinds."""
        return [each for each in self.inside if each.kind in kinds]

    def until_end(self, *kinds: str) -> list[Line]:
        """Return the lines of these kinds up to the end of the period, earlier ones first."""
        end = self.period.end
        return [
            each
            for each in (*self.earlier, *self.lines)
            if each.kind in kinds and each.at is not None and each.at < end
        ]


def cut(content: bytes, period: Period) -> Segment:
    """Return the lines of a ledger for a period."""
    lines = [_line(number, each) for number, each in enumerate(content.split(b"\n")[:-1], 1)]
    start = _start(lines, period)
    earlier = tuple(each for each in lines[:start] if _was_in_force(each, period))
    begins = next((each.at for each in lines if each.at is not None), None)
    return Segment(period, earlier, tuple(lines[start:]), len(lines), begins)


def _line(number: int, content: bytes) -> Line:
    try:
        entry = json.loads(content)
    except ValueError:
        return Line(number, content, None)
    known = isinstance(entry, dict) and set(entry) >= chain.FIELDS
    return Line(number, content, records.entry(entry) if known else None)


def _start(lines: Sequence[Line], period: Period) -> int:
    """Return the index of the line before the first one that is not older than the period."""
    for index, line in enumerate(lines):
        if line.at is not None and line.at >= period.start:
            return max(index - 1, 0)
    return max(len(lines) - 1, 0)


def _was_in_force(line: Line, period: Period) -> bool:
    if line.kind == WAIVER:
        return str(line.record.get("until") or "9999") >= period.since.isoformat()
    return line.kind in (KEYS, DEFICIENCY, HOLD)
