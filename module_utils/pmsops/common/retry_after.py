# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""How long a server asks to be left alone: the header Retry-After of HTTP (RFC 9110, 10.2.3)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime

from ansible.module_utils.pmsops.common.timestamps import UTC

TOO_MANY_REQUESTS = 429
LEAST_SECONDS = 1.0
# A longer wish is not granted: whoever waits has a deadline of its own.
MOST_SECONDS = 120.0


def seconds(value: str | None, now: datetime) -> float | None:
    """Return the seconds that a header asks for, None where it asks for nothing sensible."""
    if not value:
        return None
    try:
        asked = float(value)
    except ValueError:
        try:
            at = parsedate_to_datetime(value)
        except ValueError:
            return None
        asked = ((at if at.tzinfo else at.replace(tzinfo=UTC)) - now).total_seconds()
    return max(asked, 0.0) if asked == asked else None


def pause(status: int, headers: Mapping[str, str]) -> float | None:
    """Return how long to wait before the request is sent again, None where it is not to be.

    Only 429 says for certain that the request was not carried out.
    """
    if status != TOO_MANY_REQUESTS:
        return None
    asked = seconds(headers.get("Retry-After"), datetime.now(UTC))
    return None if asked is None else max(asked, LEAST_SECONDS)
