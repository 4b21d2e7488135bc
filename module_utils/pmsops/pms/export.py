# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""application.json: what the PMS holds over HTTP, which on some releases is in no database."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from ansible.module_utils.pmsops.common.timestamps import utc_stamp

NAME = "application.json"
TIMEOUT_SECONDS = 10
PAGE = 500  # the journal's largest page
MAX_PAGES = 200

# What is asked for, and where. None of it needs a token.
PATHS = {
    "positions_open": "/api/v1/pms/book/positions?is_open=true",
    "positions_closed": "/api/v1/pms/book/positions?is_open=false",
    "proposals": "/api/v1/pms/trades/proposals",
    "briefings": "/api/v1/pms/morning-pack/history?days=365",
    "latest_briefing": "/api/v1/pms/morning-pack/latest",
}
JOURNAL = "/api/v1/pms/journal/"
# An empty answer, not a failure: no briefing was ever made.
EMPTY = {"latest_briefing": 404}


def fetch(url: str, path: str) -> tuple[int, Any]:
    """Return status and parsed JSON body of a GET, None for a body that is not JSON."""
    import requests

    answer = requests.get(url.rstrip("/") + path, timeout=TIMEOUT_SECONDS)
    try:
        return answer.status_code, answer.json()
    except ValueError:
        return answer.status_code, None


def read(
    url: str, get: Callable[[str, str], tuple[int, Any]] = fetch
) -> tuple[dict[str, Any], list[str]]:
    """Return what the PMS at *url* holds, and what could not be had, in words.

    A database's backup must not fail because the application is down: that is when it is needed.
    """
    import requests

    holds: dict[str, Any] = {}
    missing: list[str] = []
    for name, path in PATHS.items():
        try:
            status, body = get(url, path)
        except requests.RequestException as exc:
            missing.append(f"{name}: {type(exc).__name__}")
            continue
        if status == 200 and body is not None:
            holds[name] = body
        elif status == EMPTY.get(name):
            holds[name] = None
        else:
            missing.append(f"{name}: HTTP {status}")
    try:
        holds["journal"] = _journal(url, get)
    except (requests.RequestException, ValueError) as exc:
        missing.append(f"journal: {exc if isinstance(exc, ValueError) else type(exc).__name__}")
    return holds, missing


def export(url: str) -> tuple[bytes, list[str]]:
    """Return the content of application.json, and what could not be had."""
    holds, missing = read(url)
    document = {
        "read_at": utc_stamp(datetime.now(UTC)),
        "url": url,
        "missing": missing,
        "holds": holds,
    }
    return (json.dumps(document, indent=1, sort_keys=True) + "\n").encode(), missing


def _journal(url: str, get: Callable[[str, str], tuple[int, Any]]) -> list[Any]:
    entries: list[Any] = []
    for page in range(MAX_PAGES):
        status, body = get(url, f"{JOURNAL}?limit={PAGE}&offset={page * PAGE}")
        if status != 200 or not isinstance(body, list):
            raise ValueError(f"HTTP {status}")
        entries += body
        if len(body) < PAGE:
            return entries
    raise ValueError(f"more than {MAX_PAGES * PAGE} entries")
