# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The phases of a restore into a staging database.

First pre-data; then the extensions' own tables serially, since TimescaleDB's refer to each other
and to objects of pre-data; then all other data and post-data in parallel. Each phase ends at its
first error.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
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
from ansible.module_utils.pmsops.restore import (
    pg_restore_errors,
    planner_statistics,
    progress_query,
)
from ansible.module_utils.pmsops.restore.requirements import TIMESCALEDB

# For the sessions of the restore only; the server's configuration is not touched.
SESSION = {
    "synchronous_commit": "off",
    "maintenance_work_mem": "256MB",
    "jit": "off",
}


@dataclass
class PhasedRestore:
    """Loads one dump into the staging database *target*, phase by phase."""

    target: Database
    dump: Path
    contents: archive_toc.Contents
    tools: ClientTools
    progress: Progress
    scratch: Path
    jobs: int = 2
    # name -> {version, schema, owner of that schema}: to create before pg_restore would.
    extensions: dict[str, dict[str, Any]] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    # Which way the restore took, where there are several.
    notes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        with self.target.session(name=self.target.maintenance_name, read_only=True) as cursor:
            self.superuser = superuser_role(cursor)

    def run(self) -> None:
        """Restore everything.

        :raises OpsError: restore.failed with all errors of pg_restore, restore.restoring.
        """
        catalogue = self.prepare()
        with self.progress.phase("data"):  # its size without indexes is unknown
            held = autovacuum.hold(self.target, timescaledb=self.has_timescaledb)
            entries = self.contents.data_not_of(catalogue)
            watch = progress_query.of_size(self.target)
            self.section("data", entries, jobs=self.jobs, watch=watch)
        with self.progress.phase("post-data", total=self.contents.indexes, unit="indexes"):
            event_triggers = self.contents.event_triggers
            entries = self.contents.without(self._schemas())
            entries = [each for each in entries if each not in event_triggers]
            watch = progress_query.of_indexes(self.target)
            self.section("post-data", entries, jobs=self.jobs, watch=watch)
        self.end_restoring()
        self.analyze()
        with self.progress.phase("autovacuum"):
            autovacuum.release(self.target, held, timescaledb=self.has_timescaledb)
        if event_triggers:
            # Last: before PostgreSQL 17 they would run for each statement of the phases before.
            with self.progress.phase("event triggers"):
                self.section("post-data", event_triggers)

    def prepare(self) -> set[tuple[str, str]]:
        """Restore all but the rows of tables: extensions, pre-data, the extensions' own tables.

        Return the extensions' tables. TimescaleDB is left in restoring mode, with its jobs held.
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
        """End restoring mode in a transaction of its own, and check it from a new session.

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
                    "Restore again. If it happens again, look for timescaledb_post_restore() in the"
                    " server log.",
                    code="restore.restoring",
                )

    def _superuser_session(self) -> AbstractContextManager[psycopg2.extensions.cursor]:
        """Give a session of the target; each statement is a transaction of its own."""
        return self.target.session(superuser=True, autocommit=True)

    @property
    def has_timescaledb(self) -> bool:
        """Tell whether the dump comes from a database with TimescaleDB."""
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
            # In a new session, so that the library of exactly this version is loaded.
            with self._superuser_session() as cursor:
                cursor.execute("SELECT timescaledb_pre_restore()")

    def _schemas(self) -> list[str]:
        """Return the schemas created for extensions, which pg_restore must not create again."""
        named = {wanted["schema"] for wanted in self.extensions.values()}
        return sorted(named - {"public", "pg_catalog"})

    def _extension_tables(self) -> set[tuple[str, str]]:
        """Return the tables whose rows extensions have dumped: they are restored first."""
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

    def rehearse(self) -> list[dict[str, str]]:
        """Restore the schema without rows and chunks, going on after errors; return all of them.

        Each is a row ``{object, error}`` as pg_restore_errors.parse gives it.
        """
        try:
            self._create_extensions()
        except psycopg2.Error as exc:
            return [{"object": "EXTENSION", "error": " ".join(str(exc).split())}]
        status, output = self._pg_restore(
            ("pre-data", "post-data"), self.contents.without_chunks(self._schemas()), stop=False
        )
        return pg_restore_errors.parse(output) if status else []

    def section(
        self,
        section: str,
        entries: Iterable[str],
        *,
        jobs: int = 1,
        watch: progress_query.ProgressQuery | None = None,
    ) -> None:
        """Run pg_restore for the *entries* that belong to *section*; *watch* reports its progress.

        :raises OpsError: restore.failed
        """
        status, output = self._pg_restore((section,), entries, jobs=jobs, watch=watch)
        if status:
            raise pg_restore_errors.to_error(section, output)
        self.warnings += [line for line in output.splitlines() if line.strip()]

    def _pg_restore(
        self,
        sections: Sequence[str],
        entries: Iterable[str],
        *,
        jobs: int = 1,
        watch: progress_query.ProgressQuery | None = None,
        stop: bool = True,
    ) -> tuple[int, str]:
        """Run pg_restore and return its status and output; with *stop* its first error ends it."""
        listing = self.scratch / f"{sections[0]}.entries"
        with listing.open("w") as stream:
            stream.writelines(f"{entry}\n" for entry in entries)
        client = self.tools.start(
            "pg_restore",
            [
                f"--dbname={conninfo(self.target.name)}",
                *(f"--section={section}" for section in sections),
                f"--use-list={listing}",
                f"--jobs={jobs}",
                *(["--exit-on-error"] if stop else []),
                "--no-password",
                "--no-subscriptions",
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
                        self.progress.update(watch.read())
            status, output = client.wait(), client.errors()
        finally:
            client.stop()
        return status, output

    def analyze(self) -> None:
        """Give the planner its statistics: those of the dump if the server takes them.

        The tables that lack some afterwards are analyzed, else all of them. An entry that the
        server refuses ends no restore.
        """
        planner = planner_statistics.PlannerStatistics(
            self.target, self.progress, self.jobs, self.has_timescaledb
        )
        taken = planner.taken_by_server()
        if not (taken and self.contents.statistics):
            planner.analyze_all()
            self.notes += planner_statistics.said_of_all(self.contents, taken=taken)
            return
        refused: list[dict[str, str]] = []
        with self.progress.phase("statistics"):
            entries = planner.entries(self.contents)
            sections = ("data", "post-data")
            status, output = self._pg_restore(sections, entries, jobs=self.jobs, stop=False)
            if status:
                refused = pg_restore_errors.parse(output)
            planner.fit_to_sizes()
        lacking = planner.analyze_lacking()
        self.notes.append(planner_statistics.said_of_taken(len(entries), lacking, refused))


def session_settings(jobs: int) -> dict[str, str]:
    """Return the settings for the sessions of *jobs* processes of pg_restore.

    If the processes fill the processors, each builds its index without parallel workers: with
    them, the index phase of two processes on two cores took 11 s instead of 8 s.
    """
    alone = {"max_parallel_maintenance_workers": "0"} if jobs >= (os.cpu_count() or 1) > 1 else {}
    return SESSION | alone


def conninfo(name: str) -> str:
    """Return a connection string for a database of any name; the environment has the rest."""
    escaped = name.replace("\\", "\\\\").replace("'", "\\'")
    return f"dbname='{escaped}'"
