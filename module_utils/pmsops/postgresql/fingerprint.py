# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The fingerprint of a table's contents: independent of row order, changed by any changed value.

A fingerprint is the row count and the sum of a 64-bit hash of each row (row_hash.py). The server
computes it, so no row leaves the server.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from queue import Empty, SimpleQueue
from typing import Any

from ansible.module_utils.pmsops.common.pairs import together
from ansible.module_utils.pmsops.postgresql import (
    fingerprint_batches,
    fingerprint_v1,
    row_hash,
    timescaledb_chunks,
)
from ansible.module_utils.pmsops.postgresql.connection import quote_ident

# The manifest records the formula, so that a set is compared with the one it was made with.
# Formula 2 read relations as they are stored, formula 3 reads rows as a query sees them: compressed
# chunks decompressed. The hash of a row is the same.
FORMULA = 3
FORMULAS = (1, 2, FORMULA)
LOGICAL = 3  # the first formula that reads rows as a query sees them

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
), attributes AS (  -- of all tables at once: each table would search all types
    SELECT a.attrelid, array_agg(a.attname::text ORDER BY a.attnum) AS names,
           array_agg(CASE WHEN coll.collisdeterministic IS FALSE THEN 'nondeterministic'
                          ELSE pg_catalog.format_type(base.root, NULL) END
                     ORDER BY a.attnum) AS types
      FROM pg_catalog.pg_class t
      JOIN pg_catalog.pg_attribute a ON a.attrelid = t.oid
      JOIN base ON base.oid = a.atttypid
      LEFT JOIN pg_catalog.pg_collation coll ON coll.oid = a.attcollation
     WHERE t.relkind = '{kind}' AND a.attnum > 0 AND NOT a.attisdropped
     GROUP BY a.attrelid
)
SELECT c.oid::int8, n.nspname, c.relname, config.extname, coalesce(config.condition, ''),
       pg_catalog.pg_relation_size(c.oid),
       EXISTS (SELECT FROM pg_catalog.pg_inherits i WHERE i.inhrelid = c.oid)
           AND NOT c.relispartition,
       coalesce(
           (SELECT array_agg(a.attname::text ORDER BY a.attnum)
              FROM pg_catalog.pg_attribute a
              JOIN pg_catalog.pg_attrdef f ON f.adrelid = a.attrelid AND f.adnum = a.attnum
             WHERE a.attrelid = c.oid AND a.attgenerated = 's' AND EXISTS (
                   SELECT FROM pg_catalog.pg_depend x
                    WHERE x.classid = 'pg_catalog.pg_attrdef'::regclass AND x.objid = f.oid
                      AND x.refclassid NOT IN ('pg_catalog.pg_class'::regclass,
                                               'pg_catalog.pg_type'::regclass))), '{}'),
       coalesce(attributes.names, '{}'), coalesce(attributes.types, '{}')
  FROM pg_catalog.pg_class c
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  LEFT JOIN config ON config.oid = c.oid
  LEFT JOIN attributes ON attributes.attrelid = c.oid
  LEFT JOIN pg_catalog.pg_depend d
         ON d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e'
 WHERE c.relkind = '{kind}' AND c.relpersistence <> 't'
   AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_toast'
   AND (d.objid IS NULL OR config.oid IS NOT NULL)
 ORDER BY 6 DESC, 2, 3
"""

# Tables whose rows the extension itself makes, or a restore changes on purpose.
# bgw_job is compared job by job (catalog.FACTS), since a restored copy's jobs are held still.
NOT_COMPARED = frozenset({"bgw_job", "metadata"})
# Its configuration tables describe hypertables, chunks, jobs: facts of their own kinds, which do
# not depend on how a version of TimescaleDB stores them.
TIMESCALEDB = "timescaledb"


@dataclass(frozen=True)
class Relation:
    """A table that holds rows, and the SQL that fingerprints it."""

    schema: str
    name: str
    extension: str | None
    condition: str
    size_bytes: int
    columns: tuple[str, ...]
    types: tuple[str, ...]
    # Whether it inherits from another table: a restore may then change the order of its columns.
    inherits: bool = False
    # Stored generated columns whose expression uses what may have changed since: a function of the
    # application. A dump leaves them out, and a restore computes them anew.
    generated: tuple[str, ...] = ()
    # Set for a chunk as formula 3 reads it.
    chunk: timescaledb_chunks.Chunk | None = None

    @property
    def key(self) -> str:
        """Return the name of the relation's rows in the manifest."""
        return self.chunk.key if self.chunk else f"{self.schema}.{self.name}"

    def sql(self, formula: int = FORMULA, *, whole: bool = False) -> str:
        """Return the statement that gives row count and hash sum.

        A third value is the hash sum without the columns of *generated*, if there are any.

        *whole* is with the rows of partitions, chunks and other children.
        """
        columns = list(together(self.columns, self.types))
        if self.inherits and formula >= LOGICAL:
            columns.sort()
        hash_of = fingerprint_v1.row_hash if formula == 1 else row_hash.row_hash
        only = "" if whole or self.chunk else "ONLY "
        sums = f"coalesce(sum({hash_of(columns)}), 0)"
        if self.generated and formula >= LOGICAL:
            others = [each for each in columns if each[0] not in self.generated]
            sums += f", coalesce(sum({row_hash.row_hash(others)}), 0)"
        return (
            f"SELECT count(*), {sums}"
            f" FROM {only}{quote_ident(self.schema)}.{quote_ident(self.name)} {self.condition}"
        )

    def sql_of_query(self, query: str) -> str:
        """Return the statement that gives the same of the rows of a query with these columns."""
        columns = list(together(self.columns, self.types))
        names = ", ".join(quote_ident(column) for column in self.columns)
        return (
            f"SELECT count(*), coalesce(sum({row_hash.row_hash(columns)}), 0)"
            f" FROM ({query.rstrip().rstrip(';')}) query({names})"
        )


def relations(cursor: Any, formula: int = FORMULA) -> list[Relation]:
    """Return the tables that hold rows, largest first, as a formula counts them."""
    found = _of_kind(cursor, "r")
    if formula < LOGICAL:
        return [r for r in found.values() if not (r.extension and r.name in NOT_COMPARED)]
    chunks = timescaledb_chunks.chunks(cursor)
    physical = {*timescaledb_chunks.relations(cursor)} - {*chunks}
    return [
        replace(relation, chunk=chunks.get(oid), inherits=relation.inherits and oid not in chunks)
        for oid, relation in found.items()
        if oid not in physical and relation.extension != TIMESCALEDB
    ]


def materialized_views(cursor: Any) -> dict[int, Relation]:
    """Return the materialized views by OID, largest first."""
    return _of_kind(cursor, "m")


def table(cursor: Any, name: tuple[str, str]) -> Relation:
    """Return one table, also one that is partitioned; read it with ``sql(whole=True)``."""
    found = (each for kind in "rp" for each in _of_kind(cursor, kind).values())
    return next(each for each in found if (each.schema, each.name) == name)


def _of_kind(cursor: Any, kind: str) -> dict[int, Relation]:
    cursor.execute(RELATIONS_SQL.replace("{kind}", kind))
    found = {}
    same: dict[tuple[str, ...], tuple[str, ...]] = {}
    for (
        oid,
        schema,
        name,
        extension,
        condition,
        size,
        inherits,
        generated,
        columns,
        types,
    ) in cursor:
        found[oid] = Relation(
            schema,
            name,
            extension,
            condition,
            size,
            # The chunks of a hypertable share their columns.
            same.setdefault(tuple(columns), tuple(columns)),
            same.setdefault(tuple(types), tuple(types)),
            inherits,
            same.setdefault(tuple(generated), tuple(generated)),
        )
    return found


def fingerprint(cursor: Any, relation: Relation, formula: int = FORMULA) -> dict[str, Any]:
    """Return ``{"rows": int, "fingerprint": str}`` of one table.

    A chunk that is read as such has ``of`` besides, the hypertable; a table whose generated columns
    a restore may compute otherwise has ``generated``, and the fingerprint of the ``others``.
    """
    return _described(relation, answer(cursor, relation.sql(formula)))


def _described(relation: Relation, found: dict[str, Any]) -> dict[str, Any]:
    if "others" in found:
        found["generated"] = list(relation.generated)
    return found | ({"of": relation.chunk.hypertable} if relation.chunk else {})


def of_batch(cursor: Any, batch: list[Relation], formula: int = FORMULA) -> list[dict[str, Any]]:
    """Return the fingerprints of a batch of relations, in its order, by one statement."""
    if len(batch) == 1:
        return [fingerprint(cursor, batch[0], formula)]
    branches = (
        each.sql(formula).replace("SELECT ", f"SELECT {number}, ", 1)
        for number, each in enumerate(batch)
    )
    cursor.execute(" UNION ALL ".join(branches))
    found = {number: _answer(values) for number, *values in cursor.fetchall()}
    return [_described(each, found[number]) for number, each in enumerate(batch)]


def answer(cursor: Any, sql: str) -> dict[str, Any]:
    """Return what a statement of Relation gives."""
    cursor.execute(sql)
    return _answer(cursor.fetchone())


def _answer(values: Sequence[Any]) -> dict[str, Any]:
    rows, *totals = values
    names = ("fingerprint", "others")
    return {"rows": rows} | {name: _hex(int(total)) for name, total in zip(names, totals)}


def summed(parts: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """Return the fingerprint of relations that are one together: the chunks of one range."""
    first, *others = parts
    total = dict(first)
    for each in others:
        total["rows"] += each["rows"]
        for name in ("fingerprint", "others"):
            if name in total:
                total[name] = _hex(int(total[name], 16) + int(each[name], 16))
    return total


def _hex(total: int) -> str:
    return format(total % 2**64, "016x")


def fingerprints(
    cursors: Iterable[Any],
    expected: Iterable[Relation],
    done: Callable[[Relation], None] = lambda relation: None,
    *,
    formula: int = FORMULA,
    first: Callable[[], None] = lambda: None,
) -> dict[str, dict[str, Any]]:
    """Return the fingerprint of each table, read on all *cursors* in parallel.

    The cursors must share a snapshot. *expected* gives the order of work. *first* is other work for
    the first cursor; the others do not wait for it.
    """
    leader, *others = cursors
    queue: SimpleQueue[list[Relation]] = SimpleQueue()
    for batch in fingerprint_batches.of(expected, 1 + len(others)):
        queue.put(batch)

    def work(cursor: Any) -> list[tuple[str, dict[str, Any]]]:
        found: list[tuple[str, dict[str, Any]]] = []
        while True:
            try:
                batch = queue.get_nowait()
            except Empty:
                return found
            for relation, has in together(batch, of_batch(cursor, batch, formula)):
                found.append((relation.key, has))
                done(relation)

    def work_after_first(cursor: Any) -> list[tuple[str, dict[str, Any]]]:
        first()
        return work(cursor)

    with ThreadPoolExecutor(max_workers=1 + len(others)) as pool:
        parts = [
            pool.submit(work_after_first, leader),
            *(pool.submit(work, cursor) for cursor in others),
        ]
        merged: dict[str, list[dict[str, Any]]] = {}
        for part in parts:
            for key, found in part.result():
                merged.setdefault(key, []).append(found)
    return {key: summed(found) for key, found in sorted(merged.items())}
