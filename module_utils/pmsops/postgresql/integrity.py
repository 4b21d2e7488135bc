# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Integrity checks of a running database: tables, TimescaleDB catalogue, pages."""

from __future__ import annotations

import time
from typing import Any

import psycopg2
import psycopg2.errors
from ansible.module_utils.pmsops.postgresql import session_settings
from ansible.module_utils.pmsops.postgresql.connection import fetch_all, fetch_value, quote_ident

# SQLSTATEs of a damaged page or index, and of a lost or unreadable file.
DAMAGE = ("XX001", "XX002", "58P01", "58030")
# Any internal error: a damaged row or catalogue, but also a bug of the server.
INTERNAL = "XX000"


def missing_tables(cursor: Any, manifest: dict[str, Any]) -> dict[str, list[str]]:
    """Return the tables of a manifest that the database lacks, by kind of loss.

    Fewer chunks are no loss if a retention policy drops them by age.
    """
    wanted = manifest["facts"]
    tables = {row[0] for row in fetch_all(cursor, _TABLES)}
    recorded = [name for name, entry in manifest["contents"].items() if "of" not in entry]
    missing = [name for name in recorded if _ours(name) and name not in tables]
    found = dict(fetch_all(cursor, _HYPERTABLES)) if _timescaledb(cursor) else {}
    dropping = {row[0] for row in fetch_all(cursor, _DROPPING)} if found else set()
    plain, fewer = [], []
    for name, then in wanted.get("hypertables", {}).items():
        if name in missing:
            continue
        if name not in found:
            plain.append(name)
        elif found[name] < then["chunks"] and name not in dropping:
            fewer.append(f"{name} ({found[name]} of {then['chunks']})")
    return {"missing_tables": missing, "plain_tables": plain, "fewer_chunks": fewer}


def catalogue_contradictions(cursor: Any) -> list[str]:
    """Return where TimescaleDB's catalogue and PostgreSQL's contradict each other.

    A row in the root table of a hypertable is one, too: it came while TimescaleDB did not know the
    hypertable or was in restoring mode, and is in none of its chunks.
    """
    if not _timescaledb(cursor):
        return []
    found = fetch_all(cursor, f"WITH chunk AS ({chunks_of_catalogue(cursor)}) {CONTRADICTIONS}")
    return [f"{name}: {what}" for name, what in [*found, *_rows_in_roots(cursor)]]


def _rows_in_roots(cursor: Any) -> list[tuple[str, str]]:
    """Return the root tables that have rows; a root has no page unless it had a row."""
    return [
        (f"{schema}.{table}", "has rows in its root table, outside of every chunk")
        for schema, table in fetch_all(cursor, _ROOTS_WITH_PAGES)
        if fetch_value(
            cursor,
            f"SELECT EXISTS (SELECT FROM ONLY {quote_ident(schema)}.{quote_ident(table)})",
        )
    ]


def chunks_of_catalogue(cursor: Any) -> str:
    """Return the query for the chunks of the catalogue; relation is NULL for one not on disk.

    TimescaleDB 2.26 dropped the column ``dropped``, 2.28 the table chunk_constraint, and 2.29 the
    names of chunks. Source: its sql/updates.
    """
    form = {row[0] for row in fetch_all(cursor, _FORM)}
    dropped = "k.dropped" if "chunk.dropped" in form else "false"
    has_range = (
        "_timescaledb_catalog.dimension_slice s WHERE s.chunk_id = k.id"
        if "dimension_slice.chunk_id" in form
        else "_timescaledb_catalog.chunk_constraint s"
        " WHERE s.chunk_id = k.id AND s.dimension_slice_id IS NOT NULL"
    )
    name, joined = (
        (
            "coalesce(n.nspname || '.' || c.relname, 'OID ' || k.relid::oid)",
            "LEFT JOIN pg_class c ON c.oid = k.relid"
            " LEFT JOIN pg_namespace n ON n.oid = c.relnamespace",
        )
        if "chunk.relid" in form
        else (
            "k.schema_name || '.' || k.table_name",
            "LEFT JOIN pg_class c"
            " ON c.oid = to_regclass(format('%I.%I', k.schema_name, k.table_name))",
        )
    )
    return (
        f"SELECT k.hypertable_id, {name} AS name, c.oid AS relation, {dropped} AS dropped,"
        f" EXISTS (SELECT FROM {has_range}) AS has_range"
        f" FROM _timescaledb_catalog.chunk k {joined}"
    )


def unreadable_tables(
    connection: Any, tables: list[str], *, deadline: float, now: Any = time.monotonic
) -> dict[str, Any]:
    """Read the *tables* and the newest chunk of each hypertable until *deadline*.

    Return ``{read, of, damaged, checksum_failures}``. A table that was not read in time does not
    count as damaged.
    """
    with connection.cursor() as cursor:
        failures = fetch_value(
            cursor,
            "SELECT checksum_failures FROM pg_stat_database WHERE datname = current_database()",
        )
        names = _to_read(cursor, tables)
    connection.rollback()
    damaged, read = [], 0
    for schema, table in names:
        left = deadline - now()
        if left <= 0:
            break
        try:
            with connection.cursor() as cursor:
                session_settings.limit_statements(cursor, left)
                # t::text reads every column, TOASTed ones too.
                cursor.execute(
                    "SELECT count(*) FROM (SELECT t::text FROM"
                    f" {quote_ident(schema)}.{quote_ident(table)} t OFFSET 0) read"
                )
            read += 1
        except psycopg2.errors.QueryCanceled:
            break
        except (psycopg2.OperationalError, psycopg2.InterfaceError) as exc:
            if exc.pgcode not in DAMAGE:
                raise
            damaged.append(_said(schema, table, exc))
        except psycopg2.Error as exc:
            if exc.pgcode not in (*DAMAGE, INTERNAL):
                continue  # dropped meanwhile, or locked: says nothing about its pages
            damaged.append(_said(schema, table, exc))
        finally:
            if not connection.closed:
                connection.rollback()
    return {
        "read": read,
        "of": len(names),
        "damaged": damaged,
        "checksum_failures": int(failures or 0),
    }


def _said(schema: str, table: str, exc: psycopg2.Error) -> str:
    return f"{schema}.{table}: {exc.diag.message_primary or exc}"


def _ours(name: str) -> bool:
    """Return whether a table is the PMS's: not the extension's, not the toolkit's."""
    return not name.startswith(("_timescaledb_", "pms_ops."))


def _timescaledb(cursor: Any) -> bool:
    return bool(fetch_value(cursor, "SELECT 1 FROM pg_extension WHERE extname = 'timescaledb'"))


def _to_read(cursor: Any, tables: list[str]) -> list[tuple[str, str]]:
    """Return the existing tables, a hypertable replaced by its newest chunk."""
    names = []
    for table in tables:
        schema, _, name = table.rpartition(".")
        schema = schema or "public"
        if fetch_value(cursor, "SELECT to_regclass(format('%%I.%%I', %s, %s))", (schema, name)):
            names.append((schema, name))
    if _timescaledb(cursor):
        chunks = fetch_all(cursor, _NEWEST_CHUNKS)
        parents = {(row[0], row[1]) for row in chunks}
        names = [name for name in names if name not in parents]
        names += [(row[2], row[3]) for row in chunks]
    return names


_TABLES = """
SELECT n.nspname || '.' || c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('r', 'p', 'm')"""
_HYPERTABLES = """
SELECT hypertable_schema || '.' || hypertable_name, num_chunks::int
  FROM timescaledb_information.hypertables"""
_DROPPING = """
SELECT hypertable_schema || '.' || hypertable_name FROM timescaledb_information.jobs
 WHERE proc_name = 'policy_retention'"""
_NEWEST_CHUNKS = """
SELECT DISTINCT ON (hypertable_schema, hypertable_name)
       hypertable_schema, hypertable_name, chunk_schema, chunk_name
  FROM timescaledb_information.chunks
 WHERE to_regclass(format('%I.%I', chunk_schema, chunk_name)) IS NOT NULL
 ORDER BY hypertable_schema, hypertable_name, range_end DESC NULLS LAST,
          range_end_integer DESC NULLS LAST"""
# Columns by which the forms of the catalogue are told apart.
_FORM = """
SELECT c.relname || '.' || a.attname
  FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
  JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE n.nspname = '_timescaledb_catalog' AND NOT a.attisdropped
   AND (c.relname, a.attname) IN (('chunk', 'relid'), ('chunk', 'dropped'),
                                  ('dimension_slice', 'chunk_id'))"""
# Both directions: rows lost on one side leave the other side unchanged.
CONTRADICTIONS = """
SELECT n.nspname || '.' || c.relname AS name,
       'is a chunk on disk that the catalogue does not know' AS what
  FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
  JOIN pg_namespace n ON n.oid = c.relnamespace AND n.nspname = '_timescaledb_internal'
 WHERE NOT EXISTS (SELECT FROM chunk k WHERE k.relation = c.oid)
UNION ALL
SELECT k.name, 'is in the catalogue and not on disk' FROM chunk k
 WHERE NOT k.dropped AND k.relation IS NULL
UNION ALL
SELECT k.name, 'is a chunk of a hypertable that is gone' FROM chunk k
 WHERE NOT EXISTS (SELECT FROM _timescaledb_catalog.hypertable h WHERE h.id = k.hypertable_id)
UNION ALL
SELECT h.schema_name || '.' || h.table_name, 'is a hypertable without a dimension'
  FROM _timescaledb_catalog.hypertable h
 WHERE h.num_dimensions > 0 AND NOT EXISTS (
       SELECT FROM _timescaledb_catalog.dimension d WHERE d.hypertable_id = h.id)
UNION ALL
SELECT k.name, 'is a chunk without a range'
  FROM chunk k JOIN _timescaledb_catalog.hypertable h ON h.id = k.hypertable_id
 WHERE NOT k.dropped AND h.num_dimensions > 0 AND NOT k.has_range
 ORDER BY 1, 2 LIMIT 50"""
# Also the parents of chunks that the catalogue does not know. Those that a role may not read are
# left out: what it cannot see it cannot judge.
_ROOTS_WITH_PAGES = """
SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind = 'r' AND pg_relation_size(c.oid) > 0 AND has_table_privilege(c.oid, 'SELECT')
   AND ((n.nspname, c.relname) IN (
          SELECT schema_name, table_name FROM _timescaledb_catalog.hypertable)
     OR c.oid IN (
          SELECT i.inhparent FROM pg_inherits i JOIN pg_class k ON k.oid = i.inhrelid
            JOIN pg_namespace s ON s.oid = k.relnamespace
           WHERE s.nspname = '_timescaledb_internal'))
 ORDER BY 1, 2 LIMIT 50"""
