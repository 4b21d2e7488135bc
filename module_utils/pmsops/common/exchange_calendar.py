# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The business days of B3, the Brazilian exchange, from the calendar of the package ``holidays``.

Source: holidays' financial market BVMF.
"""

from __future__ import annotations

from datetime import date, timedelta

import holidays

# The longest run of days without trading: a week-end beside Carnival or Christmas.
LOOK_BACK_DAYS = 15


def is_business_day(day: date) -> bool:
    """Tell whether the exchange trades on *day*."""
    return day.weekday() < 5 and day not in holidays.financial_holidays("BVMF", years=day.year)


def previous_business_day(day: date) -> date:
    """Return the last business day before *day*."""
    for back in range(1, LOOK_BACK_DAYS):
        candidate = day - timedelta(days=back)
        if is_business_day(candidate):
            return candidate
    raise ValueError(f"no business day within {LOOK_BACK_DAYS} days before {day}")
