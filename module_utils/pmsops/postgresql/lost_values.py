# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Values that a query shows and a dump does not carry: found at backup time.

A column that was added with a default while chunks were compressed has no values in their batches:
the server takes them from ``attmissingval`` of the chunk's column, and a dump makes the column
anew. pg_dump and pg_restore end with status 0, and the restored rows hold null.

Generated columns, which a dump leaves out too, are looked at by backup/row_checks.py.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from ansible.module_utils.pmsops.common.pairs import together
from ansible.module_utils.pmsops.postgresql import timescaledb_chunks
from ansible.module_utils.pmsops.postgresql.connection import fetch_all, quote_ident

SHOWN_CHUNKS = 3

# Compressed columns only: a column to segment by is stored as it is, with its own nulls.
_MISSING = """
SELECT p.chunk, p.relation, a.attname, a.attmissingval::text, n.nspname, c.relname
  FROM unnest(%s::int8[], %s::int8[]) p(chunk, relation)
  JOIN pg_class c ON c.oid = p.relation::oid JOIN pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_attribute a ON a.attrelid = p.chunk::oid AND a.atthasmissing AND NOT a.attisdropped
  JOIN pg_attribute b ON b.attrelid = p.relation::oid AND b.attname = a.attname
   AND NOT b.attisdropped
   AND b.atttypid = to_regtype('_timescaledb_internal.compressed_data')
 ORDER BY p.chunk, a.attnum"""
_EXTENSION_TABLES = """
SELECT e.extname, n.nspname, c.relname
  FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid
  JOIN pg_class c ON c.oid = d.objid JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_extension'::regclass
   AND d.deptype = 'e' AND c.relkind = 'r' AND c.relpersistence = 'p'
   AND e.extname <> 'timescaledb' AND c.oid <> ALL (coalesce(e.extconfig, '{}'))
   AND pg_relation_size(c.oid) > 0
 ORDER BY 1, 2, 3"""


@dataclass
class Loss:
    """Values of one column that a restore of the set will not have."""

    table: str
    column: str | None
    rows: int
    # Names of the chunks as SQL takes them; empty where the table has none.
    chunks: list[str]
    what: str
    remedy: str


def losses(cursor: Any) -> list[dict[str, Any]]:
    """Return the known losses, as the manifest records them.

    The statements are those of a read-only snapshot.
    """
    return [asdict(loss) for loss in _missing_values(cursor)]


def lines(recorded: list[dict[str, Any]]) -> list[str]:
    """Return the losses of a manifest for people, a line each."""
    return [f"{each['what']} {each['remedy']}" for each in recorded]


def extension_rows(cursor: Any) -> list[str]:
    """Return the tables with rows that belong to extensions and are no part of a dump.

    CREATE EXTENSION may make the same rows again, which only the extension can know.
    """
    return [
        f"rows of {schema}.{name}, a table of extension {extension}: pg_dump leaves them out, and a"
        " restore has the rows that CREATE EXTENSION makes"
        for extension, schema, name in fetch_all(cursor, _EXTENSION_TABLES)
    ]


def _missing_values(cursor: Any) -> list[Loss]:
    pairs = timescaledb_chunks.compressed(cursor)
    chunks = timescaledb_chunks.chunks(cursor)
    found: dict[tuple[str, str], Loss] = {}
    columns: dict[tuple[int, str, str], list[tuple[str, str]]] = {}
    for chunk, _oid, column, value, schema, name in fetch_all(
        cursor, _MISSING, ([*pairs.keys()], [*pairs.values()])
    ):
        columns.setdefault((chunk, schema, name), []).append((column, value))
    for (chunk, schema, name), missing in columns.items():
        sums = ", ".join(
            f"coalesce(sum(_ts_meta_count) FILTER (WHERE {quote_ident(column)} IS NULL), 0)"
            for column, _value in missing
        )
        cursor.execute(f"SELECT {sums} FROM ONLY {quote_ident(schema)}.{quote_ident(name)}")
        for (column, value), rows in together(missing, cursor.fetchone()):
            if rows and chunk in chunks:
                table = chunks[chunk].hypertable
                loss = found.setdefault(
                    (table, column), Loss(table, column, 0, [], value.strip("{}"), "")
                )
                loss.rows += int(rows)
                loss.chunks.append(_name(cursor, chunk))
    for loss in found.values():
        _tell_missing(loss)
    return list(found.values())


def _tell_missing(loss: Loss) -> None:
    table = ".".join(quote_ident(part) for part in loss.table.split(".", 1))
    column = quote_ident(loss.column or "")
    shown = loss.chunks[:SHOWN_CHUNKS]
    more = len(loss.chunks) - len(shown)
    again = " ".join(
        f"SELECT decompress_chunk('{each}'); SELECT compress_chunk('{each}');" for each in shown
    )
    loss.what = (
        f"{loss.table}: column {loss.column} of {loss.rows} rows in {len(loss.chunks)} compressed"
        f" chunks has its value ({loss.what}) from the default with which it was added. A dump does"
        " not carry it, and a restored copy has null there."
    )
    loss.remedy = (
        f"Decompress and compress the chunks again: {again}"
        + (f" and so on for {more} more (the manifest's losses name them)" if more else "")
        + f" -- or write the values: UPDATE {table} SET {column} = {column}; then back up again."
    )


def _name(cursor: Any, oid: int) -> str:
    cursor.execute(
        """SELECT format('%%I.%%I', n.nspname, c.relname)
             FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
            WHERE c.oid = %s::int8::oid""",
        (oid,),
    )
    return str(cursor.fetchone()[0])
