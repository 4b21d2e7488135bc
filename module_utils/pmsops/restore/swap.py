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
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.common.progress import Progress
from ansible.module_utils.pmsops.postgresql import (
    bound_objects,
    timescaledb_held_jobs,
    timescaledb_workers,
)
from ansible.module_utils.pmsops.postgresql.connection import (
    Database,
    fetch_all,
    fetch_value,
    quote_ident,
)
from ansible.module_utils.pmsops.restore import registry, slot_handover, swap_statements
from ansible.module_utils.pmsops.restore.journal import Journal
from ansible.module_utils.pmsops.services.manager import Services

RENAME_SECONDS = 20
PROBE_SECONDS = 60
IN_USE = "55006"
SESSION_END_POLLS, SESSION_END_POLL_SECONDS = 30, 0.003


@dataclass
class Swap:
    """Makes a database the live one, and the live one a former or rolled-back database."""

    live: Database
    services: Services
    journal: Journal
    probe: Callable[[], list[str]]
    forget_cache: Callable[[], None]
    progress: Progress = field(default_factory=Progress)
    # What becomes of the live database's logical slots.
    slots: str = slot_handover.REFUSE
    # What the ledger's line says of the set; kept in the journal, for the run after a kill.
    record: dict[str, Any] = field(default_factory=dict)
    # What became of them: name, plugin, outcome and text of each.
    slot_results: list[dict[str, str]] = field(default_factory=list)

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
        mark = registry.read_from(self.live)[incoming].mark
        self.journal.record(
            "swap",
            live=self.live.name,
            incoming=incoming,
            incoming_mark=mark,
            outgoing=outgoing,
            services=running,
            record=self.record,
            slots=slot_handover.recorded(bound.slots, self.slots),
        )
        if mark:  # the database carries the journal too, in case its disk is lost
            registry.set_mark(self.live, incoming, mark | {"state": self.journal.summary()})
        try:
            self._step("stop services", lambda: self.services.stop(running))
            self._step("rename", lambda: self.exchange(incoming, outgoing, {"is": kind}))
        except BaseException as exc:
            # TimescaleDB's scheduler of the live database was stopped, even if the rename failed.
            problems = self.restart_services(running)
            if problems and isinstance(exc, OpsError):
                raise OpsError(
                    f"{exc} Then: {'; '.join(problems)}",
                    exc.remedy,
                    code=exc.code,
                ) from exc
            raise
        return self.accept_or_revert(self.restart_services(running))

    def restart_services(self, running: list[str]) -> list[str]:
        """Allow connections, start workers and services; return what did not start."""
        problems = []
        state = self.journal.state
        names = [self.live.name, state["incoming"], state["outgoing"] or state["incoming"]]
        for step, work in (
            ("open", lambda: self.open(names)),
            ("workers", self._start_workers),
            ("start services", lambda: self.services.start(running)),
        ):
            try:
                self._step(step, work, needed=False)
            except psycopg2.Error as exc:
                problems.append(str(self.live.to_error(exc)))
            except OpsError as exc:
                problems.append(str(exc))
            except Exception as exc:  # noqa: BLE001  whatever it is, the next step is still due
                problems.append(f"{step}: {type(exc).__name__}: {exc}")
        return problems

    def accept_or_revert(self, problems: list[str]) -> list[str]:
        """Probe the PMS on the live database; swap back if it has problems. Return them."""
        self.journal.note("probe")
        problems = [*problems, *self._probe_problems()]
        state = self.journal.state
        if problems and state["outgoing"] is not None:
            self.revert()
        elif state.get("slots"):
            self._step("slots", self._hand_over_slots, needed=False)
        return problems

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
            self.restart_services(state["services"])
        if state.get("slots"):  # a swap that was killed may have handed them over already
            self.slot_results = slot_handover.hand_back(self.live, state["slots"])
        self.forget_cache()

    def _probe_problems(self) -> list[str]:
        self.forget_cache()
        with self.progress.phase("probe"):
            deadline = time.monotonic() + PROBE_SECONDS
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
            found = registry.read(cursor)
            if found[incoming].kind == registry.STAGING:
                timescaledb_held_jobs.release(self.live.named(incoming))
            statements = swap_statements.of_swap(
                cursor,
                live=self.live.name,
                incoming=found[incoming],
                leaving=found.get(self.live.name) if outgoing is not None else None,
                outgoing=outgoing or "",
                mark=mark | {"state": self.journal.summary()},
            )
            names = [each for each in (self.live.name, incoming) if each in found]
            for name in names:
                cursor.execute(f"ALTER DATABASE {quote_ident(name)} ALLOW_CONNECTIONS false")
            deadline = time.monotonic() + RENAME_SECONDS
            while True:
                _end_sessions(cursor, names)
                try:
                    cursor.execute("BEGIN")
                    for statement in statements:
                        cursor.execute(statement)
                    cursor.execute("COMMIT")
                    return
                except psycopg2.Error as exc:
                    cursor.execute("ROLLBACK")
                    if exc.pgcode != IN_USE or time.monotonic() > deadline:
                        held = [
                            f"In {name}: {each.text()}."
                            for name in names
                            for each in bound_objects.read(cursor, name).prepared
                        ]
                        said = " ".join([str(exc).strip(), *held])
                        raise OpsError(
                            f"{self.live.name} could not be renamed: {said}",
                            "The live database is unchanged. End the sessions and prepared"
                            " transactions that hold it open,"
                            " then run again: the staging database is kept for the next run.",
                            code="restore.not-swapped",
                        ) from exc
                time.sleep(0.05)

    def open(self, names: list[str]) -> None:
        """Allow connections to those of *names* that exist."""
        with self._maintenance() as cursor:
            for (name,) in fetch_all(
                cursor,
                "SELECT datname FROM pg_database WHERE datname = ANY(%s) AND NOT datallowconn",
                (names,),
            ):
                cursor.execute(f"ALTER DATABASE {quote_ident(name)} ALLOW_CONNECTIONS true")

    def finish(self) -> None:
        """Forget the run, on disk and in the mark of the outgoing database."""
        self._unmark(self.journal.state.get("outgoing"))
        self.journal.close()

    def abandon(self, *, keep: bool) -> None:
        """Record that the incoming database did not become live; with *keep* it stays proved."""
        self._unmark(self.journal.state["incoming"], **({} if keep else {"step": "rejected"}))
        self.journal.note("not swapped")

    def _unmark(self, name: str | None, **facts: Any) -> None:
        found = registry.read_from(self.live)
        if name in found and found[name].mark:
            mark = {key: value for key, value in found[name].mark.items() if key != "state"}
            registry.set_mark(self.live, name, mark | facts)

    def _maintenance(self) -> AbstractContextManager[psycopg2.extensions.cursor]:
        return self.live.session(name=self.live.maintenance_name, superuser=True, autocommit=True)


def _end_sessions(cursor: Any, names: list[str]) -> None:
    """End all sessions of the databases *names*, and wait a moment until they are gone.

    A rename that meets an ending session sleeps for a tenth of a second.
    """
    cursor.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = ANY(%s)", (names,)
    )
    for _ in range(SESSION_END_POLLS):
        if not fetch_value(
            cursor, "SELECT count(*) FROM pg_stat_activity WHERE datname = ANY(%s)", (names,)
        ):
            return
        time.sleep(SESSION_END_POLL_SECONDS)
