# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The server's table of locks: how many a dump needs, and what max_locks_per_transaction must be.

pg_dump locks every table until its end, and so does whoever reads them beside it. A server whose
table is full answers "out of shared memory".
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

# A lock needs an entry for its object, and one for each session that holds it; the server has twice
# as many of these. Source: NLOCKENTS and InitLocks in PostgreSQL's lock.c.
HOLDERS_PER_OBJECT = 2
# For the locks of the application, and for what the server keeps for itself.
SPARE = 1.1
_SQL = """
SELECT count(*) FILTER (WHERE c.relkind IN ('r', 'p')),
       count(*) FILTER (WHERE c.relkind IN ('i', 'I')),
       count(*) FILTER (WHERE c.relkind IN ('S', 'v', 'm', 'f')),
       current_setting('max_locks_per_transaction')::int,
       current_setting('max_connections')::int + current_setting('max_prepared_transactions')::int
       + current_setting('autovacuum_max_workers')::int + 1
       + current_setting('max_worker_processes')::int + current_setting('max_wal_senders')::int
  FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
 WHERE n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_'"""


@dataclass(frozen=True)
class LockTable:
    """What a database has to be locked, and the room that its server has for it."""

    tables: int
    indexes: int
    others: int
    # max_locks_per_transaction, and the sessions that it is multiplied by.
    setting: int
    sessions: int

    def needed(self, *, jobs: int, readers: int, spare: float = SPARE) -> int:
        """Return what max_locks_per_transaction must be for a dump.

        pg_dump's leader and each reader hold all tables; of the workers, and of the indexes that
        the readers' queries lock, each is held once.
        """
        objects = self.tables + self.indexes + self.others
        workers = self.tables if jobs > 1 else 0
        held = (1 + readers) * self.tables + workers + self.indexes + 2 * self.others
        return math.ceil(spare * max(objects, held / HOLDERS_PER_OBJECT) / self.sessions)


def read(cursor: Any) -> LockTable:
    """Return the figures of the cursor's database."""
    cursor.execute(_SQL)
    return LockTable(*cursor.fetchone())
