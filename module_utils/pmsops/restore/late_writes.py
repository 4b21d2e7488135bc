# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""What was written to a database between a swap and the swap back, and how to bring it over.

Rows carry the transaction that wrote them, so they are counted after any crash: rows inserted or
changed since the renames. A deleted row leaves no such trace; the server's statistics count those.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

import psycopg2
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.postgresql.connection import (
    Database,
    fetch_all,
    fetch_value,
)

SHOWN = 5
# Of how many tables the journal keeps what was deleted before a swap; only a negative control does.
KEPT = 20
# Which transactions are newer; the numbers wrap at 2^32.
_SINCE = "((xmin::text::bigint - {since}) & 4294967295) < {count}"
# Physical tables with the table that an application knows: a chunk's hypertable, a partition's
# root. What TimescaleDB keeps for itself (compressed rows, aggregates) belongs to nobody.
_TABLES = """WITH RECURSIVE up AS (
        SELECT c.oid AS leaf, c.oid AS top FROM pg_class c
         WHERE c.relkind = 'r' AND c.relpersistence <> 't'
        UNION ALL
        SELECT up.leaf, i.inhparent FROM up JOIN pg_inherits i ON i.inhrelid = up.top)
    SELECT format('%%I.%%I', ln.nspname, l.relname), format('%%I.%%I', n.nspname, t.relname),
           (SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) FROM pg_attribute a
             WHERE a.attrelid = t.oid AND attnum > 0 AND NOT attisdropped AND attgenerated = ''),
           coalesce(s.n_tup_del, 0)
      FROM up JOIN pg_class l ON l.oid = up.leaf JOIN pg_namespace ln ON ln.oid = l.relnamespace
      JOIN pg_class t ON t.oid = up.top JOIN pg_namespace n ON n.oid = t.relnamespace
      LEFT JOIN pg_stat_all_tables s ON s.relid = up.leaf
     WHERE NOT EXISTS (SELECT FROM pg_inherits i WHERE i.inhrelid = up.top)
       AND n.nspname !~ '^(pg_|_timescaledb_)' AND n.nspname <> 'information_schema'
       AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass
                          AND d.objid = up.leaf AND d.deptype = 'e')
       AND (%s OR {condition})
     ORDER BY 2, 1"""
_DELETED = """SELECT format('%%I.%%I', schemaname, relname), n_tup_del FROM pg_stat_all_tables
     WHERE n_tup_del > 0 AND schemaname <> 'pg_catalog' ORDER BY 2 DESC, 1 LIMIT %s"""


def began(cursor: Any) -> int:
    """Return the number that the server's next transaction gets."""
    return int(fetch_value(cursor, "SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint"))


def deleted(database: Database) -> dict[str, int]:
    """Return how many rows the server's statistics have as deleted so far, by physical table.

    They count those of transactions that were rolled back, too: of a negative control.

    :raises OpsError: database.*
    """
    try:
        with database.session(superuser=True, read_only=True) as cursor:
            return {leaf: int(rows) for leaf, rows in fetch_all(cursor, _DELETED, (KEPT,))}
    except psycopg2.Error as exc:
        raise database.to_error(exc) from exc


def count(
    database: Database, since: int, *, everywhere: bool, before: Mapping[str, int] | None
) -> list[dict[str, Any]]:
    """Return the tables that were written to since transaction *since*, each with its numbers.

    Each is ``{table, columns, rows, deleted, condition}``: rows inserted or changed that are there
    now, rows deleted (an upper bound), and the condition that selects the rows. Without
    *everywhere* only tables are read whose definition was made or changed since. *before* is what
    ``deleted`` said of a restored database; of any other, deleted rows are not known (None).

    :raises OpsError: database.*
    """
    found: dict[str, dict[str, Any]] = {}
    try:
        with database.session(superuser=True, read_only=True) as cursor:
            condition = _SINCE.format(since=since & 0xFFFFFFFF, count=began(cursor) - since)
            tables = _TABLES.format(condition=condition.replace("xmin", "l.xmin"))
            cursor.execute(
                "SELECT set_config(name, 'off', true) FROM pg_settings"
                " WHERE name = 'timescaledb.enable_transparent_decompression'"
            )
            for leaf, table, columns, ever in fetch_all(cursor, tables, (everywhere,)):
                rows = fetch_value(cursor, f"SELECT count(*) FROM ONLY {leaf} WHERE {condition}")
                gone = 0 if before is None else max(int(ever) - before.get(leaf, 0), 0)
                if rows or gone:
                    each = {"table": table, "columns": columns, "condition": condition}
                    each = found.setdefault(table, each | {"rows": 0, "deleted": 0})
                    each["rows"] += int(rows)
                    each["deleted"] += gone
            if everywhere:
                sql = f"SELECT count(DISTINCT loid) FROM pg_largeobject WHERE {condition}"
                if objects := int(fetch_value(cursor, sql)):
                    each = {"table": "large objects", "columns": None, "condition": condition}
                    found["large objects"] = each | {"rows": objects, "deleted": 0}
    except psycopg2.Error as exc:
        raise database.to_error(exc) from exc
    return list(found.values())


def describe(written: list[dict[str, Any]]) -> str:
    """Return the tables and their numbers as text."""
    texts = []
    for each in written[:SHOWN]:
        parts = [f"{each['rows']} rows inserted or changed"] if each["rows"] else []
        parts += [f"up to {each['deleted']} deleted"] if each["deleted"] else []
        texts.append(f"{each['table']}: {' and '.join(parts)}")
    more = len(written) - SHOWN
    return "; ".join([*texts, *([f"{more} more tables"] if more > 0 else [])]) or "not counted"


def count_or_explain(
    database: Database,
    since: int | None,
    *,
    everywhere: bool,
    before: Mapping[str, int] | None,
) -> tuple[list[dict[str, Any]], str | None]:
    """Return what was written, or why it could not be counted."""
    why = "the journal of the swap does not say when it began"
    if since is not None:
        try:
            return count(database, since, everywhere=everywhere, before=before), None
        except OpsError as exc:
            why = str(exc)
    return [], f"What was written to it while it was live could not be counted: {why}"


def commands(written: list[dict[str, Any]], kept: str, live: str) -> list[str]:
    """Return a command for each table that brings its rows over; keys that clash refuse it."""
    return [
        f"psql -d {shlex.quote(kept)} -c {shlex.quote(_copy_out(each))}"
        f" | psql -d {shlex.quote(live)} -c {shlex.quote(_copy_in(each))}"
        for each in written
        if each["rows"] and each["columns"]
    ]


def _copy_out(each: dict[str, Any]) -> str:
    rows = f"SELECT {each['columns']} FROM {each['table']} WHERE {each['condition']}"
    return f"COPY ({rows}) TO STDOUT"


def _copy_in(each: dict[str, Any]) -> str:
    return f"COPY {each['table']} ({each['columns']}) FROM STDIN"
