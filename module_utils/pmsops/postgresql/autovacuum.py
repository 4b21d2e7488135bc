# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Disable autovacuum on the staging tables during the load, and enable it again.

During the load it would vacuum and analyze tables that still get rows and indexes: work that the
restore does itself, and locks that an index build waits for. The setting exists per table, not per
database. The statistics counters keep running, so autovacuum catches up soon afterwards.
"""

from __future__ import annotations

from collections.abc import Sequence

from ansible.module_utils.pmsops.postgresql import session_settings
from ansible.module_utils.pmsops.postgresql.connection import Database, fetch_all

# Tables per transaction: one transaction for all could exhaust the server's lock table.
BATCH = 50
# A table with its own autovacuum setting keeps it. Tables of extensions are small; partitioned
# tables hold no rows.
TABLES = """
SELECT format('%I.%I', n.nspname, c.relname)
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('r', 'm') AND c.relpersistence <> 't'
   AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
   AND NOT EXISTS (SELECT 1 FROM unnest(c.reloptions) said WHERE said ~ '^autovacuum_enabled=')
   AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.classid = 'pg_class'::regclass
                    AND d.objid = c.oid AND d.deptype = 'e')
"""


def hold(database: Database, *, timescaledb: bool) -> list[str]:
    """Disable autovacuum on all tables of *database*; return these tables."""
    with database.session(read_only=True) as cursor:
        tables = [name for (name,) in fetch_all(cursor, TABLES)]
    _alter(database, tables, "SET (autovacuum_enabled = off)", timescaledb)
    return tables


def release(database: Database, tables: Sequence[str], *, timescaledb: bool) -> None:
    """Enable autovacuum again: the *tables* are defined as they were before ``hold``."""
    _alter(database, tables, "RESET (autovacuum_enabled)", timescaledb)


def _alter(database: Database, tables: Sequence[str], change: str, timescaledb: bool) -> None:
    with database.session(superuser=True, autocommit=True) as cursor:
        # Keep the dump's event triggers and TimescaleDB's hooks out of these statements.
        session_settings.silence_triggers(cursor, transaction=False)
        if timescaledb:
            cursor.execute("SET timescaledb.restoring = on")
        for first in range(0, len(tables), BATCH):
            some = tables[first : first + BATCH]
            cursor.execute("; ".join(f"ALTER TABLE {name} {change}" for name in some))
