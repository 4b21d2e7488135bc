# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""A fingerprint of a table's contents: independent of row order, different for any other value.

It is the row count and the sum of a 64-bit hash of each row, computed by the server
(``hash_record_extended``), so no row leaves it. Two values that PostgreSQL calls equal may still
differ for an auditor (0 and -0, 1.0 and 1.00 as numeric, json with other spacing); such types are
hashed by their exact form instead of by value. Some hash by what a restore may change (an enum by
its OID): these too go by their text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Any

from ansible.module_utils.pmsops.database import quote_ident

# Equal hash means equal value to the last bit, whatever the server: hashed as they are.
HASHED_AS_IS = frozenset(
    {"boolean", "smallint", "integer", "bigint", "date", "uuid", "bytea", "text"}
    | {"character varying", "timestamp without time zone", "timestamp with time zone"}
)
# The binary form tells 0 from -0 and is cheaper than the text form.
HASHED_AS_SENT = {"double precision": "float8send", "real": "float4send"}

# One row for each table that holds rows of its own: ordinary tables, partitions and chunks;
# extension_condition is the filter with which pg_dump dumps an extension's configuration table.
RELATIONS_SQL = """
WITH RECURSIVE base(oid, root) AS (
    SELECT oid, oid FROM pg_catalog.pg_type WHERE typtype <> 'd'
    UNION ALL
    SELECT t.oid, base.root FROM pg_catalog.pg_type t JOIN base ON base.oid = t.typbasetype
     WHERE t.typtype = 'd'
), config AS (
    SELECT e.extname, c.oid, c.condition
      FROM pg_catalog.pg_extension e,
           ROWS FROM (unnest(e.extconfig), unnest(e.extcondition)) AS c(oid, condition)
)
SELECT n.nspname, c.relname, config.extname, coalesce(config.condition, ''),
       greatest(c.reltuples, 0)::bigint, pg_catalog.pg_relation_size(c.oid),
       coalesce(
           (SELECT array_agg(a.attname::text ORDER BY a.attnum) FROM pg_catalog.pg_attribute a
             WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped), '{}'),
       coalesce(
           (SELECT array_agg(
                CASE WHEN coll.collisdeterministic IS FALSE THEN 'nondeterministic'
                     ELSE pg_catalog.format_type(base.root, NULL) END ORDER BY a.attnum)
              FROM pg_catalog.pg_attribute a JOIN base ON base.oid = a.atttypid
              LEFT JOIN pg_catalog.pg_collation coll ON coll.oid = a.attcollation
             WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped), '{}')
  FROM pg_catalog.pg_class c
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  LEFT JOIN config ON config.oid = c.oid
  LEFT JOIN pg_catalog.pg_depend d
         ON d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e'
 WHERE c.relkind = 'r' AND c.relpersistence <> 't'
   AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_toast'
   AND (d.objid IS NULL OR config.oid IS NOT NULL)
 ORDER BY 6 DESC, 1, 2
"""

# Where pg_dump leaves rows to the extension, or a restore changes them on purpose.
# bgw_job is compared job by job (catalog.FACTS), since a restored copy's jobs are held still.
NOT_COMPARED = frozenset({"bgw_job", "metadata"})


@dataclass(frozen=True)
class Relation:
    """A table with rows of its own, and how to hash them."""

    schema: str
    name: str
    extension: str | None
    condition: str
    estimated_rows: int
    size_bytes: int
    columns: tuple[str, ...]
    types: tuple[str, ...]

    @property
    def key(self) -> str:
        """Return the qualified name as the manifest spells it."""
        return f"{self.schema}.{self.name}"

    def sql(self) -> str:
        """Return the statement that gives row count and hash sum."""
        values = ", ".join(
            hashed(name, of_type) for name, of_type in zip(self.columns, self.types, strict=True)
        )
        return (
            f"SELECT count(*), coalesce(sum(pg_catalog.hash_record_extended(ROW({values}), 0)), 0)"
            f" FROM ONLY {quote_ident(self.schema)}.{quote_ident(self.name)} {self.condition}"
        )


def hashed(column: str, of_type: str) -> str:
    """Return the expression whose hash stands for a column of a base type."""
    name = quote_ident(column)
    if of_type in HASHED_AS_IS:
        return name
    if of_type in HASHED_AS_SENT:
        return f"pg_catalog.{HASHED_AS_SENT[of_type]}({name})"
    # "C" also where the column's own collation calls different texts equal.
    return f'{name}::pg_catalog.text COLLATE "C"'


def relations(cursor: Any) -> list[Relation]:
    """Return all tables that hold rows, the largest first."""
    cursor.execute(RELATIONS_SQL)
    found = [
        Relation(*row[:6], columns=tuple(row[6]), types=tuple(row[7])) for row in cursor.fetchall()
    ]
    return [r for r in found if not (r.extension and r.name in NOT_COMPARED)]


def fingerprint(cursor: Any, relation: Relation) -> dict[str, Any]:
    """Return ``{"rows": int, "fingerprint": str}`` of one table."""
    cursor.execute(relation.sql())
    rows, total = cursor.fetchone()
    return {"rows": rows, "fingerprint": format(int(total) % 2**64, "016x")}


def fingerprints(
    cursors: Iterable[Any],
    wanted: Iterable[Relation],
    done: Callable[[Relation], None] = lambda relation: None,
) -> dict[str, dict[str, Any]]:
    """Return the fingerprint of each table, working through them on all *cursors* at once.

    The cursors must see the same snapshot; the order of *wanted* is the order of work.
    """
    queue: SimpleQueue[Relation] = SimpleQueue()
    for relation in wanted:
        queue.put(relation)

    def work(cursor: Any) -> dict[str, dict[str, Any]]:
        found = {}
        while True:
            try:
                relation = queue.get_nowait()
            except Empty:
                return found
            found[relation.key] = fingerprint(cursor, relation)
            done(relation)

    cursors = list(cursors)
    with ThreadPoolExecutor(max_workers=len(cursors)) as pool:
        merged: dict[str, dict[str, Any]] = {}
        for part in pool.map(work, cursors):
            merged.update(part)
    return dict(sorted(merged.items()))
