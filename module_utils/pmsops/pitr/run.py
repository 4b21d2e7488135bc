# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Continuous protection switched on and off, looked at, and its base backups made."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.pitr import (
    barman,
    base_backups,
    canary,
    container,
    engine,
    receiver,
    server_files,
    server_side,
    synchronous,
    window,
)
from ansible.module_utils.pmsops.postgresql.connection import Database, fetch_value
from ansible.module_utils.pmsops.services import docker_engine

ROLE = "pms_pitr"  # also the slot's name


@dataclass(frozen=True)
class Settings:
    """What an operator sets."""

    container: str
    image: str
    window_days: int = 14
    keep_bytes: int | None = None
    canary_seconds: int = 300  # 0: no canary rows
    synchronous: bool = False  # whether commits wait for the receiver


class Protection:
    """The protection of one database's server."""

    def __init__(self, database: Database, settings: Settings) -> None:
        if database.access != "container":
            raise OpsError(
                "Continuous protection needs the database in a container (pms_db_access:"
                " container); this system has it on the host.",
                "Protect such a server by Barman, pgBackRest or WAL-G themselves. pms-ops restores"
                " its backup sets, and no moment between them.",
                code="pitr.host-access",
            )
        self.database = database
        self.settings = settings
        self.container = container.EngineContainer(settings.container)
        self.engine = barman.Barman(self.container)

    def server(self) -> server_side.ServerSide:
        """Return the server's side, as the receiver's network wants it.

        :raises OpsError: clients.container, pitr.network
        """
        found = docker_engine.database_container(docker_engine.engine(), self.database.container)
        _, subnet = server_files.network_of(found)
        return server_side.ServerSide(
            self.database,
            server_side.Wanted(
                ROLE, subnet, self.settings.keep_bytes, canary=self.settings.canary_seconds > 0
            ),
        )

    def enable(self, *, check: bool) -> list[str]:
        """Add what is missing, on the server and beside it; return the steps.

        :raises OpsError: pitr.*, database.*, clients.*
        """
        side = self.server()
        state = side.look()
        steps = side.plan(state)
        found = docker_engine.database_container(docker_engine.engine(), self.database.container)
        network, _ = server_files.network_of(found)
        old = self.container.outdated()
        missing = not self.container.running() or old
        if missing:
            self.container.require_image(self.settings.image)
            if old:
                steps.append(f"remove container {self.settings.container} of another release")
            steps.append(
                f"start container {self.settings.container} of {self.settings.image} on network"
                f" {network}, volumes {self.container.archive_volume} and"
                f" {self.container.restores_volume}"
            )
        first = not self.container.running() or not self.engine.info().usable
        if first or state.lost:
            steps.append("make a base backup, with which a new window begins")
        waiting = synchronous.step(synchronous.of(self.database), wanted=self.settings.synchronous)
        steps += [waiting] if waiting else []
        if check:
            return steps
        if waiting == synchronous.OFF:
            synchronous.end(self.database)
        if state.lost and self.container.running():
            self.engine.break_off()
        password = side.add(state)
        if missing:
            self.container.remove()  # one that does not run, or is of another release
            self.container.create(self.settings.image, str(self.database.container), network)
        self._configure(side, state, password)
        anew = receiver.follow(self.database, self.container, ROLE, self.engine.break_off)
        if waiting == synchronous.ON:
            synchronous.begin(self.database, ROLE)
        if steps and self.settings.canary_seconds:
            self._write_canary()
        if anew and not state.lost:
            steps.append("began the stream anew: the server had removed the WAL that comes next")
        if anew or state.lost or not self.engine.info().usable:
            base_backups.require_room(self.engine.info(), engine.FULL, self._cluster_bytes())
            self.engine.backup()
        return steps

    def maintain(self, *, check: bool) -> list[str]:
        """Mend what is missing, make the base backup that is due, delete what none needs.

        For a scheduler: a run that has nothing to do takes seconds, and changes nothing.

        :raises OpsError: pitr.*, database.*, clients.*
        """
        steps = self.enable(check=check)
        if check and not self.container.running():
            return steps
        kind = self._due()
        if kind and not steps:
            steps.append(f"make a base backup ({kind})")
            if not check:
                self._backup_due(kind)
        return steps + self.expire(check=check)

    def disable(self, *, check: bool, purge: bool = False) -> list[str]:
        """Take away all that ``enable`` added; the volumes with the backups stay, unless purged."""
        side = self.server()
        state = side.look()
        there = self.container.find() is not None
        if check:
            waits = synchronous.of(self.database) == synchronous.STANDBY
            parts = [
                ("the setting " + synchronous.SETTING, waits),
                ("the role", state.role),
                ("the slot", state.slot),
                ("the line", state.hba),
            ]
            steps = [f"remove {name}" for name, present in parts if present]
            return steps + ([f"remove container {self.settings.container}"] if there else [])
        steps = []
        if synchronous.of(self.database) == synchronous.STANDBY:
            synchronous.end(self.database)  # first: without the receiver nobody could commit
            steps.append(f"removed the setting {synchronous.SETTING}")
        self.container.remove()
        steps += [f"removed {each}" for each in side.remove()]
        if there:
            steps.append(f"removed container {self.settings.container}")
        if purge:
            steps += [f"removed volume {each}" for each in self.container.remove_volumes()]
        return steps

    def status(self) -> dict[str, Any]:
        """Return the window, the stream and the base backups."""
        info = self.engine.info()
        try:
            flow = window.stream(self.database, ROLE)
        except OpsError:
            flow = None
        ends = info.usable[:: max(len(info.usable) - 1, 1)]  # the oldest and the newest
        begins = [self.engine.describe(each.id).begin_wal for each in ends]
        now = datetime.now(UTC)
        found = window.of(info, begins, flow, now)
        witnesses = canary.look(self.database, self.settings.canary_seconds, found.earliest, now)
        if flow is not None:
            found.problems.extend(witnesses.pop("problems"))
        return {
            "window": found.document(),
            "canary": {name: witnesses[name] for name in ("newest", "gaps")},
            "stream": asdict(flow) if flow else None,
            "backups": [
                {
                    "id": each.id,
                    "kind": each.kind,
                    "status": each.status,
                    "ended_at": each.ended_at.isoformat(),
                    "size_bytes": each.size_bytes,
                }
                for each in info.backups
            ],
        }

    def backup(self, kind: str) -> dict[str, Any]:
        """Make a base backup and verify it.

        :raises OpsError: pitr.archive-full if its disk has no room for it; pitr.*, database.*
        """
        info = self.engine.info()
        base_backups.require_room(info, kind, self._cluster_bytes())
        made = self.engine.backup(kind)
        self.engine.verify(made.id)
        return {"id": made.id, "kind": made.kind, "size_bytes": made.size_bytes}

    def _due(self) -> str | None:
        """Return the kind of base backup that is due, None if none is."""
        info = self.engine.info()
        if info.usable:
            newest = self.engine.describe(info.usable[-1].id)
            if not base_backups.leads_on(info, newest, window.stream(self.database, ROLE).timeline):
                return engine.FULL
        return base_backups.due(info, datetime.now(UTC), incremental=self.server().summarizes())

    def _backup_due(self, kind: str) -> None:
        try:
            self.backup(kind)
        except OpsError as exc:
            # Summaries were switched on after the last full one: the next full one is the parent.
            if kind == engine.FULL or barman.NO_PARENT not in str(exc):
                raise
            self.backup(engine.FULL)

    def _cluster_bytes(self) -> int:
        """Return the bytes of all databases of the server: a full base backup copies them."""
        with self.database.session(name=self.database.maintenance_name) as cursor:
            return int(
                fetch_value(cursor, "SELECT sum(pg_database_size(oid))::bigint FROM pg_database")
            )

    def expire(self, *, check: bool) -> list[str]:
        """Delete the base backups that no moment of the window needs; return the steps."""
        if check:
            return [f"delete base backup {e.id}" for e in self.engine.info().backups if e.obsolete]
        return [f"deleted base backup {each}" for each in self.engine.expire()]

    def _configure(
        self, side: server_side.ServerSide, state: server_side.ServerState, password: str | None
    ) -> None:
        """Write the engine's configuration, and its password if it has none that fits."""
        host, port = str(self.database.container), self._inside_port()
        if password is None:
            has = self.container.run(["test", "-s", barman.PGPASS]).status == 0
            password = None if has else side.new_password()
        if password is not None:
            self.container.write(barman.PGPASS, f"{host}:{port}:*:{ROLE}:{password}\n")
        bin_dir = f"/usr/lib/postgresql/{state.version // 10000}/bin"
        if self.container.run(["test", "-x", f"{bin_dir}/pg_receivewal"]).status:
            raise OpsError(
                f"Image {self.settings.image} has no client tools of PostgreSQL"
                f" {state.version // 10000}: {bin_dir}/pg_receivewal is missing.",
                "Make an image with the tools of the server's version, and set pitr_image to it.",
                code="pitr.image-old",
            )
        text = barman.configuration(host, port, ROLE, bin_dir, self.settings.window_days)
        self.container.write(barman.CONFIG, text)
        every = self.settings.canary_seconds
        self.container.write(
            container.CANARY, canary.script(host, port, ROLE, every) if every else ""
        )

    def _write_canary(self) -> None:
        """Write a canary row now, which shows that the container's loop can."""
        answer = self.container.run(["sh", "-c", f". {container.CANARY} && write_canary"])
        if answer.status:
            raise OpsError(
                f"The container cannot write a canary row: {answer.errors.strip()[-300:]}",
                "The server's message names the cause. Without canary rows:"
                " -e pitr_canary_seconds=0.",
                code="pitr.canary-unwritten",
            )

    def _inside_port(self) -> int:
        with self.database.session(name=self.database.maintenance_name) as cursor:
            return int(fetch_value(cursor, "SELECT current_setting('port')"))
