# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""What depends on a live table: what follows its name, and what would stay with the former one."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.postgresql.connection import fetch_all, quote_ident
from ansible.module_utils.pmsops.restore import table_hypertables
from ansible.module_utils.pmsops.restore.table_definitions import (
    OWNED_SEQUENCES,
    Pieces,
    TableName,
    full_name,
)

_KINDS = """
SELECT c.relkind::text, c.relispartition,
       EXISTS (SELECT FROM pg_catalog.pg_inherits i WHERE i.inhrelid = c.oid)
       OR c.relkind = 'r'
          AND EXISTS (SELECT FROM pg_catalog.pg_inherits i WHERE i.inhparent = c.oid)
  FROM pg_catalog.pg_class c WHERE c.oid = pg_catalog.to_regclass(%s)
"""
_KEYS_TO = """
SELECT n.nspname, c.relname, k.conname, pg_catalog.pg_get_constraintdef(k.oid)
  FROM pg_catalog.pg_constraint k JOIN pg_catalog.pg_class c ON c.oid = k.conrelid
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
 WHERE k.contype = 'f' AND k.conparentid = 0 AND k.confrelid = ANY(%(oids)s::int8[]::oid[])
   AND NOT k.conrelid = ANY(%(oids)s::int8[]::oid[]) ORDER BY 1, 2, 3
"""
_KEYS_FROM = """
SELECT n.nspname, c.relname, k.conname, pg_catalog.pg_get_constraintdef(k.oid)
  FROM pg_catalog.pg_constraint k JOIN pg_catalog.pg_class c ON c.oid = k.conrelid
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
 WHERE k.contype = 'f' AND k.conparentid = 0 AND k.conrelid = ANY(%(oids)s::int8[]::oid[])
   AND NOT k.confrelid = ANY(%(oids)s::int8[]::oid[]) ORDER BY 1, 2, 3
"""
_VIEWS = """
SELECT DISTINCT c.oid::regclass::text, pg_catalog.array_to_string(c.reloptions, ', '),
       pg_catalog.pg_get_viewdef(c.oid)
  FROM pg_catalog.pg_depend d
  JOIN pg_catalog.pg_rewrite r ON d.classid = 'pg_catalog.pg_rewrite'::regclass AND r.oid = d.objid
  JOIN pg_catalog.pg_class c ON c.oid = r.ev_class
 WHERE d.refclassid = 'pg_catalog.pg_class'::regclass AND d.refobjid = ANY(%s::int8[]::oid[])
   AND c.relkind = 'v' AND r.rulename = '_RETURN' ORDER BY 1
"""
# Whatever names the tables, their row types or their sequences, and is neither a part of them nor
# follows their name: materialized views, functions, publications, rules, columns of their type.
_FIXED = """
WITH old(oid) AS (SELECT pg_catalog.unnest(%(oids)s::int8[])::oid
                  UNION SELECT inhrelid FROM pg_catalog.pg_inherits
                         WHERE inhparent = ANY(%(oids)s::int8[]::oid[])),
     seq(oid) AS (SELECT (pg_catalog.format('%%I.%%I', s[1], s[2]))::regclass::oid
                    FROM (SELECT ARRAY[x->>0, x->>1] s
                            FROM pg_catalog.jsonb_array_elements(%(sequences)s::jsonb) x) y),
     row_type(oid) AS (SELECT t.oid FROM pg_catalog.pg_type t
                        WHERE t.typrelid IN (SELECT oid FROM old)),
     own_type(oid) AS (SELECT oid FROM row_type UNION SELECT t.oid FROM pg_catalog.pg_type t
                        WHERE t.typelem IN (SELECT oid FROM row_type)),
     named(classid, objid) AS (
         SELECT 'pg_catalog.pg_class'::regclass, oid FROM old
         UNION SELECT 'pg_catalog.pg_class'::regclass, oid FROM seq
         UNION SELECT 'pg_catalog.pg_type'::regclass, oid FROM own_type)
SELECT DISTINCT CASE WHEN r.oid IS NULL
                     THEN pg_catalog.pg_describe_object(d.classid, d.objid, 0)
                     ELSE pg_catalog.pg_describe_object('pg_catalog.pg_class'::regclass,
                                                        r.ev_class, 0) END
  FROM named n JOIN pg_catalog.pg_depend d ON d.refclassid = n.classid AND d.refobjid = n.objid
  LEFT JOIN pg_catalog.pg_rewrite r
         ON d.classid = 'pg_catalog.pg_rewrite'::regclass AND r.oid = d.objid
 WHERE NOT CASE d.classid
       WHEN 'pg_catalog.pg_class'::regclass THEN
            d.objid IN (SELECT oid FROM old UNION SELECT oid FROM seq)
            OR EXISTS (SELECT FROM pg_catalog.pg_index i
                        WHERE i.indexrelid = d.objid AND i.indrelid IN (SELECT oid FROM old))
            OR (SELECT relkind = 't' FROM pg_catalog.pg_class WHERE oid = d.objid)
       WHEN 'pg_catalog.pg_type'::regclass THEN d.objid IN (SELECT oid FROM own_type)
       WHEN 'pg_catalog.pg_attrdef'::regclass THEN
            (SELECT adrelid IN (SELECT oid FROM old) FROM pg_catalog.pg_attrdef
              WHERE oid = d.objid)
       WHEN 'pg_catalog.pg_constraint'::regclass THEN
            (SELECT contype = 'f' OR conrelid IN (SELECT oid FROM old)
               FROM pg_catalog.pg_constraint WHERE oid = d.objid)
       WHEN 'pg_catalog.pg_trigger'::regclass THEN
            (SELECT tgisinternal OR tgrelid IN (SELECT oid FROM old) FROM pg_catalog.pg_trigger
              WHERE oid = d.objid)
       WHEN 'pg_catalog.pg_policy'::regclass THEN
            (SELECT polrelid IN (SELECT oid FROM old) FROM pg_catalog.pg_policy
              WHERE oid = d.objid)
       WHEN 'pg_catalog.pg_statistic_ext'::regclass THEN
            (SELECT stxrelid IN (SELECT oid FROM old) FROM pg_catalog.pg_statistic_ext
              WHERE oid = d.objid)
       WHEN 'pg_catalog.pg_rewrite'::regclass THEN
            r.ev_class IN (SELECT oid FROM old)
            OR r.rulename = '_RETURN'
               AND (SELECT relkind = 'v' FROM pg_catalog.pg_class WHERE oid = r.ev_class)
       ELSE false END
 ORDER BY 1
"""


@dataclass(frozen=True)
class Key:
    """A foreign key as text; it names tables, so it follows their names."""

    table: str
    name: str
    definition: str

    @property
    def drop(self) -> str:
        """Return the statement that drops it."""
        return f"ALTER TABLE {self.table} DROP CONSTRAINT {quote_ident(self.name)}"

    @property
    def add(self) -> str:
        """Return the statement that adds it."""
        name = quote_ident(self.name)
        return f"ALTER TABLE {self.table} ADD CONSTRAINT {name} {self.definition}"


@dataclass(frozen=True)
class Around:
    """What other tables and views have to do with some tables."""

    keys_to: tuple[Key, ...] = ()
    keys_from: tuple[Key, ...] = ()
    # The name of each view, with the statement that makes it again.
    views: tuple[tuple[str, str], ...] = ()

    @classmethod
    def of(cls, cursor: Any, names: Iterable[TableName]) -> Around:
        """Read it; the search path is empty afterwards, so that each name has its schema."""
        cursor.execute("SET LOCAL search_path = ''")
        oids = list(Pieces.of(cursor, names).oids)
        views = [
            (
                name,
                f"CREATE OR REPLACE VIEW {name}{f' WITH ({options})' if options else ''} AS{sql}",
            )
            for name, options, sql in fetch_all(cursor, _VIEWS, (oids,))
        ]
        return cls(
            _keys(cursor, _KEYS_TO, oids),
            _keys(cursor, _KEYS_FROM, oids),
            tuple(views),
        )


def require_exchangeable(cursor: Any, names: Iterable[TableName], where: str) -> None:
    """Refuse tables that cannot be exchanged by their names; one that is missing can be put back.

    :raises OpsError: restore.in-place
    """
    names = list(names)
    problems = []
    for name in names:
        for kind, is_partition, inherits in fetch_all(cursor, _KINDS, (full_name(name),)):
            spelled = ".".join(name)
            if kind not in ("r", "p"):
                problems.append(f"{spelled} is no table")
            elif is_partition:
                problems.append(f"{spelled} is a partition of another table")
            elif table_hypertables.is_one(cursor, name):
                problems += table_hypertables.problems(cursor, name)
            elif inherits:
                problems.append(f"{spelled} inherits, or others inherit from it")
    if not problems:
        oids = list(Pieces.of(cursor, names).oids)
        sequences = json.dumps(fetch_all(cursor, OWNED_SEQUENCES, (oids,)))
        fixed = fetch_all(cursor, _FIXED, {"oids": oids, "sequences": sequences})
        problems = [f"{what} would stay with the former table" for (what,) in fixed]
    if problems:
        raise OpsError(
            f"In {where}, a table cannot be exchanged: {'; '.join(problems)}.",
            "Restore the tables into a schema (--into), and take the rows from there; or restore"
            " the whole set.",
            code="restore.in-place",
        )


def _keys(cursor: Any, sql: str, oids: list[int]) -> tuple[Key, ...]:
    return tuple(
        Key(full_name((schema, table)), name, definition)
        for schema, table, name, definition in fetch_all(cursor, sql, {"oids": oids})
    )
