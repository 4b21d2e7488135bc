# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The expressions of a database that a restore evaluates for each row, and might refuse.

An expression that can only give what it gave before is left out: one of immutable functions of
PostgreSQL itself. A restore evaluates no default and no trigger, so these are left out, too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ansible.module_utils.pmsops.postgresql.connection import fetch_all, quote_ident

FIRST_OF_USERS = 16384  # objects of initdb have smaller ids
_USER_SCHEMA = (
    "n.nspname NOT IN ('pg_catalog', 'information_schema')"
    " AND n.nspname !~ '^(pg_toast|pg_temp|_timescaledb_)'"
)
# Functions named in the tree of an expression: of users, written in a language that looks names up.
_OF_USERS = f"""EXISTS (
    SELECT FROM regexp_matches({{tree}}, ':(funcid|opfuncid|aggfnoid|opno) (\\d+)', 'g') AS m
      LEFT JOIN pg_operator o ON m[1] = 'opno' AND o.oid = m[2]::oid
      JOIN pg_proc p ON p.oid = CASE m[1] WHEN 'opno' THEN o.oprcode::oid ELSE m[2]::oid END
      JOIN pg_language l ON l.oid = p.prolang
     WHERE (p.oid >= {FIRST_OF_USERS} AND l.lanname NOT IN ('c', 'internal')){{more}})"""
_CHANGING = " OR p.provolatile <> 'i'"
_BY_USERS = _OF_USERS.replace("{more}", "")
# The answer of a check may change with the time, too.
_MAY_CHANGE = (
    "(" + _OF_USERS.replace("{more}", _CHANGING) + " OR strpos({tree}, 'SQLVALUEFUNCTION') > 0)"
)

# Whom to act as: nobody with the rights of a superuser.
_OWNER = """(SELECT quote_ident(r.rolname) FROM pg_roles r
              WHERE r.oid = c.relowner AND NOT r.rolsuper)"""
# Each gives rows of name, schema, table, owner, relation id, expression, column.
EXPRESSIONS = {
    "CHECK": f"""
        SELECT k.conname, n.nspname, c.relname, {_OWNER}, c.oid,
               pg_get_expr(k.conbin, k.conrelid), ''
          FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid
          JOIN pg_namespace n ON n.oid = c.relnamespace
         WHERE k.contype = 'c' AND k.convalidated AND {_USER_SCHEMA}
           AND coalesce((to_jsonb(k) ->> 'conenforced')::bool, true)
           AND {_MAY_CHANGE.format(tree="k.conbin::text")}""",
    "GENERATED": f"""
        SELECT a.attname, n.nspname, c.relname, {_OWNER}, c.oid,
               pg_get_expr(d.adbin, d.adrelid), a.attname
          FROM pg_attrdef d JOIN pg_attribute a ON a.attrelid = d.adrelid AND a.attnum = d.adnum
          JOIN pg_class c ON c.oid = d.adrelid JOIN pg_namespace n ON n.oid = c.relnamespace
         WHERE a.attgenerated = 's' AND {_USER_SCHEMA}
           AND {_BY_USERS.format(tree="d.adbin::text")}""",
    "INDEX": f"""
        SELECT x.relname, n.nspname, c.relname, {_OWNER}, c.oid,
               (SELECT string_agg(format('count((%s))', pg_get_indexdef(x.oid, k.at + 1, false)),
                                  ' + ')
                  FROM generate_subscripts(i.indkey, 1) AS k(at) WHERE i.indkey[k.at] = 0),
               pg_get_expr(i.indpred, i.indrelid)
          FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid
          JOIN pg_class c ON c.oid = i.indrelid JOIN pg_namespace n ON n.oid = c.relnamespace
         WHERE i.indisvalid AND {_USER_SCHEMA}
           AND ({_BY_USERS.format(tree="i.indexprs::text")}
                OR {_BY_USERS.format(tree="i.indpred::text")})""",
    "STATISTICS": f"""
        SELECT s.stxname, n.nspname, c.relname, {_OWNER}, c.oid,
               (SELECT string_agg('count((' || e || '))', ' + ')
                  FROM unnest(pg_get_statisticsobjdef_expressions(s.oid)) AS e), ''
          FROM pg_statistic_ext s JOIN pg_class c ON c.oid = s.stxrelid
          JOIN pg_namespace n ON n.oid = c.relnamespace
         WHERE {_USER_SCHEMA} AND {_BY_USERS.format(tree="s.stxexprs::text")}""",
    "DOMAIN": f"""
        SELECT DISTINCT format_type(t.oid, NULL), n.nspname, c.relname, {_OWNER},
               c.oid, format_type(t.typbasetype, t.typtypmod), a.attname
          FROM pg_constraint k JOIN pg_type t ON t.oid = k.contypid
          JOIN pg_attribute a ON a.atttypid = t.oid AND a.attnum > 0 AND NOT a.attisdropped
          JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
         WHERE k.contype = 'c' AND k.convalidated AND {_USER_SCHEMA}
           AND {_MAY_CHANGE.format(tree="k.conbin::text")}""",
    "PARTITION": f"""
        SELECT c.relname, n.nspname, c.relname, {_OWNER}, c.oid,
               pg_get_partition_constraintdef(c.oid), ''
          FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
         WHERE c.relispartition AND {_USER_SCHEMA} AND EXISTS (
               SELECT FROM pg_partition_ancestors(c.oid) AS up(oid)
                 JOIN pg_partitioned_table pt ON pt.partrelid = up.oid
                WHERE {_BY_USERS.format(tree="pt.partexprs::text")})""",
    "FOREIGN KEY": f"""
        SELECT k.conname, n.nspname, c.relname, {_OWNER}, c.oid,
               format('NOT EXISTS (SELECT FROM %s%s q WHERE %s) AND %s',
                      CASE r.relkind WHEN 'r' THEN 'ONLY ' ELSE '' END, k.confrelid::regclass,
                      string_agg(format('q.%I = t.%I', b.attname, a.attname), ' AND '),
                      string_agg(format('t.%I IS NOT NULL', a.attname), ' AND ')), ''
          FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid
          JOIN pg_class r ON r.oid = k.confrelid JOIN pg_namespace n ON n.oid = c.relnamespace
         CROSS JOIN unnest(k.conkey, k.confkey) AS key(here, there)
          JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = key.here
          JOIN pg_attribute b ON b.attrelid = k.confrelid AND b.attnum = key.there
         WHERE k.contype = 'f' AND k.convalidated AND k.conparentid = 0 AND {_USER_SCHEMA}
           AND coalesce((to_jsonb(k) ->> 'conenforced')::bool, true)
           AND EXISTS (SELECT FROM pg_trigger g WHERE g.tgconstraint = k.oid AND g.tgenabled = 'D')
         GROUP BY k.oid, k.conname, k.confrelid, n.nspname, c.relname, c.relowner, c.oid,
                  r.relkind""",
    # With PostgreSQL 17 and older ALTER TABLE ONLY makes such a child, and no dump can tell it from
    # one that follows its parent. In the copy all tables below it follow, however far they are.
    "NOT NULL": f"""
        WITH RECURSIVE i(inhrelid, inhparent, steps) AS (
               SELECT inhrelid, inhparent, 1 FROM pg_inherits
                UNION
               SELECT i.inhrelid, up.inhparent, i.steps + 1
                 FROM i JOIN pg_inherits up ON up.inhrelid = i.inhparent)
        SELECT * FROM (
        SELECT DISTINCT ON (c.oid, a.attnum) a.attname, n.nspname, c.relname, {_OWNER}, c.oid,
               p.oid::regclass::text, a.attname
          FROM i JOIN pg_class c ON c.oid = i.inhrelid
          JOIN pg_class p ON p.oid = i.inhparent JOIN pg_namespace n ON n.oid = c.relnamespace
          JOIN pg_attribute b ON b.attrelid = p.oid AND b.attnotnull AND b.attnum > 0
          JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = b.attname AND NOT a.attnotnull
         WHERE c.relkind = 'r' AND {_USER_SCHEMA} AND NOT EXISTS (
               SELECT FROM pg_constraint k WHERE k.conrelid = p.oid AND k.contype = 'n'
                  AND k.connoinherit AND k.conkey = ARRAY[b.attnum])
         ORDER BY c.oid, a.attnum, i.steps) AS nearest""",
}


@dataclass(frozen=True)
class Expression:
    """An expression that a restore evaluates for each row of a table."""

    kind: str
    name: str
    schema: str
    table: str
    owner: str | None  # None for a superuser
    relation: int
    text: str | None
    column: str | None

    @property
    def qualified(self) -> str:
        """Return the table's name for people."""
        return f"{self.schema}.{self.table}"

    def statement(self, source: str) -> str:
        """Return a query for the number of rows of *source* that a restore refuses or changes."""
        column = "t." + quote_ident(self.column) if self.column else ""
        if self.kind in ("CHECK", "PARTITION"):
            where = f"NOT ({self.text})"
        elif self.kind == "FOREIGN KEY":
            where = str(self.text)
        elif self.kind == "NOT NULL":
            where = f"{column} IS NULL"
        elif self.kind == "GENERATED":
            where = f"({self.text})::text IS DISTINCT FROM {column}::text"
        elif self.kind == "DOMAIN":
            where = f"{column} IS NOT NULL AND ({column}::{self.text})::{self.name} IS NULL"
        else:  # an index or statistics: the values do not matter, only that there are any
            where = f"({self.column})" if self.column else "true"
            return f"SELECT 0 * ({self.text or 'count(*)'}) FROM {source} AS t WHERE {where}"
        return f"SELECT count(*) FROM {source} AS t WHERE {where}"


def read(cursor: Any) -> list[Expression]:
    """Return the expressions; *cursor* has the search path of ``catalog.prepare``."""
    return [
        Expression(kind, *row)
        for kind, sql in EXPRESSIONS.items()
        for row in fetch_all(cursor, sql + " ORDER BY 2, 3, 1")
    ]
