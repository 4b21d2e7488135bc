# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""A recovered data directory in the place of a lost one: for the day when the server is gone.

Nothing is destroyed before the recovered copy has proved itself, and then nothing either: all that
was in the volume is kept in a new one. What is put there is compared byte by byte with the copy
that was proved: the live server cannot be asked, since its jobs may write as soon as it starts. The
timeline is new, so a full base backup is made at once.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg2
from ansible.module_utils.pmsops.backup import preflight
from ansible.module_utils.pmsops.common import process_lock
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.common.timestamps import utc_stamp
from ansible.module_utils.pmsops.evidence import ledger, restores
from ansible.module_utils.pmsops.pitr import engine, moment, server_volume
from ansible.module_utils.pmsops.pitr.moment_drill import looked_at, require_enabled
from ansible.module_utils.pmsops.pitr.moment_set import LOCK, MomentSet
from ansible.module_utils.pmsops.pitr.plan import Plan
from ansible.module_utils.pmsops.pitr.run import Protection
from ansible.module_utils.pmsops.pitr.server_volume import LABEL, ServerVolume
from ansible.module_utils.pmsops.pitr.throw_away import ThrowAway
from ansible.module_utils.pmsops.pms import redis_cache
from ansible.module_utils.pmsops.postgresql.connection import fetch_value
from ansible.module_utils.pmsops.repository import sets
from ansible.module_utils.pmsops.services import docker_engine
from ansible.module_utils.pmsops.services.manager import Services
from ansible.module_utils.pmsops.verify.queries import Query

START_SECONDS = 300
POLL_SECONDS = 0.5
# Of the database: TimescaleDB's own are there in an empty one, too.
_TABLES = """
SELECT count(*) FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('r', 'p') AND n.nspname !~ '^(pg_|_timescaledb|timescaledb|information_schema)'
"""


@dataclass
class WholeServer:
    """The server of a protected database, to be brought back as it was at *asked*."""

    protection: Protection
    asked: str
    root: Path
    services: Services
    redis: dict[str, Any] | None = None
    replace_live: bool = False
    queries: Sequence[Query] = ()
    # What is known of the run, for the record of one that fails.
    facts: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._at_work = MomentSet(self.protection, self.asked)
        self._moment = moment.parse(self.asked)
        self._docker = docker_engine.engine()

    def plan(self) -> list[str]:
        """Return what would be done; nothing is changed.

        :raises OpsError: pitr.*, clients.*
        """
        wanted, place, _ = self._planned(self._at_work.throw_away())
        return [*wanted.lines(), *self._steps(place)]

    def recorded(self, evidence_root: Path) -> dict[str, Any]:
        """Run, and add a line of kind restore to the ledger, of a run that fails too.

        :raises OpsError: those of ``run``; ledger.unwritable before anything is done
        """
        ledger.require_writable(evidence_root)
        try:
            self.run()
        except OpsError as exc:
            if exc.code != "lock.held":
                failed = {"outcome": restores.FAILED, "code": exc.code, "why": str(exc)}
                self._record(evidence_root, failed)
            raise
        self._record(evidence_root, {})
        return self.facts

    def _record(self, evidence_root: Path, more: dict[str, Any]) -> None:
        facts = {name: value for name, value in self.facts.items() if name != "plan"}
        record = facts | {"database": self.protection.database.name} | more
        ledger.append(evidence_root, restores.KINDS[0], record, now=datetime.now(UTC))

    def run(self) -> dict[str, Any]:
        """Recover, prove, put in place, start, protect again; return the facts.

        :raises OpsError: pitr.server-lives, pitr.no-volume, pitr.room, pitr.not-started, pitr.*,
            lock.held, services.*, clients.*
        """
        began = time.monotonic()
        self.facts |= {"whole_server": True, "asked": self.asked, "incoming": None}
        state = preflight.writable_root(self.root)
        try:
            with ExitStack() as stack:
                for name in (sets.RESTORE_LOCK, LOCK):
                    stack.enter_context(process_lock.exclusive(state / name, "whole server"))
                self._run()
        finally:
            self.facts["duration_seconds"] = round(time.monotonic() - began, 3)
        return self.facts

    def _run(self) -> None:
        throw_away = self._at_work.throw_away()
        throw_away.clean()
        throw_away.remove_restores()
        server_volume.remove_halves(throw_away, str(self.protection.database.container))
        since = time.monotonic()
        wanted, place, held = self._planned(throw_away)
        seconds = {"plan": time.monotonic() - since}
        self.facts |= {
            "moment": utc_stamp(wanted.at),
            "incoming": f"the whole server at {utc_stamp(wanted.at)}",
            "from_base_backup": wanted.backup.id,
            "wal_bytes": wanted.wal_bytes,
            "plan": [*wanted.lines(), *self._steps(place)],
        }
        with self._at_work.recovered(throw_away, wanted, seconds) as (server, reached):
            since = time.monotonic()
            self.facts |= looked_at(server, self.queries) | {
                "lsn": reached.lsn,
                "canary": reached.witness.document(),
            }
            server.shut_down()
            seconds["proof"] = time.monotonic() - since
            down = time.monotonic()
            self.facts |= {"kept_volume": self._keep(throw_away, place, held), "set": None}
            try:
                place.put(throw_away, server.folder)
                seconds["in place"] = time.monotonic() - down
                self._start()
            except OpsError as exc:
                self._undo(throw_away, place, self.facts["kept_volume"], exc)
                raise
        self._stream_again()  # first: where commits wait for the receiver, nobody could write
        redis_cache.forget(self.redis)
        self.services.start(list(self.services.names))
        unready = self.services.settle(
            list(self.services.names), START_SECONDS, lambda *_, **__: None
        )
        self.facts["down_seconds"] = round(time.monotonic() - down, 3)
        since = time.monotonic()
        self.facts["base_backup"] = str(self.protection.backup(engine.FULL)["id"])
        seconds["base backup of the new timeline"] = time.monotonic() - since
        self.facts["phases"] = {name: round(each, 3) for name, each in seconds.items()}
        if unready:
            raise OpsError(
                "The server is back as it was, and protected again, but services are not ready: "
                + " ".join(self.services.explain(name, each) for name, each in unready.items()),
                "Mend the services; nothing has to be restored again.",
                code="services.unhealthy",
            )

    def _planned(self, throw_away: ThrowAway) -> tuple[Plan, ServerVolume, str]:
        """Return the plan, where the data go, and what is there; refuse what cannot be done."""
        require_enabled(self.protection)
        if not self.replace_live:
            self._require_lost()
        wanted = self._at_work.plan(self._moment)
        if wanted.detail.tablespaces:
            raise OpsError(
                f"The server has tablespaces ({', '.join(wanted.detail.tablespaces)}), which lie"
                " outside of its data directory. Nothing was changed.",
                "Make the server anew, empty, and restore the database by itself: the same without"
                " --whole-server.",
                code="pitr.tablespaces",
            )
        place = ServerVolume.of(self._container(), wanted.detail.data_directory)
        return wanted, place, place.holds(throw_away)

    def _require_lost(self) -> None:
        """Refuse to replace a server on which the database lives.

        :raises OpsError: pitr.server-lives
        """
        try:
            with self.protection.database.session(read_only=True) as cursor:
                tables = int(fetch_value(cursor, _TABLES))
        except (OpsError, psycopg2.Error):
            return  # no server, or no such database on it
        if tables:
            raise OpsError(
                f"The server is not lost: database {self.protection.database.name} answers, with"
                f" {tables} tables. Nothing was changed.",
                "Restore the database alone, which the other databases do not notice: the same"
                " without --whole-server. If all databases of the server have to go back, confirm"
                " that with --replace-live (-e replace_live=true).",
                code="pitr.server-lives",
            )

    def _steps(self, place: ServerVolume) -> list[str]:
        return [
            f"stop: {', '.join(self.services.names) or 'no service'}, then container"
            f" {self.protection.database.container}",
            f"keep all that is in {place.source} in a new volume; put the recovered data directory"
            " there, and compare every byte; start the container",
            "make a full base backup at once, since the timeline is new",
        ]

    def _keep(self, throw_away: ThrowAway, place: ServerVolume, held: str) -> str | None:
        """Stop everything, and keep what is there; return the volume that has it."""
        running = self.services.running()
        self.services.stop(running)
        container = self._container()
        container.stop(timeout=60)
        kept = None
        if held == "data":
            kept = f"{container.name}_before_{datetime.now(UTC):%Y%m%d%H%M%S}"
            volume = self._docker.volumes.create(kept, labels={LABEL: container.name})
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
            f"The server did not start on the recovered data directory within {START_SECONDS} s:"
            f" {last} Its log ends: {' '.join(log.decode(errors='replace').split())[-500:]}",
            "Its log names the cause.",
            code="pitr.not-started",
        )

    def _undo(
        self, throw_away: ThrowAway, place: ServerVolume, kept: str | None, error: OpsError
    ) -> None:
        """Bring back what was there before, if anything was; *error* says what was done."""
        if kept is None:
            error.args = (f"{error} Nothing was there before that could be brought back.",)
            return
        container = self._container()
        container.stop(timeout=60)
        place.bring_back(throw_away, kept)
        container.start()
        with suppress(OpsError):
            self.services.start(list(self.services.names))
        error.args = (f"{error} What was there before is back; {kept} has it too.",)

    def _stream_again(self) -> None:
        """Let the receiver follow the new timeline."""
        self.protection.engine.break_off()
        self.protection.enable(check=False)

    def _container(self) -> Any:
        found = self._docker.containers.get(self.protection.database.container)
        found.reload()
        return found
