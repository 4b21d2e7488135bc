# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""A period of whole days in the fund's zone."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any

from ansible.module_utils.pmsops.common.business_zone import BUSINESS_ZONE
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.common.timestamps import UTC, from_iso, utc_stamp


@dataclass(frozen=True)
class Period:
    """The days from *since* to *until*, both included."""

    since: date
    until: date

    @classmethod
    def parse(cls, since: str, until: str) -> Period:
        """Return the period of two dates such as ``2026-01-31``.

        :raises OpsError: export.period
        """
        try:
            found = cls(date.fromisoformat(since), date.fromisoformat(until))
        except ValueError as exc:
            raise _wrong(f"{exc}") from exc
        if found.since > found.until:
            raise _wrong(f"{since} is after {until}")
        return found

    @property
    def start(self) -> datetime:
        """Return the first moment of the period."""
        return datetime.combine(self.since, time(), BUSINESS_ZONE).astimezone(UTC)

    @property
    def end(self) -> datetime:
        """Return the first moment after the period."""
        day = self.until + timedelta(days=1)
        return datetime.combine(day, time(), BUSINESS_ZONE).astimezone(UTC)

    def holds(self, at: datetime | None) -> bool:
        """Tell whether a moment is in the period."""
        return at is not None and self.start <= at < self.end

    def document(self) -> dict[str, Any]:
        """Return the period with its moments in UTC: a reader needs no table of zones."""
        return {
            "since": self.since.isoformat(),
            "until": self.until.isoformat(),
            "zone": BUSINESS_ZONE.key,
            "from": utc_stamp(self.start),
            "before": utc_stamp(self.end),
        }


def read_moment(text: Any) -> datetime | None:
    """Return a moment, None where a damaged file has none."""
    try:
        found = from_iso(text)
    except (TypeError, ValueError):
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _wrong(what: str) -> OpsError:
    return OpsError(
        f"This is no period: {what}.",
        "pms-ops evidence export --since 2026-01-01 --until 2026-12-31",
        code="export.period",
    )
