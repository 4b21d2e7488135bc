# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The trial of a backup set: would this restore?

The schema and the constraints of the set are restored into a database of their own on the same
server, which is dropped again. No rows are restored: what only rows can show, ``row_checks`` looks
for under the snapshot of the backup. A server that has no room for a trial is left alone, and the
verdict says so.
"""

from __future__ import annotations

import time
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import psycopg2
from ansible.module_utils.pmsops.backup.trial_findings import NotRun, to_findings
from ansible.module_utils.pmsops.backup.verdict import (
    NOT_RUN,
    PASSED,
    REFUSED,
    Finding,
    Verdict,
)
from ansible.module_utils.pmsops.client_tools import archive_toc
from ansible.module_utils.pmsops.client_tools.base import ClientTools
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.common.progress import Progress
from ansible.module_utils.pmsops.common.progress import size as human
from ansible.module_utils.pmsops.common.timestamps import UTC, utc_stamp
from ansible.module_utils.pmsops.postgresql import catalog
from ansible.module_utils.pmsops.postgresql.connection import (
    Database,
    fetch_value,
    superuser_role,
)
from ansible.module_utils.pmsops.restore import (
    database_lock,
    preflight,
    registry,
    requirements,
    room,
    scratch,
    staging_database,
)
from ansible.module_utils.pmsops.restore.phases import PhasedRestore
from ansible.module_utils.pmsops.verify import expected_changes

PURPOSE = "trial"
# The lock's session, a superuser's session, pg_restore, and one to spare for the PMS.
FREE_CONNECTIONS = 4
# An empty relation with its rows in the catalogues, and an empty database with its WAL.
RELATION_BYTES = 32 << 10
EMPTY_BYTES = 64 << 20
WAL_FACTOR = 2


def run(
    database: Database,
    tools: ClientTools,
    archive: Path | bytes,
    document: dict[str, Any],
    root: Path,
) -> Verdict:
    """Restore the schema of a set's *archive* into a scratch database, and drop that again.

    *archive* is the dump of the set, or for an encrypted set its schema in memory. *document* is
    its manifest so far. The verdict never ends a backup: what keeps a trial from running is its
    ``reason``.
    """
    began = time.monotonic()
    try:
        with database_lock.server_wide_lock(database, PURPOSE):
            drop_abandoned(database)
            trial = _Trial(database, tools, archive, document, root)
            findings = trial.findings()
        verdict = Verdict(
            REFUSED if findings else PASSED, findings=findings, deviations=trial.deviations
        )
    except NotRun as exc:
        verdict = Verdict(NOT_RUN, reason=str(exc))
    except OpsError as exc:
        verdict = Verdict(NOT_RUN, reason=f"{exc} {exc.remedy}")
    except psycopg2.Error as exc:
        verdict = Verdict(NOT_RUN, reason=str(database.to_error(exc)))
    except OSError as exc:
        verdict = Verdict(NOT_RUN, reason=str(exc))
    verdict.seconds = time.monotonic() - began
    return verdict


def clean(database: Database, root: Path) -> list[str]:
    """Remove what the trial of a killed backup left behind; one that runs elsewhere is left alone.

    The caller holds the lock of the backups of *root*.
    """
    cleaned = [path.name for path in scratch.clean(root, PURPOSE)]
    # The role may have no right to any of it: then no trial was ever run.
    with suppress(OpsError, psycopg2.Error):
        if registry.abandoned(registry.read_from(database), database.name, registry.TRIAL):
            with database_lock.server_wide_lock(database, PURPOSE):
                cleaned += drop_abandoned(database)
    return cleaned


def drop_abandoned(database: Database) -> list[str]:
    """Drop the scratch databases of killed trials, and return those that are gone.

    The caller holds the lock of trials.
    """
    names = registry.abandoned(registry.read_from(database), database.name, registry.TRIAL)
    return [name for name in names if staging_database.drop_or_explain(database, name) is None]


class _Trial:
    """One trial, from the look at the server to the dropped database."""

    def __init__(
        self,
        database: Database,
        tools: ClientTools,
        archive: Path | bytes,
        document: dict[str, Any],
        root: Path,
    ) -> None:
        self.database = database
        self.tools = tools
        self.archive = archive
        self.document = document
        self.root = root
        # Objects of extensions that a restore has otherwise, a line each.
        self.deviations: list[str] = []

    def findings(self) -> list[Finding]:
        """Return what the server refuses of the set.

        :raises NotRun: if the server has no room for a trial.
        """
        required = requirements.of_manifest(self.document)
        try:
            extensions = self._look(required)
        except OpsError as exc:
            if exc.code not in ("restore.extension", "restore.timescaledb-version"):
                raise
            return [Finding("EXTENSION", str(exc), exc.remedy)]
        taken = set(registry.read_from(self.database))
        name = registry.free_name(self.database.name, registry.TRIAL, taken)
        mark = {
            "is": registry.TRIAL,
            "of": self.database.name,
            "since": utc_stamp(datetime.now(UTC)),
            "set": self.document["id"],
        }
        try:
            try:
                staging_database.create(
                    self.database, name, required.described, registry.mark_text(mark)
                )
                rows = self._rehearse(name, extensions)
                rows += self._settings(name, required.described)
                self.deviations = self._changed_members(name)
            except OpsError as exc:
                if exc.code != "restore.locale":
                    raise
                return [Finding(f"DATABASE {self.database.name}", str(exc), exc.remedy)]
        finally:
            # What could not be dropped carries its mark: the next backup drops it.
            with suppress(OpsError, psycopg2.Error):
                staging_database.drop(self.database, name)
        return to_findings(rows)

    def _look(self, required: requirements.Requirements) -> dict[str, dict[str, Any]]:
        """Return the extensions to create, from a server that has room for a trial."""
        with self.database.session(name=self.database.maintenance_name, read_only=True) as cursor:
            if fetch_value(cursor, "SELECT pg_is_in_recovery()"):
                raise NotRun("the server is a standby, which creates no database")
            if superuser_role(cursor) is None:
                raise NotRun(
                    f"role {self.database.user} is not a superuser and cannot become one by SET"
                    " ROLE (docs/database-rights.sql)"
                )
            free = preflight.free_connections(cursor)
            if free < FREE_CONNECTIONS:
                raise NotRun(
                    f"the server has {free} free connections for role {self.database.user}; a"
                    f" trial needs {FREE_CONNECTIONS}"
                )
            if requirements.TIMESCALEDB in required.extensions:
                preflight.require_workers(cursor)
            needed = WAL_FACTOR * (EMPTY_BYTES + RELATION_BYTES * _relations(self.document))
            disk = room.free_bytes(cursor, self.database)
            if disk is not None and disk < needed:
                raise NotRun(
                    f"the server's disk has {human(disk)} free; a trial needs about {human(needed)}"
                )
            return preflight.extensions_to_create(cursor, required.extensions)[0]

    def _rehearse(self, name: str, extensions: dict[str, dict[str, Any]]) -> list[dict[str, str]]:
        memory = len(self.archive) if isinstance(self.archive, bytes) else 0
        with scratch.trial_folder(self.root, memory_bytes=memory) as folder:
            if isinstance(self.archive, bytes):
                dump = folder / "schema.pgdump"
                dump.touch(mode=0o600)
                dump.write_bytes(self.archive)
            else:
                dump = self.archive
            with self.tools.together({folder: "ro", dump.parent: "ro"}) as tools:
                restore = PhasedRestore(
                    target=self.database.named(name),
                    dump=dump,
                    contents=archive_toc.read(tools, dump),
                    tools=tools,
                    progress=Progress(),
                    scratch=folder,
                    extensions=extensions,
                )
                return restore.rehearse()

    def _changed_members(self, name: str) -> list[str]:
        """Return what somebody changed in an extension: no dump has it, and the copy shows it."""
        with self.database.named(name).session(read_only=True) as cursor:
            catalog.prepare(cursor)
            kinds = ("extensions", "extension_objects")
            found = {kind: catalog.of_kind(cursor, kind) for kind in kinds}
        facts = self.document["facts"]
        return expected_changes.changed_members({kind: facts[kind] for kind in kinds}, found)

    def _settings(self, name: str, described: dict[str, Any]) -> list[dict[str, str]]:
        """Apply the database's settings and grants, as a restore does after the objects."""
        try:
            staging_database.apply_settings(self.database, name, described)
        except psycopg2.Error as exc:
            text = " ".join(str(exc).split())
            return [{"object": f"DATABASE PROPERTIES {self.database.name}", "error": text}]
        return []


def _relations(document: dict[str, Any]) -> int:
    """Return about how many relations the schema makes, TOAST tables and their indexes too."""
    facts = document["facts"]
    return 3 * len(facts["tables"]) + len(facts["indexes"]) + len(facts["sequences"])
