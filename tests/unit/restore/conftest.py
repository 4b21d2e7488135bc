# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""A PMS on a server in memory, with a journal on a real disk, and swaps that may die."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible.module_utils.pmsops.client_tools import factory
from ansible.module_utils.pmsops.common import files
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.pms import health, redis_cache
from ansible.module_utils.pmsops.postgresql import timescaledb_held_jobs, timescaledb_workers
from ansible.module_utils.pmsops.repository import sets
from ansible.module_utils.pmsops.restore import (
    former_retention,
    preflight,
    proof,
    registry,
    staging_database,
    swap,
)
from ansible.module_utils.pmsops.restore.journal import Journal
from ansible.module_utils.pmsops.restore.run import StagedRestore
from ansible.module_utils.pmsops.restore.swap_run import SwapRun

from tests.support.backup_sets import make_set
from tests.support.fake_server import FakeServices, Killed, Killer, OneDatabase, Server

LIVE, STAGING = "pms", "pms__restore_20261123060000"
LIVE_OID, STAGING_OID, FORMER_OID = 100, 7, 5
FORMER = "pms__before_20261101000000"
SERVICES = ("api", "worker")
BOOK = "the fund's book"
PROVED = proof.Proof("everything", 1, 2, None, [], [1000])


class Scene:
    """A live database, the services on it, and whatever a test puts next to them."""

    def __init__(self, folder: Path) -> None:
        self.killer = Killer()
        self.server = Server(killer=self.killer)
        self.server.databases[LIVE] = OneDatabase(LIVE_OID, BOOK)
        self.up = {"api", "worker"}
        self.broken: dict[str, Exception] = {}
        self.problems: list[str] = []
        # Why Redis still has the keys of the other database.
        self.cache_problem = ""
        self.policy = former_retention.Policy()
        self.access = "host"
        self.slots = "refuse"
        self.evidence: Path | None = None
        self.record: dict[str, Any] = {}
        self.root, self.folder = folder.parent, folder
        self.sha256 = sets.resolve(self.folder).manifest_sha256

    def stage(self, **facts: Any) -> None:
        """Add a proved staging database of the set, its journal, and its held job."""
        mark = {
            "is": "copy",
            "of": LIVE,
            "since": "2026-11-23T06:00:00Z",
            "step": "proved",
            "set": self.folder.name,
            "manifest_sha256": self.sha256,
            "comment": BOOK,
        }
        self.server.add(STAGING, STAGING_OID, mark | facts, scheduler=False, held=[1000])
        self.journal().record(
            "proved", live=LIVE, side=STAGING, set=str(self.folder), manifest_sha256=self.sha256
        )

    def former(self, name: str = FORMER, oid: int = FORMER_OID, **facts: Any) -> None:
        """Add a former database that the live one replaced."""
        mark = {
            "is": "former",
            "of": LIVE,
            "since": "2026-11-01T00:00:00Z",
            "replaced_by": LIVE_OID,
            "comment": BOOK,
            "read_only": None,
        }
        self.server.add(name, oid, mark | facts, read_only="on", scheduler=False)

    def journal(self) -> Journal:
        """Return the journal as the next run reads it."""
        return Journal.of_root(self.root)

    @property
    def journal_file(self) -> Path:
        """Return the journal's path."""
        return self.root / ".pms-ops" / "restore.json"

    def swap_run(self) -> SwapRun:
        """Return a run as a module would make it."""
        services = FakeServices(
            "fake", SERVICES, up=self.up, killer=self.killer, broken=self.broken
        )
        database = replace(self.server.database(LIVE), access=self.access)
        return SwapRun(
            database,
            services,
            redis=None,
            url=None,
            root=self.root,
            policy=self.policy,
            slots=self.slots,
            evidence_root=self.evidence,
            record=self.record,
        )

    def run(self, state: str, incoming: str | None = None, **options: Any) -> dict[str, Any]:
        """Run in one process from its beginning to its end."""
        return self.swap_run().run(state, incoming, **options)

    def recover(self) -> dict[str, Any]:
        """Run the recovery that precedes each restore of the set."""
        return self.run("recovered", resume=self.folder)

    def killed_at(self, at: int, state: str, incoming: str | None = None) -> bool:
        """Run and die at a point; tell whether the run was long enough to come there."""
        self.killer.points.clear()
        self.killer.at = at
        try:
            self.run(state, incoming, **({"resume": self.folder} if state == "recovered" else {}))
        except Killed:
            pass
        finally:
            died, self.killer.dead, self.killer.at = self.killer.dead, False, None
        return died

    def names(self, part: str) -> list[str]:
        """Return the databases with *part* in their names."""
        return [name for name in self.server.databases if part in name]


@pytest.fixture
def scene_of(monkeypatch):
    """Give a function that makes a Scene; each write of its journal is a point to die at."""
    current: list[Scene] = []
    write, overwrite, close = files.replace, files.overwrite, Journal.close

    def passed(name: str) -> None:
        if current:
            current[-1].killer.passed(name)

    def replaced(path: Path, content: bytes, **options: Any) -> None:
        passed(f"before write {path.name}")
        write(path, content, **options)
        passed(f"after write {path.name}")

    def overwritten(path: Path, content: bytes, **options: Any) -> None:
        passed(f"before write {path.name}")
        overwrite(path, content, **options)
        passed(f"after write {path.name}")

    def closed(journal: Journal) -> None:
        passed("before close")
        close(journal)
        passed("after close")

    def forget(_options: Any) -> redis_cache.Forgotten:
        passed("cache")
        return redis_cache.Forgotten(0, current[-1].cache_problem)

    def problems(*_args: Any) -> list[str]:
        passed("probe")
        return list(current[-1].problems)

    monkeypatch.setattr(files, "replace", replaced)
    monkeypatch.setattr(files, "overwrite", overwritten)
    monkeypatch.setattr(Journal, "close", closed)
    monkeypatch.setattr(health, "problems", problems)
    monkeypatch.setattr(redis_cache, "forget", forget)
    monkeypatch.setattr(swap, "PROBE_SECONDS", 0)
    monkeypatch.setattr(swap, "READY_SECONDS", 0)
    # Thousands of runs cannot wait for a disk.
    memory = Path("/dev/shm")
    temporary = tempfile.TemporaryDirectory(
        prefix="pms-unit-", dir=memory if memory.is_dir() else None
    )
    root = Path(temporary.name)
    folder = make_set(root / "backups", root / "keys")

    def make(
        *,
        staged: bool = False,
        former: bool = False,
        gone: bool = False,
        problems: Sequence[str] = (),
    ) -> Scene:
        shutil.rmtree(root / "backups" / ".pms-ops", ignore_errors=True)
        made = Scene(folder)
        current.append(made)
        if staged:
            made.stage()
        if former:
            made.former()
        if gone:
            del made.server.databases[LIVE]
        made.problems += problems
        return made

    with temporary:
        yield make


@pytest.fixture
def scene(scene_of):
    """A Scene with a live database alone."""
    return scene_of()


@pytest.fixture
def restores(scene_of, monkeypatch):
    """Give a function that makes a Scene whose restores need neither a dump nor client tools."""
    current = []

    def check(self):
        self.required = SimpleNamespace(
            size_bytes=100, extensions={"timescaledb": {}}, described={}, role_facts={}, roles=set()
        )
        self.server = preflight.ServerState([], {}, [], [], 100, 1000)
        taken = set(registry.read_from(self.database))
        self.staging = registry.free_name(self.database.name, registry.STAGING, taken)

    def fill(self, staging, _work):
        described = {
            "encoding": "UTF8",
            "owner": "o",
            "provider": "c",
            "collate": "C",
            "ctype": "C",
        }
        mark = registry.mark_text(self._mark("restoring"))
        staging_database.create(self.database, staging.name, described, mark)
        current[-1].server.databases[staging.name].scheduled = [1000]
        timescaledb_held_jobs.hold(staging)

    def prove(self, _staging):
        current[-1].killer.passed("proof")
        if current[-1].differs:
            raise OpsError("It differs.", "Take another set.", code="restore.different")
        return replace(PROVED, objects_sha256=current[-1].objects)

    monkeypatch.setattr(StagedRestore, "check", check)
    monkeypatch.setattr(StagedRestore, "fill", fill)
    monkeypatch.setattr(StagedRestore, "_prove", prove)
    monkeypatch.setattr(staging_database, "apply_settings", lambda *args: None)
    monkeypatch.setattr(timescaledb_workers, "insert_test", lambda database: [])
    monkeypatch.setattr(
        factory, "for_database", lambda database: SimpleNamespace(settle=lambda: None)
    )

    def make(**options):
        scene = scene_of(**options)
        scene.differs, scene.objects = False, "as restored"
        (scene.folder / sets.VERIFIED).unlink(missing_ok=True)
        current.append(scene)
        return scene

    return make
