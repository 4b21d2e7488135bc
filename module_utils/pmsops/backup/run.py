# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""A backup run: one snapshot, everything read under it, one rename at the end."""

from __future__ import annotations

import os
import re
import shutil
import socket
from collections.abc import Callable
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

import psycopg2
from ansible.module_utils.pmsops.client_tools import factory as client_tools
from ansible.module_utils.pmsops.client_tools import pg_dump, pg_dumpall, sidecar
from ansible.module_utils.pmsops.client_tools.base import ClientTools, ToolProcess
from ansible.module_utils.pmsops.common import files, process_lock
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.common.progress import Progress
from ansible.module_utils.pmsops.common.progress import size as human
from ansible.module_utils.pmsops.common.timestamps import utc_stamp
from ansible.module_utils.pmsops.common.version import TOOL
from ansible.module_utils.pmsops.pms import export as application
from ansible.module_utils.pmsops.postgresql import canary, catalog, fingerprint
from ansible.module_utils.pmsops.postgresql import timescaledb_postponed_jobs as jobs
from ansible.module_utils.pmsops.postgresql.connection import (
    Database,
    fetch_all,
    fetch_value,
    quote_ident,
    superuser_role,
)
from ansible.module_utils.pmsops.repository import (
    deduplication,
    encryption,
    manifest,
    retention,
    sets,
)

MIN_SERVER = 140000  # hash_record_extended came with PostgreSQL 14
WAIT_SECONDS = 0.5  # between looks at what still runs once pg_dump has ended
READERS = 2  # connections that fingerprint beside pg_dump's workers
# What a first dump may need at most, as part of the database's size: indexes are not dumped.
FIRST_DUMP_SHARE = 0.5
NEXT_DUMP_SHARE = 1.2


@dataclass(frozen=True)
class Settings:
    """What an operator can say about a backup."""

    root: Path
    keys: Path
    format: str = "directory"
    jobs: int = 2
    compression: str | None = None
    tables: tuple[str, ...] = ()
    api_url: str | None = None
    canary: bool = True
    policy: retention.Policy = field(default_factory=retention.Policy)
    # age's public keys; with any of them the dump is a single stream and every file but the
    # manifest is encrypted.
    recipients: tuple[str, ...] = ()

    @property
    def progress_file(self) -> Path:
        """Where a running backup says how far it is."""
        return self.root / sets.STATE / "backup.progress"


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
    state = _writable(settings.root)
    with process_lock.exclusive(state / "backup.lock", "backup"):
        tools = client_tools.for_database(database)
        cleaned = clean(settings.root, database)
        _preflight(database, tools, settings)
        result = _Run(database, settings, tools, progress, now).execute()
        # By a clock that was set back the new set may look old; this run does not judge it.
        gone = [
            path
            for path in retention.expired(settings.root, settings.policy)
            if path.name != result["id"]
        ]
        with progress.phase("prune", total=len(gone), unit="sets"):
            for folder in gone:
                retention.remove(folder)
    progress.close()
    return result | {"removed": [path.name for path in gone], "cleaned": cleaned}


def plan(database: Database, settings: Settings) -> dict[str, Any]:
    """Return what ``run`` would do, from a read-only connection; nothing is written.

    :raises OpsError: those of the checks before a backup.
    """
    tools = client_tools.for_database(database)
    _preflight(database, tools, settings)
    with database.session(read_only=True) as cursor:
        catalog.prepare(cursor)
        relations = fingerprint.relations(cursor)
        size = fetch_value(cursor, "SELECT pg_database_size(current_database())")
    return {
        "tables": len(relations),
        "database_bytes": size,
        "estimated_bytes": estimate(settings.root, size),
        "removed": [path.name for path in retention.expired(settings.root, settings.policy)],
    }


def clean(root: Path, database: Database) -> list[str]:
    """Remove what dead runs left behind; whoever calls holds the lock, so all of it is dead."""
    cleaned = []
    if database.access == "container":
        cleaned += sidecar.remove_dead()
    for litter in sorted(root.glob(f"{sets.PARTIAL}*")):
        files.make_removable(litter)
        shutil.rmtree(litter)
        cleaned.append(litter.name)
    journal = sets.state_folder(root) / jobs.JOURNAL
    cleaned += [f"job {job} put back" for job in jobs.undo(jobs.TimescaleJobs(database), journal)]
    return cleaned


def estimate(root: Path, database_bytes: int) -> int:
    """Return about how large the next dump will be: as the newest set's, else a share."""
    try:
        recorded = manifest.read(sets.newest(root))["totals"]
        share: float = recorded["bytes"] / max(recorded["database_bytes"], 1)
        return round(share * database_bytes)
    except (OpsError, KeyError):
        return round(database_bytes * FIRST_DUMP_SHARE)


@dataclass
class _Read:
    """What is read beside pg_dump: all that a restore of it must bring back."""

    database: dict[str, Any] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)
    required_roles: list[str] = field(default_factory=list)
    contents: dict[str, Any] = field(default_factory=dict)


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
        started = self.now()
        earlier = sets.listed(self.settings.root)
        name = free_name(self.settings.root, started)
        if earlier and earlier[-1].name > name:
            self.warnings.append(
                f"Set {earlier[-1].name} is dated after this run: a clock was set back. Until it"
                " has caught up, that set passes for the newest; correct the clock."
            )
        partial = self.settings.root / f"{sets.PARTIAL}{name}"
        partial.mkdir(mode=0o700)
        try:
            document = self._fill(partial, name, started)
            saved = self._seal(partial, document, earlier)
            final = self.settings.root / name
            partial.rename(final)
            files.sync_folder(self.settings.root)
        except BaseException as exc:
            files.make_removable(partial)
            shutil.rmtree(partial, ignore_errors=True)
            if isinstance(exc, OSError):
                raise explained_os(exc, self.settings.root) from exc
            if isinstance(exc, psycopg2.Error):
                raise self.database.explained(exc) from exc
            raise
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
            "snapshot_at": document["snapshot_at"],
            "phases": self.progress.seconds,
            "warnings": self.warnings,
            "manifest_sha256": files.sha256(final / manifest.NAME),
        }

    def _fill(self, partial: Path, name: str, started: datetime) -> dict[str, Any]:
        """Dump and read everything under one snapshot; return the manifest so far."""
        from ansible.module_utils.pmsops.postgresql.snapshot import Snapshot

        token = canary.write(self.database) if self.settings.canary else None
        if self.settings.canary and token is None:
            self.warnings.append(
                "No canary row: the maintenance role may not create schema pms_ops. Drills cannot"
                " prove that they restored this very backup."
            )
        journal = sets.state_folder(self.settings.root) / jobs.JOURNAL
        with ExitStack() as stack:
            postponed = stack.enter_context(
                jobs.PostponedJobs(jobs.TimescaleJobs(self.database), journal)
            )
            snapshot = stack.enter_context(Snapshot(self.database, connections=READERS))
            self.renew = postponed.renew
            cursor = snapshot.cursors[0]
            server = catalog.server(cursor)
            stem = f"{file_stem(self.database.name)}_{name}.pgdump"
            job = pg_dump.DumpOptions(
                target=partial / (stem + encryption.SUFFIX * bool(self.recipients)),
                snapshot=snapshot.name,
                format="custom" if self.recipients else self.settings.format,
                jobs=1 if self.recipients else self.settings.jobs,
                role=self._dump_role(cursor),
                stream=bool(self.recipients),
            )
            total = estimate(self.settings.root, server["size_bytes"])
            with self.progress.phase("dump and fingerprint", total=total):
                compression, read = self._dump(snapshot, job)
            document = {
                "schema_version": manifest.SCHEMA_VERSION,
                "id": name,
                "tool": TOOL,
                "database_name": self.database.name,
                "host": socket.gethostname(),
                "started_at": utc_stamp(started),
                "snapshot_at": snapshot.taken_at,
                "server": server,
                "tools": {"pg_dump": self.tools.major("pg_dump")},
                "database": read.database,
                "required_roles": read.required_roles,
                "dump": {
                    "path": job.target.name,
                    "format": job.format,
                    "compression": compression,
                    "jobs": job.jobs,
                    "encrypted": bool(self.recipients),
                },
                "facts": read.facts,
                "fingerprint_formula": fingerprint.FORMULA,
                "contents": read.contents,
                "canary": token,
            }
        if self.settings.api_url:
            with self.progress.phase("application"):
                content, missing = application.export(self.settings.api_url)
                with self._file(partial, application.NAME) as stream:
                    stream.write(content)
            if missing:
                self.warnings.append("The PMS did not give: " + ", ".join(missing))
        return document

    def _dump(self, snapshot: Any, job: pg_dump.DumpOptions) -> tuple[str, _Read]:
        """Run pg_dump; beside it, on the same snapshot, read what proves a restore of it."""
        read = _Read()

        def describe() -> None:
            cursor = snapshot.cursors[0]
            read.database = catalog.database(cursor)
            read.facts = catalog.facts(cursor)
            read.required_roles = catalog.required_roles(cursor)
            self._export_tables(cursor, job.target.parent)

        def beside() -> None:
            relations = fingerprint.relations(snapshot.cursors[0])
            read.contents = fingerprint.fingerprints(snapshot.cursors, relations, first=describe)

        def write_globals(statements: list[str]) -> None:
            with self._file(job.target.parent, pg_dumpall.NAME) as stream:
                stream.write(pg_dumpall.read(self.tools, statements))

        def failed() -> BaseException | None:
            return next((w.exception() for w in work if w.done() and w.exception()), None)

        def look() -> None:
            if cause := failed():
                raise cause  # pg_dump's work is void
            self.renew()
            self.progress.update(folder_bytes(job.target))

        def watch(client: ToolProcess) -> None:
            if not job.stream:
                for _ in client.watch():
                    look()
                return
            with encryption.encrypted(job.target, self.recipients) as stream:
                for block in client.output():
                    stream.write(block)
                    look()

        statements = pg_dumpall.of_database(snapshot.cursors[0])
        with ThreadPoolExecutor(max_workers=2) as pool:
            work = [pool.submit(beside), pool.submit(write_globals, statements)]
            try:
                compression, warnings = pg_dump.run(
                    self.tools, job, watch=watch, wanted=self.settings.compression
                )
                while wait(work, timeout=WAIT_SECONDS, return_when=FIRST_EXCEPTION).not_done:
                    look()
                for each in work:
                    each.result()
            except BaseException:
                cause = failed()  # asked first: to be cancelled is an error too
                snapshot.cancel()
                if cause:
                    raise cause from None
                raise
        self.warnings += warnings
        return compression, read

    def _export_tables(self, cursor: Any, folder: Path) -> None:
        for table in self.settings.tables:
            schema, name = split_table(table)
            if fetch_value(
                cursor,
                "SELECT to_regclass(format('%%I.%%I', %s, %s)) IS NULL",
                (schema, name),
            ):
                raise OpsError(
                    f"Table {table} of pms_db_tables does not exist in {self.database.name}.",
                    "Correct pms_db_tables, or migrate the database.",
                    code="backup.table",
                )
            path = f"{file_stem(table)}_{folder.name.removeprefix(sets.PARTIAL)}.csv"
            with self._file(folder, path) as stream:
                # COPY of a hypertable itself gives its root, which is empty.
                cursor.copy_expert(
                    f"COPY (SELECT * FROM {quote_ident(schema)}.{quote_ident(name)})"
                    " TO STDOUT WITH (FORMAT csv, HEADER)",
                    stream,
                )

    def _file(self, folder: Path, name: str) -> AbstractContextManager[BinaryIO]:
        """Give a stream for a file of the set, encrypted where there are recipients."""
        if self.recipients:
            return encryption.encrypted(folder / (name + encryption.SUFFIX), self.recipients)
        return (folder / name).open("xb")

    def _dump_role(self, cursor: Any) -> str | None:
        """Return the role that may read large objects; only a superuser may read all of them."""
        if not catalog.large_objects(cursor):
            return None
        with self.database.session(read_only=True) as cursor:
            return superuser_role(cursor)

    def _seal(self, partial: Path, document: dict[str, Any], earlier: list[Path]) -> int:
        """Checksum, share with earlier sets, sync, sign; return the bytes saved."""
        names = sets.walk(partial)
        with (
            self.progress.phase("checksums", total=len(names), unit="files"),
            ThreadPoolExecutor(max_workers=READERS) as pool,
        ):
            recorded = {}
            read = pool.map(lambda n: _record(partial / n), names)
            for done, (name, entry) in enumerate(zip(names, read, strict=True)):
                recorded[name] = entry
                self.progress.update(done + 1)
        with self.progress.phase("deduplicate"):
            saved = deduplication.link(
                partial, recorded, deduplication.known_contents(earlier[-3:])
            )
        with self.progress.phase("sync"):
            for name in names:
                path = partial / name
                path.chmod(0o400)
                files.sync_file(path)
            for folder in [partial, *(p for p in partial.rglob("*") if p.is_dir())]:
                files.sync_folder(folder)
        document["files"] = recorded
        document["finished_at"] = utc_stamp(self.now())
        document["phases"] = dict(self.progress.seconds)
        document["totals"] = {
            "rows": manifest.rows(document),
            "tables": len(document["contents"]),
            "files": len(recorded),
            "bytes": sum(entry["size_bytes"] for entry in recorded.values()),
            "saved_bytes": saved,
            "database_bytes": document["server"]["size_bytes"],
        }
        with self.progress.phase("manifest"):
            manifest.write(partial, document, self.settings.keys)
        return saved


def free_name(root: Path, moment: datetime) -> str:
    """Return the name of a set begun at *moment*; a second one in a minute gets a number."""
    stem = moment.astimezone(UTC).strftime("%Y-%m-%d_%H%M")
    for number in range(1, 1000):
        name = stem if number == 1 else f"{stem}-{number}"
        if not (root / name).exists():
            return name
    raise OpsError(
        f"{root} holds 999 sets of {stem}.",
        "Check what starts backups, and the clock.",
        code="backup.name",
    )


def file_stem(name: str) -> str:
    """Return *name* as part of a file name."""
    return re.sub(r"[^\w.-]", "_", name.removeprefix("public."))


def split_table(table: str) -> tuple[str, str]:
    """Return schema and name of an entry of pms_db_tables; ``public`` may be left out."""
    schema, dot, name = table.rpartition(".")
    return (schema, name) if dot else ("public", name)


def folder_bytes(path: Path) -> int:
    """Return the size of a file, or of the files of a folder; 0 while it is not there."""
    try:
        if path.is_dir():
            with os.scandir(path) as entries:
                return sum(entry.stat().st_size for entry in entries)
        return path.stat().st_size
    except OSError:
        return 0


def explained_os(exc: OSError, root: Path) -> OpsError:
    """Turn an error of the file system into what an operator can do about it."""
    if exc.errno == 28:
        return OpsError(
            f"The disk of {root} is full: {exc}",
            "Free space, or lower what retention keeps. Nothing of the failed set was left.",
            code="disk.full",
        )
    return OpsError(
        f"Cannot write below {root}: {exc}",
        "Let the user that runs the toolkit write there, and check the file system.",
        code="files.unwritable",
    )


def _writable(root: Path) -> Path:
    try:
        files.make_private_folder(root)
        state = sets.state_folder(root)
        if not os.access(root, os.W_OK) or not os.access(state, os.W_OK):
            raise PermissionError(13, "not writable", str(root))
    except OSError as exc:
        raise explained_os(exc, root) from exc
    return state


def _preflight(database: Database, tools: ClientTools, settings: Settings) -> None:
    with (
        ThreadPoolExecutor(max_workers=1) as pool,  # a container of its own: the slowest of these
        database.session(read_only=True) as cursor,
    ):
        asked = pool.submit(tools.major, "pg_dump")
        version = fetch_value(cursor, "SELECT current_setting('server_version_num')::int")
        if version < MIN_SERVER:
            raise OpsError(
                f"The server is PostgreSQL {version // 10000}; wanted 14 or newer.",
                "Upgrade the server: older ones lack the functions that fingerprints need.",
                code="backup.server-old",
            )
        if fetch_value(cursor, "SELECT current_setting('timescaledb.restoring', true) = 'on'"):
            raise OpsError(
                f"Database {database.name} is in TimescaleDB's restoring mode: its hypertables"
                " show only part of their rows.",
                "Finish the restore that set it (SELECT timescaledb_post_restore()), and verify.",
                code="backup.restoring",
            )
        _check_rights(cursor, database)
        size = fetch_value(cursor, "SELECT pg_database_size(current_database())")
        major = asked.result()
        if major < version // 10000:
            raise OpsError(
                f"pg_dump is version {major}, older than the server's {version // 10000}.",
                "Install the server version's client tools and set pms_db_bin_dir to them.",
                code="clients.old",
            )
    if settings.root.exists():
        needed = round(estimate(settings.root, size) * NEXT_DUMP_SHARE)
        free = shutil.disk_usage(settings.root).free
        if free < needed:
            raise OpsError(
                f"{settings.root} has {human(free)} free; the backup needs about {human(needed)}.",
                "Free space there, or set backup_root to a larger disk.",
                code="disk.full",
            )


def _check_rights(cursor: Any, database: Database) -> None:
    refused = fetch_all(
        cursor,
        """SELECT n.nspname || '.' || c.relname
             FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
            WHERE c.relkind IN ('r', 'p', 'S') AND c.relpersistence <> 't'
              AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_'
              AND NOT (has_schema_privilege(n.oid, 'USAGE') AND
                       CASE c.relkind WHEN 'S' THEN has_sequence_privilege(c.oid, 'SELECT')
                                      ELSE has_table_privilege(c.oid, 'SELECT') END)
              AND NOT EXISTS (SELECT FROM pg_depend x WHERE x.classid = 'pg_class'::regclass
                                 AND x.objid = c.oid AND x.deptype = 'e')
            ORDER BY 1 LIMIT 6""",
    )
    if refused:
        names = ", ".join(row[0] for row in refused[:5]) + (" and more" if len(refused) > 5 else "")
        raise OpsError(
            f"Role {database.user} may not read {names}.",
            "Grant the maintenance role what docs/database-rights.sql gives it.",
            code="database.rights",
        )


def _record(path: Path) -> dict[str, Any]:
    return {"size_bytes": path.stat().st_size, "sha256": files.sha256(path)}
