# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Take the parts into the set that is being made. What cannot be read never fails a backup."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from ansible.module_utils.pmsops.common import files
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.common.timestamps import utc_stamp
from ansible.module_utils.pmsops.parts import packs, project, storage
from ansible.module_utils.pmsops.pms import redis_cache
from ansible.module_utils.pmsops.repository import manifest, set_parts, sets
from ansible.module_utils.pmsops.services import docker_engine, project_files

OF_PROJECT = ("compose", "grafana")
NEWEST = "newest"


@dataclass(frozen=True)
class Wanted:
    """The parts that a backup is to take, and where they are."""

    names: tuple[str, ...] = ()
    redis: Mapping[str, Any] | None = field(default=None, repr=False)
    compose_project: str = ""
    grafana_service: str = "grafana"
    # The other databases, and the id of the set that the same run made of each: empty if it failed,
    # NEWEST if the run made none.
    databases: Mapping[str, str] = field(default_factory=dict)


@dataclass
class Taker:
    """Takes each part into the folder of one set."""

    wanted: Wanted
    root: Path
    partial: Path
    texts: tuple[str, ...]  # of the recipients
    recipients: list[Any]
    now: Callable[[], datetime]

    def take(self, earlier: Sequence[Path]) -> dict[str, dict[str, Any]]:
        """Return what the manifest says of each part; an error of reading is a part's own."""
        found: dict[str, dict[str, Any]] = {}
        if set_parts.DATABASES in self.wanted.names:
            found |= self._databases()
        if "redis" in self.wanted.names:
            found["redis"] = self._redis()
        of_project = [name for name in OF_PROJECT if name in self.wanted.names]
        if of_project:
            found |= self._project(of_project, earlier)
        return found

    def _databases(self) -> dict[str, dict[str, Any]]:
        found = {}
        for database, name in sorted(self.wanted.databases.items()):
            # Of a first go-live, which backs up the PMS's own alone: status and doctor say so.
            if name == NEWEST and not sets.listed(self.root / sets.OTHERS / database):
                continue
            key, part = of_database(self.root, database, name)
            found[database if key in found else key] = part
        return found

    def _redis(self) -> dict[str, Any]:
        if not redis_cache.configured(self.wanted.redis):
            return set_parts.not_taken(set_parts.REDIS, "no Redis is named (pms_redis_host).")
        moment = utc_stamp(self.now())
        try:
            content, count, left_out = packs.take(self.wanted.redis)
        except (OpsError, ImportError, UnicodeDecodeError) as exc:
            return set_parts.not_taken(set_parts.REDIS, str(exc))
        return set_parts.entry(
            set_parts.REDIS,
            encrypted=bool(self.recipients),
            read_at=moment,
            count=count,
            left_out=left_out,
            files=[storage.store(self.partial, packs.NAME, content, self.recipients)],
        )

    def _project(self, wanted: Sequence[str], earlier: Sequence[Path]) -> dict[str, Any]:
        if not self.wanted.compose_project:
            why = "no Compose project is named (pms_compose_project)."
            return {name: set_parts.not_taken(set_parts.FILES, why) for name in wanted}
        moment = utc_stamp(self.now())
        try:
            with docker_engine.refusals():
                found = project_files.of_project(
                    docker_engine.engine_here(),
                    self.wanted.compose_project,
                    grafana=self.wanted.grafana_service,
                )
        except (OpsError, ImportError) as exc:
            return {name: set_parts.not_taken(set_parts.FILES, str(exc)) for name in wanted}
        known = storage.Earlier(earlier[-1] if earlier else None)
        store = project.Project(self.root, self.partial, self.texts, self.recipients, known)
        taken = {name: store.take(name, found, moment) for name in wanted}
        store.keep()
        return taken


def of_database(root: Path, database: str, name: str) -> tuple[str, dict[str, Any]]:
    """Return the name of a database's part, and its record: the set of it, by id and hash."""
    if not name:
        why = "its own backup failed; the output of the run says why."
        return database, set_parts.not_taken(set_parts.DATABASE, why) | {"database": database}
    others = root / sets.OTHERS / database
    try:
        folder = sets.newest(others) if name == NEWEST else others / name
        document = manifest.read(folder)
        digest = files.sha256(folder / manifest.NAME)
    except (OpsError, OSError) as exc:
        return database, set_parts.not_taken(set_parts.DATABASE, str(exc)) | {"database": database}
    of_dagster = set(manifest.tables(document)) >= set_parts.DAGSTER_TABLES
    part = set_parts.entry(
        set_parts.DATABASE,
        encrypted=bool(document["dump"].get("encrypted")),
        read_at=document["snapshot_at"],
        count=1,
        database=database,
        set=folder.name,
        manifest_sha256=digest,
    )
    return set_parts.DAGSTER if of_dagster else database, part
