# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether the PMS works on the live database: by the content of its answers, not their status."""

from __future__ import annotations

from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.pms import positions
from ansible.module_utils.pmsops.pms.client import PmsApi
from ansible.module_utils.pmsops.postgresql.connection import Database


def problem(api: PmsApi) -> str | None:
    """Return what the PMS's own /health reports, or None if it is healthy.

    :raises OpsError: pms.unreachable.
    """
    answer = api.request("GET", "/health").body
    if not isinstance(answer, dict) or answer.get("database") != "connected":
        return f"/health answers {answer!r}: its database is not connected"
    return None


def problems(database: Database, url: str | None) -> list[str]:
    """Return why the PMS does not work; an empty list if it does.

    Without a URL only the database is asked. The served book must match the database: it is kept in
    memory, and an old one survives a swap.
    """
    try:
        rows = positions.stored(database) if positions.are_kept_by(database) else None
    except OpsError as exc:
        return [f"the database does not answer: {exc}"]
    if not url:
        return []
    api = PmsApi(url)
    try:
        if found := problem(api):
            return [found]
        if rows is None:
            return []  # another application's database has no book to compare
        served = positions.served(api)
    except OpsError as exc:
        return [str(exc)]
    # A closed position that only the PMS knows is no fault: some releases store no trades.
    relevant = {number: row for number, row in served.items() if row["is_open"] or number in rows}
    return positions.compare(relevant, rows).summary()
