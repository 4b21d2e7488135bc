# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Moments as text: ISO 8601 in UTC, the form of every file that the toolkit writes."""

from __future__ import annotations

import re
import sys
from datetime import datetime, timezone

# As datetime.UTC, which Python 3.9 and 3.10 lack: a managed host may have no other.
UTC = timezone.utc

_CLOCK = "([0-9]{2})(?::?([0-9]{2})(?::?([0-9]{2})(?:[.,]([0-9]+))?)?)?"
_DAY = r"(?P<year>[0-9]{4})(?P<dash>-?)(?P<month>[0-9]{2})(?P=dash)(?P<day>[0-9]{2})"
_ISO = re.compile(f"{_DAY}(?:.(?P<clock>{_CLOCK})(?P<zone>Z|[+-]{_CLOCK})?)?", re.DOTALL)


def now() -> datetime:
    """Return this moment."""
    return datetime.now(UTC)


def stamp(at: datetime) -> str:
    """Return a moment in ISO 8601, UTC, with its offset: ``2026-11-29T06:00:00+00:00``."""
    return at.astimezone(UTC).isoformat(timespec="seconds")


def utc_stamp(at: datetime) -> str:
    """Return a moment in ISO 8601, UTC, to the second: ``2026-11-29T06:00:00Z``."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def utc_stamp_milliseconds(at: datetime) -> str:
    """Return a moment in ISO 8601, UTC, to the millisecond: ``2026-11-29T06:00:00.000Z``."""
    at = at.astimezone(UTC)
    return at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03d}Z"


def utc_stamp_microseconds(at: datetime) -> str:
    """Return a moment in ISO 8601, UTC, to the microsecond: ``2026-11-29T06:00:00.000000Z``."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def moment(text: str) -> datetime:
    """Return the moment of a text that a function of this file wrote.

    :raises ValueError: for any other text.
    """
    found = from_iso(text)
    if found.tzinfo is None:
        raise ValueError(f"{text!r} has no offset from UTC")
    return found


def from_iso(text: str) -> datetime:
    """Return the time of a text in ISO 8601, with its offset if it has one.

    Every Python reads what ``datetime.fromisoformat`` of 3.11 does, but for the days of weeks.

    :raises ValueError: for any other text.
    """
    return datetime.fromisoformat(text if sys.version_info >= (3, 11) else spelled_out(text))


def spelled_out(text: str) -> str:
    """Return a time in ISO 8601 as Python 3.9 reads it; a text of no known form as it is.

    That one knows no ``Z``, no offset of hours alone, and fractions of three or six digits only.
    """
    found = _ISO.fullmatch(text)
    if not found:
        return text
    day, zone = "{year}-{month}-{day}".format_map(found.groupdict()), found["zone"] or ""
    if not found["clock"]:
        return day
    offset = "+00:00" if zone == "Z" else zone[:1] + _clock(zone[1:])
    return f"{day}T{_clock(found['clock'])}{offset}"


def _clock(text: str) -> str:
    """Return a time of the day, or an offset, to the second or microsecond."""
    found = re.fullmatch(_CLOCK, text)
    if not found:
        return ""
    hours, minutes, seconds, fraction = (each or "" for each in found.groups())
    whole = f"{hours}:{minutes or '00'}:{seconds or '00'}"
    return f"{whole}.{fraction[:6]:0<6}" if fraction else whole


def age(seconds: float | None) -> str:
    """Return an age for people: ``5 h``."""
    if seconds is None:
        return "unknown"
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length or (unit == "min" and seconds >= length):
            return f"{seconds // length:.0f} {unit}"
    return f"{max(seconds, 0):.0f} s"
