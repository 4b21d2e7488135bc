# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""How far a restore is, asked of the server while pg_restore runs."""

from __future__ import annotations

from dataclasses import dataclass, field

import psycopg2
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.common.sparing import Sparing
from ansible.module_utils.pmsops.postgresql.connection import Database, fetch_value

SIZE = "SELECT pg_database_size(%s)"
# The indexes that post-data creates, without those of extensions.
INDEXES = """
SELECT count(*) FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid
  JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_toast'
   AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.classid = 'pg_class'::regclass
                    AND d.objid = c.oid AND d.deptype = 'e')
"""


@dataclass
class ProgressQuery:
    """Reads one number from *database* repeatedly, on a connection that stays open.

    ``read`` returns it; a number that is slow to read is read less often.
    """

    server: Database
    database: str
    sql: str
    parameters: tuple[str, ...] = ()
    _connection: psycopg2.extensions.connection | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self.read = Sparing(self._read).read

    def __enter__(self) -> ProgressQuery:
        return self

    def __exit__(self, *_exc: object) -> None:
        if self._connection is not None:
            self._connection.close()

    def _read(self) -> int:
        """Return the number; 0 if it cannot be read, since progress is not worth a failure."""
        try:
            if self._connection is None or self._connection.closed:
                self._connection = self.server.connect(
                    name=self.database, read_only=True, autocommit=True
                )
            with self._connection.cursor() as cursor:
                return int(fetch_value(cursor, self.sql, self.parameters) or 0)
        except (OpsError, psycopg2.Error):
            return 0


def of_size(target: Database) -> ProgressQuery:
    """Return the query for the size of *target* in bytes."""
    return ProgressQuery(target, target.maintenance_name, SIZE, (target.name,))


def of_indexes(target: Database) -> ProgressQuery:
    """Return the query for the number of indexes in *target*."""
    return ProgressQuery(target, target.name, INDEXES)
