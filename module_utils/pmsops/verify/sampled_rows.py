# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Some rows of a table, and where they are, so that one of them can be changed.

A table is left alone where a change could have effects that a rollback does not undo: a trigger
that takes a value of a sequence, a rule. The values of the rows stay here: no message has one.
"""

from __future__ import annotations

import random
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg2
import psycopg2.errors
from ansible.module_utils.pmsops.common.pairs import together
from ansible.module_utils.pmsops.postgresql.connection import fetch_all, quote_ident
from ansible.module_utils.pmsops.postgresql.fingerprint import Relation

# Number of rows, from a random one on.
WINDOW = 16
# The place of a value in a statement; no name can have it, while one may have a %.
VALUE = "\0"
# Types, the function that gives a value's bytes, their form in struct, and bits of the mantissa.
FLOATS = {"real": ("float4send", ">f", 23), "double precision": ("float8send", ">d", 52)}
STRINGS = ("text", "character varying", "character", "nondeterministic")
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
# The hypertable of a chunk, and the columns of a unique key.
_KEY = r"""
SELECT (SELECT i.inhparent::pg_catalog.regclass::text FROM pg_catalog.pg_inherits i
         WHERE i.inhrelid = c.oid),
       (SELECT ARRAY(SELECT a.attname::text FROM pg_catalog.pg_attribute a
                      WHERE a.attrelid = c.oid AND a.attnum = ANY (x.indkey::int2[]))
          FROM pg_catalog.pg_index x
         WHERE x.indrelid = c.oid AND x.indisunique AND x.indisvalid AND x.indpred IS NULL
           AND x.indexprs IS NULL
         ORDER BY x.indnkeyatts, x.indexrelid LIMIT 1)
  FROM pg_catalog.pg_class c WHERE c.oid = pg_catalog.to_regclass(%s)
"""


class Refused(Exception):
    """The table takes no such change; the text says why, and has no value of a row."""


class _NoPlace(Refused):
    """The rows have no ctid: they are compressed."""


@dataclass(frozen=True)
class Column:
    """A column that can be written, and its base type."""

    name: str
    type: str

    @property
    def sql(self) -> str:
        """Return its name as SQL."""
        return quote_ident(self.name)


@dataclass(frozen=True)
class Row:
    """Where a row is, by the columns that tell it, and what is known of its values.

    That is a digest of each, the bytes of each float, and whether each string is not empty.
    """

    at: list[str | None]
    digests: list[str | None]
    floats: list[str | None]
    filled: list[bool | None]


class Sample:
    """A table, and some of its rows from a random one on."""

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
        self.cursor = cursor
        self._silenced = silenced
        # Where rows are read, changed and deleted, and where they are inserted.
        self.target = f"{quote_ident(relation.schema)}.{quote_ident(relation.name)}"
        self.place = self.target if relation.chunk else f"ONLY {self.target}"
        size, generated = self._shape()
        if size > max_bytes:
            raise Refused("it is too large")
        self.columns = [
            Column(column, of_type)
            for column, of_type in together(relation.columns, relation.types)
            if column not in generated
        ]
        self._key = ["ctid"]
        start = min(choice.randrange(max(count, 1)), max(count - WINDOW, 0))
        try:
            self.rows = self._read(relation.condition, start)
        except _NoPlace:
            hypertable = self._use_key()
            self.rows = self._read(relation.condition, start)
            # A change of a compressed chunk itself has no effect, or one that nobody reads.
            self.target = self.place = hypertable
            self._shape()
        if not self.rows:
            raise Refused("no row is where one was")

    def where(self, row: Row) -> tuple[str, tuple[str, ...]]:
        """Return the condition that finds a row, and its values."""
        pairs = list(together(self._key, row.at))
        text = " AND ".join(
            f"{column} IS NULL" if value is None else f"{column} = {VALUE}"
            for column, value in pairs
        )
        return text, tuple(value for _, value in pairs if value is not None)

    def of_types(self, types: Collection[str]) -> list[Column]:
        """Return the columns of these types, in the order of what a row knows of them."""
        return [each for each in self.columns if each.type in types]

    def _shape(self) -> tuple[int, list[str]]:
        """Return the bytes of the table and its generated columns.

        :raises Refused: if a change of it has other effects
        """
        enabled = _SILENCED if self._silenced else _LOUD
        shape = fetch_all(self.cursor, _SHAPE, (enabled, not self._silenced, self.target))
        has_effects, size, generated = shape[0]
        if has_effects:
            raise Refused("a trigger, a rule or a foreign key would change more")
        return size, generated

    def _use_key(self) -> str:
        """Tell rows apart by a unique key, else by all columns; return the hypertable."""
        hypertable, key = fetch_all(self.cursor, _KEY, (self.target,))[0]
        self._key = [quote_ident(each) for each in key or [one.name for one in self.columns]]
        return str(hypertable)

    def _read(self, condition: str, start: int) -> list[Row]:
        key = ", ".join(f"{each}::text" for each in self._key)
        digests = ", ".join(f"pg_catalog.md5({each.sql}::text)" for each in self.columns)
        floats = ", ".join(
            f"pg_catalog.encode(pg_catalog.{FLOATS[each.type][0]}({each.sql}), 'hex')"
            for each in self.of_types(FLOATS)
        )
        filled = ", ".join(
            f"pg_catalog.length({each.sql}::text) > 0" for each in self.of_types(STRINGS)
        )
        with refusals(self.cursor):
            found = fetch_all(
                self.cursor,
                f"SELECT ARRAY[{key}]::text[], ARRAY[{digests}]::text[], ARRAY[{floats}]::text[],"
                f" ARRAY[{filled}]::bool[]"
                f" FROM {self.place} {condition} OFFSET {start} LIMIT {WINDOW}",
            )
        return [Row(*each) for each in found]


@contextmanager
def refusals(cursor: Any) -> Iterator[None]:
    """Undo a statement that the server refuses; a lost connection is an error of its own.

    :raises Refused: with the server's code; its text would show the values of the row
    """
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
        kind = _NoPlace if isinstance(exc, psycopg2.errors.InvalidColumnReference) else Refused
        raise kind(f"{type(exc).__name__} ({exc.pgcode})") from None
