# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""A proved data directory put in the place of the server's: what a restore and its undo share.

Nothing is stopped before the copy has proved itself, and nothing is destroyed then: all that was in
the volume is kept in a new one. The server serves before the rest is done: the receiver follows it
while the services start, and the base backup that the new timeline needs comes last.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import psycopg2
from ansible.module_utils.pmsops.approvals import plan as plans
from ansible.module_utils.pmsops.approvals.consent import MISSING, Consent
from ansible.module_utils.pmsops.backup import preflight
from ansible.module_utils.pmsops.common import process_lock
from ansible.module_utils.pmsops.common.errors import InterruptError, OpsError
from ansible.module_utils.pmsops.common.timestamps import UTC
from ansible.module_utils.pmsops.evidence import ledger, restores
from ansible.module_utils.pmsops.pitr import engine, former_servers, server_volume, synchronous
from ansible.module_utils.pmsops.pitr.deletion import LOCK
from ansible.module_utils.pmsops.pitr.former_servers import Former
from ansible.module_utils.pmsops.pitr.moment_drill import looked_at
from ansible.module_utils.pmsops.pitr.recovered_server import RecoveredServer
from ansible.module_utils.pmsops.pitr.run import Protection
from ansible.module_utils.pmsops.pitr.server_volume import Held, ServerVolume
from ansible.module_utils.pmsops.pitr.throw_away import ThrowAway
from ansible.module_utils.pmsops.pms import redis_cache
from ansible.module_utils.pmsops.postgresql.connection import fetch_value
from ansible.module_utils.pmsops.repository import sets
from ansible.module_utils.pmsops.services import docker_engine
from ansible.module_utils.pmsops.services.manager import Services
from ansible.module_utils.pmsops.verify.queries import Query

START_SECONDS = 300
STOP_SECONDS = 60
POLL_SECONDS = 0.1
# A server that is told to stop may wait for whoever is still there.
_END_SESSIONS = """
SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
 WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()
"""


@dataclass
class ServerReturn:
    """The server of a protected database, whose data directory is to be replaced."""

    protection: Protection
    root: Path
    services: Services
    redis: dict[str, Any] | None = None
    queries: Sequence[Query] = ()
    # What is known of the run, for the record of one that fails.
    facts: dict[str, Any] = field(default_factory=dict)
    # The second person, if the inventory demands one; each run asks, and nothing is put without.
    consent: Consent = field(default_factory=Consent)
    kind = restores.KINDS[0]  # of the ledger's line
    kept_as = former_servers.BEFORE

    def __post_init__(self) -> None:
        self._docker = docker_engine.engine_here()

    def recorded(self, evidence_root: Path) -> dict[str, Any]:
        """Run, and add a line to the ledger, of a run that fails too.

        :raises OpsError: those of ``run``; ledger.unwritable before anything is done
        """
        ledger.require_writable(evidence_root)
        try:
            self.run()
        except (OpsError, InterruptError) as exc:
            if exc.code not in ("lock.held", MISSING):
                failed = {"outcome": restores.FAILED, "code": exc.code, "why": str(exc)}
                if "down_seconds" in self.facts:
                    del failed["outcome"]  # the server is back: only what comes then failed
                self._record(evidence_root, failed)
            raise
        self._record(evidence_root, {})
        return self.facts

    def _record(self, evidence_root: Path, more: dict[str, Any]) -> None:
        facts = {name: value for name, value in self.facts.items() if name != "plan"}
        record = facts | {"database": self.protection.database.name} | more
        ledger.append(evidence_root, self.kind, record, now=datetime.now(UTC))

    def run(self) -> dict[str, Any]:
        """Prove, put in place, start, protect again; return the facts.

        :raises OpsError: pitr.no-volume, pitr.room, pitr.not-started, pitr.*, lock.held,
            services.*, clients.*
        """
        self._began = time.monotonic()
        self._seconds: dict[str, float] = {}
        self.facts |= {"whole_server": True, "incoming": None, "set": None}
        state = preflight.writable_root(self.root)
        try:
            with ExitStack() as stack:
                for name in (sets.RESTORE_LOCK, LOCK):
                    stack.enter_context(process_lock.exclusive(state / name, "whole server"))
                self._run()
        finally:
            self.facts["phases"] = {name: round(each, 3) for name, each in self._seconds.items()}
            self.facts["duration_seconds"] = round(time.monotonic() - self._began, 3)
        return self.facts

    def _run(self) -> None:
        raise NotImplementedError

    def _put(
        self, throw_away: ThrowAway, server: RecoveredServer, place: ServerVolume, held: Held
    ) -> None:
        """Prove the copy, stop everything, keep what is there, and start the server on the copy."""
        if self.consent.demanded and "approved_by" not in self.facts:
            raise AssertionError("nobody has approved this")
        since = time.monotonic()
        server.settle()
        self.facts |= looked_at(server, self.queries)
        server.shut_down()
        since = self._lap("proof", since)
        self._down = since
        kept = self._keep(throw_away, place, held)
        self.facts["kept_volume"] = kept
        since = self._lap("keep", since)
        try:
            place.put(throw_away, server.folder)
            since = self._lap("in place", since)
            self._start()
            self._lap("start", since)
        except (OpsError, InterruptError) as exc:
            self._undo(throw_away, place, kept, exc)
            raise

    def _plan_for_approval(
        self, operation: str, place: ServerVolume, held: Held, **facts: str
    ) -> plans.Plan:
        """Return the plan that a second person approves, if the inventory demands one."""
        if not self.consent.demanded:
            return {}
        return self.consent.plan(
            operation,
            database=self.protection.database.name,
            container=str(self.protection.database.container),
            **facts,
            former={"volume": place.source, "holds": held.what},
            steps=self._steps(place),
        )

    def _consent_lines(self, plan: plans.Plan) -> list[str]:
        """Return what the plan of a run says of the consent."""
        shown = self.consent.shown(plan)
        return [f"a second person approves it: {shown['command']}"] if shown else []

    def _serve(self, throw_away: ThrowAway) -> None:
        """Start the services, let the receiver follow, and make the base backup.

        :raises OpsError: services.unhealthy, pitr.*
        """
        since = time.monotonic()
        names, protects = list(self.services.names), self.protection.container.find() is not None
        # Where commits wait for the receiver, nobody could write before it streams.
        first = synchronous.of(self.protection.database) == synchronous.STANDBY
        if protects and first:
            self._stream_again()
        if problem := redis_cache.forget(self.redis).problem:
            self.facts["cache"] = problem
        self.services.start(names)
        with ThreadPoolExecutor(max_workers=1) as pool:
            following = pool.submit(self._stream_again) if protects and not first else None
            unready = self.services.settle(names, START_SECONDS, lambda *_, **__: None)
            since = self._lap("services", since)
            self.facts["down_seconds"] = round(since - self._down, 3)
            self.facts["serves_after_seconds"] = round(since - self._began, 3)
            throw_away.remove_restores()
        if following:
            following.result()
        since = self._lap("stream", since)
        if protects:
            self.facts["base_backup"] = str(self.protection.backup(engine.FULL)["id"])
            self._lap("base backup of the new timeline", since)
        if unready:
            raise OpsError(
                "The server is back as it was, and protected again, but services are not ready: "
                + " ".join(self.services.explain(name, each) for name, each in unready.items()),
                "Mend the services; nothing has to be restored again.",
                code="services.unhealthy",
            )

    def _lap(self, name: str, since: float) -> float:
        """Add the seconds since then to a step; return now."""
        now = time.monotonic()
        self._seconds[name] = self._seconds.get(name, 0) + now - since
        return now

    def _steps(self, place: ServerVolume) -> list[str]:
        return [
            f"stop: {', '.join(self.services.names) or 'no service'}, then container"
            f" {self.protection.database.container}",
            f"keep all that is in {place.source} in a new volume; put the proved data directory"
            " there; start the container",
            "make a full base backup then, since the timeline is new",
        ]

    def _keep(self, throw_away: ThrowAway, place: ServerVolume, held: Held) -> str | None:
        """Stop everything, and keep what is there; return the volume that has it."""
        running = self.services.running()
        self.services.stop(running)
        container = self._container()
        self._stop(container)
        if held.what != server_volume.DATA:
            return None
        now = datetime.now(UTC)
        kept = f"{container.name}_{self.kept_as}_{now:%Y%m%d%H%M%S}"
        former = Former(
            kept, container.name, self.kept_as, now, held.size_bytes, place.data_directory
        )
        volume = self._docker.volumes.create(kept, labels=former_servers.labels(former))
        try:
            place.keep(throw_away, kept)
        except BaseException:
            volume.remove(force=True)
            container.start()  # nothing was changed
            self.services.start(running)
            raise
        return kept

    def _start(self) -> None:
        """Start the database's container and wait until the database answers.

        :raises OpsError: pitr.not-started
        """
        self._container().start()
        deadline = time.monotonic() + START_SECONDS
        last: Exception | None = None
        while time.monotonic() < deadline:
            try:
                with self.protection.database.session(read_only=True) as cursor:
                    fetch_value(cursor, "SELECT 1")
                    return
            except (OpsError, psycopg2.Error) as exc:
                last = exc
            time.sleep(POLL_SECONDS)
        log: bytes = self._container().logs(tail=5)
        raise OpsError(
            f"The server did not start on the data directory within {START_SECONDS} s:"
            f" {last} Its log ends: {' '.join(log.decode(errors='replace').split())[-500:]}",
            "Its log names the cause.",
            code="pitr.not-started",
        )

    def _undo(
        self,
        throw_away: ThrowAway,
        place: ServerVolume,
        kept: str | None,
        error: OpsError | InterruptError,
    ) -> None:
        """Bring back what was there before, if anything was; *error* says what was done."""
        if kept is None:
            error.args = (f"{error} Nothing was there before that could be brought back.",)
            return
        container = self._container()
        self._stop(container)
        place.bring_back(throw_away, kept)
        container.start()
        with suppress(OpsError):
            self.services.start(list(self.services.names))
        error.args = (f"{error} What was there before is back; {kept} has it too.",)

    def _stop(self, container: Any) -> None:
        database = self.protection.database
        with (
            suppress(OpsError, psycopg2.Error),
            database.session(name=database.maintenance_name, superuser=True) as cursor,
        ):
            cursor.execute(_END_SESSIONS)
        container.stop(timeout=STOP_SECONDS)

    def _stream_again(self) -> None:
        """Let the receiver follow the new timeline."""
        self.protection.engine.break_off()
        self.protection.enable(check=False)

    def _container(self) -> Any:
        found = self._docker.containers.get(self.protection.database.container)
        found.reload()
        return found
