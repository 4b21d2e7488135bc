# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""application.json: what the PMS serves over HTTP; some releases store part of it nowhere."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.common.timestamps import UTC, utc_stamp
from ansible.module_utils.pmsops.pms.client import PmsApi

NAME = "application.json"
TIMEOUTS_SECONDS = (10, 10)  # to connect, to read
PAGE = 500  # the journal's largest page
MAX_PAGES = 200

# None of these paths needs a token.
PATHS = {
    "positions_open": "/api/v1/pms/book/positions?is_open=true",
    "positions_closed": "/api/v1/pms/book/positions?is_open=false",
    "proposals": "/api/v1/pms/trades/proposals",
    "briefings": "/api/v1/pms/morning-pack/history?days=365",
    "latest_briefing": "/api/v1/pms/morning-pack/latest",
}
JOURNAL = "/api/v1/pms/journal/"
# This status means that no briefing exists yet: an empty answer, not a failure.
EMPTY = {"latest_briefing": 404}


def read(api: PmsApi) -> tuple[dict[str, Any], list[str]]:
    """Return what the PMS holds, and what could not be read, a text for each.

    An unreachable PMS is no error: a backup of the database is needed then most of all.
    """
    holds: dict[str, Any] = {}
    missing: list[str] = []
    for name, path in PATHS.items():
        try:
            answer = api.request("GET", path)
        except OpsError as exc:
            missing.append(f"{name}: {_cause(exc)}")
            continue
        if answer.status == 200 and answer.body is not None:
            holds[name] = answer.body
        elif answer.status == EMPTY.get(name):
            holds[name] = None
        else:
            missing.append(f"{name}: HTTP {answer.status}")
    try:
        holds["journal"] = _journal(api)
    except OpsError as exc:
        missing.append(f"journal: {_cause(exc)}")
    except ValueError as exc:
        missing.append(f"journal: {exc}")
    return holds, missing


def content(url: str) -> tuple[bytes, list[str]]:
    """Return the content of application.json, and what could not be read."""
    holds, missing = read(PmsApi(url, timeouts=TIMEOUTS_SECONDS))
    document = {
        "read_at": utc_stamp(datetime.now(UTC)),
        "url": url,
        "missing": missing,
        "holds": holds,
    }
    return (json.dumps(document, indent=1, sort_keys=True) + "\n").encode(), missing


def _cause(exc: OpsError) -> str:
    """Return the kind of network error, without the address that its text may hold."""
    return type(exc.__cause__ or exc).__name__


def _journal(api: PmsApi) -> list[Any]:
    """Return all journal entries.

    :raises OpsError: pms.unreachable.
    :raises ValueError: if the PMS refuses a page, or never ends.
    """
    entries: list[Any] = []
    for page in range(MAX_PAGES):
        answer = api.request("GET", JOURNAL, query={"limit": PAGE, "offset": page * PAGE})
        if answer.status != 200 or not isinstance(answer.body, list):
            raise ValueError(f"HTTP {answer.status}")
        entries += answer.body
        if len(answer.body) < PAGE:
            return entries
    raise ValueError(f"more than {MAX_PAGES * PAGE} entries")
