# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The moment that an operator asks for: a time, a position in the WAL, or the latest."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

from ansible.module_utils.pmsops.common.business_zone import BUSINESS_ZONE
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.common.timestamps import UTC, from_iso

LATEST = "latest"
_LSN = re.compile(r"^[0-9A-Fa-f]{1,8}/[0-9A-Fa-f]{1,8}$")
_DAY = re.compile(r"^\d{4}-?(\d{2}-?\d{2}|W\d{2}(-?\d)?)$")
_OFFSET_HOURS = re.compile(r"\s*([+-]\d{2})$")


@dataclass(frozen=True)
class Moment:
    """One of three: *at*, *lsn*, or neither, which is the latest.

    With *snapshot* it is that of a backup set, taken at about *lsn*: the transactions that were
    visible in it.
    """

    asked: str
    at: datetime | None = None
    lsn: str | None = None
    snapshot: str | None = None  # as pg_current_snapshot() writes it
    # When the set was taken: the same LSN may come twice, once on each timeline.
    taken: datetime | None = None

    def same(self, other: Moment) -> bool:
        """Tell whether both are the same time or the same position, however they were typed."""
        return (self.at, self.lsn) == (other.at, other.lsn)

    def __str__(self) -> str:
        return self.asked if self.at is None else self.at.isoformat(sep=" ")


def parse(text: str) -> Moment:
    """Return the moment of a text; a time without an offset is the fund's.

    :raises OpsError: pitr.moment
    """
    text = text.strip()
    if text == LATEST:
        return Moment(text)
    if _LSN.match(text):
        return Moment(text, lsn=text.upper())
    if _DAY.match(text):  # would be midnight, which nobody means who forgot the time
        raise OpsError(
            f"{text!r} is a day without a time. Nothing was changed.",
            f'Add the time: --at "{text} 14:59:30". As an Ansible variable it needs two pairs of'
            f""" quotation marks, -e 'at="{text} 14:59:30"', or Ansible ends it at the space.""",
            code="pitr.moment",
        )
    try:
        # Names of zones are refused: UTC-3 means +03 to some programs, and EST two zones.
        at = from_iso(_OFFSET_HOURS.sub(r"\1:00", text) if ":" in text else text)
    except ValueError as exc:
        raise OpsError(
            f"{text!r} is no moment. Nothing was changed.",
            'For example --at "2026-11-27 14:59:30" (the fund\'s time), or with an offset,'
            ' "2026-11-27 14:59:30-03:00"; an LSN such as 0/A068B20; or'
            " latest. Names of zones are not read.",
            code="pitr.moment",
        ) from exc
    if at.tzinfo is None:
        at = at.replace(tzinfo=BUSINESS_ZONE)
    return Moment(text, at=at.astimezone(UTC))


def local(at: datetime) -> str:
    """Return a moment as the fund reads it, with its offset, to the microsecond of a commit."""
    return at.astimezone(BUSINESS_ZONE).isoformat(sep=" ", timespec="microseconds")
