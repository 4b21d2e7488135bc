# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""A snapshot of the database, shared by several connections."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import psycopg2
from ansible.module_utils.pmsops.postgresql import catalog, table_locks
from ansible.module_utils.pmsops.postgresql.connection import Database, fetch_value


class Snapshot:
    """A repeatable-read snapshot, exported for pg_dump and shared by several connections.

    It lives as long as its first connection: use it as a context manager. If it is *locked*, no
    table that it shows can be changed otherwise than row by row while it lives.
    """

    def __init__(
        self,
        database: Database,
        *,
        connections: int,
        locked: bool = False,
        exported: Callable[[str], None] | None = None,
    ) -> None:
        """*exported* is told the snapshot's name at once; then it follows upon a change of tables.

        Whoever needs the tables as the snapshot shows them, and cannot lock them before it, so has
        the pause of a session that makes one change after the other.
        """
        self._database = database
        self._count = connections
        self._locked = locked
        self._exported = exported
        self._connections: list[Any] = []
        self.cursors: list[Any] = []
        self.name = ""
        self.taken_at = ""

    def __enter__(self) -> Snapshot:
        try:
            tables = table_locks.tables(self._database) if self._locked else []
            first = self._open()
            if self._exported:
                table_locks.let_one_change_pass(self._database, first, tables)
            table_locks.hold(first, tables)
            self.name = fetch_value(first, "SELECT pg_catalog.pg_export_snapshot()")
            if self._exported:
                self._exported(self.name)
            self.taken_at = fetch_value(
                first,
                """SELECT to_char(statement_timestamp() AT TIME ZONE 'UTC',
                                  'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')""",
            )
            for _ in range(1, self._count):
                following = self._open()
                table_locks.hold(following, tables, seconds=table_locks.NEXT_WAIT_SECONDS)
                following.execute("SET TRANSACTION SNAPSHOT %s", (self.name,))
            for cursor in self.cursors:
                catalog.prepare(cursor)
                # The connections run in parallel already; parallel workers would only contend.
                cursor.execute("SET SESSION max_parallel_workers_per_gather = 0")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_exc: object) -> None:
        for connection in self._connections:
            connection.close()
        self._connections.clear()
        self.cursors.clear()

    def ended(self) -> Any:
        """End the snapshot; return the cursor of its first connection, the only one that stays."""
        for connection in self._connections[1:]:
            connection.close()
        del self._connections[1:], self.cursors[1:]
        self._connections[0].rollback()
        return self.cursors[0]

    def cancel(self) -> None:
        """Cancel the running statements of all connections; their threads get an error."""
        for connection in self._connections:
            with suppress(psycopg2.Error):  # a lost connection has no statement to cancel
                connection.cancel()

    def _open(self) -> Any:
        connection = self._database.connect()
        connection.set_session(isolation_level="REPEATABLE READ", readonly=True)
        self._connections.append(connection)
        self.cursors.append(connection.cursor())
        return self.cursors[-1]
