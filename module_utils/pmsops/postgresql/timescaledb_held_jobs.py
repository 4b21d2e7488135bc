# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Hold the TimescaleDB jobs of a staging database until it goes live.

A restored database has no record of past runs, so its scheduler would start every job at once: a
retention policy would drop chunks during the proof, a compression policy would change them. The
jobs are unscheduled while TimescaleDB is still in restoring mode. The database itself records which
ones, in a comment on the table of jobs.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ansible.module_utils.pmsops.postgresql import session_settings
from ansible.module_utils.pmsops.postgresql.connection import (
    Database,
    fetch_all,
    fetch_value,
)

# The table moved with TimescaleDB 2.25. Ids below 1000 are the extension's own.
TABLE = """
SELECT format('%I.%I', n.nspname, c.relname)
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relname = 'bgw_job' AND c.relkind = 'r'
   AND n.nspname IN ('_timescaledb_config', '_timescaledb_catalog')
"""
FIRST_OF_USERS = 1000


def hold(database: Database) -> list[int]:
    """Unschedule the scheduled jobs; return their ids."""
    with _table(database) as (cursor, table):
        if table is None:
            return []
        jobs = sorted(
            row[0]
            for row in fetch_all(
                cursor,
                f"UPDATE {table} SET scheduled = false WHERE scheduled AND id >= %s RETURNING id",
                (FIRST_OF_USERS,),
            )
        )
        jobs = sorted({*jobs, *_held(cursor, table)})
        # An event trigger of the application that keeps a log of such statements would write.
        session_settings.silence_triggers(cursor)
        cursor.execute(f"COMMENT ON TABLE {table} IS %s", (json.dumps({"held": jobs}),))
        return jobs


def release(database: Database) -> list[int]:
    """Schedule the held jobs again; return their ids, none if none is held."""
    with _table(database) as (cursor, table):
        if table is None or not (jobs := _held(cursor, table)):
            return []
        cursor.execute(f"UPDATE {table} SET scheduled = true WHERE id = ANY(%s)", (jobs,))
        session_settings.silence_triggers(cursor)
        cursor.execute(f"COMMENT ON TABLE {table} IS NULL")
        return jobs


def held(cursor: Any) -> list[int]:
    """Return the ids of the held jobs in the database of *cursor*."""
    table = fetch_value(cursor, TABLE)
    return _held(cursor, table) if table else []


def _held(cursor: Any, table: str) -> list[int]:
    said = fetch_value(cursor, "SELECT obj_description(%s::regclass, 'pg_class')", (table,))
    try:
        return list(json.loads(said or "{}").get("held", []))
    except (ValueError, AttributeError):
        return []


@contextmanager
def _table(database: Database) -> Iterator[tuple[Any, str | None]]:
    with database.session(superuser=True) as cursor:
        yield cursor, fetch_value(cursor, TABLE)
