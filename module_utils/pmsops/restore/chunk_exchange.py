# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Chunks of live hypertables exchanged with those of a set, by their rows.

A chunk cannot take another one's name: TimescaleDB knows it by its number. So the rows of its range
are kept in a table beside, deleted, and inserted as the set has them, by the hypertable itself; a
compressed chunk is decompressed before and compressed after, one that the set lacks is dropped.
Jobs, aggregates and policies of the hypertable stay. The statements of the way back are the same.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.postgresql import fingerprint, timescaledb_chunks
from ansible.module_utils.pmsops.postgresql.connection import (
    fetch_all,
    fetch_value,
    quote_ident,
    quote_literal,
)
from ansible.module_utils.pmsops.restore import compared_rows
from ansible.module_utils.pmsops.restore.different_tables import DifferentTable
from ansible.module_utils.pmsops.restore.table_copy import COLUMNS, copy_rows
from ansible.module_utils.pmsops.restore.table_definitions import TRANSIT, full_name
from ansible.module_utils.pmsops.verify import differences

NAME_LENGTH = 40
_DIMENSION = """
SELECT d.column_name, pg_catalog.format_type(a.atttypid, NULL)
  FROM _timescaledb_catalog.dimension d
  JOIN _timescaledb_catalog.hypertable h ON h.id = d.hypertable_id
  JOIN pg_catalog.pg_attribute a ON a.attname = d.column_name
   AND a.attrelid = pg_catalog.format('%%I.%%I', h.schema_name, h.table_name)::regclass
 WHERE h.schema_name = %s AND h.table_name = %s ORDER BY d.id LIMIT 1"""
_FUNCTION = """
SELECT partitioning_func FROM _timescaledb_catalog.dimension d
  JOIN _timescaledb_catalog.hypertable h ON h.id = d.hypertable_id
 WHERE h.schema_name = %s AND h.table_name = %s ORDER BY d.id LIMIT 1"""
_SCHEMA = """
SELECT pg_catalog.quote_ident(n.nspname) FROM pg_catalog.pg_extension e
  JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace WHERE e.extname = 'timescaledb'"""
_TRIGGERS = """
SELECT tgname FROM pg_catalog.pg_trigger
 WHERE tgrelid = pg_catalog.to_regclass(%s) AND NOT tgisinternal AND tgenabled <> 'D'
   AND tgname NOT IN ('ts_insert_blocker', 'ts_cagg_invalidation_trigger') ORDER BY 1"""
_KEYS_TO = """
SELECT conrelid::regclass::text, conname FROM pg_catalog.pg_constraint
 WHERE contype = 'f' AND confrelid = pg_catalog.to_regclass(%s) AND conparentid = 0 ORDER BY 1, 2"""
# What a session that silences triggers would leave out with them.
_SILENCED = """
SELECT 'foreign key ' || conname FROM pg_catalog.pg_constraint
 WHERE contype = 'f' AND conrelid = pg_catalog.to_regclass(%(table)s) AND conparentid = 0
UNION ALL
SELECT 'a continuous aggregate' FROM pg_catalog.pg_trigger
 WHERE tgrelid = pg_catalog.to_regclass(%(table)s) AND tgname = 'ts_cagg_invalidation_trigger'
UNION ALL
SELECT 'trigger ' || tgname || ', which cannot be silenced' FROM pg_catalog.pg_trigger
 WHERE tgrelid = pg_catalog.to_regclass(%(table)s) AND tgenabled IN ('A', 'R')
   AND NOT tgisinternal
 ORDER BY 1"""
_QUIET = "SET LOCAL session_replication_role = {}"


@dataclass(frozen=True)
class Chunk:
    """The rows of a range of a hypertable, in the live database and in the set."""

    key: str
    table: str
    # How a statement chooses its rows, and names its range to TimescaleDB.
    condition: str
    bounds: str
    in_set: bool
    in_live: bool
    compressed: bool
    columns: tuple[str, ...]
    # The name of the tables that hold its rows beside.
    name: str


class ChunkExchange:
    """The chunks of some hypertables, on their way into the live database."""

    def __init__(self, cursor: Any, tables: Iterable[DifferentTable], recorded: dict[str, Any]):
        """*recorded* are the rows of the manifest.

        :raises OpsError: restore.in-place
        """
        self._recorded = recorded
        self.tables = [each for each in tables if not each.whole]
        self.chunks: list[Chunk] = []
        self._schema = fetch_value(cursor, _SCHEMA) if self.tables else None
        compressed = {*timescaledb_chunks.compressed(cursor)} if self.tables else set()
        known = timescaledb_chunks.chunks(cursor) if self.tables else {}
        for table in self.tables:
            _require_exchangeable(cursor, table)
            column, kind = fetch_all(cursor, _DIMENSION, table.parts)[0]
            spelled = full_name(table.parts)
            columns = tuple(row[0] for row in fetch_all(cursor, COLUMNS, (spelled,)))
            for key in sorted(table.chunks):
                oids = [oid for oid, chunk in known.items() if chunk.key == key]
                start, _to, end = key.rpartition(" [")[2].removesuffix(")").partition(" .. ")
                first, last = (_literal(each, kind) for each in (start, end))
                at = quote_ident(column)
                self.chunks.append(
                    Chunk(
                        key,
                        spelled,
                        f"{at} >= {first} AND {at} < {last}",
                        f"{quote_literal(spelled)}::regclass, older_than => {last},"
                        f" newer_than => {first}",
                        key in recorded,
                        bool(oids),
                        bool(compressed & {*oids}),
                        columns,
                        f"{table.parts[1][:NAME_LENGTH]}_chunk_{len(self.chunks) + 1}",
                    )
                )

    def copy(self, reading: Any, writing: Any) -> dict[str, int]:
        """Copy the rows of the set into tables of transit; return their number by chunk."""
        relations = fingerprint.relations(reading, fingerprint.FORMULA)
        rows = {}
        for each in self.chunks:
            beside = full_name((TRANSIT, each.name))
            writing.execute(f"CREATE TABLE {beside} (LIKE {each.table})")
            for relation in relations:
                if relation.key == each.key:
                    source = full_name((relation.schema, relation.name))
                    copy_rows(reading, source, writing, beside, list(each.columns))
            rows[each.key] = int(fetch_value(writing, f"SELECT count(*) FROM {beside}"))
        return rows

    def statements(self, cursor: Any, kept: str, undone: str) -> tuple[list[str], list[str]]:
        """Return the statements of the exchange and of the way back, in order.

        *kept* and *undone* are the schemas that rows go into before they are deleted.
        """
        there: list[str] = []
        back: list[str] = []
        for table in self.tables:
            spelled = full_name(table.parts)
            first = [f"LOCK TABLE {spelled} IN SHARE ROW EXCLUSIVE MODE"]
            last = []
            if fetch_all(cursor, _TRIGGERS, (spelled,)):
                # Rows that come back are no new ones to the triggers of an application.
                first.append(_QUIET.format("replica"))
                last.append(_QUIET.format("origin"))
            of_table = [each for each in self.chunks if each.table == spelled]
            there += first
            back += first
            for each in of_table:
                there += self._exchange(each, kept, TRANSIT, comes=each.in_set)
                back += self._exchange(each, undone, kept, comes=each.in_live)
            there += last
            back += last
        return there, back

    def require_as_in_set(self, cursor: Any) -> None:
        """Compare the exchanged chunks with the set, as the transaction of *cursor* sees them.

        :raises OpsError: restore.different
        """
        keys = {each.key for each in self.chunks}
        wanted = {key: self._recorded[key] for key in keys if key in self._recorded}
        problems = differences.of_contents(wanted, compared_rows.read(cursor, keys))
        if problems:
            raise OpsError(
                "The exchanged chunks differ from the set: "
                + "; ".join(each.text() for each in problems[:5]),
                "Nothing was changed. Restore the whole set.",
                code="restore.different",
            )

    def _exchange(self, each: Chunk, kept: str, source: str, *, comes: bool) -> list[str]:
        beside, taken = full_name((kept, each.name)), full_name((source, each.name))
        names = ", ".join(quote_ident(column) for column in each.columns)
        of_range = f"FROM {self._schema}.show_chunks({each.bounds}) c"
        note = quote_literal(f"Rows of {each.key}")
        return [
            f"CREATE TABLE {beside} (LIKE {each.table})",
            f"COMMENT ON TABLE {beside} IS {note}",
            f"INSERT INTO {beside} SELECT * FROM {each.table} WHERE {each.condition}",
            *(
                [f"SELECT {self._schema}.decompress_chunk(c, true) {of_range}"]
                if each.compressed
                else []
            ),
            f"DELETE FROM {each.table} WHERE {each.condition}",
            f"INSERT INTO {each.table} ({names}) OVERRIDING SYSTEM VALUE"
            f" SELECT {names} FROM {taken}"
            if comes
            else f"SELECT {self._schema}.drop_chunks({each.bounds})",
            *(
                [f"SELECT {self._schema}.compress_chunk(c, true) {of_range}"]
                if each.compressed and comes
                else []
            ),
            f"DROP TABLE {taken}",
        ]


def _require_exchangeable(cursor: Any, table: DifferentTable) -> None:
    """Refuse a hypertable whose rows cannot be exchanged without side effects, by name.

    :raises OpsError: restore.in-place
    """
    spelled = full_name(table.parts)
    problems = [
        f"foreign key {name} of {other} refers to it"
        for other, name in fetch_all(cursor, _KEYS_TO, (spelled,))
    ]
    if fetch_value(cursor, _FUNCTION, table.parts):
        problems.append("its first dimension has a function of its own")
    if triggers := fetch_all(cursor, _TRIGGERS, (spelled,)):
        problems += [
            f"it has {what} beside trigger {triggers[0][0]}"
            for (what,) in fetch_all(cursor, _SILENCED, {"table": spelled})
        ]
    if problems:
        raise OpsError(
            f"Chunks of {table.name} cannot be exchanged: {'; '.join(problems)}.",
            "Nothing was changed. Restore the table into a schema (--tables, --into), and take the"
            " rows from there; or restore the whole set.",
            code="restore.in-place",
        )


def _literal(text: str, kind: str) -> str:
    """Return the end of a range as SQL; those of a manifest are in UTC."""
    if kind in ("smallint", "integer", "bigint"):
        return f"{text}::{kind}"
    zone = "+00" if kind == "timestamp with time zone" else ""
    return f"'{text}{zone}'::{kind}"
