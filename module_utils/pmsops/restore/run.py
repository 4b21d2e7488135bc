# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""A restore run up to the proved copy, and a drill of it."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg2
from ansible.module_utils.pmsops.client_tools import archive_contents as naive
from ansible.module_utils.pmsops.client_tools import archive_toc, pg_dumpall
from ansible.module_utils.pmsops.client_tools import factory as client_tools
from ansible.module_utils.pmsops.common import files, process_lock
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.common.progress import Progress
from ansible.module_utils.pmsops.common.timestamps import utc_stamp
from ansible.module_utils.pmsops.postgresql import (
    canary,
    timescaledb_held_jobs,
    timescaledb_workers,
)
from ansible.module_utils.pmsops.postgresql.connection import Database, fetch_value
from ansible.module_utils.pmsops.repository import encryption, manifest, sets, signing
from ansible.module_utils.pmsops.restore import data_loss as loss
from ansible.module_utils.pmsops.restore import journal as restore_journal
from ansible.module_utils.pmsops.restore import phases as restore
from ansible.module_utils.pmsops.restore import preflight, scratch
from ansible.module_utils.pmsops.restore import registry as beside
from ansible.module_utils.pmsops.restore import staging_database as side
from ansible.module_utils.pmsops.verify import database as proof
from ansible.module_utils.pmsops.verify import differences, queries

LOCK = "restore.lock"
PROGRESS = "restore.progress"
PROVED = "signature, every file, every object and every row"
PROVED_NAIVE = (
    "the archive is whole and every table has as many rows as it holds; without a manifest nothing"
    " says whether the values are the right ones, or whether anybody changed the dump"
)
# A restore takes about three times as long as the dump of the same data with its fingerprints.
SHARE_OF_DUMP = 3


@dataclass(frozen=True)
class Request:
    """What an operator asks for."""

    root: Path
    keys: Path
    file: Path | None = None
    jobs: int = 2
    trust: str | None = None
    identity: Path | None = None
    force_name: bool = False
    create_roles: bool = False
    keep: bool = False
    shown: int = differences.SHOWN_PER_KIND
    queries: tuple[queries.Query, ...] = ()

    @property
    def progress_file(self) -> Path:
        """Where a running restore says how far it is."""
        return self.root / sets.STATE / PROGRESS

    def chosen(self) -> sets.BackupSet:
        """Return the set that is meant: the one named, else the newest."""
        return sets.resolve(self.file or sets.newest(self.root))


def plan(database: Database, request: Request, counted: Sequence[str] = ()) -> dict[str, Any]:
    """Return what a restore would find, do and lose; nothing is changed.

    *counted* are the tables whose rows are compared with the set's.
    """
    chosen = request.chosen()
    one = Run(database, request, chosen, Progress())
    one.check()
    document = chosen.manifest or {}
    found = beside.present(database)
    size = one.wanted.size_bytes
    return {
        "set": str(chosen.folder or chosen.dump),
        "id": chosen.id,
        "side": one.side,
        "verified": one.verified,
        "former": [
            each.name for each in beside.of(found, database.name, beside.FORMER, beside.UNDONE)
        ],
        "live_exists": database.name in found,
        "lost": _lost(database, document, counted) if database.name in found else None,
        "size_bytes": size,
        "tables": len(document["contents"]) if document else None,
        "rows": manifest.rows(document) if document else None,
        "duration_seconds": expected_seconds(request.root, chosen),
        "snapshot_at": document.get("snapshot_at"),
        "notes": one.server.notes,
    }


def _lost(database: Database, document: dict[str, Any], counted: Sequence[str]) -> str:
    if not document:
        return "everything committed since the dump was made; without a manifest nobody knows when"
    return loss.of(database, document, list(counted), now=datetime.now(UTC))["text"]


def same(database: Database, request: Request) -> dict[str, Any] | None:
    """Return what to say where the live database is what the set says; None where it is not.

    :raises OpsError: set.*, signing.*
    """
    chosen = request.chosen()
    if chosen.manifest is None:
        return None
    # Nothing of a manifest is taken at its word before its signature is.
    signing.check(chosen.manifest, request.keys, trust=request.trust)
    try:
        if not proof.matches(database, chosen.manifest):
            return None
    except (OpsError, psycopg2.Error):
        return None  # what cannot be read needs the restore
    sets.check(chosen, request.keys, trust=request.trust)
    return {
        "set": str(chosen.folder),
        "id": chosen.id,
        "side": None,
        "verified": "the live database is exactly this",
        "snapshot_at": chosen.manifest["snapshot_at"],
        "tables": len(chosen.manifest["contents"]),
        "rows": manifest.rows(chosen.manifest),
        "size_bytes": chosen.manifest["server"]["size_bytes"],
        "manifest_sha256": files.sha256(chosen.folder / manifest.NAME),
        "duration_seconds": None,
        "notes": [],
    }


def run(database: Database, request: Request, *, progress: Progress) -> dict[str, Any]:
    """Restore the set aside and prove it; keep the copy where asked, else drop it.

    :raises OpsError: lock.held, restore.*, set.*, signing.*, and restore.different where the copy
        is not what the manifest says; the copy is dropped then.
    """
    began = datetime.now(UTC)
    state = sets.state_folder(request.root)
    with process_lock.exclusive(state / LOCK, "restore"), one_of_this_server(database):
        try:
            one = Run(database, request, request.chosen(), progress)
            with closing(one):
                result = one.execute(restore_journal.Journal.open(state / restore_journal.NAME))
        except psycopg2.Error as exc:
            raise database.to_error(exc) from exc
        finally:
            progress.close()
    duration = (datetime.now(UTC) - began).total_seconds()
    return result | one.described(began, duration)


@contextmanager
def one_of_this_server(database: Database) -> Iterator[None]:
    """Keep restores of one database from each other, whichever machine they are run from.

    :raises OpsError: restore.elsewhere
    """
    connection = database.connect(name=database.maintenance_name, autocommit=True)
    try:
        with connection.cursor() as cursor:
            # A killed run's session takes the server a moment to notice.
            for _ in range(30):
                if fetch_value(
                    cursor,
                    "SELECT pg_try_advisory_lock(hashtext('pms-ops restore'), hashtext(%s))",
                    (database.name,),
                ):
                    break
                time.sleep(0.1)
            else:
                raise OpsError(
                    f"Another machine restores or swaps {database.name} right now.",
                    "Wait for it. If it is dead, end its session: SELECT pid, client_addr FROM"
                    " pg_stat_activity WHERE application_name = 'pms-ops'.",
                    code="restore.elsewhere",
                )
        yield
    finally:
        connection.close()


def expected_seconds(root: Path, chosen: sets.BackupSet) -> float | None:
    """Return about how long a restore takes: as the last one did, for its size."""
    size = (chosen.manifest or {}).get("server", {}).get("size_bytes")
    for folder in reversed(sets.listed(root)):
        record = sets.verification(folder) or {}
        if size and record.get("duration_seconds") and record.get("size_bytes"):
            return round(record["duration_seconds"] * size / record["size_bytes"], 1)
    spent = (chosen.manifest or {}).get("phases", {}).get("dump and fingerprint")
    return round(SHARE_OF_DUMP * spent, 1) if spent else None


@dataclass
class Run:
    """One run from the checks to the proved copy."""

    database: Database
    request: Request
    chosen: sets.BackupSet
    progress: Progress
    verified: str = ""
    naive: naive.Contents | None = None
    contents: archive_toc.Contents | None = None
    warnings: list[str] = field(default_factory=list)
    side: str = ""
    kept: bool = False
    canary: bool | None = None

    def __post_init__(self) -> None:
        self.tools = client_tools.for_database(self.database)
        self.document = self.chosen.manifest or {}
        self.sha256 = (
            files.sha256(self.chosen.folder / manifest.NAME) if self.chosen.folder else None
        )

    def close(self) -> None:
        """Wait until nothing is left of the client tools."""
        self.tools.settle()

    def check(self) -> None:
        """Refuse what would fail; nothing is changed."""
        if self.chosen.naive:
            self.contents = archive_toc.read(self.tools, self.chosen.dump)
            self.naive = naive.read(self.tools, self.chosen.dump, progress=self.progress.update)
            self.verified = "the archive can be read to its end; there is no manifest"
            self.wanted = self._wanted_by_naive()
        else:
            sets.check(self.chosen, self.request.keys, trust=self.request.trust)
            self.verified = "signature and every file"
            self.wanted = preflight.wanted_by(self.chosen)
        if self.document.get("dump", {}).get("encrypted") and self.request.identity is None:
            raise OpsError(
                f"{self.chosen.dump} is encrypted.",
                "Give the identity file of one of its recipients: -e restore_identity_file=...",
                code="encryption.no-identity",
            )
        self.server = preflight.check(
            self.database,
            self.wanted,
            self.tools,
            force_name=self.request.force_name,
            create_roles=self.request.create_roles and not self.chosen.naive,
        )
        taken = set(beside.present(self.database))
        self.side = beside.free_name(self.database.name, beside.COPY, taken)

    def _wanted_by_naive(self) -> preflight.Wanted:
        found = self.naive
        described = found.described()
        return preflight.Wanted(
            database_name=self.contents.database,
            server_major=self.contents.server_major,
            extensions={
                name: {
                    "schema": schema,
                    "version": found.timescaledb_version if name == preflight.TIMESCALEDB else None,
                }
                for name, schema in found.extensions.items()
            },
            described=described,
            roles=found.roles | ({found.owner} if found.owner else set()),
        )

    def execute(self, journal: restore_journal.Journal) -> dict[str, Any]:
        """Make and prove the copy, or go on with the proved one of a run that ended before."""
        with self.progress.phase("preflight"):
            self.check()
        waiting = self._waiting(journal)
        if waiting:
            self.side = waiting
        else:
            self.begin(journal)
            self.progress.expect(expected_seconds(self.request.root, self.chosen))
        copy = self.database.named(self.side)
        try:
            if not waiting:
                self.fill(copy, restore.Restore.run)
                with self.progress.phase("settings"):
                    self._bring_settings(copy)
            self._alive(copy)
            result = self._prove(copy)
            if self.request.keep:
                beside.comment(self.database, self.side, self._mark("proved"))
        except BaseException:
            with suppress(OpsError, psycopg2.Error):  # what could not be dropped stays journalled
                side.drop(self.database, self.side)
                journal.close()
            raise
        if self.request.keep:
            self.kept = True
            journal.record("proved")
        else:
            with self.progress.phase("drop"):
                side.drop(self.database, self.side)
            journal.close()
        return result

    def begin(self, journal: restore_journal.Journal) -> None:
        """Record that a copy will be made.

        :raises OpsError: restore.unfinished where a run before has left something.
        """
        if journal.state:
            raise OpsError(
                f"A restore before this one did not finish (step '{journal.state['step']}').",
                "Run dr_restore.yml again: its first step finishes or cleans up that one.",
                code="restore.unfinished",
            )
        journal.record(
            "aside",
            live=self.database.name,
            side=self.side,
            set=str(self.chosen.folder or self.chosen.dump),
            manifest_sha256=self.sha256,
        )

    def _waiting(self, journal: restore_journal.Journal) -> str | None:
        """Return the copy of this very set that an earlier run has proved and not swapped."""
        name = journal.state.get("side")
        if not (self.request.keep and journal.proved and self.sha256):
            return None
        if journal.state.get("manifest_sha256") != self.sha256:
            return None
        return name if name in beside.present(self.database) else None

    def _mark(self, step: str) -> dict[str, Any]:
        return {
            "is": beside.COPY,
            "of": self.database.name,
            "since": utc_stamp(datetime.now(UTC)),
            "step": step,
            "set": self.chosen.id,
            "manifest_sha256": self.sha256,
            "comment": self.document.get("database", {}).get("comment"),
        }

    def fill(self, copy: Database, work: Callable[[restore.Restore], None]) -> None:
        """Create the copy, and have *work* restore into it."""
        self._create_roles()
        described = dict(self.wanted.described)
        if described["owner"] is None:
            raise OpsError(
                f"{self.chosen.dump} does not say whom the database belongs to.",
                "Take a dump of a whole database, made by pg_dump -Fc without -t or -n.",
                code="restore.partial-dump",
            )
        with self.progress.phase("create"):
            mark = beside.mark_text(self._mark("restoring"))
            side.create(self.database, copy.name, described, mark)
        encrypted = bool(self.document.get("dump", {}).get("encrypted"))
        memory = self.chosen.dump.stat().st_size if encrypted else 0
        with scratch.folder(self.request.root, memory_bytes=memory) as folder:
            dump = self.chosen.dump
            if encrypted:
                with self.progress.phase("decrypt"):
                    dump = self._decrypted(folder)
            with self.tools.together({folder: "ro", dump.parent: "ro"}) as tools:
                one = restore.Restore(
                    target=copy,
                    dump=dump,
                    contents=self.contents or archive_toc.read(tools, dump),
                    tools=tools,
                    progress=self.progress,
                    scratch=folder,
                    jobs=self.request.jobs,
                    extensions=self.server.extensions,
                    warnings=self.warnings,
                )
                work(one)

    def _bring_settings(self, copy: Database) -> None:
        if self.naive:
            side.bring_properties(self.database, copy.name, self.naive.properties)
        else:
            side.bring_settings(self.database, copy.name, self.wanted.described)

    def _alive(self, copy: Database) -> None:
        """See that the copy's scheduler runs and that its hypertables take rows.

        :raises OpsError: restore.no-scheduler, restore.not-writable
        """
        if preflight.TIMESCALEDB not in self.wanted.extensions:
            return
        with self.progress.phase("liveness"):
            timescaledb_workers.start_workers(copy)
            timescaledb_workers.workers(
                copy, "stop"
            )  # they take a slot each until the copy is live
            refused = timescaledb_workers.insert_test(copy)
        if refused:
            raise OpsError(
                "The copy does not take rows: " + "; ".join(refused[:5]),
                "Restore another set; the live database was not touched.",
                code="restore.not-writable",
            )

    def _prove(self, copy: Database) -> dict[str, Any]:
        if self.naive:
            total = len(self.naive.rows)
            with self.progress.phase("prove", total=total, unit="tables"):
                found = proof.naive_differences(copy, self.naive, progress=self.progress)
                self.warnings += proof.invalid_objects(copy)
        else:
            total = len(self.document["contents"])
            with self.progress.phase("prove", total=total, unit="tables"):
                found = proof.differences(
                    copy,
                    self.document,
                    progress=self.progress,
                    other_versions=self.server.other_versions,
                )
        if found:
            raise OpsError(
                f"The copy differs from the set in {len(found)} points: "
                + "; ".join(differences.lines(found, shown=self.request.shown)),
                "The live database was not touched and the copy was dropped. Take another set, and"
                " keep this one for whoever finds out why.",
                code="restore.different",
            )
        self._see_canary(copy)
        with self.progress.phase("queries", total=len(self.request.queries), unit="queries"):
            answers = queries.ask(copy, self.request.queries)
        self.verified = PROVED_NAIVE if self.naive else PROVED
        with copy.session(read_only=True) as cursor:
            held = timescaledb_held_jobs.held(cursor)
        rows = sum(self.naive.rows.values()) if self.naive else manifest.rows(self.document)
        return {"differences": 0, "tables": total, "rows": rows, "queries": answers, "jobs": held}

    def _see_canary(self, copy: Database) -> None:
        """Refuse a copy without the row that was written just before this very backup.

        :raises OpsError: restore.canary
        """
        token = self.document.get("canary")
        if not token:
            return
        with copy.session(read_only=True) as cursor:
            self.canary = canary.seen(cursor, token)
        if not self.canary:
            raise OpsError(
                f"The copy lacks the canary row {token} written before the backup.",
                "What was restored is not this backup. Take another set.",
                code="restore.canary",
            )

    def described(self, began: datetime, duration: float) -> dict[str, Any]:
        """Return what is to be reported of the run, and record in the set that it was proved."""
        snapshot = self.document.get("snapshot_at")
        size = self.wanted.size_bytes
        result = {
            "set": str(self.chosen.folder or self.chosen.dump),
            "id": self.chosen.id,
            "side": self.side if self.kept else None,
            "verified": self.verified,
            "canary": self.canary,
            "phases": self.progress.seconds,
            "duration_seconds": round(duration, 3),
            "duration_today_seconds": self._today(duration, size),
            "snapshot_at": snapshot,
            "rpo_seconds": round((began - datetime.fromisoformat(snapshot)).total_seconds(), 3)
            if snapshot
            else None,
            "system_identifier": self.document.get("server", {}).get("system_identifier"),
            "manifest_sha256": self.sha256,
            "size_bytes": size,
            "notes": self.server.notes,
            "warnings": self.warnings,
        }
        if self.chosen.folder:
            sets.mark_verified(
                self.chosen.folder,
                {
                    "canary": self.canary,
                    "rows": manifest.rows(self.document),
                    "tables": len(self.document["contents"]),
                    "duration_seconds": round(duration, 3),
                    "size_bytes": size,
                },
            )
        return result

    def _today(self, duration: float, size: int | None) -> float | None:
        """Return how long it would take at the size that the live database has today."""
        if not size:
            return None
        with self.database.session(name=self.database.maintenance_name, read_only=True) as cursor:
            now = fetch_value(
                cursor,
                "SELECT pg_database_size(oid) FROM pg_database WHERE datname = %s",
                (self.database.name,),
            )
        return round(duration * now / size, 3) if now else None

    def _create_roles(self) -> None:
        """Create missing roles as globals.sql describes them; it knows no passwords.

        :raises OpsError: restore.roles where globals.sql does not have one of them.
        """
        if not self.server.missing_roles:
            return
        found = pg_dumpall.roles(self._globals())
        for name in self.server.missing_roles:
            if name not in found:
                raise OpsError(
                    f"{pg_dumpall.NAME} of the set does not say how to create role {name}.",
                    f"Create role {name} by hand, then run again.",
                    code="restore.roles",
                )
            side.run(self.database, found[name])

    def _globals(self) -> str:
        path = self.chosen.dump.parent / pg_dumpall.NAME
        if path.exists():
            return path.read_text()
        path = path.with_name(pg_dumpall.NAME + encryption.SUFFIX)
        if not path.exists():
            return ""
        with encryption.decrypted(path, self.request.identity) as stream:
            return stream.read().decode()

    def _decrypted(self, folder: Path) -> Path:
        """Return a private plain copy of an encrypted dump, gone with *folder*."""
        target = folder / self.chosen.dump.name.removesuffix(encryption.SUFFIX)
        with (
            encryption.decrypted(self.chosen.dump, self.request.identity) as source,
            target.open("xb") as out,
        ):
            target.chmod(0o600)
            shutil.copyfileobj(source, out, files.BLOCK_BYTES)
        return target
