# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""A few connections to the database, made anew when it comes back."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import psycopg2
import psycopg2.extras

CONNECTIONS = 8
CONNECT_SECONDS = 3
# A database that hangs ends a statement, and TCP that hangs a connection, within this time.
STATEMENT_MILLISECONDS = 10_000
Row = dict[str, Any]


class Database:
    """Runs statements on the PMS's database."""

    def __init__(self, parameters: Mapping[str, str]) -> None:
        self._parameters = dict(parameters)
        self._idle: queue.LifoQueue[psycopg2.extensions.connection] = queue.LifoQueue()
        self._room = threading.BoundedSemaphore(CONNECTIONS)

    def _connect(self) -> psycopg2.extensions.connection:
        return psycopg2.connect(
            **self._parameters,
            application_name="pms-api",
            connect_timeout=CONNECT_SECONDS,
            tcp_user_timeout=STATEMENT_MILLISECONDS,
            options=f"-c timezone=UTC -c statement_timeout={STATEMENT_MILLISECONDS}",
            cursor_factory=psycopg2.extras.RealDictCursor,
        )

    def _usable(self) -> psycopg2.extensions.connection:
        """Return a connection that answers: one that was left idle may be of a former database."""
        while True:
            try:
                connection = self._idle.get_nowait()
            except queue.Empty:
                return self._connect()
            try:
                with connection, connection.cursor() as cursor:
                    cursor.execute("SELECT 1")
                return connection
            except psycopg2.Error:
                connection.close()

    @contextmanager
    def transaction(self) -> Iterator[psycopg2.extensions.cursor]:
        """Give a cursor; commit at the end, or roll back at an error.

        :raises psycopg2.Error: when the database does not answer or refuses.
        """
        if not self._room.acquire(timeout=CONNECT_SECONDS):
            raise psycopg2.OperationalError("all connections are in use")
        try:
            connection = self._usable()
            try:
                with connection, connection.cursor() as cursor:
                    yield cursor
            except psycopg2.Error:
                connection.close()
                raise
            except BaseException:
                self._idle.put(connection)
                raise
            self._idle.put(connection)
        finally:
            self._room.release()

    def rows(self, sql: str, parameters: Mapping[str, Any] | None = None) -> list[Row]:
        """Return the rows of a SELECT."""
        with self.transaction() as cursor:
            cursor.execute(sql, parameters)
            return [dict(row) for row in cursor.fetchall()]

    def row(self, sql: str, parameters: Mapping[str, Any] | None = None) -> Row | None:
        """Return the first row of a SELECT."""
        found = self.rows(sql, parameters)
        return found[0] if found else None

    def execute(self, sql: str, parameters: Mapping[str, Any] | None = None) -> int:
        """Run a statement and return how many rows it touched."""
        with self.transaction() as cursor:
            cursor.execute(sql, parameters)
            return cursor.rowcount


def adapted(row: Mapping[str, Any]) -> Row:
    """Return *row* with lists and dicts as JSON."""
    return {
        name: psycopg2.extras.Json(value) if isinstance(value, (dict, list)) else value
        for name, value in row.items()
    }
