# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Continuous protection switched on and off, looked at, and its base backups made."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Any

from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.common.timestamps import UTC
from ansible.module_utils.pmsops.pitr import (
    archive_room,
    barman,
    base_backups,
    canary,
    deletion,
    engine,
    former_servers,
    places,
    receiver,
    receiver_setup,
    server_side,
    synchronous,
    window,
)
from ansible.module_utils.pmsops.pitr.container import EngineContainer
from ansible.module_utils.pmsops.pitr.settings import ROLE, Settings
from ansible.module_utils.pmsops.postgresql.connection import Database, fetch_value


class Protection:
    """The protection of one database's server."""

    def __init__(self, database: Database, settings: Settings, proved: str | None = None) -> None:
        self.database = database
        self.settings = settings
        self.proved = proved  # the base backup that the last good proof was of: it stays
        self.notes: list[str] = []
        self.on_host = database.access == "host"
        self.place: places.Place = (
            places.Host(
                database,
                settings.container,
                settings.archive,
                settings.barman,
                comes=settings.barman_comes,
            )
            if self.on_host
            else places.Containers(database, settings.container, settings.image)
        )
        self.process = self.place.engine
        self.engine = barman.Barman(self.process)
        self.setup = receiver_setup.ReceiverSetup(database, settings, self.place)

    @property
    def container(self) -> EngineContainer:
        """The engine's container, whose volumes a restore of a moment uses.

        :raises OpsError: pitr.host-access
        """
        if isinstance(self.process, EngineContainer):
            return self.process
        raise OpsError(
            "The database is on a host (pms_db_access: host). There pms-ops receives its WAL and"
            " makes base backups, and does not restore, drill or prove a moment itself. Nothing was"
            " changed.",
            f"Restore beside the server by Barman: runuser -u {self.process.home.user} --"
            f" {self.process.home.barman} -c {self.process.home.conf} restore --target-time TIME"
            " pms BACKUP FOLDER. Backup sets are restored as before: pms-ops restore.",
            code="pitr.host-access",
        )

    def require_container(self) -> None:
        """Refuse a server on a host, where no moment is restored.

        :raises OpsError: pitr.host-access
        """
        _ = self.container

    def server(self) -> server_side.ServerSide:
        """Return the server's side, as the receiver's network wants it.

        :raises OpsError: clients.container, pitr.network, pitr.host-elsewhere
        """
        return server_side.ServerSide(
            self.database,
            server_side.Wanted(
                ROLE,
                self.place.addresses,
                self.settings.keep_bytes,
                canary=self.settings.canary_seconds > 0,
            ),
            self.place.files(),
        )

    def enable(self, *, check: bool) -> list[str]:
        """Add what is missing, on the server and beside it; return the steps.

        :raises OpsError: pitr.*, database.*, clients.*
        """
        side = self.server()
        state = side.look()
        steps = side.plan(state)
        old = self.process.outdated()
        missing = not self.process.running() or old
        if missing:
            self.place.require()
            if old:
                steps.append(f"remove {self.place.title} of another release")
            steps.append(self.place.start_step())
        first = not self.process.running() or not self.engine.info().usable
        if first or state.lost:
            steps.append("make a base backup, with which a new window begins")
        waiting = synchronous.step(synchronous.of(self.database), wanted=self.settings.synchronous)
        steps += [waiting] if waiting else []
        if check:
            return steps
        if waiting == synchronous.OFF:
            synchronous.end(self.database)
        if state.lost and self.process.running():
            self.engine.break_off()
        password = side.add(state)
        if missing:
            self.process.remove()  # one that does not run, or is of another release
            self.place.start()
        self.setup.configure(side, state, password)
        anew = receiver.follow(self.database, self.process, ROLE, self.engine)
        if waiting == synchronous.ON:
            synchronous.begin(self.database, ROLE)
        if steps and self.settings.canary_seconds:
            self.setup.write_canary()
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
        if check and not self.process.running():
            return steps
        kind = self._due()
        if kind and not steps:
            with deletion.readers_kept_away(self.settings.root) as alone:
                steps += self._make_room(check=check, kind=kind) if alone else []
            steps.append(f"make a base backup ({kind})")
            if not check:
                self._backup_due(kind)
        return steps + self.expire(check=check)

    def disable(self, *, check: bool, purge: bool = False) -> list[str]:
        """Take away all that ``enable`` added; the volumes with the backups stay, unless purged."""
        side = self.server()
        state = side.look()
        there = self.process.found()
        if check:
            waits = synchronous.of(self.database) == synchronous.STANDBY
            parts = [
                ("the setting " + synchronous.SETTING, waits),
                ("the role", state.role),
                ("the slot", state.slot),
                ("the line", state.hba),
            ]
            steps = [f"remove {name}" for name, present in parts if present]
            return steps + ([f"remove {self.place.title}"] if there else [])
        steps = []
        if synchronous.of(self.database) == synchronous.STANDBY:
            synchronous.end(self.database)  # first: without the receiver nobody could commit
            steps.append(f"removed the setting {synchronous.SETTING}")
        self.process.remove()
        steps += [f"removed {each}" for each in side.remove()]
        if there:
            steps.append(f"removed {self.place.title}")
        if purge:
            steps += [f"removed {each}" for each in self.process.remove_archive()]
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
        if short := archive_room.problem(info, self.settings.room, self.proved, now):
            found.problems.append(short)
        former = [] if self.on_host else former_servers.listed(str(self.database.container))
        return {
            "unprovable": "on a host no copy is recovered (pms_db_access)"
            if self.on_host
            else None,
            "window": found.document(),
            "canary": {name: witnesses[name] for name in ("newest", "gaps")},
            "stream": asdict(flow) if flow else None,
            "former_servers": former_servers.documents(former, self.settings.former),
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
        """Delete the base backups that no moment of the window needs; return the steps.

        Those go, too, whose room the stream needs, and former servers that the policy lets go. All
        stays while somebody reads base backups, which is said in *notes*.
        """
        with deletion.readers_kept_away(None if check else self.settings.root) as alone:
            if not alone:
                self.notes.append(deletion.LATER)
                return []
            if check:
                due = [
                    each.id for each in self.engine.info(retention=True).backups if each.obsolete
                ]
                steps = [f"delete base backup {each}" for each in due]
            else:
                steps = [f"deleted base backup {each}" for each in self.engine.expire()]
            steps += self._make_room(check=check)
            if not self.on_host:  # no whole server is put back there
                name, policy = str(self.database.container), self.settings.former
                steps += former_servers.drop_due(name, policy, check=check)
        return steps

    def _make_room(self, *, check: bool, kind: str | None = None) -> list[str]:
        """Let the oldest base backups go while the disk is short; *kind* is to be made next."""
        needed = 0
        if kind:
            info = self.engine.info()
            needed = base_backups.needed_bytes(info, kind, self._cluster_bytes())
        return archive_room.make(
            lambda: self.engine.info(retention=True),
            lambda backup: self.engine.expire([backup]),
            self.settings.room,
            self.proved,
            datetime.now(UTC),
            check=check,
            needed=needed,
        )
