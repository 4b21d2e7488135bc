# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""TimescaleDB's background workers, and a test insert into each hypertable."""

from __future__ import annotations

import time
from typing import Any

import psycopg2
import psycopg2.errors
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.postgresql import session_settings
from ansible.module_utils.pmsops.postgresql.connection import (
    Database,
    become_superuser,
    fetch_all,
    fetch_value,
    quote_ident,
    quote_literal,
)

SCHEDULER = "TimescaleDB Background Worker Scheduler"
SEEN_SECONDS = 15
# The functions moved with TimescaleDB 2.12.
WORKER_SCHEMAS = ("_timescaledb_functions", "_timescaledb_internal")


def workers(database: Database, verb: str) -> bool:
    """Start or stop the background workers; return False if the server refused.

    :raises OpsError: database.*
    """
    with database.session(superuser=True, autocommit=True) as cursor:
        return _workers(cursor, verb)


def _workers(cursor: Any, verb: str) -> bool:
    for schema in WORKER_SCHEMAS:
        name = f"{schema}.{verb}_background_workers()"
        if fetch_value(cursor, "SELECT to_regprocedure(%s) IS NOT NULL", (name,)):
            return bool(fetch_value(cursor, f"SELECT {name}"))
    return True  # a database without TimescaleDB has no workers


def scheduler_seen(database: Database) -> bool:
    """Return whether the scheduler of this database is among the server's processes."""
    with database.session(read_only=True) as cursor:
        return _scheduler_seen(cursor)


def _scheduler_seen(cursor: Any) -> bool:
    return bool(
        fetch_value(
            cursor,
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE datname = current_database() AND backend_type LIKE %s",
            (SCHEDULER + "%",),
        )
    )


def has_timescaledb(database: Database) -> bool:
    """Return whether the database has the extension."""
    with database.session(read_only=True) as cursor:
        return _has_timescaledb(cursor)


def _has_timescaledb(cursor: Any) -> bool:
    return bool(fetch_value(cursor, "SELECT 1 FROM pg_extension WHERE extname = 'timescaledb'"))


def start_workers(database: Database) -> None:
    """Start the background workers and check that they run.

    After ALTER DATABASE ... RENAME none runs, whether the rename succeeded or not, and a server
    without a free worker refuses the start: so the answer and the process list are both checked.
    Both are asked in one session: each statement is a transaction of its own, so it sees anew.

    :raises OpsError: restore.no-scheduler, database.*
    """
    with database.session(superuser=True, autocommit=True) as cursor:
        if not _has_timescaledb(cursor):
            return
        deadline = time.monotonic() + SEEN_SECONDS
        started = False
        while time.monotonic() < deadline:
            if _scheduler_seen(cursor):
                return
            started = _workers(cursor, "start")
            for _ in range(10):
                if _scheduler_seen(cursor):
                    return
                time.sleep(0.2)
    raise OpsError(
        f"TimescaleDB's scheduler of {database.name} does not run"
        + (" though it was started." if started else ": the server has no free worker."),
        "Raise timescaledb.max_background_workers and max_worker_processes, restart the server, or"
        " free workers by dropping former databases.",
        code="restore.no-scheduler",
    )


def insert_test(database: Database) -> list[str]:
    """Insert a row into each hypertable and roll back; return a line for each refusal.

    Triggers of the application stay out: what they take from a sequence would not come back.
    """
    refused = []
    connection = database.connect()
    try:
        with connection.cursor() as cursor:
            if become_superuser(cursor):
                session_settings.silence_triggers(cursor)
            for schema, name in _hypertables(cursor):
                cursor.execute("SAVEPOINT probe")
                try:
                    cursor.execute(_copy_of_newest(cursor, schema, name))
                    if any(in_root for (in_root,) in cursor.fetchall()):
                        refused.append(f"{schema}.{name}: takes rows as a plain table would")
                except psycopg2.errors.RaiseException:
                    pass  # a trigger of the application refused: the row had found its chunk
                except psycopg2.Error as exc:
                    refused.append(f"{schema}.{name}: {str(exc).splitlines()[0]}")
                cursor.execute("ROLLBACK TO SAVEPOINT probe")
    finally:
        connection.rollback()
        connection.close()
    return refused


def _hypertables(cursor: Any) -> list[tuple[str, str]]:
    if not _has_timescaledb(cursor):
        return []
    return fetch_all(
        cursor,
        "SELECT hypertable_schema, hypertable_name FROM timescaledb_information.hypertables",
    )


def _copy_of_newest(cursor: Any, schema: str, name: str) -> str:
    """Return an INSERT of an existing row: it has to find its chunk, and changes nothing."""
    columns = fetch_value(
        cursor,
        """SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) FROM pg_attribute
            WHERE attrelid = format('%%I.%%I', %s, %s)::regclass AND attnum > 0
              AND NOT attisdropped AND attgenerated = ''""",
        (schema, name),
    )
    table = f"{quote_ident(schema)}.{quote_ident(name)}"
    return (
        f"INSERT INTO {table} ({columns}) OVERRIDING SYSTEM VALUE"
        f" SELECT {columns} FROM {table} LIMIT 1 ON CONFLICT DO NOTHING"
        f" RETURNING tableoid = {quote_literal(table)}::regclass"
    )
