# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a restore would lose: the time since the snapshot, and the rows that can be counted."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import psycopg2
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.common.timestamps import UTC, from_iso
from ansible.module_utils.pmsops.postgresql import session_settings
from ansible.module_utils.pmsops.postgresql.connection import Database, fetch_value, quote_ident
from ansible.module_utils.pmsops.repository import manifest as manifests

COUNT_SECONDS = 10


def estimate(
    database: Database, manifest: dict[str, Any], tables: list[str], *, now: datetime
) -> dict[str, Any]:
    """Return ``{snapshot_at, rpo_minutes, rows, text}``.

    *rows* has for each table how many more rows the live one has than the set, None if it cannot
    be read. It is a lower bound, since changed rows are not counted.
    """
    taken = from_iso(manifest["snapshot_at"])
    minutes = round((now.astimezone(UTC) - taken).total_seconds() / 60)
    rows = {table: _additional_rows(database, manifest, table) for table in tables}
    return {
        "snapshot_at": manifest["snapshot_at"],
        "rpo_minutes": minutes,
        "rows": rows,
        "text": _describe(manifest["snapshot_at"], minutes, rows),
    }


def _additional_rows(database: Database, manifest: dict[str, Any], table: str) -> int | None:
    schema, _, name = table.rpartition(".")
    key = f"{schema or 'public'}.{name}"
    then = manifests.rows_of(manifest, key)
    if then is None:
        return None
    try:
        with database.session(read_only=True, seconds=5) as cursor:
            session_settings.limit_statements(cursor, COUNT_SECONDS)
            quoted = f"{quote_ident(schema or 'public')}.{quote_ident(name)}"
            count = fetch_value(cursor, f"SELECT count(*) FROM {quoted}")
        return int(count) - int(then)
    except (OpsError, psycopg2.Error):
        return None


def _describe(taken: str, minutes: int, rows: dict[str, int | None]) -> str:
    more = [f"{count} rows of {table}" for table, count in rows.items() if count and count > 0]
    unknown = [table for table, count in rows.items() if count is None]
    text = f"everything committed after {taken}, the last {minutes} minutes"
    if more:
        text += ": at least " + ", ".join(more)
    if unknown:
        text += f"; the rows of {', '.join(unknown)} cannot be counted"
    if not more and not unknown:
        text += "; the PMS's tables hold no more rows than the set"
    return text
