# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The schemas of the tables that single tables have replaced: found, measured, and dropped."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.common.timestamps import UTC
from ansible.module_utils.pmsops.postgresql.connection import Database, fetch_all, quote_ident

ALL = "all"
# Persisted: what table_place.in_place, and its undo, call these schemas.
NAME = re.compile(r"pms_ops_(?:before|undone)_(\d{14})")
_SCHEMAS = r"""
WITH RECURSIVE part(schema, oid) AS (
    SELECT n.nspname, c.oid FROM pg_catalog.pg_namespace n
      LEFT JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relkind IN ('r', 'p')
     WHERE n.nspname ~ '^pms_ops_(before|undone)_[0-9]{14}$'
    UNION SELECT part.schema, i.inhrelid FROM part
      JOIN pg_catalog.pg_inherits i ON i.inhparent = part.oid)
SELECT schema, coalesce(sum(pg_catalog.pg_total_relation_size(oid)), 0)::bigint
  FROM part GROUP BY 1 ORDER BY 1"""

# Views and foreign keys elsewhere, which a DROP would take along without a word.
_NEEDED = """
SELECT DISTINCT pg_catalog.pg_describe_object('pg_catalog.pg_class'::regclass, o.oid, 0)
  FROM pg_catalog.pg_class c
  JOIN pg_catalog.pg_depend d ON d.refclassid = 'pg_catalog.pg_class'::regclass
                             AND d.refobjid = c.oid
  LEFT JOIN pg_catalog.pg_rewrite r
         ON d.classid = 'pg_catalog.pg_rewrite'::regclass AND r.oid = d.objid
  LEFT JOIN pg_catalog.pg_constraint k
         ON d.classid = 'pg_catalog.pg_constraint'::regclass AND k.oid = d.objid
  JOIN pg_catalog.pg_class o ON o.oid IN (r.ev_class, k.conrelid)
  JOIN pg_catalog.pg_namespace n ON n.oid = o.relnamespace
 WHERE c.relnamespace = pg_catalog.to_regnamespace(%s) AND o.relnamespace <> c.relnamespace
   AND n.nspname !~ '^_timescaledb_' ORDER BY 1"""


@dataclass(frozen=True)
class FormerTables:
    """A schema of former tables: its size, and the moment of the exchange."""

    schema: str
    bytes: int
    since: str


def find(cursor: Any) -> list[FormerTables]:
    """Return the schemas of former tables in the cursor's database, oldest first."""
    found = [
        FormerTables(schema, size, _since(schema)) for schema, size in fetch_all(cursor, _SCHEMAS)
    ]
    return sorted(found, key=lambda each: each.since)


def drop(
    database: Database, wanted: Sequence[str], *, only_plan: bool = False
) -> list[dict[str, Any]]:
    """Drop the schemas *wanted*, or ALL, with their tables; return what is dropped.

    :raises OpsError: restore.no-former-tables for a name that is none of them,
        restore.former-tables-needed
    """
    with database.session(superuser=True, read_only=only_plan) as cursor:
        found = {each.schema: each for each in find(cursor)}
        names = list(found) if list(wanted) == [ALL] else list(wanted)
        if unknown := [name for name in names if name not in found]:
            raise OpsError(
                f"No former tables are in {', '.join(unknown)}; {database.name} has them in"
                f" {', '.join(found) or 'no schema'}.",
                "Name one of these schemas, or all.",
                code="restore.no-former-tables",
            )
        needed = {n: [row[0] for row in fetch_all(cursor, _NEEDED, (n,))] for n in names}
        if told := [f"{', '.join(by)} needs {name}" for name, by in needed.items() if by]:
            raise OpsError(
                f"Former tables are still in use: {'; '.join(told)}. Nothing was dropped.",
                "Change or drop what is named, then run again.",
                code="restore.former-tables-needed",
            )
        for name in [] if only_plan else names:
            cursor.execute(f"DROP SCHEMA {quote_ident(name)} CASCADE")
    return [asdict(found[name]) for name in names]


def _since(schema: str) -> str:
    match = NAME.fullmatch(schema)
    stamp = match[1] if match else "19700101000000"
    return datetime.strptime(stamp, "%Y%m%d%H%M%S").replace(tzinfo=UTC).isoformat()
