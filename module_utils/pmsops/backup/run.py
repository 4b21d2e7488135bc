# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""A backup run: one snapshot, everything read under it, one rename at the end."""

from __future__ import annotations

import shutil
import socket
from collections.abc import Callable
from contextlib import ExitStack, closing, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import psycopg2
from ansible.module_utils.pmsops.backup import (
    attempts,
    leftovers,
    preflight,
    row_checks,
    sealing,
    surroundings,
    trial,
    verdict,
)
from ansible.module_utils.pmsops.backup.dump import Dump, described, of_snapshot, options_of
from ansible.module_utils.pmsops.backup.settings import Settings
from ansible.module_utils.pmsops.client_tools import factory as client_tools
from ansible.module_utils.pmsops.client_tools import pg_dump
from ansible.module_utils.pmsops.client_tools.base import ClientTools
from ansible.module_utils.pmsops.common import file_system, files, process_lock
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.common.progress import Progress
from ansible.module_utils.pmsops.common.timestamps import UTC, utc_stamp
from ansible.module_utils.pmsops.common.version import TOOL
from ansible.module_utils.pmsops.postgresql import (
    canary,
    catalog,
    fingerprint,
    not_restored,
    table_locks,
)
from ansible.module_utils.pmsops.postgresql import timescaledb_postponed_jobs as jobs
from ansible.module_utils.pmsops.postgresql.connection import Database, fetch_value
from ansible.module_utils.pmsops.postgresql.snapshot import Snapshot
from ansible.module_utils.pmsops.repository import encryption, manifest, retention, sets, shrinkage
from ansible.module_utils.pmsops.restore import warm_copy
from ansible.module_utils.pmsops.restore.journal import Journal


def run(
    database: Database,
    settings: Settings,
    *,
    progress: Progress,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> dict[str, Any]:
    """Make a backup set, prune what the policy lets go, and return what was done.

    :raises OpsError: lock.held, backup.*, database.*, clients.*, disk.full, files.unwritable.
    """
    state = preflight.writable_root(settings.root)
    lock = process_lock.exclusive(state / sets.BACKUP_LOCK, "backup")
    with lock, closing(progress):  # also of a failed run: status would show it as running
        tools = client_tools.for_database(database)
        cleaned = leftovers.clean(settings.root, database, copy=settings.moment is not None)
        made = preflight.check(database, tools, settings)
        settings = preflight.with_statistics(settings, made)
        settings, fewer = preflight.fitting(database, settings)
        run = _Run(database, settings, tools, progress, now)
        run.warnings += file_system.first_use(state) + preflight.older_tools(made) + fewer
        result = run.execute()
        # By a clock that was set back the new set may look old; this run does not judge it.
        expired = retention.expired(settings.root, settings.policy, keep_moments=True)
        gone = [p for p in expired if p.name != result["id"] and not settings.moment]
        with progress.phase("prune", total=len(gone), unit="sets"):
            removed, stay = retention.prune(gone)
        run.warnings += stay
        run.warnings += warm_copy.drop_without_set(database, settings.root, removed)
        with suppress(OpsError):  # a restore has its journal's room then, however full the disk is
            Journal.of_root(settings.root).reserve()
    return result | {
        "removed": removed,
        "cleaned": cleaned,
        "versions": made,
    }


def plan(database: Database, settings: Settings) -> dict[str, Any]:
    """Return what ``run`` would do, from a read-only connection; nothing is written.

    :raises OpsError: those of the checks before a backup.
    """
    tools = client_tools.for_database(database)
    made = preflight.check(database, tools, settings)
    preflight.fitting(database, settings)
    with database.session(read_only=True) as cursor:
        catalog.prepare(cursor)
        relations = fingerprint.relations(cursor)
        size = fetch_value(cursor, "SELECT pg_database_size(current_database())")
    return {
        "tables": len(relations),
        "versions": made,
        "database_bytes": size,
        "estimated_bytes": preflight.estimate(settings.root, size),
        "removed": [path.name for path in retention.expired(settings.root, settings.policy)],
    }


class _Run:
    """One run from snapshot to rename."""

    def __init__(
        self,
        database: Database,
        settings: Settings,
        tools: ClientTools,
        progress: Progress,
        now: Callable[[], datetime],
    ) -> None:
        self.database = database
        self.settings = settings
        self.tools = tools
        self.progress = progress
        self.now = now
        self.warnings: list[str] = []
        self.recipients = encryption.parse_recipients(settings.recipients)

    def execute(self) -> dict[str, Any]:
        started, moment = self.now(), self.settings.moment
        name = preflight.free_name(self.settings.root, moment.at if moment else started)
        known = sets.listed(self.settings.root)
        earlier = [each for each in known if each.name < name or not moment]
        self.warnings += preflight.clock_set_back(earlier, name)
        partial = self.settings.root / f"{sets.PARTIAL}{name}"
        partial.mkdir(mode=0o700)
        try:
            document = self._fill(partial, name, started, earlier)
            saved = sealing.seal(
                partial,
                document,
                earlier,
                keys=self.settings.keys,
                progress=self.progress,
                now=self.now,
                max_shared=self.settings.max_shared,
                warnings=self.warnings,
            )
            final = self.settings.root / name
            partial.rename(final)
            files.sync_folder(self.settings.root)
        except BaseException as exc:
            files.make_removable(partial)
            shutil.rmtree(partial, ignore_errors=True)
            if isinstance(exc, OSError):
                raise file_system.error_of(
                    exc, self.settings.root, then="The unfinished set was removed."
                ) from exc
            if isinstance(exc, psycopg2.Error):
                raise self.database.to_error(exc) from exc
            raise
        if shrunk := document["shrunk"]["findings"]:
            self.warnings += [f"The set has lost data: {line}" for line in shrunk]
            self.warnings.append(shrinkage.remedy(self.settings.root, document))
        total = document["totals"]["bytes"]
        return {
            "set": str(final),
            "id": name,
            "size_bytes": total,
            "new_bytes": total - saved,
            "saved_bytes": saved,
            "rows": document["totals"]["rows"],
            "tables": document["totals"]["tables"],
            "duration_seconds": round((self.now() - started).total_seconds(), 3),
            "phases": self.progress.seconds,
            "warnings": self.warnings,
            "statistics": document["dump"]["statistics"],
            **{name: document[name] for name in ("snapshot_at", "trial", "losses", "not_restored")},
            "shrunk": document["shrunk"]["findings"],
            "parts": surroundings.texts(document),
            "manifest_sha256": files.sha256(final / manifest.NAME),
        }

    def _fill(
        self, partial: Path, name: str, started: datetime, earlier: list[Path]
    ) -> dict[str, Any]:
        """Fill the set's folder; return the manifest so far."""
        token = None
        if self.settings.canary:
            written = canary.write(self.database)
            token = written.token
            self.warnings += written.warnings
        journal = sets.state_folder(self.settings.root) / jobs.JOURNAL
        processes = 1 if self.recipients else self.settings.jobs
        with (
            jobs.PostponedJobs(self._jobs(), journal) as postponed,
            closing(table_locks.LockWatch(self.database)) as lock_watch,
        ):

            def tick(written: int) -> None:
                lock_watch.look()
                postponed.renew()
                self.progress.update(written)

            dump, document, of_rows = attempts.until_won(
                processes, partial, lambda each: self._dump(each, partial, tick), self.warnings
            )
        document |= {"id": name, "started_at": utc_stamp(started), "canary": token}
        document |= getattr(self.settings.moment, "document", {})
        of_losses = verdict.of_losses(dump.readings.losses)
        judged = self._trial(dump, document).joined(of_rows).joined(of_losses)
        document["trial"] = judged.document()
        self.warnings += judged.warnings()
        beside = surroundings.Surroundings(self.settings, partial, self.recipients, self.now)
        self.warnings += beside.application(self.progress)
        return document | beside.parts(self.progress, earlier, self.warnings)

    def _jobs(self) -> jobs.JobCatalogue:
        return jobs.NoJobs() if self.settings.moment else jobs.TimescaleJobs(self.database)

    def _dump(
        self, attempt: attempts.Attempt, partial: Path, tick: Callable[[int], None]
    ) -> tuple[Dump, dict[str, Any], verdict.Verdict]:
        """Dump and read everything under one snapshot; return the manifest so far."""
        with ExitStack() as stack:
            tools = self.tools
            if attempt.number > 1:
                # A sidecar that runs already: pg_dump locks the tables sooner.
                tools = stack.enter_context(tools.together({partial: "rw"}))
            prepared = options_of(self.database, self.settings, partial, attempt.jobs)
            begun = None
            if attempt.quick:
                waiting = pg_dump.waiting(tools, prepared, self.settings.compression)
                begun = stack.enter_context(waiting)
            exported = begun.go if begun else None
            snapshot = stack.enter_context(
                Snapshot(self.database, connections=attempt.readers, locked=True, exported=exported)
            )
            cursor = snapshot.cursors[0]
            options = of_snapshot(prepared, snapshot, self.database, begun=bool(begun))
            server = catalog.server(cursor)
            total = preflight.estimate(self.settings.root, server["size_bytes"])
            with self.progress.phase("dump and fingerprint", total=total):
                dump = Dump(
                    snapshot,
                    options,
                    tools,
                    database_name=self.database.name,
                    tables=self.settings.tables,
                    recipients=self.recipients,
                    compression=self.settings.compression,
                    tick=tick,
                    keep_schema=bool(self.recipients) and self.settings.trial != "none",
                    begun=begun,
                )
                compression, warnings = dump.run()
            of_rows = self._row_checks(cursor)
        lacking = not_restored.not_restored(dump.readings.facts) + dump.readings.not_dumped
        self.warnings += warnings
        self.warnings += [f"A restore does not bring back: {line}" for line in lacking]
        document = {
            "schema_version": manifest.SCHEMA_VERSION,
            "tool": TOOL,
            "database_name": self.database.name,
            "host": socket.gethostname(),
            "snapshot_at": snapshot.taken_at,
            "server": server,
            "tools": {"pg_dump": self.tools.version("pg_dump")},
            "database": dump.readings.database,
            "required_roles": dump.readings.required_roles,
            "roles": dump.readings.roles,
            "dump": described(options, compression),
            "facts": dump.readings.facts,
            "fingerprint_formula": fingerprint.FORMULA,
            "contents": dump.readings.contents,
            "losses": dump.readings.losses,
            "extension_tables": dump.readings.extension_tables,
            "not_restored": lacking,
        }
        return dump, document, of_rows

    def _row_checks(self, cursor: Any) -> verdict.Verdict:
        """Return what a restore of the snapshot's rows would refuse or change."""
        if self.settings.trial == "none":
            return verdict.Verdict(verdict.OFF)
        with self.progress.phase("row checks"):
            found = row_checks.find(cursor)
        found.seconds = self.progress.seconds["row checks"]
        return found

    def _trial(self, dump: Dump, document: dict[str, Any]) -> verdict.Verdict:
        """Return whether the set would restore, as far as a restore without rows can tell."""
        if self.settings.trial == "none":
            return verdict.Verdict(verdict.OFF)
        archive = dump.schema if self.recipients else dump.options.target
        with self.progress.phase("trial"):
            return trial.run(self.database, self.tools, archive, document, self.settings.root)
