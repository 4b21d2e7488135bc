# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The phases of a restore into a database aside: the live one is never where it happens.

Pre-data; the extensions' own tables serially, since TimescaleDB's refer to each other and to what
pre-data made; the other data and post-data in parallel. Each phase ends at its first error.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

import psycopg2
from ansible.module_utils.pmsops.client_tools import archive_toc
from ansible.module_utils.pmsops.client_tools.base import ClientTools
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.common.progress import Progress
from ansible.module_utils.pmsops.postgresql import autovacuum, timescaledb_held_jobs
from ansible.module_utils.pmsops.postgresql.connection import (
    Database,
    fetch_all,
    fetch_value,
    quote_ident,
    quote_literal,
    superuser_role,
)

# For the sessions of a restore alone; the server's configuration is not touched.
SESSION = {
    "synchronous_commit": "off",
    "maintenance_work_mem": "256MB",
    "jit": "off",
}
TIMESCALEDB = "timescaledb"
SHOWN_ERRORS = 12
SIZE = "SELECT pg_database_size(%s)"
# What post-data makes: the indexes that no extension brought.
INDEXES = """
SELECT count(*) FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid
  JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_toast'
   AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.classid = 'pg_class'::regclass
                    AND d.objid = c.oid AND d.deptype = 'e')
"""
_ENTRY = re.compile(r"^pg_restore: from TOC entry \d+; \d+ \d+ (.*)$")
_ERROR = re.compile(r"^pg_restore: (?:error|fatal): (.*)$")


@dataclass
class Restore:
    """Fills the database *target* from one dump."""

    target: Database
    dump: Path
    contents: archive_toc.Contents
    tools: ClientTools
    progress: Progress
    scratch: Path
    jobs: int = 2
    # name -> {version, schema, owner of that schema}: those to create before the dump does.
    extensions: dict[str, dict[str, Any]] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        with self.target.session(name=self.target.maintenance_name, read_only=True) as cursor:
            self.superuser = superuser_role(cursor)

    def run(self) -> None:
        """Bring everything in.

        :raises OpsError: restore.failed with every line that pg_restore said, restore.restoring.
        """
        catalogue = self.prepare()
        how = {"timescaledb": self.has_timescaledb}
        with self.progress.phase("data"):  # how much it will be without its indexes, nobody knows
            kept_off = autovacuum.hold(self.target, **how)
            entries = self.contents.data_not_of(catalogue)
            watch = Watch(self.target, self.target.maintenance_name, SIZE, (self.target.name,))
            self.section("data", entries, jobs=self.jobs, watch=watch)
        with self.progress.phase("post-data", total=self.contents.indexes, unit="indexes"):
            entries = self.contents.without(self._schemas())
            watch = Watch(self.target, self.target.name, INDEXES)
            self.section("post-data", entries, jobs=self.jobs, watch=watch)
        self.end_restoring()
        self.analyze()
        with self.progress.phase("autovacuum"):
            autovacuum.release(self.target, kept_off, **how)

    def prepare(self) -> set[tuple[str, str]]:
        """Bring in all but the rows of tables: extensions, pre-data, the extensions' own tables.

        Return those tables. TimescaleDB is left in restoring mode, with its jobs held.
        """
        if self.extensions:
            with self.progress.phase("extensions"):
                self._create_extensions()
        with self.progress.phase("pre-data"):
            self.section("pre-data", self.contents.without(self._schemas()))
        catalogue = self._extension_tables()
        with self.progress.phase("catalogue"):
            if entries := self.contents.data_of(catalogue):
                self.section("data", entries)
            if self.has_timescaledb:
                timescaledb_held_jobs.hold(self.target)
        return catalogue

    def end_restoring(self) -> None:
        """End restoring mode in a transaction of its own, and see from a new session that it is.

        :raises OpsError: restore.restoring
        """
        if not self.has_timescaledb:
            return
        with self.progress.phase("post-restore"):
            with self._superuser_session() as cursor:
                cursor.execute("SELECT timescaledb_post_restore()")
            with self.target.session(read_only=True) as cursor:
                still = fetch_value(cursor, "SELECT current_setting('timescaledb.restoring')")
            if still != "off":
                raise OpsError(
                    f"{self.target.name} is still in TimescaleDB's restoring mode.",
                    "Restore again; if it stays, see timescaledb_post_restore() in the server log.",
                    code="restore.restoring",
                )

    def _superuser_session(self) -> AbstractContextManager[psycopg2.extensions.cursor]:
        """Give a session of the target in which each statement is a transaction of its own."""
        return self.target.session(superuser=True, autocommit=True)

    @property
    def has_timescaledb(self) -> bool:
        """Tell whether the dump is of a database with TimescaleDB."""
        return TIMESCALEDB in self.extensions

    def _create_extensions(self) -> None:
        with self._superuser_session() as cursor:
            for name, wanted in self.extensions.items():
                if wanted["schema"] not in ("public", "pg_catalog"):
                    owner = wanted.get("owner")
                    cursor.execute(
                        f"CREATE SCHEMA IF NOT EXISTS {quote_ident(wanted['schema'])}"
                        + (f" AUTHORIZATION {quote_ident(owner)}" if owner else "")
                    )
                cursor.execute(
                    f"CREATE EXTENSION IF NOT EXISTS {quote_ident(name)}"
                    f" SCHEMA {quote_ident(wanted['schema'])}"
                    + (f" VERSION {quote_literal(wanted['version'])}" if wanted["version"] else "")
                    + " CASCADE"
                )
        if self.has_timescaledb:
            # A new session: the library of that very version has to be the one that is loaded.
            with self._superuser_session() as cursor:
                cursor.execute("SELECT timescaledb_pre_restore()")

    def _schemas(self) -> list[str]:
        """Return the schemas that were made for extensions: the dump must not make them again."""
        named = {wanted["schema"] for wanted in self.extensions.values()}
        return sorted(named - {"public", "pg_catalog"})

    def _extension_tables(self) -> set[tuple[str, str]]:
        """Return the tables whose rows an extension has dumped: they must be there first."""
        with self.target.session(read_only=True) as cursor:
            return set(
                fetch_all(
                    cursor,
                    """SELECT n.nspname, c.relname
                         FROM pg_extension e, unnest(e.extconfig) AS config(oid)
                         JOIN pg_class c ON c.oid = config.oid
                         JOIN pg_namespace n ON n.oid = c.relnamespace
                        WHERE c.relkind = 'r'""",
                )
            )

    def section(
        self,
        section: str,
        entries: Iterable[str],
        *,
        jobs: int = 1,
        watch: Watch | None = None,
    ) -> None:
        """Run pg_restore for the *entries* that are of *section*; *watch* tells how far it is.

        :raises OpsError: restore.failed
        """
        listing = self.scratch / f"{section}.entries"
        listing.write_text("\n".join(entries) + "\n")
        client = self.tools.start(
            "pg_restore",
            [
                f"--dbname={conninfo(self.target.name)}",
                f"--section={section}",
                f"--use-list={listing}",
                f"--jobs={jobs}",
                "--exit-on-error",
                "--no-password",
                *([f"--role={self.superuser}"] if self.superuser else []),
                str(self.dump),
            ],
            database=self.target.name,
            folders={self.scratch: "ro", self.dump.parent: "ro"},
            settings=session_settings(jobs),
        )
        try:
            if watch:
                with watch:
                    for _ in client.watch():
                        self.progress.update(watch.ask())
            status, said = client.wait(), client.errors()
        finally:
            client.stop()
        if status:
            raise failed(section, said)
        self.warnings += [line for line in said.splitlines() if line.strip()]

    def analyze(self) -> None:
        """Give the planner statistics of every table, on several connections.

        In restoring mode a hypertable is to the server what it is: the parent of its chunks, which
        are all visited by themselves.
        """
        queue: SimpleQueue[str] = SimpleQueue()
        with self.target.session(read_only=True) as cursor:
            names = fetch_all(
                cursor,
                """SELECT format('%I.%I', n.nspname, c.relname)
                     FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                    WHERE c.relkind IN ('r', 'p', 'm') AND NOT c.relispartition
                      AND c.relpersistence <> 't' AND n.nspname !~ '^pg_'
                      AND n.nspname <> 'information_schema'
                    ORDER BY pg_relation_size(c.oid) DESC""",
            )
        for (name,) in names:
            queue.put(name)

        def work(_number: int) -> None:
            with self._superuser_session() as cursor:
                cursor.execute("SET synchronous_commit = off")
                if self.has_timescaledb:
                    cursor.execute("SET timescaledb.restoring = on")
                while True:
                    try:
                        cursor.execute(f"ANALYZE {queue.get_nowait()}")
                    except Empty:
                        return
                    self.progress.update(len(names) - queue.qsize())

        with (
            self.progress.phase("analyze", total=len(names), unit="tables"),
            ThreadPoolExecutor(max_workers=self.jobs) as pool,
        ):
            list(pool.map(work, range(self.jobs)))


@dataclass
class Watch:
    """Asks *database* one number again and again, on a connection that stays open."""

    server: Database
    database: str
    sql: str
    parameters: tuple[str, ...] = ()
    _connection: psycopg2.extensions.connection | None = field(default=None, init=False)

    def __enter__(self) -> Watch:
        return self

    def __exit__(self, *_exc: object) -> None:
        if self._connection is not None:
            self._connection.close()

    def ask(self) -> int:
        """Return the number; 0 where it cannot be had, since it is not worth a failure."""
        try:
            if self._connection is None or self._connection.closed:
                self._connection = self.server.connect(
                    name=self.database, read_only=True, autocommit=True
                )
            with self._connection.cursor() as cursor:
                return fetch_value(cursor, self.sql, self.parameters) or 0
        except (OpsError, psycopg2.Error):
            return 0


def session_settings(jobs: int) -> dict[str, str]:
    """Return what the sessions of *jobs* processes of pg_restore are tuned with.

    Where they fill the processors, each builds its index alone: with the server's own parallel
    workers on top an index phase of two processes on two cores took 11 s instead of 8 s.
    """
    alone = {"max_parallel_maintenance_workers": "0"} if jobs >= (os.cpu_count() or 1) > 1 else {}
    return SESSION | alone


def conninfo(name: str) -> str:
    """Return a connection string for a database of any name; the rest is in the environment."""
    escaped = name.replace("\\", "\\\\").replace("'", "\\'")
    return f"dbname='{escaped}'"


class RestoreError(OpsError):
    """An error of pg_restore; ``rows`` is the table of all that it said."""

    def __init__(self, what: str, remedy: str, *, code: str, rows: list[dict[str, str]]) -> None:
        super().__init__(what, remedy, code=code)
        self.rows = rows


def failed(section: str, said: str) -> RestoreError:
    """Turn what pg_restore said into one error that keeps each object and each reason."""
    rows = errors(said)
    table = [f"{row['object']}: {row['error']}" if row["object"] else row["error"] for row in rows]
    more = f"; and {len(table) - SHOWN_ERRORS} more" if len(table) > SHOWN_ERRORS else ""
    return RestoreError(
        f"pg_restore failed in {section}: {'; '.join(table[:SHOWN_ERRORS])}{more}",
        "The live database was not touched and the copy is dropped. docs/RESTORE.md has the"
        " causes that are known; else take another set.",
        code="restore.failed",
        rows=rows,
    )


def errors(said: str) -> list[dict[str, str]]:
    """Return a row ``{object, error}`` for each error in pg_restore's output, none left out."""
    rows: list[dict[str, str]] = []
    entry = ""
    for line in said.splitlines():
        if match := _ENTRY.match(line):
            entry = match[1]
        elif match := _ERROR.match(line):
            rows.append({"object": entry, "error": match[1]})
        elif line.strip() and not line.startswith("pg_restore: while"):
            if rows:
                rows[-1]["error"] += f" / {line.strip()}"
            else:
                rows.append({"object": "", "error": line.strip()})
    return rows or [{"object": "", "error": "it said nothing"}]
