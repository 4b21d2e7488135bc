# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Sessions that write while something is done to their server, and a reader that stops them.

For tests and measurements of continuous protection.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from threading import Event, Thread
from typing import Any

import psycopg2

from tests.support.server import Server


class Writers:
    """So many sessions, each of which calls *write* until the block ends or the server is gone.

    *write* receives its session and the number of it.
    """

    def __init__(
        self,
        server: Server,
        write: Callable[[Any, int], None],
        sessions: int,
        *,
        autocommit: bool = True,
        database: str = "book",
    ) -> None:
        self._server, self._do, self._database = server, write, database
        self._autocommit = autocommit
        self._ends = Event()
        self._threads = [Thread(target=self._write, args=(number,)) for number in range(sessions)]

    def __enter__(self) -> Writers:
        for each in self._threads:
            each.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self._ends.set()
        for each in self._threads:
            each.join()

    def _write(self, number: int) -> None:
        with suppress(psycopg2.Error):
            session = superuser(self._server, self._database)
            session.autocommit = self._autocommit
            while not self._ends.is_set():
                self._do(session, number)
            session.close()


def superuser(server: Server, database: str = "book") -> Any:
    """Open a session of the superuser."""
    return psycopg2.connect(
        host="127.0.0.1",
        port=server.port,
        dbname=database,
        user="postgres",
        password=server.password,
    )


def a_moment(
    server: Server, tables: Sequence[str], seen: str, database: str = "book"
) -> tuple[str, str]:
    """Return a moment, and what the query *seen* gives to a reader that lets nobody write."""
    read = server.psql(
        f"BEGIN; LOCK TABLE {', '.join(tables)} IN SHARE MODE; "
        f"SELECT clock_timestamp(); {seen}; SELECT pg_sleep(0.05); COMMIT",
        database,
    ).splitlines()
    return read[0], read[1]
