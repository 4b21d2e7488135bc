# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Days of a schedule without a run: after a gap Dagster makes up the newest moment alone."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pytest
from ansible.module_utils.pmsops.pms.dagster import Dagster
from ansible.module_utils.pmsops.recovery.dagster_gaps import DUE_AT, days_left_out, read

# A Friday; the schedules are due at 21:00 in UTC.
NOW = datetime(2026, 11, 27, 22, 0, tzinfo=UTC)


def run(day: int, hour: int = 21, due: int | None = None, job: str = "eod") -> dict[str, Any]:
    at = datetime(2026, 11, day, hour, 0, 5, tzinfo=UTC).timestamp()
    tags = [{"key": DUE_AT, "value": f"2026-11-{due}T21:00:00+00:00"}] if due else []
    made = {"runId": f"{day}", "jobName": job, "status": "SUCCESS", "creationTime": at}
    return made | {"endTime": at, "tags": tags}


def schedule(cron: str = "0 21 * * 1-5", status: str = "RUNNING", zone: str | None = None) -> Any:
    return {"job": "eod", "cron": cron, "zone": zone, "status": status}


def left_out(runs: list[dict[str, Any]], **about: Any) -> list[int]:
    found = days_left_out([run(9, job="other"), *runs], [schedule(**about)], NOW)
    return [day.day for day in found.get("eod", [])]


def test_days_of_a_gap_are_named_and_no_weekend():
    assert left_out([run(18), run(24), run(27)]) == [19, 20, 23, 25, 26]
    assert left_out([run(day) for day in (23, 24, 25, 26, 27)]) == []


def test_the_newest_moment_may_be_about_to_run():
    assert left_out([run(25)]) == [26]


def test_a_run_that_was_made_later_is_for_the_day_that_it_was_due():
    assert left_out([run(25), run(27, 8, due=26), run(27)]) == []
    assert left_out([run(25), run(27, 8), run(27)]) == [26]


def test_days_before_what_dagster_still_names_are_not_judged():
    assert days_left_out([run(26), run(27)], [schedule()], NOW) == {}
    assert days_left_out([], [schedule()], NOW) == {}


@pytest.mark.parametrize(
    "about",
    [
        {"status": "STOPPED"},
        {"cron": "*/5 * * * *"},
        {"cron": "0 21 1 * *"},
        {"cron": "0 21 * * 1#2"},
    ],
)
def test_what_is_off_or_not_due_once_a_day_is_not_judged(about):
    assert left_out([run(18), run(27)], **about) == []


@pytest.mark.parametrize(
    ("cron", "days"),
    [
        ("0 21 * * MON-FRI", [25, 26]),
        ("0 21 * * 3", [25]),
        ("0 21 * * *", [25, 26]),
        ("0 21 * * 3,4", [25, 26]),
    ],
)
def test_the_days_of_a_cron_line_are_read(cron, days):
    assert left_out([run(24), run(27)], cron=cron) in (days, days[:-1])


def test_a_day_is_one_of_the_schedule_s_zone():
    # 23:30 in UTC is the next day in Tokyo
    runs = [run(24), run(25, 23), run(26, 23)]
    assert left_out(runs, cron="0 8 * * 1-5", zone="Asia/Tokyo") == []


@pytest.mark.parametrize(("hour", "missing"), [(5, []), (7, [date(2026, 10, 31)])])
def test_the_newest_moment_is_dagster_s_where_an_hour_comes_twice(hour, missing):
    # 01:45 in New York for the first time, and an hour after the second: 01:30 is due at the second
    made = [datetime(2026, 10, day, 5, 30, tzinfo=UTC).timestamp() for day in (28, 29, 30)]
    runs = [run(9) | {"creationTime": at, "jobName": "eod"} for at in made]
    now = datetime(2026, 11, 1, hour, 45, tzinfo=UTC)
    found = days_left_out(runs, [schedule("30 1 * * *", zone="America/New_York")], now)
    assert found.get("eod", []) == missing


def test_the_schedules_are_asked_with_their_zones():
    nodes = [
        {
            "schedules": [
                {
                    "cronSchedule": "0 21 * * 1-5",
                    "executionTimezone": "UTC",
                    "pipelineName": "eod",
                    "scheduleState": {"status": "RUNNING"},
                }
            ]
        }
    ]
    data = {
        "repositoriesOrError": {"nodes": nodes},
        "runsOrError": {"results": [run(9, job="other"), run(24), run(27)]},
    }
    dagster = Dagster(lambda _body: (200, {"data": data}))
    assert read(dagster, NOW) == {"eod": [date(2026, 11, 25), date(2026, 11, 26)]}
