# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Days on which a daily schedule of Dagster had no run.

Where the clock changes, Dagster runs at other moments than systemd: it leaves out none. A time that
the clock skips is due when it has skipped it, and of two equal ones the second is due. Both hold
from 01:00 to 03:59 alone: a skipped time of another hour is due as late as it would have been
without the change, and of two equal ones the first is due.

Source: dagster/_utils/schedules.py, DAYLIGHT_SAVINGS_HOURS, of 1.13.28.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from ansible.module_utils.pmsops.common.timestamps import UTC, from_iso
from ansible.module_utils.pmsops.pms.dagster import TROUBLE, Dagster

ZONES = """{ repositoriesOrError { __typename
  ... on PythonError { message }
  ... on RepositoryConnection { nodes { schedules {
    cronSchedule executionTimezone pipelineName scheduleState { status } } } } } }"""
# How far back a day without a run is named.
GAP_DAYS = 14
# A tag of a run that a schedule started: the moment that it is for.
DUE_AT = "dagster/scheduled_execution_time"
# Schedules that are due once on each of their days; others are not judged.
_DAILY = re.compile(r"(\d{1,2}) (\d{1,2}) \* \* (\S+)")
# Hours in which Dagster takes note of a change of the clock
_CHANGES = (1, 2, 3)
_NAMES = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")


def read(dagster: Dagster, now: datetime) -> dict[str, list[date]]:
    """Return, for each job, the days of its schedule on which it had no run.

    :raises DagsterError: for anything but data.
    """
    schedules = [
        {
            "job": schedule["pipelineName"],
            "cron": schedule["cronSchedule"],
            "zone": schedule["executionTimezone"],
            "status": schedule["scheduleState"]["status"],
        }
        for node in dagster.part(ZONES, "repositoriesOrError").get("nodes", [])
        for schedule in node["schedules"]
    ]
    runs = dagster.part(TROUBLE, "runsOrError").get("results", [])
    return days_left_out(runs, schedules, now)


def days_left_out(
    results: list[dict[str, Any]], schedules: Iterable[dict[str, Any]], now: datetime
) -> dict[str, list[date]]:
    """Return, for each job, the days of its schedule on which it had no run.

    After a gap Dagster makes up the newest moment alone. Days before the oldest run that Dagster
    still names are not judged, nor is the newest moment, which may be about to run.
    """
    found: dict[str, list[date]] = {}
    for schedule in schedules:
        if schedule["status"] != "RUNNING":
            continue
        zone = ZoneInfo(schedule["zone"] or "UTC")
        mine = [run for run in results if run["jobName"] == schedule["job"]]
        ran = {day for run in mine for day in _days(run, zone)}
        if not ran:
            continue
        oldest = min(run["creationTime"] for run in results)
        first = max(
            min(ran),
            datetime.fromtimestamp(oldest, zone).date() + timedelta(days=1),
            now.astimezone(zone).date() - timedelta(days=GAP_DAYS),
        )
        due = list(due_moments(schedule["cron"], first, now.astimezone(zone)))[:-1]
        if missing := [day for day, _ in due if day not in ran]:
            found[schedule["job"]] = missing
    return found


def _days(run: dict[str, Any], zone: ZoneInfo) -> set[date]:
    """Return the day on which a run was made, and the one that it is for."""
    days = {datetime.fromtimestamp(run["creationTime"], zone).date()}
    for tag in run.get("tags") or []:
        if tag["key"] == DUE_AT:
            days.add(from_iso(tag["value"]).astimezone(zone).date())
    return days


def due_moments(cron: str, first: date, now: datetime) -> Iterator[tuple[date, datetime]]:
    """Yield each day from *first* on which a daily schedule was due, and its moment up to *now*.

    :param now: in the zone of the schedule
    """
    if not (match := _DAILY.fullmatch(cron.strip())) or not isinstance(now.tzinfo, ZoneInfo):
        return
    at, days = time(int(match[2]) % 24, int(match[1]) % 60), _weekdays(match[3])
    day = first
    while day <= now.date():
        moment = _moment(day, at, now.tzinfo)
        # In UTC: two moments of one zone are compared by their clocks alone.
        if day.isoweekday() % 7 in days and moment <= now.astimezone(UTC):
            yield day, moment
        day += timedelta(days=1)


def _moment(day: date, at: time, zone: ZoneInfo) -> datetime:
    local = datetime.combine(day, at, zone)
    moment = local.astimezone(UTC)
    if at.hour not in _CHANGES:
        return moment
    if moment.astimezone(zone).time() != at:
        return local.replace(minute=0).astimezone(UTC)  # clocks change on the hour
    return local.replace(fold=1).astimezone(UTC)


def _weekdays(text: str) -> set[int]:
    """Return the weekdays of a cron line, Sunday as 0; none where they are written otherwise."""
    if text == "*":
        return set(range(7))
    for number, name in enumerate(_NAMES):
        text = re.sub(name, str(number), text, flags=re.IGNORECASE)
    found: set[int] = set()
    for part in text.split(","):
        if not (match := re.fullmatch(r"([0-7])(?:-([0-7]))?", part)):
            return set()
        found |= {day % 7 for day in range(int(match[1]), int(match[2] or match[1]) + 1)}
    return found
