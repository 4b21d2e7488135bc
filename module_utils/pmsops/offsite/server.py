# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The server of a site that is reached by HTTP, for the little that restic does not ask it."""

from __future__ import annotations

import http.client
import ssl
from contextlib import closing
from datetime import datetime
from email.utils import parsedate_to_datetime
from urllib.parse import SplitResult, urlsplit

from ansible.module_utils.pmsops.common.timestamps import UTC
from ansible.module_utils.pmsops.offsite.site import Site

ASK_SECONDS = 10


def connect(site: Site) -> http.client.HTTPConnection:
    """Return a connection to the server of *site*, not opened yet.

    :raises OSError: for a site without HTTP.
    """
    place = _place(site.url)
    if place is None:
        raise OSError(f"{site.name} is not reached by HTTP")
    host = place.hostname or ""
    if place.scheme == "http":
        return http.client.HTTPConnection(host, place.port, timeout=ASK_SECONDS)
    context = ssl.create_default_context(cafile=str(site.ca_file) if site.ca_file else None)
    return http.client.HTTPSConnection(host, place.port, timeout=ASK_SECONDS, context=context)


def time_of(site: Site) -> datetime | None:
    """Return the time that the site's server says; None for one without HTTP, or without answer."""
    if _place(site.url) is None:
        return None
    try:
        with closing(connect(site)) as server:
            server.request("HEAD", "/")  # without credentials: a refusal has the time, too
            date = server.getresponse().headers["Date"]
        return parsedate_to_datetime(date).astimezone(UTC) if date else None
    except (OSError, ValueError, http.client.HTTPException):
        return None


def _place(url: str) -> SplitResult | None:
    kind, _, rest = url.partition(":")
    if kind not in ("rest", "s3"):
        return None
    found = urlsplit(rest if "://" in rest else f"https://{rest}")
    return found if found.hostname and found.scheme in ("http", "https") else None
