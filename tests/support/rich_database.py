# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Databases of rich_schema on a real server, with a backup set of each."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible.module_utils.pmsops.backup import run as backup
from ansible.module_utils.pmsops.common import progress
from ansible.module_utils.pmsops.postgresql import catalog, fingerprint
from ansible.module_utils.pmsops.postgresql.connection import Database
from ansible.module_utils.pmsops.repository import sets
from ansible.module_utils.pmsops.restore.request import Request
from ansible.module_utils.pmsops.restore.run import restore_set
from ansible.module_utils.pmsops.verify import database as proof
from ansible.module_utils.pmsops.verify import differences as compare

from tests.support import rich_schema
from tests.support.client_tools import reached_from_here
from tests.support.server import HAS_TIMESCALEDB, POSTGRESQL, Server

# A subscription belongs to one database of the server, so no copy has it, and it keeps its database
# from being dropped.
_FORGET_SUBSCRIPTION = """
DO $$ BEGIN
    IF EXISTS (SELECT FROM pg_subscription s JOIN pg_database d ON d.oid = s.subdbid
                WHERE d.datname = current_database()) THEN
        ALTER SUBSCRIPTION rich_subscription SET (slot_name = NONE);
        DROP SUBSCRIPTION rich_subscription;
    END IF;
END $$;
"""


@dataclass
class RichDatabase:
    """A database, and what a backup of it has recorded."""

    server: Server
    database: Database
    folder: Path

    @property
    def from_here(self) -> Database:
        """The database with the client tools of this host: quicker than a container for each."""
        return reached_from_here(self.database, self.server.psql_program.parent)

    def backup(self) -> dict[str, Any]:
        """Make a set; return the result."""
        settings = backup.Settings(root=self.folder / "backups", keys=self.folder / "keys")
        return backup.run(self.from_here, settings, progress=progress.Progress())

    def drill(self) -> dict[str, Any]:
        """Restore the newest set beside the database, prove it, and drop it.

        :raises OpsError: as a restore does
        """
        request = Request(root=self.folder / "backups", keys=self.folder / "keys", shown=50)
        return restore_set(self.from_here, request, progress=progress.Progress())

    def manifest(self) -> dict[str, Any]:
        """Return the manifest of the newest set."""
        made: dict[str, Any] | None = sets.resolve(sets.newest(self.folder / "backups")).manifest
        assert made
        return made

    @contextmanager
    def copies(self) -> Iterator[CopyShop]:
        """Give what copies the database; meanwhile nobody can connect to it."""
        name = self.database.name
        # TimescaleDB's workers are sessions too, and a database with sessions is no template.
        self.server.psql(
            f"ALTER DATABASE {name} ALLOW_CONNECTIONS false;"
            f"SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = '{name}'"
        )
        try:
            yield CopyShop(self)
        finally:
            self.server.psql(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")


@dataclass
class CopyShop:
    """Makes copies of a database to change."""

    original: RichDatabase

    @contextmanager
    def copy(self) -> Iterator[Database]:
        """Give a copy, which is dropped afterwards."""
        server, source = self.original.server, self.original.database.name
        name = f"test_{uuid.uuid4().hex[:8]}"
        server.psql(f"CREATE DATABASE {name} OWNER macro_user TEMPLATE {source} STRATEGY FILE_COPY")
        try:
            yield server.database(name)
        finally:
            server.drop(name)


@contextmanager
def rich_database(
    server: Server, folder: Path, parts: Collection[rich_schema.Part]
) -> Iterator[RichDatabase]:
    """Make a database of these parts; it is dropped afterwards."""
    name = f"test_{uuid.uuid4().hex[:8]}"
    database = server.create(name)
    try:
        server.psql(rich_schema.script(parts), name)
        yield RichDatabase(server, database, folder)
    finally:
        server.psql(_FORGET_SUBSCRIPTION, name)
        server.drop(name)


def known_parts(**options: bool) -> list[rich_schema.Part]:
    """Return the parts that the server of the tests knows."""
    return rich_schema.parts(POSTGRESQL, timescaledb=HAS_TIMESCALEDB, **options)


def read_facts(cursor: Any) -> compare.Facts:
    """Return the facts as verify compares them, of the session's transaction."""
    catalog.prepare(cursor)
    described = catalog.database(cursor)
    comparable = {k: v for k, v in described.items() if k not in proof.NOT_COMPARED}
    return {"database": {"all": comparable}} | catalog.facts(cursor)


def read_contents(cursor: Any, part_of_name: str = "") -> dict[str, dict[str, Any]]:
    """Return the fingerprints of the tables whose name contains a text."""
    catalog.prepare(cursor)
    relations = [each for each in fingerprint.relations(cursor) if part_of_name in each.key]
    return fingerprint.fingerprints([cursor], relations)
