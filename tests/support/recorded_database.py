# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""A stand-in for a psycopg2 connection: it answers queries by a table, and can break."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from ansible.module_utils.pmsops.checks.probes import Deadline
from ansible.module_utils.pmsops.checks.probes.context import Context, Settings
from ansible.module_utils.pmsops.postgresql.connection import Database

ADDRESS = {"host": "db", "port": 5432, "name": "fund", "user": "pms_ops"}


class Connection:
    """Answers each query whose text contains a key of *answers*: rows, or an exception to raise.

    A query without a row set answers None; any other query has no rows.
    """

    def __init__(self, answers: Mapping[str, Any], *, server_version: int = 170000) -> None:
        self.answers = answers
        self.server_version = server_version
        self.executed: list[str] = []
        self.closed = 0
        self.rollbacks = 0

    def cursor(self, name: str | None = None) -> Cursor:
        """Return a cursor, a named one too."""
        return Cursor(self)

    def commit(self) -> None:
        """Accept what was executed."""

    def rollback(self) -> None:
        """Count the rollbacks."""
        self.rollbacks += 1

    def close(self) -> None:
        """Close the connection."""
        self.closed = 1


class Cursor:
    """A cursor over the rows of the last query."""

    itersize = 0

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.rows: list[tuple[Any, ...]] = []
        self.description: list[SimpleNamespace] | None = []

    def __enter__(self) -> Cursor:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def __iter__(self) -> Any:
        return iter(self.rows)

    def execute(self, query: str, args: Any = None) -> None:
        """Look the query up."""
        self.connection.executed.append(query)
        found = next((v for k, v in self.connection.answers.items() if k in query), [])
        if isinstance(found, BaseException):
            raise found
        self.rows = list(found or [])
        names = [f"c{number}" for number in range(len(self.rows[0]) if self.rows else 1)]
        self.description = None if found is None else [SimpleNamespace(name=n) for n in names]

    def fetchmany(self, size: int) -> list[tuple[Any, ...]]:
        """Return at most so many rows."""
        return self.rows[:size]

    def fetchone(self) -> tuple[Any, ...] | None:
        """Return the first row."""
        return self.rows[0] if self.rows else None

    def fetchall(self) -> list[tuple[Any, ...]]:
        """Return all rows."""
        return self.rows


class RecordedDatabase:
    """A database for code that takes one: each session is a cursor on one recorded connection."""

    name = "fund"
    user = "pms_ops"
    maintenance_name = "postgres"

    def __init__(self, answers: Mapping[str, Any]) -> None:
        self.connection = Connection(answers)

    @contextmanager
    def session(self, **_options: Any) -> Iterator[Cursor]:
        """Yield a cursor."""
        yield Cursor(self.connection)


def connected(
    monkeypatch: pytest.MonkeyPatch, answers: Mapping[str, Any], **settings: Any
) -> tuple[Context, Connection]:
    """Return a context whose database answers by the table, and its connection."""
    connection = Connection(answers)
    monkeypatch.setattr(Database, "connect", lambda self, **_: connection)
    known = {"now": datetime(2026, 11, 23, 12, 0, tzinfo=UTC), "database": ADDRESS}
    return Context(Settings(**known | settings)), connection


def soon(seconds: float = 3.0) -> Deadline:
    """Return a deadline that a test can meet."""
    return Deadline.after(seconds)
