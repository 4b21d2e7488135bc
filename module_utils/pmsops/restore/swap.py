# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The swap: two renames in one transaction, journalled step by step, and reverted if it fails.

Whenever a run is killed, the live name belongs to the old database or to the new one, and that one
is complete. crash_recovery.py finds out which, and finishes or cleans up.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field
from typing import Any

import psycopg2
from ansible.module_utils.pmsops.common import signals
from ansible.module_utils.pmsops.common.errors import ENDINGS, OpsError
from ansible.module_utils.pmsops.common.progress import Progress
from ansible.module_utils.pmsops.postgresql import timescaledb_held_jobs, timescaledb_workers
from ansible.module_utils.pmsops.postgresql.connection import Database
from ansible.module_utils.pmsops.restore import (
    registry,
    rejected,
    renames,
    slot_handover,
    swap_statements,
)
from ansible.module_utils.pmsops.restore.held_writes import AtTheRenames, HeldWrites
from ansible.module_utils.pmsops.restore.journal import Journal
from ansible.module_utils.pmsops.services import manager
from ansible.module_utils.pmsops.services.manager import Services

PROBE_SECONDS = 150
READY_SECONDS = 90


@dataclass
class Swap:
    """Makes a database the live one, and the live one a former or rolled-back database."""

    live: Database
    services: Services
    journal: Journal
    probe: Callable[[], list[str]]
    forget_cache: Callable[[], str]  # returns why Redis may still serve the other database's keys
    progress: Progress = field(default_factory=Progress)
    # What becomes of the live database's logical slots.
    slots: str = slot_handover.REFUSE
    # What the ledger's line says of the set; kept in the journal, for the run after a kill.
    record: dict[str, Any] = field(default_factory=dict)
    # What became of them: name, plugin, outcome and text of each.
    slot_results: list[dict[str, str]] = field(default_factory=list)
    # How long the PMS has to work on the new database.
    probe_seconds: float | None = None
    # What a person has to do meanwhile, where no manager of services is known.
    by_hand: str = ""
    # Let the PMS write to the new database before it is accepted.
    writable: bool = False
    writes: HeldWrites = field(init=False)
    # Begins with the renames: a signal waits until the swap is accepted or taken back.
    deferral: signals.Deferral = field(default_factory=signals.Deferral)
    # What did not go well, and undoes no swap.
    warnings: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Let what holds writes back warn here."""
        self.writes = HeldWrites(self.live, warnings=self.warnings)

    def run(self, incoming: str, outgoing: str | None, *, kind: str = registry.FORMER) -> list[str]:
        """Swap, probe, and swap back if the probe finds problems; return these problems.

        With none, the database *incoming* is live and the PMS works on it. *outgoing* is the new
        name of the live database, None if there is no live database; *kind* is what it becomes.

        :raises OpsError: restore.slots, restore.prepared-transactions, disk.* before anything
            changes; restore.not-swapped if the renames did not happen; the live database is
            unchanged then, and its services run again. They do after any error.
        """
        self.journal.reserve()
        bound = slot_handover.require_swappable(self.live, incoming, handling=self.slots)
        running = self.services.running()
        # Without a live database no service can have worked, and one that is down is down for that.
        due = running if outgoing else list(self.services.names)
        with self._maintenance() as cursor:
            mark, facts = rejected.before_swap(cursor, self.live, incoming)
        self.journal.record(
            "swap",
            live=self.live.name,
            incoming=incoming,
            incoming_mark=mark,
            outgoing=outgoing,
            services=due,
            record=self.record,
            slots=slot_handover.recorded(bound.slots, self.slots),
            **facts,
        )
        if mark:  # the database carries the journal too, in case its disk is lost
            registry.set_mark(self.live, incoming, mark | {"state": self.journal.summary()})
        try:
            self._step("stop services", lambda: self.services.stop(running))
            self._step("rename", lambda: self.exchange(incoming, outgoing, {"is": kind}))
        except BaseException as exc:
            # TimescaleDB's scheduler of the live database was stopped, even if the rename failed.
            problems = self.restart_services(running)
            self.settle()
            if (problems or self.warnings) and isinstance(exc, ENDINGS):
                exc.args = (f"{exc} Then: {'; '.join([*problems, *self.warnings])}",)
            raise
        if not self.by_hand:  # a person may take long, and may be waited for in the next run
            self.deferral.begin()
        self.writes.sealed = not self.writable
        return self.accept_or_revert(self.restart_services(due))

    def restart_services(self, running: list[str]) -> list[str]:
        """Allow connections, start workers and services; return why the database is not open.

        What else does not start is a warning: the PMS itself shows whether it works.
        """
        problems: list[str] = []
        state = self.journal.state
        names = [self.live.name, state["incoming"], state["outgoing"] or state["incoming"]]
        with signals.deferred():  # nobody is served until the last of them
            for step, work, told in (
                ("open", lambda: self._open(names), problems),
                ("workers", self._start_workers, self.warnings),
                ("start services", lambda: self.services.start(running), self.warnings),
            ):
                try:
                    self._step(step, work, needed=False)
                except Exception as exc:  # noqa: BLE001  the next step is still due
                    error = self.live.to_error(exc) if isinstance(exc, psycopg2.Error) else exc
                    where = "" if isinstance(error, OpsError) else f"{step}: {type(exc).__name__}: "
                    told.append(f"{where}{error}")
        return problems

    def _open(self, names: list[str]) -> None:
        """Allow connections; hold back the writes to a database that is not accepted yet."""
        self.open(names)
        state = self.journal.state
        if state.get("going_back") or state["outgoing"] is None or not self.renamed():
            return
        hold = not self.writable and not state.get("accepted")
        with self._maintenance() as cursor:
            now = registry.read(cursor)[self.live.name]
            self.writes.open_for_writes(cursor, now, state.get("read_only"), hold=hold)

    def renamed(self) -> bool:
        """Tell whether the incoming database of the journal is the live one."""
        found, state = registry.read_from(self.live), self.journal.state
        if "incoming_oid" not in state:  # a journal of release 0.1
            return state["incoming"] not in found and self.live.name in found
        return self.live.name in found and found[self.live.name].oid == state["incoming_oid"]

    def accept_or_revert(self, problems: list[str]) -> list[str]:
        """Probe the PMS on the live database; swap back if it has problems. Return them."""
        state = self.journal.state
        if not state.get("accepted"):
            self.journal.note("probe")
            problems = [*problems, *self._probe_problems()]
        if problems and state["outgoing"] is not None:
            self.writes.reject()
            self.revert()
            return problems
        if not problems:
            self.journal.note("accepted", accepted=True)
        self.writes.release()
        if state.get("slots"):
            self._step("slots", self._hand_over_slots, needed=False)
        self.settle()
        return problems

    def settle(self) -> list[str]:
        """Wait until the services are ready, start again what is down; return what stays down."""
        names = self.journal.state["services"]
        unready: dict[str, str] = {}
        with self.progress.phase("services"):
            try:
                unready = self.services.settle(names, READY_SECONDS, self.progress.update)
            except Exception as exc:  # noqa: BLE001  the database is live: nothing undoes that here
                self.warnings.append(f"Whether all services run is unknown: {exc}")
        self.warnings += [self.services.explain(*each) for each in unready.items()]
        return [name for name, state in unready.items() if state == manager.DOWN]

    def _hand_over_slots(self) -> None:
        self.slot_results = slot_handover.hand_over(self.live, self.journal.state["slots"])

    def revert(self) -> None:
        """Do the same swap in reverse."""
        state = self.journal.state
        self.journal.note("back", going_back=True)
        with suppress(Exception):  # a stuck service must not stop the way back
            self.services.stop(state["services"])
        try:
            self.exchange(state["outgoing"], state["incoming"], state["incoming_mark"])
        finally:
            self.warnings += self.restart_services(state["services"])
            self.settle()
        if state.get("slots"):  # a swap that was killed may have handed them over already
            self.slot_results = slot_handover.hand_back(self.live, state["slots"])
        self._forget_cache()

    def _forget_cache(self) -> None:
        if (problem := self.forget_cache()) and problem not in self.warnings:
            self.warnings.append(problem)

    def _probe_problems(self) -> list[str]:
        self._forget_cache()
        with self.progress.phase(self.by_hand or "probe"):
            limit = PROBE_SECONDS if self.probe_seconds is None else self.probe_seconds
            deadline = time.monotonic() + limit
            while (found := self.probe()) and time.monotonic() < deadline:
                self.progress.update(0, note=found[0])
                time.sleep(0.5)
        return found

    def _step(self, name: str, work: Callable[[], None], *, needed: bool = True) -> None:
        """Do *work*; with *needed* only after the journal has it."""
        if needed:
            self.journal.record(name)
        else:
            self.journal.note(name)
        with self.progress.phase(name):
            work()

    def _start_workers(self) -> None:
        if self.live.name in registry.read_from(self.live):
            timescaledb_workers.start_workers(self.live)

    def exchange(self, incoming: str, outgoing: str | None, mark: dict[str, Any]) -> None:
        """Rename both in one transaction, without a session in either.

        *mark* is added to the mark of the outgoing database.

        :raises OpsError: restore.not-swapped
        """
        for name in (self.live.name, incoming):
            with suppress(OpsError, psycopg2.Error):
                timescaledb_workers.workers(self.live.named(name), "stop")
        with self._maintenance() as cursor:
            found, guarded = registry.read(cursor), self._guards(incoming, outgoing)
            if found[incoming].kind == registry.STAGING:
                timescaledb_held_jobs.release(self.live.named(incoming))
            statements = swap_statements.of_swap(
                cursor,
                live=self.live.name,
                incoming=found[incoming],
                leaving=found.get(self.live.name) if outgoing is not None else None,
                outgoing=outgoing or "",
                mark=mark | {"state": self.journal.summary()},
                guarded=guarded,
                own=self.journal.state.get("read_only"),
            )
            names = [each for each in (self.live.name, incoming) if each in found]
            own = self.journal.state.get("read_only")
            after = AtTheRenames(cursor, self.writes, incoming, own) if guarded else None
            renames.close(cursor, names)
            self.writes.end_sessions(cursor, names)
            renames.run(cursor, self.live.name, names, statements)
            if after:
                after.hold()

    def _guards(self, incoming: str, outgoing: str | None) -> bool:
        """Tell whether *incoming* is read-only by default until its writes are held back."""
        state = self.journal.state
        forward = incoming == state["incoming"] and not state.get("going_back")
        return forward and outgoing is not None and not self.writable

    def open(self, names: list[str]) -> None:
        """Allow connections to those of *names* that exist."""
        with self._maintenance() as cursor:
            renames.open_again(cursor, names)

    def finish(self) -> None:
        """Forget the run, on disk and in the mark of the outgoing database."""
        self._unmark(self.journal.state.get("outgoing"))
        self.journal.close()

    def abandon(self) -> None:
        """Record that the renames did not happen: the incoming database stays proved."""
        self._unmark(self.journal.state["incoming"])
        self.journal.note("not swapped")

    def keep_rejected(self) -> rejected.Rejected:
        """Keep the incoming database after a swap back; return what became of it."""
        return rejected.keep(self.live, self.journal.state, sealed=self.writes.sealed)

    def _unmark(self, name: str | None, **facts: Any) -> None:
        found = registry.read_from(self.live)
        if name in found and found[name].mark:
            mark = {key: value for key, value in found[name].mark.items() if key != "state"}
            registry.set_mark(self.live, name, mark | facts)

    def _maintenance(self) -> AbstractContextManager[psycopg2.extensions.cursor]:
        return self.live.session(name=self.live.maintenance_name, superuser=True, autocommit=True)
