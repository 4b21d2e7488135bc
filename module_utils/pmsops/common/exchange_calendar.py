# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The business days of B3, the Brazilian exchange, from the calendar of the package ``holidays``.

The package is imported at first use: a host may lack it, and its import takes a tenth of a second.
Source: holidays' financial market BVMF.
"""

from __future__ import annotations

from collections.abc import Container
from datetime import date, datetime, timedelta
from functools import cache
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType

from ansible.module_utils.pmsops.common.business_zone import BUSINESS_ZONE
from ansible.module_utils.pmsops.common.timestamps import UTC

# Longer than any run of days without trading: a weekend next to Carnival or Christmas.
LOOK_BACK_DAYS = 15
# Where the package has the exchange's calendar.
SOURCE = "financial/brasil_bolsa_balcao.py"


def is_business_day(day: date) -> bool:
    """Return whether the exchange trades on *day*."""
    return day.weekday() < 5 and day not in _holidays(day.year)


@cache
def _holidays(year: int) -> Container[date]:
    """Return the weekdays and other days of a year on which the exchange rests.

    Only the file of this calendar is imported. Its package imports every exchange and every
    country, which takes as long as the rest of ``holidays``. A release without the file is asked.
    """
    import holidays

    calendar = ModuleType("holidays_of_b3")
    path = Path(holidays.__file__).parent / SOURCE
    try:
        SourceFileLoader(calendar.__name__, str(path)).exec_module(calendar)
        found: Container[date] = calendar.BrasilBolsaBalcao(years=year)
    except (OSError, ImportError, AttributeError):
        found = holidays.financial_holidays("BVMF", years=year)
    return found


def previous_business_day(day: date) -> date:
    """Return the last business day before *day*."""
    for back in range(1, LOOK_BACK_DAYS):
        candidate = day - timedelta(days=back)
        if is_business_day(candidate):
            return candidate
    raise ValueError(f"no business day within {LOOK_BACK_DAYS} days before {day}")


class Clock:
    """The moment of a run, and the business days before it."""

    def __init__(self, now: datetime) -> None:
        self.now = now
        self._days: list[date] = []

    @property
    def today(self) -> date:
        """Return the calendar day in the fund's zone."""
        return self.now.astimezone(BUSINESS_ZONE).date()

    def business_day(self, before: int) -> date:
        """Return the *before*-th business day before today."""
        days = self._days or [self.today]
        while len(days) <= before:
            days.append(previous_business_day(days[-1]))
        self._days = days
        return days[before]

    def due(self, hour: int, minute: int) -> date:
        """Return the newest business day on which this time of day, in UTC, has passed."""
        at = self.now.astimezone(UTC)
        day = at.date()
        if (at.hour, at.minute) >= (hour, minute) and is_business_day(day):
            return day
        return previous_business_day(day)

    def month(self, before: int) -> date:
        """Return the first day of the month that lies *before* months back."""
        months = self.today.year * 12 + self.today.month - 1 - before
        return date(months // 12, months % 12 + 1, 1)
