# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The writes to a database that a swap made live, from the renames until it is accepted."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import psycopg2
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.postgresql.connection import Database, superuser_role
from ansible.module_utils.pmsops.restore import registry, renames, write_barrier
from ansible.module_utils.pmsops.restore.write_barrier import WriteBarrier


@dataclass
class HeldWrites:
    """Holds the writes to *live* back, for as long as a swap back would lose them."""

    live: Database
    barrier: WriteBarrier | None = None
    # Whether they were held back all the time that the new database was live.
    sealed: bool = False
    # What waited to write when the database was rejected: table and application.
    waited: list[str] = field(default_factory=list)
    # Why they were not held back.
    warnings: list[str] = field(default_factory=list)

    def open_for_writes(
        self, cursor: Any, now: registry.ManagedDatabase, own: str | None, *, hold: bool
    ) -> None:
        """Give the live database *now* its *own* default of read-only; with *hold*, writes wait.

        *cursor* is of the maintenance database, and commits each statement.
        """
        try:
            if hold and self.barrier is None:
                tables = write_barrier.tables_of(self.live)
                self.barrier = WriteBarrier.hold(self.live, superuser_role(cursor), tables)
                self.barrier.look_for_others(cursor, self.live.name)
            elif self.barrier:
                self.barrier.complete()
        except (OpsError, psycopg2.Error) as exc:
            self.release()
            self.warnings.append(
                f"Writes to {self.live.name} were not held back during the probe: {exc}"
            )
        write_barrier.give_back(cursor, now, own, self.barrier)
        self.sealed = self.sealed and self.barrier is not None and self.barrier.alone

    def reject(self) -> None:
        """Note what waits to write, and whether nothing else can have written."""
        self.waited = self.barrier.waiting() if self.barrier else []
        self.sealed = self.sealed and self.barrier is not None and self.barrier.held()

    def end_sessions(self, cursor: Any, names: list[str]) -> None:
        """End the sessions of the databases *names*; the barrier's last, so that nothing writes."""
        if self.barrier:
            renames.end_sessions(cursor, names, spare=self.barrier.pid)
        self.release()

    def release(self) -> None:
        """Let the writes go on."""
        if self.barrier:
            self.barrier.release()
            self.barrier = None


class AtTheRenames:
    """Holds writes back in the moment of the renames, when each question keeps clients waiting.

    What has to be asked is asked before.
    """

    def __init__(self, cursor: Any, writes: HeldWrites, incoming: str, own: str | None) -> None:
        self.cursor = cursor
        self.writes = writes
        self.own = own
        self.role = superuser_role(cursor)
        self.tables = write_barrier.tables_of(writes.live.named(incoming))

    def hold(self) -> None:
        """Hold the writes back, and open the database for all.

        What fails here is left to the next step, ``HeldWrites.open_for_writes``.
        """
        live = self.writes.live
        with suppress(OpsError, psycopg2.Error):
            self.writes.barrier = WriteBarrier.hold(live, self.role, self.tables)
            write_barrier.open_for_all(self.cursor, live.name, self.own, self.writes.barrier)
