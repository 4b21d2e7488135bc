# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Write an entry to the PMS's decision journal: over HTTP if the release can, else as a row.

The journal is immutable, so each entry is written once. Its text carries a mark, and an entry with
that mark is never written again.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg2
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.common.timestamps import UTC
from ansible.module_utils.pmsops.pms.client import PmsApi
from ansible.module_utils.pmsops.pms.journal_hash import content_hash
from ansible.module_utils.pmsops.postgresql.connection import Database, fetch_value

COLUMNS = (
    "created_at",
    "entry_type",
    "position_id",
    "instrument",
    "direction",
    "notional_brl",
    "entry_price",
    "manager_notes",
    "system_notes",
)


@dataclass(frozen=True)
class Note:
    """A new entry; *mark* identifies it, for example ``incident 2026-11-22_060000_redis_1a2b``."""

    mark: str
    entry_type: str
    text: str
    position_id: int | None = None

    @property
    def content(self) -> str:
        """Return the text with its mark."""
        return f"{self.text.strip()} [{self.mark}]"


@dataclass(frozen=True)
class WrittenNote:
    """The entry in the journal: its id, and its origin (api, sql, found or planned)."""

    entry_id: int | None
    way: str


def write(
    note: Note, database: Database, api: PmsApi | None, *, check_mode: bool = False
) -> WrittenNote:
    """Write the entry unless it exists, and return it.

    :raises OpsError: journal.missing, journal.refused, database.*, pms.*.
    """
    if (known := find(database, note)) is not None:
        return WrittenNote(known, "found")
    if check_mode:
        return WrittenNote(None, "planned")
    if api is not None and _accepts_entries(api):
        api.login()
        body = api.ask(
            "create_journal_entry",
            {
                "entry_type": note.entry_type,
                "content": note.content,
                "related_position_id": note.position_id,
            },
        )
        entry_id = body.get("id") if isinstance(body, dict) else None
        if find(database, note) is not None:
            return WrittenNote(entry_id, "api")
    return WrittenNote(_insert(database, note), "sql")


def find(database: Database, note: Note) -> int | None:
    """Return the id of the entry with the note's mark, or None.

    :raises OpsError: journal.missing, database.*.
    """
    try:
        with database.session(read_only=True) as cursor:
            if fetch_value(cursor, "SELECT to_regclass('public.decision_journal') IS NULL"):
                raise OpsError(
                    f"Database {database.name} has no table decision_journal.",
                    "Create the schema of the PMS first, or restore a backup set.",
                    code="journal.missing",
                )
            found: int | None = fetch_value(
                cursor,
                "SELECT id FROM public.decision_journal"
                " WHERE position(%s IN manager_notes) > 0 ORDER BY id LIMIT 1",
                (f"[{note.mark}]",),
            )
            return found
    except psycopg2.Error as exc:
        raise database.to_error(exc) from exc


def _accepts_entries(api: PmsApi) -> bool:
    """Tell whether this PMS accepts entries over HTTP; one that is down does not."""
    try:
        return "create_journal_entry" in api.dialect.paths
    except OpsError:
        return False


def _insert(database: Database, note: Note) -> int:
    """Insert the row as the PMS would, locked and with its hash; return its id."""
    row: dict[str, Any] = dict.fromkeys(COLUMNS)
    row |= {
        "created_at": datetime.now(UTC),
        "entry_type": note.entry_type,
        "position_id": note.position_id,
        "entry_price": 0.0,
        "manager_notes": note.content,
        "system_notes": "Written by pms-ops: this release of the PMS accepts no entries over HTTP",
    }
    row |= {"content_hash": content_hash(row), "is_locked": True}
    names = ", ".join(row)
    places = ", ".join(f"%({name})s" for name in row)
    try:
        with database.session() as cursor:
            entry_id: int = fetch_value(
                cursor,
                f"INSERT INTO public.decision_journal ({names}) VALUES ({places}) RETURNING id",
                row,
            )
            return entry_id
    except psycopg2.Error as exc:
        raise database.to_error(exc) from exc
