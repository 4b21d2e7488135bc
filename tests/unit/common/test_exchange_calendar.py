# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

from datetime import date

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
