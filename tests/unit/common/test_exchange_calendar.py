# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import subprocess
import sys
from datetime import date, timedelta

import ansible.module_utils
import holidays
import pytest
from ansible.module_utils.pmsops.common import exchange_calendar


@pytest.mark.parametrize(
    ("day", "trades"),
    [
        (date(2026, 11, 20), False),  # Black Consciousness Day
        (date(2026, 11, 19), True),
        (date(2026, 11, 21), False),  # a Saturday
        (date(2026, 2, 16), False),  # Carnival Monday
        (date(2026, 4, 3), False),  # Good Friday
        (date(2026, 12, 25), False),
        (date(2026, 11, 26), True),  # Thanksgiving is no holiday there
    ],
)
def test_the_exchange_is_open_when_it_is(day, trades):
    assert exchange_calendar.is_business_day(day) == trades


@pytest.mark.parametrize(
    ("day", "before"),
    [
        (date(2026, 11, 23), date(2026, 11, 19)),  # over a holiday and a week-end
        (date(2026, 11, 19), date(2026, 11, 18)),
        (date(2026, 2, 18), date(2026, 2, 13)),  # over Carnival
        (date(2027, 1, 4), date(2026, 12, 30)),  # over the year's end
    ],
)
def test_the_previous_business_day_steps_over_what_is_closed(day, before):
    assert exchange_calendar.previous_business_day(day) == before


@pytest.mark.parametrize("source", [exchange_calendar.SOURCE, "financial/moved_elsewhere.py"])
def test_its_days_are_those_of_the_package_for_fifty_years(monkeypatch, source):
    monkeypatch.setattr(exchange_calendar, "SOURCE", source)
    exchange_calendar._holidays.cache_clear()
    known = holidays.financial_holidays("BVMF", years=range(2001, 2051))
    day = date(2001, 1, 1)
    while day < date(2051, 1, 1):
        trades = day.weekday() < 5 and day not in known
        assert exchange_calendar.is_business_day(day) == trades, day
        day += timedelta(days=1)
    exchange_calendar._holidays.cache_clear()


def test_a_question_about_a_day_imports_no_calendar_of_200_countries():
    """Each gate imported them: a tenth of a second of a processor, issue 16, 6."""
    script = f"""
import sys, ansible.module_utils
ansible.module_utils.__path__.extend({list(ansible.module_utils.__path__)!r})
from datetime import date
from ansible.module_utils.pmsops.common import exchange_calendar
print(exchange_calendar.is_business_day(date(2026, 11, 20)), "holidays.countries" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout == "False False\n", done.stderr
