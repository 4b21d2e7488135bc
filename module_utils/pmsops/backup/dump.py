# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""pg_dump, and the readings on the same snapshot that a proof needs."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, BinaryIO

from ansible.module_utils.pmsops.backup.preflight import require_table, split_table
from ansible.module_utils.pmsops.backup.settings import ALWAYS, Settings
from ansible.module_utils.pmsops.client_tools import globals_sql, pg_dump, pg_dumpall
from ansible.module_utils.pmsops.client_tools.base import ClientTools, ToolProcess
from ansible.module_utils.pmsops.common.sparing import Sparing
from ansible.module_utils.pmsops.postgresql import (
    catalog,
    extension_rows,
    fingerprint,
    large_objects,
    lost_values,
    materialized_views,
    moving_sequences,
    roles,
    table_locks,
)
from ansible.module_utils.pmsops.postgresql.connection import (
    Database,
    quote_ident,
    superuser_role,
)
from ansible.module_utils.pmsops.postgresql.snapshot import Snapshot
from ansible.module_utils.pmsops.repository import encryption, sets

WAIT_SECONDS = 0.5  # between looks at the readers once pg_dump has ended


@dataclass
class Readings:
    """The facts and fingerprints of a proof, read under the dump's snapshot."""

    database: dict[str, Any] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)
    required_roles: list[str] = field(default_factory=list)
    roles: dict[str, Any] = field(default_factory=dict)
    contents: dict[str, Any] = field(default_factory=dict)
    # Values that the dump does not carry, as lost_values.losses gives them.
    losses: list[dict[str, Any]] = field(default_factory=list)
    # Rows of extensions that pg_dump leaves out, a line for each table.
    not_dumped: list[str] = field(default_factory=list)
    # The tables of extensions whose rows are kept as data, too.
    extension_tables: extension_rows.Tables = field(default_factory=dict)


class Dump:
    """One run of pg_dump with its readers; the first failure ends all of them."""

    def __init__(
        self,
        snapshot: Snapshot,
        options: pg_dump.DumpOptions,
        tools: ClientTools,
        *,
        database_name: str,
        tables: tuple[str, ...],
        recipients: list[Any],
        compression: str | None,
        tick: Callable[[int], None],
        keep_schema: bool = False,
        begun: pg_dump.Waiting | None = None,
    ) -> None:
        """*tick* is called while pg_dump runs, with the bytes written so far; it may end the run.

        With *keep_schema* the schema is dumped a second time, into memory. *begun* is a pg_dump
        that is at work already.
        """
        self.snapshot = snapshot
        self.options = options
        self.tools = tools
        self.database_name = database_name
        self.tables = tables
        self.recipients = recipients
        self.compression = compression
        self.tick = tick
        self.keep_schema = keep_schema
        self.begun = begun
        self.schema = b""
        self.readings = Readings()
        self._readers: list[Future[None]] = []
        self._written = Sparing(lambda: folder_bytes(options.target))

    def run(self) -> tuple[str, list[str]]:
        """Dump and read; return the compression used and pg_dump's warnings.

        :raises OpsError: clients.*, database.*, backup.table, disk.full; database.locked if another
            session changed a table at the wrong moment
        """
        statements = pg_dumpall.of_database(self.snapshot.cursors[0], self.tools.database)
        before = catalog.sequences(self.snapshot.cursors[0])
        with ThreadPoolExecutor(max_workers=2) as pool:
            self._readers = [
                pool.submit(self._read_database),
                pool.submit(self._write_globals, statements),
                *([pool.submit(self._dump_schema)] if self.keep_schema else []),
            ]
            try:
                result = pg_dump.run(
                    self.tools,
                    self.options,
                    watch=self._watch,
                    wanted=self.compression,
                    begun=self.begun,
                )
                while wait(
                    self._readers, timeout=WAIT_SECONDS, return_when=FIRST_EXCEPTION
                ).not_done:
                    self._look()
                for reader in self._readers:
                    reader.result()
                after = catalog.sequences(self.snapshot.cursors[0])
                self.readings.facts["sequences"] = moving_sequences.between(before, after)
                table_locks.require_unchanged(self.snapshot.cursors[0])
            except BaseException as exc:
                # Asked first: to be cancelled is an error too, and so is the end of a sidecar that
                # pg_dump shares with a reader.
                cause = None if table_locks.is_lost(exc) else self._failure()
                self.snapshot.cancel()
                if cause:
                    raise cause from None
                raise
        return result

    def _read_database(self) -> None:
        """Fingerprint all tables on every connection; the first describes the objects before."""
        relations = fingerprint.relations(self.snapshot.cursors[0])
        self.readings.contents = fingerprint.fingerprints(
            self.snapshot.cursors, relations, first=self._describe
        )

    def _describe(self) -> None:
        cursor = self.snapshot.cursors[0]
        self.readings.database = catalog.database(cursor)
        self.readings.facts = catalog.facts(cursor)
        materialized_views.examine(cursor, self.readings.facts["materialized_views"])
        self.readings.losses = lost_values.losses(cursor)
        self.readings.not_dumped = lost_values.extension_rows(cursor)
        self.readings.required_roles = catalog.required_roles(cursor)
        needed = catalog.roles_of(
            self.readings.required_roles, self.readings.database, self.readings.facts
        )
        self.readings.roles = roles.describe(cursor, needed)
        folder = self.options.target.parent
        kept = self.readings.extension_tables = extension_rows.tables(cursor)
        if extension_rows.any_rows(kept):
            with set_file(folder, extension_rows.NAME, self.recipients) as stream:
                extension_rows.write(cursor, kept, stream)
        self._export_tables(cursor, folder)

    def _write_globals(self, statements: list[str]) -> None:
        with set_file(self.options.target.parent, globals_sql.NAME, self.recipients) as stream:
            stream.write(pg_dumpall.read(self.tools, statements))

    def _dump_schema(self) -> None:
        self.schema = pg_dump.schema(self.tools, self.options)

    def _failure(self) -> BaseException | None:
        ended = [reader for reader in self._readers if reader.done()]
        return next((each.exception() for each in ended if each.exception()), None)

    def _look(self) -> None:
        if cause := self._failure():
            raise cause  # pg_dump's work is void
        self.tick(self._written.read())

    def _watch(self, process: ToolProcess) -> None:
        if not self.options.stream:
            for _ in process.watch():
                self._look()
            return
        with encryption.encrypted(self.options.target, self.recipients) as stream:
            for block in process.output():
                stream.write(block)
                self._look()

    def _export_tables(self, cursor: Any, folder: Path) -> None:
        for table in self.tables:
            require_table(cursor, table, self.database_name)
            schema, name = split_table(table)
            path = f"{file_stem(table)}_{folder.name.removeprefix(sets.PARTIAL)}.csv"
            with set_file(folder, path, self.recipients) as stream:
                # COPY of a hypertable itself gives its root, which is empty.
                cursor.copy_expert(
                    f"COPY (SELECT * FROM {quote_ident(schema)}.{quote_ident(name)})"
                    " TO STDOUT WITH (FORMAT csv, HEADER)",
                    stream,
                )


def options_of(
    database: Database, settings: Settings, partial: Path, jobs: int
) -> pg_dump.DumpOptions:
    """Return the options of a dump into *partial*, without its snapshot."""
    encrypted = bool(settings.recipients)
    stem = f"{file_stem(database.name)}_{partial.name.removeprefix(sets.PARTIAL)}"
    return pg_dump.DumpOptions(
        target=partial / f"{stem}.pgdump{encryption.SUFFIX * encrypted}",
        format="custom" if encrypted else settings.format,
        jobs=jobs,
        role=_role(database),
        stream=encrypted,
        statistics=settings.statistics == ALWAYS,
    )


def described(options: pg_dump.DumpOptions, compression: str) -> dict[str, Any]:
    """Return what a manifest says of the dump itself."""
    return {
        "path": options.target.name,
        "format": options.format,
        "compression": compression,
        "jobs": options.jobs,
        "encrypted": options.stream,
        "statistics": options.statistics,
    }


def of_snapshot(
    options: pg_dump.DumpOptions, snapshot: Snapshot, database: Database, *, begun: bool
) -> pg_dump.DumpOptions:
    """Return the options with their snapshot, and with the role that it needs.

    :raises OpsError: database.locked if it needs another one than the pg_dump that has *begun*
    """
    role = options.role
    if role is None and large_objects.count(snapshot.cursors[0]):
        role = _role(database)
        if role and begun:
            raise table_locks.lost("Another session made the first large object")
    return replace(options, snapshot=snapshot.name, role=role)


def _role(database: Database) -> str | None:
    """Return the role that may read large objects; only a superuser may read all of them."""
    with database.session(read_only=True) as cursor:
        return superuser_role(cursor) if large_objects.count(cursor) else None


def set_file(folder: Path, name: str, recipients: list[Any]) -> AbstractContextManager[BinaryIO]:
    """Give a stream for a new file of the set, encrypted where there are *recipients*."""
    if recipients:
        return encryption.encrypted(folder / (name + encryption.SUFFIX), recipients)
    return (folder / name).open("xb")


def file_stem(name: str) -> str:
    """Return *name* as part of a file name."""
    return re.sub(r"[^\w.-]", "_", name.removeprefix("public."))


def folder_bytes(path: Path) -> int:
    """Return the size of a file, or of the files of a folder; 0 while it is not there."""
    try:
        if path.is_dir():
            with os.scandir(path) as entries:
                return sum(entry.stat().st_size for entry in entries)
        return path.stat().st_size
    except OSError:
        return 0
