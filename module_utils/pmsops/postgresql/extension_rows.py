# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Rows that extensions keep for their users, such as pg_cron's jobs, as data.

A dump has them for the same extension only. Where that cannot be created, a person needs them in a
form that can be read. TimescaleDB's are facts of their own kinds.
"""

from __future__ import annotations

import json
from typing import Any

from ansible.module_utils.pmsops.postgresql.connection import fetch_all, quote_ident

NAME = "extensions.json"
MAX_ROWS = 1000  # of one table; more is no configuration
_TABLES = """
SELECT e.extname, n.nspname, c.relname, coalesce(k.condition, '')
  FROM pg_catalog.pg_extension e,
       ROWS FROM (unnest(e.extconfig), unnest(e.extcondition)) AS k(oid, condition)
  JOIN pg_catalog.pg_class c ON c.oid = k.oid AND c.relkind = 'r'
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
 WHERE e.extname <> 'timescaledb' AND has_table_privilege(c.oid, 'SELECT')
   AND has_schema_privilege(n.oid, 'USAGE')
 ORDER BY 1, 2, 3"""


def read(cursor: Any) -> dict[str, dict[str, list[dict[str, Any]]]]:
    """Return extension -> table -> rows, at most ``MAX_ROWS`` of each table."""
    found: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for extension, schema, name, condition in fetch_all(cursor, _TABLES):
        rows = fetch_all(
            cursor,
            "SELECT to_jsonb(each) FROM"
            f" (SELECT * FROM {quote_ident(schema)}.{quote_ident(name)} {condition}"
            f" LIMIT {MAX_ROWS}) AS each".replace("%", "%%"),
            (),
        )
        found.setdefault(extension, {})[f"{schema}.{name}"] = [row[0] for row in rows]
    return found


def content(cursor: Any) -> bytes | None:
    """Return the rows as the set's file has them, None where no extension has any."""
    found = read(cursor)
    if not any(rows for tables in found.values() for rows in tables.values()):
        return None
    return (json.dumps(found, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode()
