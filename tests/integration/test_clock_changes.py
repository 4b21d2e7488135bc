# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Due moments where the clock changes, against the engines themselves: systemd and Dagster."""

from __future__ import annotations

import json
import subprocess
from datetime import UTC, datetime, timedelta
from itertools import product
from zoneinfo import ZoneInfo

import pytest
from ansible.module_utils.pmsops.recovery.dagster_gaps import due_moments
from ansible.module_utils.pmsops.schedule.calendar import ScheduledJob, calendars

from tests.integration.test_schedule import analyze, fired  # noqa: F401 -- a fixture

# Each zone with a day before its clock goes forward, and one before it goes back. The clocks of
# Santiago and São Paulo change at midnight.
CHANGES = {
    "America/New_York": ("2026-03-06", "2026-10-30"),
    "Europe/London": ("2026-03-27", "2026-10-23"),
    "Australia/Lord_Howe": ("2026-10-01", "2026-04-03"),
    "America/Santiago": ("2026-09-04", "2026-04-03"),
    "America/Sao_Paulo": ("2018-11-02", "2018-02-15"),
}
TIMES = ("00:00", "00:30", "01:00", "01:30", "01:45", "02:00", "02:15", "02:30", "03:00", "23:30")
DAYS = 5
IMAGE = "pms-lab/dagster:1"
CASES = [(zone, day) for zone, days in CHANGES.items() for day in days]
ASK = """
import json, sys
from datetime import datetime
from dagster._utils.schedules import schedule_execution_time_iterator
found = []
for zone, start, end, cron in json.load(sys.stdin):
    moments = []
    for moment in schedule_execution_time_iterator(start, cron, zone, True):
        if moment.timestamp() > end:
            break
        moments.append(moment.timestamp())
    found.append(moments)
print(json.dumps(found))
"""


def start_of(day: str) -> datetime:
    return datetime.fromisoformat(day).replace(hour=12, tzinfo=UTC)


@pytest.mark.parametrize(("zone", "day"), CASES)
def test_a_job_is_due_when_systemd_fires(analyze, zone, day):  # noqa: F811
    end = start_of(day) + timedelta(days=DAYS)
    expected, due = {}, {}
    for at in TIMES:
        options = {"name": "job", "command": ["true"], "days": "daily", "window_minutes": 1}
        job = ScheduledJob.from_options(options | {"at": [at], "zone": zone})
        (calendar,) = calendars(job)
        moments = fired(analyze, calendar, start_of(day), DAYS)
        expected[at] = [each for each in moments if each <= end]
        due[at] = []
        moment = job.next_due(start_of(day))
        while moment <= end:
            due[at].append(moment)
            moment = job.next_due(moment)
    assert due == expected
    assert all(len(moments) >= DAYS - 1 for moments in expected.values())


def test_a_pipeline_is_due_when_dagster_runs_it(images):
    cases, due = [], []
    for zone, day in CASES:
        start, end = start_of(day), start_of(day) + timedelta(days=DAYS)
        for at, days in product(TIMES, ("*", "0,6", "1-5", "SUN")):
            hour, minute = map(int, at.split(":"))
            cron = f"{minute} {hour} * * {days}"
            cases.append((zone, start.timestamp(), end.timestamp(), cron))
            found = due_moments(cron, start.date(), end.astimezone(ZoneInfo(zone)))
            due.append([each.timestamp() for _, each in found if each >= start])
    done = subprocess.run(
        ["docker", "run", "--rm", "-i", "--network=none", "--entrypoint=python3", IMAGE, "-c", ASK],
        input=json.dumps(cases),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    expected = json.loads(done.stdout)
    assert len(cases) == len(expected) == 400
    assert [
        (zone, cron, mine, theirs)
        for (zone, _, _, cron), mine, theirs in zip(cases, due, expected, strict=True)
        if mine != theirs
    ] == []
