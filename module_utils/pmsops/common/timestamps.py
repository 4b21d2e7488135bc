# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Moments as text: ISO 8601 in UTC, the form of every file that the toolkit writes."""

from __future__ import annotations

from datetime import datetime, timezone

# As datetime.UTC, which Python 3.9 and 3.10 lack: a managed host may have no other.
UTC = timezone.utc


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
    found = datetime.fromisoformat(text)
    if found.tzinfo is None:
        raise ValueError(f"{text!r} has no offset from UTC")
    return found


def age(seconds: float | None) -> str:
    """Return an age for people: ``5 h``."""
    if seconds is None:
        return "unknown"
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length or (unit == "min" and seconds >= length):
            return f"{seconds // length:.0f} {unit}"
    return f"{max(seconds, 0):.0f} s"
