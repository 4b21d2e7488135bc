# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.schedule.calendar import ScheduledJob, is_day

ZONE = ZoneInfo("America/Sao_Paulo")


def job(**options):
    known = {
        "name": "backup",
        "command": ["true"],
        "days": "business_days",
        "at": ["22:15"],
        "window_minutes": 90,
    }
    return ScheduledJob.from_options(known | options)


def at(text):
    return datetime.fromisoformat(text).replace(tzinfo=ZONE).astimezone(UTC)


@pytest.mark.parametrize(
    ("days", "day", "is_one"),
    [
        ("business_days", date(2026, 11, 20), False),  # Consciência Negra, a Friday
        ("business_days", date(2026, 11, 19), True),
        ("business_days", date(2026, 11, 21), False),
        ("daily", date(2026, 11, 20), True),
        ("Fri", date(2026, 11, 20), True),
        ("Sat", date(2026, 11, 20), False),
        ("week_start", date(2026, 2, 16), False),  # Carnival's Monday
        ("week_start", date(2026, 2, 17), False),
        ("week_start", date(2026, 2, 18), True),
        ("week_start", date(2026, 2, 19), False),
        ("month_start", date(2026, 1, 1), False),
        ("month_start", date(2026, 1, 2), True),
        ("month_start", date(2026, 1, 5), False),
        ("month_start", date(2026, 11, 2), False),  # Finados
        ("month_start", date(2026, 11, 3), True),
    ],
)
def test_days_are_those_of_the_exchange(days, day, is_one):
    assert is_day(days, day) is is_one


@pytest.mark.parametrize("days", ["week_start", "month_start"])
def test_every_week_and_every_month_has_exactly_one_start(days):
    found = [d for n in range(365 * 3) if is_day(days, d := date(2026, 1, 1) + timedelta(days=n))]
    of = {d.isocalendar()[:2] if days == "week_start" else (d.year, d.month) for d in found}
    assert len(of) == len(found) == (156 if days == "week_start" else 36)
    assert days == "week_start" or max(d.day for d in found) <= 10  # the timer's last day


def test_the_hour_is_sao_paulos():
    assert job().next_due(at("2026-11-24 12:00")) == datetime(2026, 11, 25, 1, 15, tzinfo=UTC)


def test_on_a_holiday_nothing_is_due_where_the_day_before_was_served():
    thursday, friday = at("2026-11-19 22:15:03"), at("2026-11-20 22:15:01")
    assert job().is_due(at("2026-11-18 22:15"), thursday)
    assert not job().is_due(thursday, friday)


def test_what_was_missed_is_due_when_the_machine_is_on_again_even_on_a_sunday():
    assert job().is_due(at("2026-11-18 22:15"), at("2026-11-22 09:00"))
    assert not job().is_due(at("2026-11-22 09:00"), at("2026-11-22 09:30"))


def test_a_brief_is_of_use_on_its_own_day_alone():
    brief = job(at=["06:00"], catch_up=False)
    assert brief.is_due(at("2026-11-18 06:00"), at("2026-11-19 09:00"))
    assert not brief.is_due(at("2026-11-18 06:00"), at("2026-11-20 06:00"))


def test_a_run_that_is_delayed_past_midnight_is_still_that_of_its_day():
    late = job(at=["23:58"])
    assert late.is_due(at("2026-11-18 23:58"), at("2026-11-20 00:03"))


def test_a_clock_set_back_as_the_timer_fires_costs_no_run():
    assert job().is_due(at("2026-11-18 22:15"), at("2026-11-19 22:14:59"))
    # and a run that began so early is not made twice
    assert not job().is_due(at("2026-11-19 22:14:59"), at("2026-11-19 22:15:30"))


def test_several_times_a_day_are_several_runs():
    brief = job(at=["14:00", "11:00"])
    assert brief.is_due(at("2026-11-19 11:00"), at("2026-11-19 14:00"))
    assert not brief.is_due(at("2026-11-19 11:00"), at("2026-11-19 13:00"))


def test_a_deadline_is_the_next_due_moment_and_the_window():
    # served on Thursday, a holiday on Friday: the next success is due on Monday night
    assert job().deadline(at("2026-11-19 22:15")) == at("2026-11-23 23:45")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"name": "Back up"}, "lower-case"),
        ({"name": "notify"}, "the name is one of"),
        ({"command": []}, "playbook or command must be given"),
        ({"days": "weekdays"}, "weekdays"),
        ({"days": True}, "True"),
        ({"at": ["24:00"]}, "24:00"),
        ({"at": "22:15"}, "not a list"),
        ({"window_minutes": 0}, "window_minutes"),
    ],
)
def test_a_job_that_could_not_run_is_refused_with_the_field(change, says):
    with pytest.raises(OpsError, match=says) as caught:
        job(**change)
    assert caught.value.code == "schedule.job"
