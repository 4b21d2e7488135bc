# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""A database and a set of it, made once and copied for each test, at a tenth of the cost."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from ansible.module_utils.pmsops.backup import run as backup
from ansible.module_utils.pmsops.common import progress
from ansible.module_utils.pmsops.postgresql.connection import Database

from tests.support.server import HAS_TIMESCALEDB, Server, execute


class Pattern:
    """What is copied. The copies have the name that is in the set's manifest, one at a time."""

    def __init__(self, server: Server, folder: Path, live: Database, made: str) -> None:
        self.server = server
        self.folder = folder
        self.live = live
        self.made = made

    @contextmanager
    def database(self) -> Iterator[Database]:
        """Give a copy of the database; it goes afterwards, with all that a restore left beside."""
        name = self.live.name
        self.server.psql(
            f"CREATE DATABASE {name} OWNER macro_user TEMPLATE {name}_pattern STRATEGY FILE_COPY"
        )
        try:
            yield self.live
        finally:
            self.server.drop(name)
            beside = f"SELECT datname FROM pg_database WHERE starts_with(datname, '{name}__')"
            for each in self.server.psql(beside).splitlines():
                self.server.drop(each)

    def set_below(self, folder: Path) -> Path:
        """Copy backups and keys into a folder; return the folder of the set."""
        for name in ("backups", "keys"):
            shutil.copytree(self.folder / name, folder / name, symlinks=True)
        return folder / "backups" / self.made


@contextmanager
def database_and_set(
    server: Server,
    folder: Path,
    sql: str,
    *,
    timescaledb: bool = HAS_TIMESCALEDB,
    **reached: str | None,
) -> Iterator[Pattern]:
    """Make a database by SQL, and a set of it; nobody can connect to it afterwards.

    *reached*: the options of its connection that differ, as ``access``.
    """
    name = f"test_{uuid.uuid4().hex[:8]}"
    database = replace(server.create(name, timescaledb=timescaledb), **reached)
    kept = f"{name}_pattern"
    try:
        execute(database, sql)
        settings = backup.Settings(root=folder / "backups", keys=folder / "keys", trial="none")
        made = Path(backup.run(database, settings, progress=progress.Progress())["set"])
        server.close(name)
        server.psql(f"ALTER DATABASE {name} RENAME TO {kept}")
        yield Pattern(server, folder, database, made.name)
    finally:
        server.drop(name)
        server.drop(kept)
