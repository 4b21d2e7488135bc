# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""When a scheduled job is due: times of day in its zone, on business days of B3.

systemd does not know these days. Its timer fires on every possible day, and the job asks here
whether it is due. Where the clock changes, due is what systemd fires at: nothing at a time that
the clock skips, and the first of two equal ones.

Source: systemd-analyze calendar of systemd 252 and 257.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from ansible.module_utils.pmsops.common import exchange_calendar
from ansible.module_utils.pmsops.common.business_zone import BUSINESS_ZONE
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.common.timestamps import UTC

WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
DAYS = ("daily", "business_days", "week_start", "month_start", *WEEKDAYS)
# Days of the fund, and so of São Paulo, which a time in another zone must not leave.
FUND_DAYS = ("business_days", "week_start", "month_start")
# How far the search for a due moment goes: past a month and its first business day.
SEARCH_DAYS = 45
# The first business day of a month is never later than this.
LAST_MONTH_START = 10
# A clock that is set back while a timer fires must not cost the run of the day.
CLOCK_SKEW = timedelta(seconds=60)
_NAME = re.compile(r"[a-z][a-z0-9_]*")
_TIME = re.compile(r"([01]\d|2[0-3]):([0-5]\d)")
# Names of other units of the schedule
_RESERVED = ("notify", "pitr_watch")


@dataclass(frozen=True)
class ScheduledJob:
    """A job: its name, its command, when it is due, and how late it may succeed."""

    name: str
    title: str
    command: tuple[str, ...]
    days: str
    at: tuple[time, ...]
    window: timedelta
    catch_up: bool
    zone: ZoneInfo

    @classmethod
    def from_options(cls, options: dict[str, Any]) -> ScheduledJob:
        """Return the job of a mapping.

        :raises OpsError: schedule.job, with the field that is wrong.
        """
        name = str(options.get("name", ""))
        if problem := _problem(name, options):
            raise OpsError(
                f"Job {name!r} cannot be scheduled: {problem}.",
                "Correct schedule_jobs in the inventory; nothing was changed.",
                code="schedule.job",
            )
        return cls(
            name=name,
            title=str(options.get("title") or name),
            command=tuple(options["command"]),
            days=options["days"],
            at=tuple(sorted({time.fromisoformat(text) for text in options["at"]})),
            window=timedelta(minutes=options["window_minutes"]),
            catch_up=bool(options.get("catch_up", True)),
            zone=ZoneInfo(_zone(options)),
        )

    def last_due(self, now: datetime) -> datetime | None:
        """Return the newest due moment up to *now*, None without one in the last SEARCH_DAYS."""
        day = now.astimezone(self.zone).date()
        for back in range(SEARCH_DAYS):
            moments = [each for each in self._moments(day - timedelta(days=back)) if each <= now]
            if moments:
                return moments[-1]
        return None

    def next_due(self, after: datetime) -> datetime:
        """Return the first due moment after *after*."""
        day = after.astimezone(self.zone).date()
        for ahead in range(SEARCH_DAYS):
            for moment in self._moments(day + timedelta(days=ahead)):
                if moment > after:
                    return moment
        raise ValueError(f"{self.name} is due on no day within {SEARCH_DAYS} days after {after}")

    def is_due(self, attempted: datetime, now: datetime) -> bool:
        """Tell whether a due moment has come since the last attempt.

        A job without ``catch_up`` runs on its own day or not at all.
        """
        due = self.last_due(now + CLOCK_SKEW)
        if due is None or attempted >= due - CLOCK_SKEW:
            return False
        today = now.astimezone(self.zone).date()
        return self.catch_up or due.astimezone(self.zone).date() == today

    def deadline(self, succeeded: datetime) -> datetime:
        """Return when a run must succeed next, after a good one that began at *succeeded*."""
        return self.next_due(succeeded + CLOCK_SKEW) + self.window

    def _moments(self, day: date) -> Iterator[datetime]:
        if is_day(self.days, day):
            for at in self.at:
                local = datetime.combine(day, at, self.zone)
                # In UTC: sums and differences in a zone would count an hour too many or too few.
                moment = local.astimezone(UTC)
                if moment.astimezone(self.zone).time() == at:
                    yield moment


def calendars(job: ScheduledJob) -> list[str]:
    """Return the calendar events of the job's timer, on each day that may be one of its days.

    Source: systemd.time(7), "Calendar Events".
    """
    if job.days in WEEKDAYS:
        days = f"{job.days} *-*-*"
    else:
        days = {"daily": "*-*-*", "month_start": f"Mon..Fri *-*-01..{LAST_MONTH_START:02}"}.get(
            job.days, "Mon..Fri *-*-*"
        )
    return [f"{days} {at:%H:%M}:00 {job.zone.key}" for at in job.at]


def is_day(days: str, day: date) -> bool:
    """Tell whether *days* includes *day*."""
    if days == "daily":
        return True
    if days in WEEKDAYS:
        return WEEKDAYS[day.weekday()] == days
    if not exchange_calendar.is_business_day(day):
        return False
    if days == "business_days":
        return True
    before = exchange_calendar.previous_business_day(day)
    if days == "week_start":
        return before.isocalendar()[:2] != day.isocalendar()[:2]
    return (before.year, before.month) != (day.year, day.month)


def _problem(name: str, options: dict[str, Any]) -> str | None:
    if not _NAME.fullmatch(name):
        return "its name must be lower-case letters, digits and underscores"
    if name in _RESERVED:
        return f"the name is one of {', '.join(_RESERVED)}"
    command = options.get("command")
    if not command or not all(isinstance(part, str) and part for part in command):
        return "playbook or command must be given"
    if options.get("days") not in DAYS:
        return f"days is {options.get('days')!r}, not one of {', '.join(DAYS)}"
    at = options.get("at")
    if not at or not all(isinstance(text, str) and _TIME.fullmatch(text) for text in at):
        return f"at is {at!r}, not a list of times like '22:15'"
    window = options.get("window_minutes")
    if not isinstance(window, int) or isinstance(window, bool) or window < 1:
        return f"window_minutes is {window!r}, not a number of minutes"
    return _problem_of_zone(options)


def _problem_of_zone(options: dict[str, Any]) -> str | None:
    key = _zone(options)
    try:
        zone = ZoneInfo(key)
    except (KeyError, OSError, ValueError):
        return f"zone is {key!r}, not a time zone of this machine like 'America/New_York'"
    if options["days"] not in FUND_DAYS:
        return None
    for text in options["at"]:
        # Both halves of the year, since the distance between two zones may change in it.
        for day in (date(2026, 1, 15), date(2026, 7, 15)):
            local = datetime.combine(day, time.fromisoformat(text), zone)
            if local.astimezone(BUSINESS_ZONE).date() != day:
                return (
                    f"{text} in {key} is on another day in São Paulo, by which {options['days']}"
                    " counts"
                )
    return None


def _zone(options: dict[str, Any]) -> str:
    return str(options.get("zone") or BUSINESS_ZONE.key)
