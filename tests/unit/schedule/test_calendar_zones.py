# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Due moments where the clock changes: those at which systemd fires.

tests/integration/test_schedule.py asks systemd itself.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.schedule.calendar import ScheduledJob


def job(zone: str, at: str, **options) -> ScheduledJob:
    known = {"name": "backup", "command": ["true"], "days": "daily", "window_minutes": 90}
    return ScheduledJob.from_options(known | {"zone": zone, "at": [at]} | options)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("zone", "at", "after", "due"),
    [
        # skipped: 02:30 of 8 March
        ("America/New_York", "02:30", "2026-03-07 12:00", "2026-03-09 06:30"),
        # twice: 01:30 of 1 November
        ("America/New_York", "01:30", "2026-10-31 12:00", "2026-11-01 05:30"),
        ("America/New_York", "01:30", "2026-11-01 05:30", "2026-11-02 06:30"),
        ("Europe/London", "01:30", "2026-03-28 12:00", "2026-03-30 00:30"),
        ("Europe/London", "01:30", "2026-10-24 12:00", "2026-10-25 00:30"),
        # half an hour
        ("Australia/Lord_Howe", "02:15", "2026-10-03 00:00", "2026-10-04 15:15"),
        ("Australia/Lord_Howe", "02:30", "2026-10-03 00:00", "2026-10-03 15:30"),
        ("Australia/Lord_Howe", "01:45", "2026-04-04 00:00", "2026-04-04 14:45"),
        # São Paulo until 2019: at midnight
        ("America/Sao_Paulo", "00:30", "2018-11-03 12:00", "2018-11-05 02:30"),
        ("America/Sao_Paulo", "23:30", "2018-02-17 12:00", "2018-02-18 01:30"),
        ("America/Sao_Paulo", "23:30", "2018-02-18 01:30", "2018-02-19 02:30"),
    ],
)
def test_a_skipped_time_is_not_due_and_of_two_equal_ones_the_first_is(zone, at, after, due):
    assert job(zone, at).next_due(utc(after)) == utc(due)
    assert job(zone, at).last_due(utc(due) + timedelta(minutes=1)) == utc(due)


def test_a_run_at_the_first_moment_after_a_skipped_hour_is_not_made_twice():
    begun = utc("2026-03-08 07:00:02")  # 03:00 in New York, a minute after 01:59
    assert not job("America/New_York", "03:00").is_due(begun, begun + timedelta(minutes=30))


def test_a_skipped_run_is_not_late_on_that_day():
    served = utc("2026-03-07 07:30")  # 02:30 in New York
    nightly = job("America/New_York", "02:30")
    assert nightly.deadline(served) == utc("2026-03-09 08:00")
    assert not nightly.is_due(served, utc("2026-03-08 12:00"))


def test_a_deadline_counts_the_hour_that_comes_twice():
    # Due at 01:30 before the change; the window of 90 minutes ends at 02:00 after it.
    served = utc("2026-10-31 05:30")
    assert job("America/New_York", "01:30").deadline(served) == utc("2026-11-01 07:00")


def test_a_brief_is_of_use_on_the_day_of_its_zone():
    brief = job("America/New_York", "23:30", days="Fri", catch_up=False)
    before = utc("2026-11-21 04:30")
    assert brief.is_due(before, utc("2026-11-28 04:59"))  # 23:59 on Friday
    assert not brief.is_due(before, utc("2026-11-28 05:01"))


@pytest.mark.parametrize(
    ("zone", "at", "days", "says"),
    [
        ("Brasilia", "06:00", "daily", "not a time zone"),
        ("../etc/passwd", "06:00", "daily", "not a time zone"),
        ("Asia/Tokyo", "06:00", "business_days", "another day in São Paulo"),
        # the same day in winter alone
        ("Europe/London", "03:30", "week_start", "another day in São Paulo"),
    ],
)
def test_a_zone_that_is_none_or_leaves_the_fund_s_day_is_refused(zone, at, days, says):
    with pytest.raises(OpsError, match=says):
        job(zone, at, days=days)


def test_a_zone_with_the_fund_s_day_is_taken():
    assert job("Europe/London", "12:00", days="business_days").zone.key == "Europe/London"
    assert job("Asia/Tokyo", "06:00").zone.key == "Asia/Tokyo"
