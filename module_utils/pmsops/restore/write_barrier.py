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
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.postgresql import session_settings
from ansible.module_utils.pmsops.postgresql.connection import (
    Database,
    become_superuser,
    fetch_all,
    fetch_value,
    quote_ident,
)
from ansible.module_utils.pmsops.restore import registry, swap_statements

# A transaction that writes already is waited for; beyond this, writes are not held back.
LOCK_SECONDS = 20
TABLES_A_STATEMENT = 200
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
_OTHERS = """SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
    AND backend_type = 'client backend' AND pid <> pg_backend_pid()"""


@dataclass
class WriteBarrier:
    """A session that holds the locks; they end with it, also if the run is killed."""

    connection: Any
    # Whether nobody else was connected until the locks were there.
    alone: bool = True

    @classmethod
    def hold(cls, live: Database) -> WriteBarrier:
        """Lock the tables of *live* against writes; reading goes on.

        :raises OpsError: database.*
        """
        connection = live.connect()
        try:
            with connection.cursor() as cursor:
                role = become_superuser(cursor)
                session_settings.limit_statements(cursor, LOCK_SECONDS)
                names = [name for (name,) in fetch_all(cursor, _TABLES)]
                names += LARGE_OBJECTS if role else []
                for first in range(0, len(names), TABLES_A_STATEMENT):
                    tables = [f"ONLY {name}" for name in names[first : first + TABLES_A_STATEMENT]]
                    cursor.execute(f"LOCK TABLE {', '.join(tables)} IN SHARE MODE")
                alone = not fetch_value(cursor, _OTHERS)
        except BaseException as exc:
            connection.close()
            if isinstance(exc, psycopg2.Error):
                raise live.to_error(exc) from exc
            raise
        return cls(connection, alone)

    @property
    def pid(self) -> int:
        """Return the server's process of the session."""
        return int(self.connection.get_backend_pid())

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


def give_back(live: Database, own: str | None, spare: WriteBarrier | None) -> None:
    """Give *live* its *own* default of read-only back, and end the sessions that began before."""
    with live.session(name=live.maintenance_name, superuser=True, autocommit=True) as cursor:
        oid = registry.read(cursor)[live.name].oid
        if swap_statements.setting(cursor, oid, swap_statements.READ_ONLY) == own:
            return
        cursor.execute(swap_statements.read_only(quote_ident(live.name), own))
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = %s AND backend_type = 'client backend' AND pid <> %s",
            (live.name, spare.pid if spare else 0),
        )


def hold_or_explain(live: Database) -> tuple[WriteBarrier | None, str | None]:
    """Return the barrier, or why there is none."""
    try:
        return WriteBarrier.hold(live), None
    except OpsError as exc:
        return None, f"Writes to {live.name} were not held back during the probe: {exc}"
