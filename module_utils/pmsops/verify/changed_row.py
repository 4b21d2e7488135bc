# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""One change in one row of a table, in a transaction that the caller rolls back.

A table is left alone where a change could have effects that a rollback does not undo: a trigger
that takes a value of a sequence, a rule. The values of the rows stay here: no message has one.
"""

from __future__ import annotations

import math
import random
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import psycopg2
import psycopg2.errors
from ansible.module_utils.pmsops.postgresql.connection import fetch_all, quote_ident
from ansible.module_utils.pmsops.postgresql.fingerprint import Relation

FLIPPED, SWAPPED, EMPTIED = "flipped float bit", "swapped pair", "emptied string"
DELETED, DUPLICATED = "deleted row", "duplicated row"
KINDS = (FLIPPED, SWAPPED, EMPTIED, DELETED, DUPLICATED)
COUNTED = (DELETED, DUPLICATED)
# Number of rows, from a random one on, among which one is chosen that a kind can change.
WINDOW = 16
# Statements of a kind that the table may refuse (a key, a constraint) before another kind's turn.
ATTEMPTS = 3
# Types, the function that gives a value's bytes, their form in struct, and bits of the mantissa.
_FLOATS = {"real": ("float4send", ">f", 23), "double precision": ("float8send", ">d", 52)}
_STRINGS = ("text", "character varying", "character", "nondeterministic")
# With triggers silenced, only those run that are enabled REPLICA or ALWAYS.
_SILENCED, _LOUD = ["R", "A"], ["O", "A"]
_SHAPE = r"""
SELECT c.relhasrules OR EXISTS (
           SELECT FROM pg_catalog.pg_trigger t JOIN pg_catalog.pg_proc p ON p.oid = t.tgfoid
             JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
            WHERE t.tgrelid = c.oid AND NOT t.tgisinternal AND t.tgenabled::text = ANY(%s)
              AND n.nspname !~ '^_timescaledb_')
       OR (%s AND EXISTS (
           SELECT FROM pg_catalog.pg_constraint f WHERE f.confrelid = c.oid AND f.contype = 'f'
              AND (f.confdeltype NOT IN ('a', 'r') OR f.confupdtype NOT IN ('a', 'r')))),
       pg_catalog.pg_table_size(c.oid),
       ARRAY(SELECT a.attname::text FROM pg_catalog.pg_attribute a
              WHERE a.attrelid = c.oid AND a.attgenerated <> '' AND NOT a.attisdropped)
  FROM pg_catalog.pg_class c WHERE c.oid = pg_catalog.to_regclass(%s)
"""


class Refused(Exception):
    """The table takes no such change; the text says why, and has no value of a row."""


@dataclass(frozen=True)
class Change:
    """What was changed."""

    kind: str
    column_type: str | None = None


@dataclass(frozen=True)
class _Column:
    name: str
    type: str

    @property
    def sql(self) -> str:
        return quote_ident(self.name)


@dataclass(frozen=True)
class _Row:
    """Where a row is; a digest of each value; bytes of floats, and which strings are filled."""

    at: str
    digests: list[str | None]
    floats: list[str | None]
    filled: list[bool | None]


class Table:
    """A table, with some of its rows to change one of."""

    def __init__(
        self,
        cursor: Any,
        relation: Relation,
        choice: random.Random,
        *,
        count: int,
        silenced: bool,
        max_bytes: int,
    ) -> None:
        """*count* is its number of rows; *silenced* tells that its triggers do not run.

        :raises Refused: if a change could have other effects, or the table is too large
        """
        self._cursor = cursor
        self._choice = choice
        name = f"{quote_ident(relation.schema)}.{quote_ident(relation.name)}"
        enabled = _SILENCED if silenced else _LOUD
        shape = fetch_all(cursor, _SHAPE, (enabled, not silenced, name))
        has_effects, size, generated = shape[0]
        if has_effects:
            raise Refused("a trigger, a rule or a foreign key would change more")
        if size > max_bytes:
            raise Refused("it is too large")
        self._place = name if relation.chunk else f"ONLY {name}"
        self._name = name
        self._columns = [
            _Column(column, of_type)
            for column, of_type in zip(relation.columns, relation.types, strict=True)
            if column not in generated
        ]
        self._rows = self._read(relation.condition, count)
        if not self._rows:
            raise Refused("no row is where one was")

    def change(self, kind: str) -> Change:
        """Make one change of a kind.

        :raises Refused: if the table has no such value, or takes no such change
        """
        make: Callable[[], Change] = {
            FLIPPED: self._flip,
            SWAPPED: self._swap,
            EMPTIED: self._empty,
            DELETED: self._delete,
            DUPLICATED: self._duplicate,
        }[kind]
        reason = ""
        for _ in range(ATTEMPTS):
            try:
                with _refusals(self._cursor):
                    return make()
            except Refused as exc:
                reason = str(exc)
        raise Refused(reason)

    def _read(self, condition: str, count: int) -> list[_Row]:
        start = self._choice.randrange(max(count, 1))
        start = min(start, max(count - WINDOW, 0))
        digests = ", ".join(f"pg_catalog.md5({each.sql}::text)" for each in self._columns)
        floats = ", ".join(
            f"pg_catalog.encode(pg_catalog.{_FLOATS[each.type][0]}({each.sql}), 'hex')"
            for each in self._columns
            if each.type in _FLOATS
        )
        filled = ", ".join(
            f"pg_catalog.length({each.sql}::text) > 0"
            for each in self._columns
            if each.type in _STRINGS
        )
        with _refusals(self._cursor):
            found = fetch_all(
                self._cursor,
                f"SELECT ctid::text, ARRAY[{digests}]::text[], ARRAY[{floats}]::text[],"
                f" ARRAY[{filled}]::bool[]"
                f" FROM {self._place} {condition} OFFSET {start} LIMIT {WINDOW}",
            )
        return [_Row(*each) for each in found]

    def _of_types(self, types: Any) -> list[_Column]:
        return [each for each in self._columns if each.type in types]

    def _flip(self) -> Change:
        """Change one bit of the mantissa of a finite number."""
        columns = self._of_types(_FLOATS)
        values = [
            (row.at, column, value)
            for row in self._rows
            for column, value in zip(columns, row.floats, strict=True)
            if value is not None and math.isfinite(_number(column, value))
        ]
        at, column, value = self._one_of(values, "it has no finite float")
        bit = self._choice.randrange(_FLOATS[column.type][2])
        raw = bytearray.fromhex(value)
        raw[-1 - bit // 8] ^= 1 << bit % 8
        send = _FLOATS[column.type][0]
        self._execute(
            f"UPDATE {self._place} SET {column.sql} = %s WHERE ctid = %s"
            f" RETURNING pg_catalog.encode(pg_catalog.{send}({column.sql}), 'hex')",
            (repr(_number(column, raw.hex())), at),
            [(raw.hex(),)],
        )
        return Change(FLIPPED, column.type)

    def _swap(self) -> Change:
        """Give two rows each other's value of a column; the rows differ otherwise too."""
        pairs = [
            (number, a, b)
            for number in range(len(self._columns))
            for a, b in combinations(self._rows, 2)
            if a.digests[number] != b.digests[number]
            and any(
                a.digests[other] != b.digests[other]
                for other in range(len(self._columns))
                if other != number
            )
        ]
        number, a, b = self._one_of(pairs, "no two rows differ in a value and otherwise")
        column = self._columns[number]
        other = f"(SELECT {column.sql} FROM {self._place} WHERE ctid = %s)"
        self._execute(
            f"UPDATE {self._place} SET {column.sql} = CASE ctid WHEN %s THEN {other} ELSE {other}"
            " END WHERE ctid IN (%s, %s) RETURNING 1",
            (a.at, b.at, a.at, a.at, b.at),
            [(1,), (1,)],
        )
        return Change(SWAPPED, column.type)

    def _empty(self) -> Change:
        columns = self._of_types(_STRINGS)
        values = [
            (row.at, column)
            for row in self._rows
            for column, filled in zip(columns, row.filled, strict=True)
            if filled
        ]
        at, column = self._one_of(values, "it has no string that is not empty")
        self._execute(
            f"UPDATE {self._place} SET {column.sql} = '' WHERE ctid = %s"
            f" RETURNING pg_catalog.length({column.sql}::text)",
            (at,),
            [(0,)],
        )
        return Change(EMPTIED, column.type)

    def _delete(self) -> Change:
        at = self._choice.choice(self._rows).at
        self._execute(f"DELETE FROM {self._place} WHERE ctid = %s RETURNING 1", (at,), [(1,)])
        return Change(DELETED)

    def _duplicate(self) -> Change:
        at = self._choice.choice(self._rows).at
        names = ", ".join(each.sql for each in self._columns)
        self._execute(
            f"INSERT INTO {self._name} ({names}) OVERRIDING SYSTEM VALUE"
            f" SELECT {names} FROM {self._place} WHERE ctid = %s RETURNING 1",
            (at,),
            [(1,)],
        )
        return Change(DUPLICATED)

    def _one_of(self, several: list[Any], otherwise: str) -> Any:
        if not several:
            raise Refused(otherwise)
        return self._choice.choice(several)

    def _execute(self, sql: str, values: tuple[Any, ...], expected: list[tuple[Any, ...]]) -> None:
        """Run a statement that has to return what is *expected* of a change that was made."""
        if fetch_all(self._cursor, sql, values) != expected:
            raise Refused("the change did not stay")


@contextmanager
def _refusals(cursor: Any) -> Iterator[None]:
    """Undo a statement that the server refuses; a lost connection is an error of its own."""
    cursor.execute("SAVEPOINT pms_ops_change")
    try:
        yield
    except Refused:
        cursor.execute("ROLLBACK TO SAVEPOINT pms_ops_change")
        raise
    except psycopg2.Error as exc:
        if cursor.connection.closed or exc.pgcode is None or exc.pgcode[:2] == "57":
            raise
        cursor.execute("ROLLBACK TO SAVEPOINT pms_ops_change")
        # The server's text would show the values of the row.
        name = type(exc).__name__
        raise Refused(f"{name} ({exc.pgcode})") from None


def _number(column: _Column, value: str) -> float:
    (found,) = struct.unpack(_FLOATS[column.type][1], bytes.fromhex(value))
    return float(found)
