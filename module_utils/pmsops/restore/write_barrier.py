# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Writes to a database that a swap made live wait until the PMS is found to work on it.

A swap back loses what was written in between, so nothing is. PostgreSQL cannot open a database for
readers alone, and a session keeps the defaults with which it began. So the renames leave the
database read-only by default; a session of the toolkit locks its tables against writes; and then
the default is given back, and the few sessions that began under it are ended. From there on a write
waits for the lock, and goes on as if nothing had been as soon as the swap is accepted.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import psycopg2
from ansible.module_utils.pmsops.postgresql.connection import (
    Database,
    fetch_all,
    fetch_value,
    quote_ident,
)
from ansible.module_utils.pmsops.restore import registry, swap_statements

# A transaction that writes already is waited for; beyond this, writes are not held back.
LOCK_SECONDS = 20
TABLES_A_STATEMENT = 200
# A session that only locks does without the library, which costs half of its start.
WITHOUT_TIMESCALEDB = {"timescaledb.disable_load": "on"}
# Only a superuser may lock these.
LARGE_OBJECTS = ["pg_catalog.pg_largeobject", "pg_catalog.pg_largeobject_metadata"]
# Chunks are written through their hypertables, and TimescaleDB's jobs work on the rest.
_TABLES = """SELECT format('%I.%I', n.nspname, c.relname)
     FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p') AND c.relpersistence <> 't'
      AND n.nspname !~ '^(pg_|_timescaledb_)' AND n.nspname <> 'information_schema'
      AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass
                         AND d.objid = c.oid AND d.deptype = 'e')
    ORDER BY c.oid"""
_WAITING = """SELECT DISTINCT format('%s (%s)', l.relation::regclass,
                             coalesce(nullif(a.application_name, ''), a.usename))
     FROM pg_locks l JOIN pg_stat_activity a USING (pid)
    WHERE NOT l.granted AND l.locktype = 'relation'
      AND pg_backend_pid() = ANY(pg_blocking_pids(l.pid)) ORDER BY 1"""


# An application may ask for a transaction that writes, whatever the default is.
_OTHERS = """FROM pg_stat_activity
    WHERE datname = %s AND backend_type = 'client backend' AND pid <> %s"""


@dataclass
class WriteBarrier:
    """A session that holds the locks; they end with it, also if the run is killed."""

    connection: Any
    locked: list[str]
    # Whether nobody else was connected until the locks were there.
    alone: bool = True

    @classmethod
    def hold(cls, live: Database, role: str | None, known: list[str]) -> WriteBarrier:
        """Lock the tables *known* of *live* against writes, as a superuser *role* if there is one.

        Reading goes on. Each question to the server is one more that the clients wait for.

        :raises OpsError: database.*
        """
        names = known + (LARGE_OBJECTS if role else [])
        connection = live.connect(autocommit=True, settings=WITHOUT_TIMESCALEDB)
        try:
            with connection.cursor() as cursor:
                begin = ["BEGIN", f"SET LOCAL statement_timeout = '{LOCK_SECONDS}s'"]
                begin += [f"SET ROLE {quote_ident(role)}"] if role else []
                cursor.execute("; ".join([*begin, *_locks(names)]))
        except BaseException as exc:
            connection.close()
            if isinstance(exc, psycopg2.Error):
                raise live.to_error(exc) from exc
            raise
        return cls(connection, known)

    @property
    def pid(self) -> int:
        """Return the server's process of the session."""
        return int(self.connection.get_backend_pid())

    def look_for_others(self, cursor: Any, live: str) -> None:
        """Note whether others are in the database *live*; *cursor* is of the maintenance one."""
        self.alone = not fetch_value(cursor, f"SELECT count(*) {_OTHERS}", (live, self.pid))

    def complete(self) -> None:
        """Lock what was made while the list of tables travelled; somebody else was there, then.

        :raises psycopg2.Error: a writer does not end, or the session was ended
        """
        with self.connection.cursor() as cursor:
            if made := [name for name in _tables(cursor) if name not in self.locked]:
                self.alone = False
                cursor.execute("; ".join(_locks(made)))
                self.locked += made

    def held(self) -> bool:
        """Tell whether the locks are still there."""
        try:
            with self.connection.cursor() as cursor:
                cursor.execute("SELECT 1")
        except psycopg2.Error:
            return False
        return True

    def waiting(self) -> list[str]:
        """Return what waits for the locks: table and application."""
        try:
            with self.connection.cursor() as cursor:
                # A transaction sees the server's processes as at its first look otherwise.
                cursor.execute("SELECT pg_stat_clear_snapshot()")
                return [text for (text,) in fetch_all(cursor, _WAITING)]
        except psycopg2.Error:
            return []

    def release(self) -> None:
        """Let the writes go on."""
        with suppress(psycopg2.Error):
            self.connection.close()


def tables_of(database: Database) -> list[str]:
    """Return the tables of a database that are locked against writes, quoted.

    :raises OpsError: database.*
    """
    with database.session() as cursor:
        return _tables(cursor)


def _tables(cursor: Any) -> list[str]:
    return [name for (name,) in fetch_all(cursor, _TABLES)]


def _locks(names: list[str]) -> list[str]:
    """Return the statements that lock the tables *names*."""
    parts = [
        names[first : first + TABLES_A_STATEMENT]
        for first in range(0, len(names), TABLES_A_STATEMENT)
    ]
    return [
        f"LOCK TABLE {', '.join(f'ONLY {name}' for name in part)} IN SHARE MODE" for part in parts
    ]


def give_back(
    cursor: Any, live: registry.ManagedDatabase, own: str | None, barrier: WriteBarrier | None
) -> None:
    """Open *live* for all by ``open_for_all``, unless it has its *own* default already."""
    if swap_statements.setting(cursor, live.oid, swap_statements.READ_ONLY) != own:
        open_for_all(cursor, live.name, own, barrier)


def open_for_all(cursor: Any, live: str, own: str | None, barrier: WriteBarrier | None) -> None:
    """Give *live* its *own* default of read-only back, and end the sessions that began before.

    *cursor* is of the maintenance database, and commits each statement.
    """
    # The name may have a percent sign, which psycopg2 takes for a parameter.
    setting = swap_statements.read_only(quote_ident(live), own).replace("%", "%%")
    cursor.execute(
        f"BEGIN; {setting}; COMMIT; SELECT pg_terminate_backend(pid) {_OTHERS}",
        (live, barrier.pid if barrier else 0),
    )
    if barrier:
        barrier.alone = barrier.alone and not cursor.fetchall()
