# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The planner's statistics of a restored database: those that the dump brought, the others anew.

They are for the planner alone: no proof reads them. What they leave out after the restore is looked
up in the catalogues and analyzed: extended statistics, which pg_dump 18 does not dump, and whatever
the source had never analyzed.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Any

from ansible.module_utils.pmsops.client_tools import archive_toc
from ansible.module_utils.pmsops.common.progress import Progress
from ansible.module_utils.pmsops.postgresql.connection import Database, fetch_all

# The first server that takes statistics of a dump, and that knows ANALYZE ONLY.
SINCE = 180000
# Relations for a statement: each is locked until it ends, and the server's lock table has an end.
BATCH = 200
SHOWN = 5

_OF_USERS = """c.relpersistence <> 't' AND n.nspname !~ '^pg_'
                      AND n.nspname <> 'information_schema'"""
_ALL = f"""
SELECT format('%I.%I', n.nspname, c.relname)
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('r', 'p', 'm') AND {_OF_USERS} {{parts}}
 ORDER BY pg_relation_size(c.oid) DESC
"""
# By what is there, not by what the statistics say of it: an empty table has none for good reason.
_LACKING = f"""
WITH RECURSIVE known AS MATERIALIZED (
    SELECT c.oid, format('%I.%I', n.nspname, c.relname) AS name, pg_relation_size(c.oid) AS bytes
      FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE c.relkind IN ('r', 'p', 'm') AND {_OF_USERS}
), described (oid, inherited) AS (
    SELECT oid, false FROM known WHERE bytes > 0
     UNION  -- a parent has figures of all rows below it, beside those of its own
    SELECT i.inhparent, true FROM described d JOIN pg_inherits i ON i.inhrelid = d.oid
)
SELECT k.name, EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass
                         AND d.objid = k.oid AND d.deptype = 'e')
  FROM known k WHERE k.oid IN (
    SELECT d.oid FROM described d
     WHERE EXISTS (SELECT FROM pg_attribute a
                    WHERE a.attrelid = d.oid AND a.attnum > 0 AND NOT a.attisdropped
                      AND a.attstattarget IS DISTINCT FROM 0 AND a.attgenerated <> 'v'
                      AND NOT EXISTS (SELECT FROM pg_statistic s
                                       WHERE s.starelid = a.attrelid AND s.staattnum = a.attnum
                                         AND s.stainherit = d.inherited))
        OR EXISTS (SELECT FROM pg_statistic_ext e
                    WHERE e.stxrelid = d.oid AND e.stxstattarget IS DISTINCT FROM 0
                      AND NOT EXISTS (SELECT FROM pg_statistic_ext_data x
                                       WHERE x.stxoid = e.oid AND x.stxdinherit = d.inherited))
        OR NOT d.inherited AND EXISTS (
               SELECT FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indexrelid
                WHERE i.indrelid = d.oid AND i.indexprs IS NOT NULL
                  AND i.indkey[a.attnum - 1] = 0 AND a.attstattarget IS DISTINCT FROM 0
                  AND NOT EXISTS (SELECT FROM pg_statistic s
                                   WHERE s.starelid = a.attrelid AND s.staattnum = a.attnum)))
 ORDER BY k.bytes DESC, k.name
"""
# An index without expressions has none but its size, which CREATE INDEX knows.
_DESCRIBED = f"""
SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE {_OF_USERS}
   AND (c.relkind IN ('r', 'p', 'm') OR c.relkind = 'i' AND EXISTS (
            SELECT FROM pg_index i WHERE i.indexrelid = c.oid AND i.indexprs IS NOT NULL))
"""
_PAGES = "(pg_relation_size(c.oid) / current_setting('block_size')::int)::int"
# The source may be bloated, and vacuumed; the copy is neither.
_OTHER_SIZE = f"""
SELECT c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('r', 'm', 'i') AND {_OF_USERS}
   AND (c.relpages, c.relallvisible, c.relallfrozen) IS DISTINCT FROM ({_PAGES}, 0, 0)
"""
_FIT = f"""
SELECT pg_restore_relation_stats('schemaname', n.nspname::text, 'relname', c.relname::text,
                                 'relpages', {_PAGES}, 'relallvisible', 0, 'relallfrozen', 0)
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = ANY(%s)
"""


@dataclass(frozen=True)
class PlannerStatistics:
    """Those of the restored database *target*, gathered on *jobs* connections."""

    target: Database
    progress: Progress
    jobs: int
    timescaledb: bool

    def taken_by_server(self) -> bool:
        """Tell whether the server takes statistics of a dump."""
        with self.target.session(read_only=True) as cursor:
            return takes(cursor)

    def entries(self, contents: archive_toc.Contents) -> list[str]:
        """Return the entries of a dump that tell the planner anything."""
        with self.target.session(read_only=True) as cursor:
            return contents.statistics_of(set(fetch_all(cursor, _DESCRIBED)))

    def fit_to_sizes(self) -> None:
        """Correct how many pages relations have, and how many of them are visible to all.

        The planner scales the rows of a table by its pages: those of a bloated source would halve
        them.
        """
        with self.target.session(superuser=True, autocommit=True) as cursor:
            oids = [oid for (oid,) in fetch_all(cursor, _OTHER_SIZE)]
            for first in range(0, len(oids), BATCH):
                cursor.execute(_FIT, (oids[first : first + BATCH],))

    def analyze_all(self) -> None:
        """Gather those of every table."""
        with self.target.session(read_only=True) as cursor:
            parts = "" if takes(cursor) else "AND NOT c.relispartition"
            names = fetch_all(cursor, _ALL.format(parts=parts))
        self._analyze([name for (name,) in names])

    def analyze_lacking(self) -> list[tuple[str, bool]]:
        """Gather those of the tables that lack some; return each, and whether it is an extension's.

        pg_dump leaves out the statistics of all tables of extensions.
        """
        with self.target.session(read_only=True) as cursor:
            lacking = fetch_all(cursor, _LACKING)
        self._analyze([name for name, _ in lacking])
        return [(name, of_extension) for name, of_extension in lacking]

    def _analyze(self, names: Sequence[str]) -> None:
        """Analyze each table once.

        Up to PostgreSQL 17 a partitioned table takes its partitions with it, which *names* leaves
        out, and a hypertable is a plain parent in restoring mode: ANALYZE does not go down to its
        chunks. Newer servers go down to the children of any parent, unless told not to.
        """
        queue: SimpleQueue[str] = SimpleQueue()
        for name in names:
            queue.put(name)

        def work(_number: int) -> None:
            with self.target.session(superuser=True, autocommit=True) as cursor:
                only = "ONLY " if takes(cursor) else ""
                cursor.execute("SET synchronous_commit = off")
                if self.timescaledb:
                    cursor.execute("SET timescaledb.restoring = on")
                while True:
                    try:
                        cursor.execute(f"ANALYZE {only}{queue.get_nowait()}")
                    except Empty:
                        return
                    self.progress.update(len(names) - queue.qsize())

        with (
            self.progress.phase("analyze", total=len(names), unit="tables"),
            ThreadPoolExecutor(max_workers=self.jobs) as pool,
        ):
            list(pool.map(work, range(min(self.jobs, len(names)))))


def takes(cursor: Any) -> bool:
    """Tell whether the server of a session takes statistics of a dump."""
    found: int = cursor.connection.server_version
    return found >= SINCE


def planned(
    database: Database, document: dict[str, Any], toc: archive_toc.Contents | None
) -> list[str]:
    """Say which way a restore will take, for its plan; nothing where there is no other way.

    *document* is the manifest of the set, *toc* of a bare dump without one.
    """
    there = bool(toc.statistics if toc else document.get("dump", {}).get("statistics"))
    with database.session(name=database.maintenance_name, read_only=True) as cursor:
        taken = takes(cursor)
    if there and taken:
        return ["The planner's statistics come with the set; tables that lack some are analyzed."]
    return [_every(there, "will be")] if there or taken else []


def said_of_all(contents: archive_toc.Contents, *, taken: bool) -> list[str]:
    """Say that every table was analyzed, where the server or the dump has another way."""
    there = bool(contents.statistics)
    return [_every(there, "was")] if there or taken else []


def _every(there: bool, verb: str) -> str:
    why = "this server cannot take those of the set" if there else "the set has none"
    return f"The planner's statistics: {why}, so every table {verb} analyzed."


def said_of_taken(
    count: int, lacking: Sequence[tuple[str, bool]], refused: Sequence[dict[str, str]]
) -> str:
    """Say that *count* entries came with the set, and which tables were analyzed nevertheless.

    *lacking* is what ``analyze_lacking`` returned. *refused* are rows ``{object, error}`` of
    entries that the server did not take.
    """
    line = f"The planner's statistics: {count - len(refused)} entries came with the set"
    if refused:
        error = refused[0]["error"].partition(" / ")[0]  # the statement comes after it
        line += f", {len(refused)} were refused (the first: {error})"
    own = [name for name, of_extension in lacking if not of_extension]
    more = f" and {len(own) - SHOWN} more" if len(own) > SHOWN else ""
    line += f"; analyzed, since they lacked some: {', '.join(own[:SHOWN]) or 'no table'}{more}"
    others = len(lacking) - len(own)
    return f"{line}; and {others} tables of extensions." if others else f"{line}."
