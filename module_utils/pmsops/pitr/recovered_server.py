# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""A server that recovers to a moment, in a throw-away container: awaited, opened, shut down."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import psycopg2
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.pitr import canary, wal
from ansible.module_utils.pmsops.postgresql.connection import Database, fetch_all

STALL_SECONDS = 300  # without any progress of the replay
POLL_SECONDS = 0.05


@dataclass(frozen=True)
class Reached:
    """Where the recovery stands, while it is paused."""

    lsn: str
    last_commit: datetime | None
    locks: int  # tables that a transaction running at the moment has locked
    witness: canary.Witness = field(default_factory=canary.Witness)


class RecoveredServer:
    """A server in recovery, until ``open`` ends it."""

    def __init__(self, database: Database, container: Any, folder: str) -> None:
        self.database = database
        self.folder = folder  # its data directory, in the volume of restores
        self._container = container

    def await_moment(self, target_lsn: str | None) -> Reached:
        """Wait until recovery is paused at its target.

        :raises OpsError: pitr.recovery
        """
        seen, since = "", time.monotonic()
        while True:
            row = self._look()
            if row and row[1] == "paused":
                if target_lsn and wal.position(row[2]) < wal.position(target_lsn):
                    raise self._failed(f"it paused at {row[2]}, before {target_lsn}")
                return Reached(lsn=row[2], last_commit=row[3], locks=row[4])
            if row and not row[0]:
                raise self._failed("it ended without a pause at the moment")
            place = str(row[2]) if row else self._log(3)
            if place != seen:
                seen, since = place, time.monotonic()
            if time.monotonic() - since > STALL_SECONDS:
                raise self._failed(f"it made no progress for {STALL_SECONDS} s")
            time.sleep(POLL_SECONDS)

    def open(self) -> None:
        """End recovery: transactions that were running at the moment are undone.

        :raises OpsError: pitr.recovery
        """
        self._end("SELECT pg_wal_replay_resume()")

    def promote(self) -> None:
        """End the recovery of a directory that has all of its WAL; a new timeline begins.

        :raises OpsError: pitr.recovery
        """
        deadline = time.monotonic() + STALL_SECONDS
        while not self._look():
            if time.monotonic() > deadline:
                raise self._failed(f"it does not answer within {STALL_SECONDS} s")
            time.sleep(POLL_SECONDS)
        self._end("SELECT pg_promote(false)")

    def _end(self, statement: str) -> None:
        with self._session() as cursor:
            cursor.execute(statement)
        deadline = time.monotonic() + STALL_SECONDS
        while time.monotonic() < deadline:
            row = self._look()
            if row and not row[0]:
                return
            time.sleep(POLL_SECONDS)
        raise self._failed("recovery does not end")

    def settle(self) -> None:
        """Let the disk have the data directory meanwhile: the server itself does not wait for it.

        Whoever puts it in the place of a live one has less to wait for then.
        """
        import docker.errors

        with suppress(docker.errors.APIError):
            self._container.exec_run(["sync", "-f", self.folder], user="0", detach=True)

    def shut_down(self) -> None:
        """End the server in order, so that its data directory needs no recovery.

        :raises OpsError: pitr.recovery
        """
        self._container.stop(timeout=STALL_SECONDS)  # a fast shutdown: see stop_signal
        self._container.reload()
        if self._container.attrs["State"]["ExitCode"]:
            raise self._failed("the recovered server did not end in order")

    def _session(self) -> Any:
        return self.database.session(
            name=self.database.maintenance_name, read_only=True, superuser=True
        )

    def _look(self) -> tuple[Any, ...] | None:
        """Return recovery, pause state, position, last commit, locks; None: not yet there."""
        self._container.reload()
        if self._container.status in ("exited", "dead"):
            raise self._failed("the server ended")
        with suppress(OpsError, psycopg2.Error), self._session() as cursor:
            return fetch_all(
                cursor,
                """SELECT pg_is_in_recovery(),
                          CASE WHEN pg_is_in_recovery() THEN pg_get_wal_replay_pause_state() END,
                          pg_last_wal_replay_lsn()::text, pg_last_xact_replay_timestamp(),
                          (SELECT count(*)::int FROM pg_locks
                            WHERE mode = 'AccessExclusiveLock' AND locktype = 'relation')""",
            )[0]
        return None

    def _log(self, lines: int) -> str:
        said: bytes = self._container.logs(tail=lines)
        return " ".join(said.decode(errors="replace").split())

    def _failed(self, what: str) -> OpsError:
        return OpsError(
            f"The recovery did not reach the moment: {what}. Its log ends: {self._log(6)[-700:]}"
            " The live database was not touched.",
            "The log names the cause. Try the moment before, or the base backup before it.",
            code="pitr.recovery",
        )
