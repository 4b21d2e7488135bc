# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Locks that keep a snapshot's tables as they are, and races for locks that a dump has lost.

A snapshot does not protect tables that nobody has locked yet: DROP makes them unreadable, and after
TRUNCATE, a rewrite or TimescaleDB's compression an old snapshot sees no rows. So a reader locks all
tables before it takes its snapshot. ACCESS SHARE hinders nobody who reads or writes rows.

pg_dump locks the same tables some moments later. A session that changes one of them in between
waits for the reader's lock, pg_dump waits behind that session, and the reader waits for pg_dump:
the server sees no deadlock, since one of the three waits outside of it.
"""

from __future__ import annotations

import time
from typing import Any

import psycopg2.errors
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.postgresql import session_settings
from ansible.module_utils.pmsops.postgresql.connection import (
    Database,
    fetch_all,
    fetch_value,
    quote_ident,
)

LOST = "database.locked"
REMEDY = (
    "Another session changes tables all the time (pg_stat_activity shows it). Let it pause while"
    " the backup runs, then run again."
)
WAIT_SECONDS = 600  # for a change of the schema that runs when the snapshot is to be taken
NEXT_WAIT_SECONDS = 2  # for the other connections: the first one has all locks already
LOOK_SECONDS = 1.0
CHANGE_SECONDS = 3.0  # for the next change of a session that makes one after the other
POLL_SECONDS = 0.02
# What a statement answers if a table was dropped or rewritten under its snapshot.
_LOST_STATES = frozenset(
    {
        "40P01",  # deadlock
        "42P01",  # undefined table
        "42704",  # undefined object
        "3F000",  # undefined schema
        "55P03",  # lock not available
    }
)
_GONE = ("could not open relation with OID", "cache lookup failed")
_TABLES = """
SELECT n.nspname, c.relname FROM pg_catalog.pg_class c
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('r', 'p') AND c.relpersistence <> 't'
   AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_'
   AND has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT')
 ORDER BY c.oid"""
# pg_class is read under the snapshot, and the function reads the catalogue of this moment.
_REWRITTEN = """
SELECT n.nspname || '.' || c.relname FROM pg_catalog.pg_class c
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind = 'r' AND c.relpersistence <> 't' AND c.relfilenode <> 0
   AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_'
   AND pg_catalog.pg_relation_filenode(c.oid) IS DISTINCT FROM c.relfilenode
 ORDER BY 1 LIMIT 5"""
# A session of ours that waits behind another one, which waits for one of ours.
_CIRCLE = """
SELECT other.pid, coalesce(left(a.query, 120), 'a statement that this role may not see')
  FROM pg_catalog.pg_stat_activity ours
 CROSS JOIN LATERAL unnest(pg_catalog.pg_blocking_pids(ours.pid)) AS other(pid)
  LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = other.pid
 WHERE ours.application_name = 'pms-ops' AND ours.usename = current_user
   AND ours.datname = current_database() AND ours.wait_event_type = 'Lock'
   AND a.application_name IS DISTINCT FROM 'pms-ops'
   AND EXISTS (SELECT FROM pg_catalog.pg_stat_activity p
                WHERE p.pid = ANY (pg_catalog.pg_blocking_pids(other.pid))
                  AND p.application_name = 'pms-ops' AND p.usename = current_user)
 LIMIT 1"""

_WAITING = """
SELECT EXISTS (SELECT FROM pg_catalog.pg_locks w
                WHERE NOT w.granted AND %s = ANY (pg_catalog.pg_blocking_pids(w.pid)))"""


def tables(database: Database) -> list[tuple[str, str]]:
    """Return schema and name of the tables that a dump reads and locks."""
    with database.session(read_only=True) as cursor:
        return [(schema, name) for schema, name in fetch_all(cursor, _TABLES)]


def hold(cursor: Any, names: list[tuple[str, str]], *, seconds: float = WAIT_SECONDS) -> None:
    """Lock the tables until the cursor's transaction ends; it has no snapshot yet, and gets none.

    Waits at most *seconds* for each lock.

    :raises psycopg2.errors.LockNotAvailable: if another session holds one of them longer
    :raises psycopg2.errors.UndefinedTable: if one of them was dropped meanwhile
    """
    if not names:
        return
    session_settings.limit_lock_waits(cursor, seconds)
    listed = ", ".join(f"ONLY {quote_ident(schema)}.{quote_ident(name)}" for schema, name in names)
    cursor.execute(f"LOCK TABLE {listed} IN ACCESS SHARE MODE")
    session_settings.limit_lock_waits(cursor, 0)


def let_one_change_pass(database: Database, cursor: Any, names: list[tuple[str, str]]) -> None:
    """Lock the tables until a session waits to change one, and let it: its next change is later.

    Whoever locks the tables now, and takes a snapshot, has the whole pause of that session. Nothing
    is locked afterwards.
    """
    hold(cursor, names)
    ends = time.monotonic() + CHANGE_SECONDS
    pid = cursor.connection.info.backend_pid
    with database.session(read_only=True, autocommit=True) as other:
        while time.monotonic() < ends and not fetch_value(other, _WAITING, (pid,)):
            time.sleep(POLL_SECONDS)
        cursor.connection.rollback()


def require_unchanged(cursor: Any) -> None:
    """Refuse a snapshot that no longer sees the rows of a table.

    :raises OpsError: database.locked
    """
    rewritten = [row[0] for row in fetch_all(cursor, _REWRITTEN)]
    if rewritten:
        raise lost(f"Another session emptied, rewrote or dropped {', '.join(rewritten)}")


class LockWatch:
    """Looks whether a session of ours waits for good; see above. Opens a connection of its own."""

    def __init__(self, database: Database) -> None:
        self._connection = database.connect(read_only=True, autocommit=True)
        self._looked = time.monotonic()

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def look(self) -> None:
        """Ask the server, at most once a second.

        :raises OpsError: database.locked
        """
        if time.monotonic() < self._looked + LOOK_SECONDS:
            return
        with self._connection.cursor() as cursor:
            found = fetch_all(cursor, _CIRCLE)
        self._looked = time.monotonic()
        if found:
            raise lost(f"The dump waits behind session {found[0][0]}: {found[0][1]}")


def lost(text: str) -> OpsError:
    """Return the error for a race for locks that the dump has lost."""
    return OpsError(f"{text}, while the dump was made.", REMEDY, code="database.locked")


def is_lost(exc: BaseException) -> bool:
    """Tell whether *exc* says that another session changed a table at the wrong moment."""
    if isinstance(exc, OpsError):
        return exc.code == LOST
    if not isinstance(exc, psycopg2.Error):
        return False
    return exc.pgcode in _LOST_STATES or any(words in str(exc) for words in _GONE)
