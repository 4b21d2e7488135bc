# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Barman as the engine: WAL by streaming, base backups by pg_basebackup, answers as JSON.

Seen with Barman 3.13.3 and PostgreSQL 17, and provided for here:

- ``barman backup --wait`` waits on an idle server until a WAL segment is full, which may be never.
  The segment is switched instead, until the backup is consistent.
- A restore of an incremental backup leaves ``pg_wal`` and ``pg_tblspc`` out.
- The segment that is being received is not among the WAL that a restore gets, and neither is the
  one with which a timeline ended: Barman files it with its suffix.
- ``barman restore`` exits with 0 if WAL is missing, and says so in a warning only.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Protocol

from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.pitr import barman_files, engine
from ansible.module_utils.pmsops.pitr.barman_answers import (
    SERVER,
    read,
    read_detail,
    read_list,
    reason,
)
from ansible.module_utils.pmsops.pitr.engine_home import Answer, EngineHome

STAGING = "staging"  # where an incremental backup is combined
BACKUP_SECONDS = 6 * 3600
RESTORE_SECONDS = 6 * 3600
VERIFY_SECONDS = 6 * 3600
SWITCH_SECONDS = 60
SWITCHES = 5
LAST_FULL = "last-full"
NO_PARENT = "not eligible as a parent"  # what Barman says of a full backup without summaries
# What the server needs besides the base backup: folders, and WAL that is not yet filed.
_COMPLETE = """
set -eu
cd "$1"
mkdir -p pg_wal pg_tblspc barman_wal
chmod 700 pg_wal pg_tblspc
for file in "$2"/streaming/* "$2"/wals/*/*.partial "$2"/broken_off/*; do
    [ -e "$file" ] || continue
    name=$(basename "$file" .partial)
    [ -e "barman_wal/$name" ] || cp "$file" "barman_wal/$name"
done
"""

_BREAK_OFF = """
set -eu
mkdir -p "$1/broken_off"
for file in "$1"/streaming/*.partial; do
    [ ! -e "$file" ] || mv "$file" "$1/broken_off/"
done
"""


class Runner(Protocol):
    """Runs a command where Barman is."""

    @property
    def home(self) -> EngineHome:
        """Where that is."""

    def run(self, argv: list[str], *, seconds: int = 60) -> Answer:
        """Run it, at most *seconds*."""


class Barman:
    """Barman where *runner* is: in a container, or on a host."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner
        self._details: dict[str, engine.Detail] = {}  # as the newest look found them
        self._home = runner.home

    def backup(self, kind: str = engine.FULL) -> engine.BaseBackup:
        """Make a base backup, and wait until the WAL that it needs has arrived.

        :raises OpsError: pitr.engine, pitr.no-parent, pitr.wal-not-arrived
        """
        options = ["--immediate-checkpoint"]
        if kind == engine.INCREMENTAL:
            if not any(each.kind == engine.FULL for each in self.info().usable):
                raise OpsError(
                    "There is no full base backup for an incremental one to build on.",
                    "Make a full one first: pms-ops pitr backup.",
                    code="pitr.no-parent",
                )
            options += ["--incremental", LAST_FULL]
        # Barman makes no backup before it has filed a first segment of WAL.
        if not self.info().segments:
            self._switch_wal()
        self._ask("archive-wal", SERVER)  # refused while the container's own loop does it
        made = self._barman("backup", *options, SERVER, seconds=BACKUP_SECONDS)
        backup = made.get("backup_id")
        for _ in range(SWITCHES):
            found = next((each for each in self._list() if each.id == backup), None)
            if found is not None and found.status == engine.DONE:
                return found
            self._switch_wal()
            self._barman("check-backup", SERVER, str(backup))
        raise OpsError(
            f"Base backup {backup} was made, but the WAL that it needs has not arrived.",
            "Look at the stream (pms-ops pitr status) and at the container's log, then run again.",
            code="pitr.wal-not-arrived",
        )

    def info(self, *, retention: bool = False) -> engine.Info:
        """Return what Barman holds, and whether it receives.

        Only with *retention* it is known which base backups are obsolete.

        :raises OpsError: pitr.engine, pitr.not-running
        """
        script = barman_files.script(self._home)
        files = barman_files.read(self._runner.run(["sh", "-c", script]).output)
        backups = None if retention else files.backups()
        if backups is None:
            listed = self._list()
        else:
            listed = [each for each, _ in backups]
            self._details = {each.id: detail for each, detail in backups if detail}
        return engine.Info(
            backups=tuple(listed),
            segments=files.whole,
            partial=files.partial,
            receiving=files.receiving,
            received_at=files.received_at,
            segment_bytes=files.segment_bytes,
            free_bytes=files.room.get("free"),
            disk_bytes=files.room.get("disk"),
        )

    def describe(self, backup: str) -> engine.Detail:
        """Return where a base backup lies in the WAL.

        :raises OpsError: pitr.engine
        """
        known = self._details.get(backup)
        return known or read_detail(self._barman("show-backup", SERVER, backup))

    def verify(self, backup: str) -> None:
        """Check every file of a base backup against its manifest, by pg_verifybackup.

        :raises OpsError: pitr.base-damaged
        """
        answer = self._ask("verify-backup", SERVER, backup, seconds=VERIFY_SECONDS)
        said = read(answer)
        if answer.status or "_ERROR" in said:
            raise OpsError(
                f"Base backup {backup} is damaged: {reason(answer, said)}",
                "Make a new one now: pms-ops pitr backup. Moments before it need an older one.",
                code="pitr.base-damaged",
            )

    def restore(self, backup: str, folder: str, *, until_lsn: str | None) -> engine.Restored:
        """Make a data directory in *folder*, with the WAL up to *until_lsn*, or all of it.

        :raises OpsError: pitr.engine
        """
        target = ["--target-lsn", until_lsn] if until_lsn else []
        staging = f"{folder}.{STAGING}"
        self._shell("mkdir", "-p", staging)
        self._barman(
            "restore",
            *target,
            *("--local-staging-path", staging),
            SERVER,
            backup,
            folder,
            seconds=RESTORE_SECONDS,
        )
        self._shell("sh", "-c", _COMPLETE, "sh", folder, f"{self._home.home}/{SERVER}")
        self._shell("rm", "-rf", staging)
        return engine.Restored(folder=folder, wal_folder=f"{folder}/barman_wal")

    def expire(self, also: Collection[str] = ()) -> list[str]:
        """Delete the base backups that no moment of the recovery window needs, and *also* these.

        Barman deletes the increments of a full one with it.

        :raises OpsError: pitr.engine
        """
        gone = []
        for each in self._list():
            if each.obsolete or each.id in also:
                self._barman("delete", SERVER, each.id, seconds=RESTORE_SECONDS)
                gone.append(each.id)
        return gone

    def break_off(self) -> None:
        """File what was received, so that the next stream begins at its slot and not after that.

        The segment that was being received is kept beside, for whoever needs its last seconds.

        :raises OpsError: pitr.engine
        """
        self._ask("archive-wal", SERVER)
        self._shell("sh", "-c", _BREAK_OFF, "sh", f"{self._home.home}/{SERVER}")

    def _switch_wal(self) -> None:
        """End the segment that is being written, and wait for it."""
        wait = ("--archive", "--archive-timeout", str(SWITCH_SECONDS))
        self._barman("switch-wal", "--force", *wait, SERVER, seconds=SWITCH_SECONDS * 2)

    def _list(self) -> list[engine.BaseBackup]:
        return read_list(self._barman("list-backup", SERVER))

    def _ask(self, *words: str, seconds: int = 60) -> Answer:
        command = [self._home.barman, "-c", self._home.conf, "-f", "json", *words]
        return self._runner.run(command, seconds=seconds)

    def _barman(self, *words: str, seconds: int = 60) -> dict[str, Any]:
        answer = self._ask(*words, seconds=seconds)
        said = read(answer)
        if answer.status or "_ERROR" in said:
            raise OpsError(
                f"barman {words[0]} ended with status {answer.status}: {reason(answer, said)}",
                f"Barman's message names the cause. Its log: {self._home.log}",
                code="pitr.engine",
            )
        return said

    def _shell(self, *argv: str) -> None:
        answer = self._runner.run(list(argv), seconds=RESTORE_SECONDS)
        if answer.status:
            raise OpsError(
                f"{argv[0]} ended with status {answer.status} where the engine is:"
                f" {answer.errors.strip()}",
                "Its message names the cause: most often the disk of the archive.",
                code="pitr.engine",
            )


def configuration(
    home: EngineHome, host: str, port: int, role: str, bin_dir: str, window_days: int
) -> str:
    """Return Barman's configuration for the database's server: streaming only."""
    return f"""\
[barman]
barman_user = {home.user}
barman_home = {home.home}
log_file = {home.log}
log_level = INFO

[{SERVER}]
description = the database of the PMS
conninfo = host={host} port={port} user={role} dbname=postgres application_name=pms-pitr
streaming_conninfo = host={host} port={port} user={role}
backup_method = postgres
streaming_archiver = on
slot_name = {role}
create_slot = manual
path_prefix = {bin_dir}
retention_policy = RECOVERY WINDOW OF {window_days} DAYS
"""
