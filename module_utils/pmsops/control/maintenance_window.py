# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""When a system may be worked on: days and times in São Paulo, as `Sat,Sun 02:00-06:00`."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, time, timedelta

from ansible.module_utils.pmsops.common.business_zone import BUSINESS_ZONE
from ansible.module_utils.pmsops.common.errors import OpsError

WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
MIDNIGHT = "24:00"
_CLOCK = r"(?:[01]\d|2[0-3]):[0-5]\d"
_FORM = re.compile(rf"(?:(?P<days>\S+) )?(?P<begins>{_CLOCK})-(?P<ends>{_CLOCK}|24:00)")


@dataclass(frozen=True)
class Window:
    """Days of the week (0 is Monday), and times; one over midnight is of the day it begins on."""

    days: frozenset[int]
    begins: time
    ends: time

    def spans(self, now: datetime) -> Iterable[tuple[datetime, datetime]]:
        """Return beginning and end of those from yesterday to a week from now, in their order."""
        today = now.astimezone(BUSINESS_ZONE).date()
        for offset in range(-1, 8):
            day = today + timedelta(days=offset)
            if day.weekday() in self.days:
                last = day + timedelta(days=1) if self.ends <= self.begins else day
                yield (
                    datetime.combine(day, self.begins, BUSINESS_ZONE),
                    datetime.combine(last, self.ends, BUSINESS_ZONE),
                )


def read(text: str) -> Window:
    """Return the window of a text like `22:00-05:00`, `Sat 02:00-06:00` or `Mon-Fri 20:00-24:00`.

    :raises OpsError: fleet.window
    """
    match = _FORM.fullmatch(" ".join(text.split()))
    days = _days(match["days"]) if match else frozenset()
    if not match or not days:
        raise OpsError(
            f"pms_maintenance_windows has {text!r}, which is no window.",
            "Write days and times of São Paulo, like 'Sat,Sun 02:00-06:00', 'Mon-Fri 22:00-05:00'"
            " or '00:00-24:00'.",
            code="fleet.window",
        )
    ends = "00:00" if match["ends"] == MIDNIGHT else match["ends"]
    return Window(days, time.fromisoformat(match["begins"]), time.fromisoformat(ends))


def _days(text: str | None) -> frozenset[int]:
    """Return the numbers of the days; none if one of them is unknown."""
    if text is None:
        return frozenset(range(7))
    found: set[int] = set()
    for part in text.split(","):
        first, dash, last = part.partition("-")
        if first not in WEEKDAYS or (dash and last not in WEEKDAYS):
            return frozenset()
        begin = WEEKDAYS.index(first)
        length = (WEEKDAYS.index(last) - begin) % 7 if dash else 0
        found |= {(begin + each) % 7 for each in range(length + 1)}
    return frozenset(found)


def closed(texts: Iterable[str], now: datetime) -> str:
    """Return why a system is not to be worked on now; empty if a window is open, or it has none.

    :raises OpsError: fleet.window
    """
    named = list(texts)
    spans = [span for text in named for span in read(text).spans(now)]
    if not named or any(begins <= now < ends for begins, ends in spans):
        return ""
    opens = min(begins for begins, _ in spans if begins > now)
    return (
        f"outside its window ({'; '.join(named)}); the next one opens"
        f" {opens:%a %Y-%m-%d %H:%M} in São Paulo"
    )
