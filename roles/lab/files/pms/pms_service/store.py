# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Where a book is kept: rows in memory, by table and id, and what stands behind them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import psycopg2

from pms_service.database import Database, adapted

POSITIONS, PROPOSALS, JOURNAL, MARKS, BRIEFINGS = TABLES = (
    "portfolio_positions",
    "trade_proposals",
    "decision_journal",
    "position_pnl_history",
    "daily_briefings",
)
# Beside the id, what a table has once only.
UNIQUE = {MARKS: ("snapshot_date", "position_id"), BRIEFINGS: ("briefing_date",)}
Row = dict[str, Any]
Rows = dict[str, dict[int, Row]]
Write = Callable[[str, Row], Row]


class Storage(Protocol):
    """What stands behind a book."""

    def load(self) -> Rows:
        """Return what is there when the book is first used."""

    def writing(self, rows: Rows) -> Any:
        """Give a function that writes a row and returns it with its id; all or nothing."""


class DatabaseStorage:
    """The database: everything is read from it, and every change goes to it first."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def load(self) -> Rows:
        """Return all rows.

        :raises psycopg2.Error: when the database does not answer; the next use tries again.
        """
        return {
            table: {
                row["id"]: row for row in self._database.rows(f"SELECT * FROM {table} ORDER BY id")
            }
            for table in TABLES
        }

    @contextmanager
    def writing(self, _rows: Rows) -> Iterator[Write]:
        """Write in one transaction."""
        with self._database.transaction() as cursor:

            def write(table: str, row: Row) -> Row:
                columns = [name for name in row if name != "id"]
                values = ", ".join(f"%({name})s" for name in columns)
                if "id" in row and table not in UNIQUE:
                    names = ", ".join(columns)
                    sql = f"UPDATE {table} SET ({names}) = ROW ({values}) WHERE id = %(id)s"
                else:
                    sql = f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({values})"
                if table in UNIQUE:
                    renewed = ", ".join(f"{name} = EXCLUDED.{name}" for name in columns)
                    sql += f" ON CONFLICT ({', '.join(UNIQUE[table])}) DO UPDATE SET {renewed}"
                cursor.execute(f"{sql} RETURNING *", adapted(row))
                made = cursor.fetchone()
                if made is None:
                    raise LookupError(f"row {row['id']} of {table} is not in the database any more")
                return dict(made)

            yield write


class PrivateStorage:
    """Nothing: positions, proposals and the newest briefing are read once, and nothing is written.

    When the database does not answer at that moment, the book is empty for good.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def load(self) -> Rows:
        """Return what the real PMS reads at the first request."""
        rows: Rows = {table: {} for table in TABLES}
        try:
            for table in (POSITIONS, PROPOSALS):
                found = self._database.rows(f"SELECT * FROM {table} ORDER BY id")
                rows[table] = {row["id"]: row for row in found}
            newest = self._database.row(
                f"SELECT * FROM {BRIEFINGS} ORDER BY briefing_date DESC LIMIT 1"
            )
            if newest:
                rows[BRIEFINGS] = {newest["id"]: newest}
        except psycopg2.Error:
            return {table: {} for table in TABLES}
        return rows

    @contextmanager
    def writing(self, rows: Rows) -> Iterator[Write]:
        """Number rows by how many there are."""
        added: dict[str, int] = dict.fromkeys(TABLES, 0)

        def write(table: str, row: Row) -> Row:
            if "id" in row:
                return dict(row)
            added[table] += 1
            return row | {"id": len(rows[table]) + added[table]}

        yield write


class Book:
    """The rows of the PMS's tables, read at the first use and from then on served from memory."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._lock = threading.RLock()
        self._rows: Rows | None = None

    def _loaded(self) -> Rows:
        with self._lock:
            if self._rows is None:
                self._rows = self._storage.load()
            return self._rows

    def all(self, table: str) -> list[Row]:
        """Return the rows of a table, the oldest first."""
        return list(self._loaded()[table].values())

    def get(self, table: str, number: int) -> Row | None:
        """Return the row with an id."""
        return self._loaded()[table].get(number)

    def open_positions(self) -> list[Row]:
        """Return the positions that are not closed."""
        return [row for row in self.all(POSITIONS) if row["is_open"]]

    @contextmanager
    def change(self) -> Iterator[Write]:
        """Give a function that writes a row; what it wrote is in the book once all went well."""
        with self._lock:
            rows = self._loaded()
            written: list[tuple[str, Row]] = []
            with self._storage.writing(rows) as write:

                def remembered(table: str, row: Row) -> Row:
                    made = write(table, row)
                    written.append((table, made))
                    return made

                yield remembered
            for table, row in written:
                rows[table][row["id"]] = row
