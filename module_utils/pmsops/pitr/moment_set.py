# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""A backup set of any moment: recovered in a throw-away server, dumped by the code of backups.

The set has manifest and fingerprints like every other, and says that it is of a moment. A restore
of it is then the restore of a set: staging database, proof, swap, rollback.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import psycopg2
from ansible.module_utils.pmsops.backup import preflight
from ansible.module_utils.pmsops.backup import run as backup
from ansible.module_utils.pmsops.backup.settings import Moment as SetMoment
from ansible.module_utils.pmsops.backup.settings import Settings as BackupSettings
from ansible.module_utils.pmsops.client_tools import pg_amcheck
from ansible.module_utils.pmsops.common import process_lock
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.common.progress import Progress
from ansible.module_utils.pmsops.common.timestamps import UTC
from ansible.module_utils.pmsops.pitr import canary, container, engine, moment, wal_scan, window
from ansible.module_utils.pmsops.pitr.deletion import LOCK
from ansible.module_utils.pmsops.pitr.plan import Plan
from ansible.module_utils.pmsops.pitr.plan import make as make_plan
from ansible.module_utils.pmsops.pitr.recovered_server import Reached, RecoveredServer
from ansible.module_utils.pmsops.pitr.run import Protection
from ansible.module_utils.pmsops.pitr.settings import ROLE
from ansible.module_utils.pmsops.pitr.throw_away import ThrowAway, libraries_in, libraries_of
from ansible.module_utils.pmsops.postgresql.connection import Database, fetch_value
from ansible.module_utils.pmsops.repository import manifest, sets
from ansible.module_utils.pmsops.services import docker_engine

JOBS = 2  # connections that check the pages of a copy


@dataclass(frozen=True)
class MomentSet:
    """A set of *asked*: a time, an LSN or ``latest``."""

    protection: Protection
    asked: str

    @property
    def database(self) -> Database:
        """The live database."""
        return self.protection.database

    def plan(self, of: moment.Moment | None = None) -> Plan:
        """Return what would be done; nothing is made but a container that reads the WAL.

        :raises OpsError: pitr.*, clients.*
        """
        wanted = of or moment.parse(self.asked)
        info = self.protection.engine.info()
        try:
            flow = window.stream(self.database, ROLE)
        except OpsError:
            flow = None  # the server may be what was lost
        throw_away = self.throw_away()

        def scan(detail: engine.Detail, last_segment: str) -> wal_scan.Scan:
            facts = [detail.begin_lsn, str(detail.timeline), detail.system_identifier]
            output = throw_away.output(
                wal_scan.SCRIPT, [*facts, detail.begin_wal, *wal_scan.arguments(wanted)]
            )
            return wal_scan.read(output, last_segment, detail.timeline, info.segment_bytes)

        return make_plan(
            wanted, info, self.protection.engine.describe, scan, flow, datetime.now(UTC)
        )

    def find(self, root: Path) -> Path | None:
        """Return a set of the same time or LSN that an earlier run made, None without one."""
        wanted = moment.parse(self.asked)
        if wanted.at is None and wanted.lsn is None:
            return None
        for folder in reversed(sets.listed(root)):
            with suppress(OpsError):
                made = manifest.read(folder).get("moment") or {}
                if made and moment.parse(made["asked"]).same(wanted):
                    return folder
        return None

    def make(self, settings: BackupSettings) -> dict[str, Any]:
        """Recover a copy to the moment, look at it, make the set; return what a backup returns.

        :raises OpsError: pitr.*, backup.*, lock.held, clients.*
        """
        began = time.monotonic()
        state = preflight.writable_root(settings.root)
        with process_lock.exclusive(state / LOCK, "point-in-time restore"):
            throw_away = self.cleaned()
            wanted = self.plan()
            seconds = {"plan": time.monotonic() - began}
            with self.recovered(throw_away, wanted, seconds) as (server, reached):
                warnings = [*reached.witness.warnings, *look(server, indexes=False)]
                last = wanted.scan.last_at
                facts = {
                    "asked": self.asked,
                    "reached_at": last.isoformat() if last else None,
                    "lsn": reached.lsn,
                    "base_backup": wanted.backup.id,
                    "canary": reached.witness.document(),
                }
                made = replace(
                    settings,
                    canary=False,
                    trial="none",
                    api_url=None,
                    moment=SetMoment(wanted.at, facts),
                )
                result = backup.run(
                    server.database, made, progress=Progress(settings.progress_file)
                )
                seconds["set"] = time.monotonic() - began - sum(seconds.values())
        result["warnings"] = warnings + result["warnings"]
        return result | {
            "plan": wanted.lines(),
            "moment": facts,
            "phases": {name: round(each, 3) for name, each in seconds.items()} | result["phases"],
            "duration_seconds": round(time.monotonic() - began, 3),
        }

    @contextmanager
    def recovered(
        self, throw_away: ThrowAway, wanted: Plan, seconds: dict[str, float], *, clean: bool = True
    ) -> Iterator[tuple[RecoveredServer, Reached]]:
        """Give a throw-away server that stands at the moment of the plan; note the *seconds*.

        Without *clean* the caller removes what was restored: it has more urgent work first.

        :raises OpsError: pitr.*, clients.*
        """
        folder = f"{container.RESTORES}/{datetime.now(UTC):%Y%m%d%H%M%S}"
        began = time.monotonic()
        try:
            made = self.protection.engine.restore(
                wanted.backup.id, folder, until_lsn=wanted.target_lsn
            )
            seconds["base backup"] = time.monotonic() - began
            with throw_away.server(
                folder, made.wal_folder, self.libraries(), wanted.target_lsn
            ) as server:
                reached = server.await_moment(wanted.target_lsn)
                server.open()
                reached = replace(reached, witness=self._witness(server, wanted))
                seconds["recovery"] = time.monotonic() - began - seconds["base backup"]
                yield server, reached
        finally:
            if clean:
                throw_away.remove_restores()

    def cleaned(self) -> ThrowAway:
        """Return the maker of throw-away containers, without what killed runs have left.

        :raises OpsError: pitr.not-running, pitr.no-image, clients.engine
        """
        throw_away = self.throw_away()
        throw_away.clean()
        # Asked first: a container only to remove nothing takes half a second.
        if self.protection.container.run(["ls", "-A", container.RESTORES]).output.strip():
            throw_away.remove_restores()
        return throw_away

    def throw_away(self) -> ThrowAway:
        """Return the maker of throw-away containers.

        :raises OpsError: pitr.no-image, clients.engine
        """
        place = self.protection.container
        return ThrowAway(self.database, place.archive_volume, place.restores_volume)

    def _witness(self, server: RecoveredServer, wanted: Plan) -> canary.Witness:
        """Return what the canary rows on both sides of the moment say of the copy.

        :raises OpsError: pitr.canary, database.*
        """
        return canary.judge(
            canary.rows(server.database),
            canary.rows_if_up(self.database),
            wanted.until,
            self.protection.settings.canary_seconds,
            exact=wanted.moment.at is not None,
        )

    def libraries(self) -> str:
        """Return the libraries that a copy of the server has to load."""
        try:
            with self.database.session(
                name=self.database.maintenance_name, read_only=True
            ) as cursor:
                found = str(
                    fetch_value(cursor, "SELECT current_setting('shared_preload_libraries')")
                )
        except (OpsError, psycopg2.Error):
            attrs = docker_engine.engine().containers.get(self.database.container).attrs
            found = libraries_in([str(each) for each in attrs.get("Args") or []])
        return libraries_of(found)


def look(server: RecoveredServer, *, indexes: bool = True) -> list[str]:
    """Check the pages of the copy; return warnings. Without *indexes*, only what a dump reads.

    :raises OpsError: pitr.damaged
    """
    try:
        damaged = pg_amcheck.damaged(server.database, jobs=JOBS, indexes=indexes)
    except OpsError as exc:
        if exc.code not in ("verify.amcheck", "verify.amcheck-rights"):
            raise
        return [f"The pages of the copy were not checked by pg_amcheck: {exc}"]
    if damaged:
        raise OpsError(
            f"The recovered copy is damaged: {'; '.join(damaged[:3])}. The live database was not"
            " touched.",
            "Take a base backup before it: the damage may be in this one. Check the live database:"
            " playbooks/verify.yml -e verify_amcheck=true",
            code="pitr.damaged",
        )
    return []
