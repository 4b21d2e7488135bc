# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""A restore into a staging database, up to its proof; dropped afterwards, it is a drill."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import psycopg2
from ansible.module_utils.pmsops.client_tools import (
    archive_contents,
    archive_parameters,
    archive_toc,
    factory,
)
from ansible.module_utils.pmsops.client_tools.base import ClientTools
from ansible.module_utils.pmsops.common import file_system
from ansible.module_utils.pmsops.common.errors import ENDINGS, OpsError
from ansible.module_utils.pmsops.common.progress import Progress
from ansible.module_utils.pmsops.common.timestamps import UTC, utc_stamp
from ansible.module_utils.pmsops.postgresql import event_triggers
from ansible.module_utils.pmsops.postgresql.connection import Database
from ansible.module_utils.pmsops.repository import reading, sets
from ansible.module_utils.pmsops.restore import (
    database_lock,
    extension_tables,
    preflight,
    proof,
    registry,
    requirements,
    role_restore,
    run_report,
    scratch,
    slot_handover,
    staging_database,
    versions,
    warm_copies,
)
from ansible.module_utils.pmsops.restore.journal import Journal
from ansible.module_utils.pmsops.restore.phases import PhasedRestore
from ansible.module_utils.pmsops.restore.request import Request


def restore_set(database: Database, request: Request, *, progress: Progress) -> dict[str, Any]:
    """Restore the set into a staging database and prove it; keep it if asked, else drop it.

    :raises OpsError: lock.held, restore.*, set.*, signing.*, disk.*; restore.different if the
        staging database does not match the manifest. It is dropped after any error.
    """
    began = datetime.now(UTC)
    with (
        file_system.coded(request.root),
        database_lock.exclusive(database, request.root, "restore"),
    ):
        try:
            restore = StagedRestore(database, request, progress)
            with reading.held(restore.backup_set.folder), closing(restore):
                proved = restore.execute(Journal.of_root(request.root))
        except psycopg2.Error as exc:
            raise database.to_error(exc) from exc
        finally:
            progress.close()
    duration = (datetime.now(UTC) - began).total_seconds()
    return {"differences": 0} | vars(proved) | run_report.of(restore, began, duration, proved)


@dataclass
class StagedRestore:
    """One run, from the preflight to the proved staging database."""

    database: Database
    request: Request
    progress: Progress
    verified: str = ""
    # Both None for a set with a manifest.
    toc: archive_toc.Contents | None = None
    contents: archive_contents.Contents | None = None
    warnings: list[str] = field(default_factory=list)
    staging: str = ""
    kept: bool = False

    def __post_init__(self) -> None:
        self.tools = factory.for_database(self.database)
        self.backup_set = self.request.backup_set
        self.document = self.request.document()
        self.copies = warm_copies.WarmCopies(self.database, self.request)

    def close(self) -> None:
        """Wait until the client tools have left nothing behind."""
        self.tools.settle()

    def check(self) -> None:
        """Refuse a set or a server that the restore would fail on; nothing is changed."""
        if self.backup_set.naive:
            self.toc = archive_toc.read(self.tools, self.backup_set.dump)
            self.contents = archive_contents.read(
                self.tools, self.backup_set.dump, progress=self.progress.update
            )
            self.verified = "the archive can be read to its end; there is no manifest"
            self.required = requirements.of_archive(self.toc, self.contents)
        else:
            sets.check(self.backup_set, self.request.keys, trust=self.request.trust)
            self.verified = "signature and every file"
            self.required = requirements.of_manifest(self.document)
        if self.backup_set.encrypted:
            self.request.identity_for(self.backup_set.dump)
        self.server = preflight.check(
            self.database,
            self.required,
            self.tools,
            force_name=self.request.force_name,
            create_roles=self.request.create_roles and not self.backup_set.naive,
            spare_bytes=self.copies.spare_bytes(),
        )
        self.server.notes += self.request.notes()
        taken = set(registry.read_from(self.database))
        self.staging = registry.free_name(self.database.name, registry.STAGING, taken)

    def execute(self, journal: Journal) -> proof.Proof:
        """Fill and prove the staging database, or prove again the one of an interrupted run."""
        with self.progress.phase("preflight"):
            self.check()
            if self.request.keep:
                slot_handover.require_swappable(self.database, handling=self.request.slots)
                self.request.require_consent()
        waiting = self._waiting(journal)
        if waiting:
            self.staging = waiting
        elif proved := self.copies.prove_former(self.document, self.progress):
            self.staging, self.kept = str(self.copies.former), True
            self.begin(journal)
            journal.record("proved")
            self.warnings += role_restore.give_passwords(self.database, self.required, self.request)
            return proved
        else:
            self.begin(journal)
        staging = self.database.named(self.staging)
        try:
            if waiting:
                proved = proof.again(self._prove, self.database, staging)
            else:
                proved = self.copies.prove(self._prove)
                if proved:
                    self._create_roles()
                    self.copies.take(self.staging, self._mark("proved"))
            if proved is None:
                self.copies.make_room(self.server)
                self.progress.expect(self.request.expected_seconds())
                self.fill(staging, PhasedRestore.run)
                with self.progress.phase("settings"):
                    self._apply_settings(staging)
                proved = self._prove(staging)
            self.warnings += role_restore.give_passwords(self.database, self.required, self.request)
            if self.request.keep:
                registry.set_mark(self.database, self.staging, self._mark("proved"))
        except BaseException as exc:
            self.copies.leave()
            stays = staging_database.drop_or_explain(self.database, self.staging)
            if stays is None:  # otherwise the next run tries again
                journal.close()
            if isinstance(exc, ENDINGS):
                exc.args = (f"{exc} {stays or 'The staging database was dropped.'}",)
            raise
        if self.request.keep:
            self.kept = True
            journal.record("proved")
        else:
            with self.progress.phase("drop"):
                mark = self._mark("warm")
                self.warnings += self.copies.keep_or_drop(
                    self.staging, mark, proved.objects_sha256, self.server
                )
            journal.close()
        return proved

    def begin(self, journal: Journal) -> None:
        """Record that a staging database will be created.

        :raises OpsError: restore.unfinished if the previous run left something.
        """
        if journal.state:
            raise OpsError(
                f"The previous restore did not finish (step '{journal.state['step']}').",
                "Run dr_restore.yml again: its first step finishes that run or cleans up after it.",
                code="restore.unfinished",
            )
        journal.reserve()
        journal.record(
            "aside",
            live=self.database.name,
            side=self.staging,
            set=str(self.backup_set.path),
            manifest_sha256=self.backup_set.manifest_sha256,
        )

    def _waiting(self, journal: Journal) -> str | None:
        """Return the staging database of this very set that waits, proved, for its swap."""
        wanted = self.backup_set.manifest_sha256
        if not (self.request.keep and journal.proved and wanted):
            return None
        if journal.state.get("manifest_sha256") != wanted:
            return None
        name = journal.state.get("side")
        found = registry.read_from(self.database).get(str(name))
        return name if found is not None and found.kind == registry.STAGING else None

    def _mark(self, step: str) -> dict[str, Any]:
        return {
            "is": registry.STAGING,
            "of": self.database.name,
            "since": utc_stamp(datetime.now(UTC)),
            "step": step,
            "set": self.backup_set.id,
            "manifest_sha256": self.backup_set.manifest_sha256,
            "comment": self.document.get("database", {}).get("comment"),
            event_triggers.MARKED: event_triggers.own(
                self.required.described.get("settings") or {},
                self.contents.properties if self.contents else (),
            ),
        }

    def require_known_parameters(self, tools: ClientTools, dump: Path) -> None:
        """Refuse a dump whose own text sets what the server does not know.

        :raises OpsError: restore.archive-parameter
        """
        parameters = versions.of_settings(self.required.described) | archive_parameters.read(
            tools, dump
        )
        versions.require_known(self.database, parameters, self.required.made_by.get("server"))

    def fill(self, staging: Database, work: Callable[[PhasedRestore], None]) -> None:
        """Create the staging database, and let *work* restore into it."""
        described = dict(self.required.described)
        if described["owner"] is None:
            raise OpsError(
                f"{self.backup_set.dump} does not name the owner of the database.",
                "Take a dump of a whole database, made by pg_dump -Fc without -t or -n.",
                code="restore.partial-dump",
            )
        encrypted = self.backup_set.encrypted
        memory = self.backup_set.dump.stat().st_size if encrypted else 0
        with scratch.folder(self.request.root, memory_bytes=memory) as folder:
            dump = self.backup_set.dump
            if encrypted:
                with self.progress.phase("decrypt"):
                    dump = scratch.decrypt(dump, self.request.identity_for(dump), folder)
            with self.tools.together({folder: "ro", dump.parent: "ro"}) as tools:
                contents = (self.toc or archive_toc.read(tools, dump)).without_extensions(
                    self.request.without_extensions, self.request.left_out_members()
                )
                self.require_known_parameters(tools, dump)
                self._create_roles()
                with self.progress.phase("create"):
                    mark = registry.mark_text(self._mark("restoring"))
                    staging_database.create(self.database, staging.name, described, mark)
                work(
                    PhasedRestore(
                        target=staging,
                        dump=dump,
                        contents=contents,
                        tools=tools,
                        progress=self.progress,
                        scratch=folder,
                        jobs=self.request.jobs,
                        extensions=self.server.extensions,
                        warnings=self.warnings,
                        notes=self.server.notes,
                    )
                )

    def _create_roles(self) -> None:
        self.warnings += role_restore.create(
            self.database,
            self.server.missing_roles,
            self.required.role_facts,
            self.backup_set.dump.parent,
            self.request.identity,
        )

    def _apply_settings(self, staging: Database) -> None:
        if self.contents:
            staging_database.apply_properties(self.database, staging.name, self.contents.properties)
        else:
            staging_database.apply_settings(self.database, staging.name, self.required.described)

    def _prove(self, staging: Database) -> proof.Proof:
        if requirements.TIMESCALEDB in self.required.extensions:
            with self.progress.phase("liveness"):
                proof.require_liveness(staging)
        if self.contents:
            return proof.of_archive(staging, self.contents, self.request, self.progress)
        with extension_tables.of_left_out(staging, self.request):
            return proof.of_set(
                staging, self.document, self.request, self.progress, self.server.other_versions
            )
