# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Autovacuum is kept off the tables of a copy while they are filled, and let in again after.

It would vacuum and analyze tables that still get their rows and indexes: work that the restore does
itself or undoes, and locks that an index or a key then waits for. No database has a setting for it,
tables do. The counters run on, so that autovacuum finds by itself, and soon, what it has to do.
"""

from __future__ import annotations

from collections.abc import Sequence

from ansible.module_utils.pmsops.postgresql.connection import Database, fetch_all

# As many tables are locked at once: a transaction of all could overrun the server's lock table.
BATCH = 50
# Tables whose definition says something of autovacuum keep it. Those of extensions are small, and
# partitioned tables have no rows.
TABLES = """
SELECT format('%I.%I', n.nspname, c.relname)
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('r', 'm') AND c.relpersistence <> 't'
   AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
   AND NOT EXISTS (SELECT 1 FROM unnest(c.reloptions) said WHERE said ~ '^autovacuum_enabled=')
   AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.classid = 'pg_class'::regclass
                    AND d.objid = c.oid AND d.deptype = 'e')
"""
# PostgreSQL 17 has it; before, event triggers that fire always fire here too.
NO_EVENT_TRIGGERS = (
    "SELECT set_config(name, 'off', false) FROM pg_settings WHERE name = 'event_triggers'"
)


def hold(database: Database, *, timescaledb: bool) -> list[str]:
    """Keep autovacuum off all tables of *database*; return these tables."""
    with database.session(read_only=True) as cursor:
        tables = [name for (name,) in fetch_all(cursor, TABLES)]
    _alter(database, tables, "SET (autovacuum_enabled = off)", timescaledb)
    return tables


def release(database: Database, tables: Sequence[str], *, timescaledb: bool) -> None:
    """Let autovacuum in again: the *tables* are defined as they were before ``hold``."""
    _alter(database, tables, "RESET (autovacuum_enabled)", timescaledb)


def _alter(database: Database, tables: Sequence[str], change: str, timescaledb: bool) -> None:
    with database.session(superuser=True, autocommit=True) as cursor:
        # Neither the event triggers that the dump brought nor TimescaleDB has a say in this.
        cursor.execute("SET session_replication_role = replica")
        cursor.execute(NO_EVENT_TRIGGERS)
        if timescaledb:
            cursor.execute("SET timescaledb.restoring = on")
        for first in range(0, len(tables), BATCH):
            some = tables[first : first + BATCH]
            cursor.execute("; ".join(f"ALTER TABLE {name} {change}" for name in some))
