# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Moments as text: ISO 8601 in UTC, the form of every file that the toolkit writes."""

from __future__ import annotations

from datetime import UTC, datetime


def stamp(at: datetime) -> str:
    """Return a moment in ISO 8601, UTC, with its offset: ``2026-11-29T06:00:00+00:00``."""
    return at.astimezone(UTC).isoformat(timespec="seconds")


def moment(text: str) -> datetime:
    """Return the moment of a text that ``stamp`` wrote.

    :raises ValueError: for any other text.
    """
    return datetime.fromisoformat(text)
