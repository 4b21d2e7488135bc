# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Rows that extensions keep for their users, such as pg_cron's jobs, as data.

A dump has them for the same extension only. Where that cannot be created, a restore makes plain
tables of them: see restore/extension_tables.py. TimescaleDB's are facts of their own kinds.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, BinaryIO

from ansible.module_utils.pmsops.postgresql.connection import fetch_all, fetch_value, quote_ident

NAME = "extensions.json"
BATCH_ROWS = 1000
_TABLES = """
SELECT e.extname, n.nspname, c.relname, coalesce(k.condition, '')
  FROM pg_catalog.pg_extension e,
       ROWS FROM (unnest(e.extconfig), unnest(e.extcondition)) AS k(oid, condition)
  JOIN pg_catalog.pg_class c ON c.oid = k.oid AND c.relkind = 'r'
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
 WHERE e.extname <> 'timescaledb' AND has_table_privilege(c.oid, 'SELECT')
   AND has_schema_privilege(n.oid, 'USAGE')
 ORDER BY 1, 2, 3"""
# A type of an extension goes with it; its values are kept as text.
_COLUMNS = """
SELECT a.attname,
       CASE WHEN EXISTS (SELECT FROM pg_catalog.pg_depend d
                          WHERE d.classid = 'pg_catalog.pg_type'::regclass AND d.deptype = 'e'
                            AND d.objid IN (t.oid, t.typelem))
            THEN 'text' ELSE pg_catalog.format_type(a.atttypid, a.atttypmod) END
  FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
 WHERE a.attrelid = pg_catalog.to_regclass(%s) AND a.attnum > 0 AND NOT a.attisdropped
 ORDER BY a.attnum"""

# Extension, table, and of each table: its columns, the condition of its rows, their number.
Tables = dict[str, dict[str, dict[str, Any]]]


def tables(cursor: Any) -> Tables:
    """Return the tables of extensions with rows that a dump has for the extension."""
    found: Tables = {}
    for extension, schema, name, condition in fetch_all(cursor, _TABLES):
        spelled = f"{quote_ident(schema)}.{quote_ident(name)}"
        count = fetch_value(
            cursor, f"SELECT count(*) FROM {spelled} {condition}".replace("%", "%%"), ()
        )
        found.setdefault(extension, {})[f"{schema}.{name}"] = {
            "schema": schema,
            "name": name,
            "condition": condition,
            "rows": count,
            "columns": [list(each) for each in fetch_all(cursor, _COLUMNS, (spelled,))],
        }
    return found


def any_rows(found: Tables) -> bool:
    """Tell whether there is something to write."""
    return any(table["rows"] for group in found.values() for table in group.values())


def write(cursor: Any, found: Tables, stream: BinaryIO) -> None:
    """Write all rows as ``extension -> table -> rows``; no more than a batch is in memory."""
    between = "{"
    for extension, group in found.items():
        stream.write(f"{between}\n {json.dumps(extension)}: {{".encode())
        between = ","
        comma = ""
        for table, facts in group.items():
            stream.write(f"{comma}\n  {json.dumps(table)}: [".encode())
            comma = ","
            for number, row in enumerate(_rows(cursor, facts)):
                text = json.dumps(row, sort_keys=True, ensure_ascii=False)
                stream.write(f"{',' if number else ''}\n   {text}".encode())
            stream.write(b"\n  ]")
        stream.write(b"\n }")
    stream.write(b"\n}\n")


def _rows(cursor: Any, facts: dict[str, Any]) -> Iterator[Any]:
    spelled = f"{quote_ident(facts['schema'])}.{quote_ident(facts['name'])}"
    with cursor.connection.cursor(name="pms_ops_extension_rows") as reader:
        reader.itersize = BATCH_ROWS
        reader.execute(
            f"SELECT pg_catalog.to_jsonb(each) FROM (SELECT * FROM {spelled}"
            f" {facts['condition']}) AS each".replace("%", "%%"),
            (),
        )
        for row in reader:
            yield row[0]
