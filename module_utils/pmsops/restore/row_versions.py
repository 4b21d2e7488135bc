# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether tables were written to since they were compared, told by their row versions.

A row that was inserted or changed carries the transaction that wrote it; a deleted one is missing
from the count. So a table without newer rows, with as many rows, in the same file and with the same
columns is the one that was read. To count costs a tenth of a fingerprint. A wrong alarm (another
transaction that ended just before, a table that was rewritten) is settled by reading it again.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from ansible.module_utils.pmsops.postgresql.connection import fetch_all, fetch_value

# TimescaleDB's own tables change by themselves; what they say are facts.
_RELATIONS = r"""
SELECT c.oid::int8, pg_catalog.format('%I.%I', n.nspname, c.relname),
       pg_catalog.pg_relation_filenode(c.oid)::int8,
       (SELECT pg_catalog.array_agg(a.attnum::text ORDER BY a.attnum)
          FROM pg_catalog.pg_attribute a
         WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped)::text
  FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind = 'r' AND c.relpersistence <> 't'
   AND n.nspname NOT IN ('pg_catalog', 'information_schema', '_timescaledb_catalog',
                         '_timescaledb_config', '_timescaledb_cache')
   AND n.nspname !~ '^pg_toast'
   AND n.nspname !~ '^pms_ops_(before_[0-9]{14}|undone_[0-9]{14}|transit)$'
   AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d
                    WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = c.oid
                      AND d.deptype = 'e')
"""
# Tables with all that holds their rows: partitions, chunks.
WITH_PARTS = """
WITH RECURSIVE part(oid) AS (
    SELECT pg_catalog.to_regclass(x)::oid FROM pg_catalog.unnest(%s::text[]) x
    UNION SELECT i.inhrelid FROM part JOIN pg_catalog.pg_inherits i ON i.inhparent = part.oid)
SELECT oid::int8 FROM part WHERE oid IS NOT NULL
"""
# Numbers of transactions wrap at 2^32.
_NEWER = "((xmin::text::bigint - {since}) & 4294967295) < 2147483648"
_AT_ONCE = 100


@dataclass(frozen=True)
class RowVersions:
    """The tables of a database as a snapshot saw them."""

    since: int
    # By OID: file, columns by number (a dropped one has no successor), and rows as they are stored.
    tables: dict[int, tuple[int, str, int]]

    @classmethod
    def read(cls, cursor: Any) -> RowVersions:
        """Read them in the transaction of the cursor, which is repeatable read."""
        since = int(fetch_value(cursor, "SELECT pg_snapshot_xmin(pg_current_snapshot())::text"))
        found = fetch_all(cursor, _RELATIONS)
        counts = _counts(cursor, [(oid, name) for oid, name, *_ in found], None)
        return cls(
            since & 0xFFFFFFFF,
            {oid: (file, columns, counts[oid][0]) for oid, _name, file, columns in found},
        )

    def written(
        self, cursor: Any, *, of: Collection[int] | None = None, but: Collection[int] = ()
    ) -> list[int]:
        """Return the OIDs of tables that may have been written to, made or dropped since.

        *of* are the only ones to look at, *but* are not looked at.
        """
        found = {oid: rest for oid, *rest in fetch_all(cursor, _RELATIONS)}
        looked = [
            oid for oid in {*found, *self.tables} if (of is None or oid in of) and oid not in but
        ]
        same = [
            oid
            for oid in looked
            if oid in found and oid in self.tables and tuple(found[oid][1:]) == self.tables[oid][:2]
        ]
        counts = _counts(cursor, [(oid, found[oid][0]) for oid in same], self.since)
        quiet = {oid for oid in same if counts[oid] == (self.tables[oid][2], 0)}
        return sorted(set(looked) - quiet)


def _counts(
    cursor: Any, tables: list[tuple[int, str]], since: int | None
) -> dict[int, tuple[int, int]]:
    """Return for each table how many rows it stores, and how many of them are newer."""
    cursor.execute(  # a compressed chunk has no row versions: what it stores has
        "SELECT set_config(name, 'off', true) FROM pg_settings"
        " WHERE name = 'timescaledb.enable_transparent_decompression'"
    )
    newer = "false" if since is None else _NEWER.format(since=since)
    counts: dict[int, tuple[int, int]] = {}
    for first in range(0, len(tables), _AT_ONCE):
        branches = [
            f"SELECT {oid}::int8, count(*), count(*) FILTER (WHERE {newer}) FROM ONLY {name}"
            for oid, name in tables[first : first + _AT_ONCE]
        ]
        found = fetch_all(cursor, " UNION ALL ".join(branches))
        counts |= {oid: (rows, new) for oid, rows, new in found}
    cursor.execute(
        "SELECT set_config(name, reset_val, true) FROM pg_settings"
        " WHERE name = 'timescaledb.enable_transparent_decompression'"
    )
    return counts
