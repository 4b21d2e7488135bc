# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The swap: two renames in one transaction, journalled step by step, and undone if it fails.

Whatever moment a run is killed at, the live name belongs to the old database or to the new one,
whole; crash_recovery.py finds out which, and finishes or cleans up.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import psycopg2
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.common.progress import Progress
from ansible.module_utils.pmsops.common.timestamps import utc_stamp
from ansible.module_utils.pmsops.postgresql import timescaledb_held_jobs, timescaledb_workers
from ansible.module_utils.pmsops.postgresql.connection import (
    Database,
    fetch_all,
    fetch_value,
    quote_ident,
    quote_literal,
)
from ansible.module_utils.pmsops.restore import registry as beside
from ansible.module_utils.pmsops.restore.journal import Journal
from ansible.module_utils.pmsops.services.manager import Services

RENAME_SECONDS = 20
PROBE_SECONDS = 60
IN_USE = "55006"
GONE_LOOKS, GONE_SECONDS = 30, 0.003
READ_ONLY = "default_transaction_read_only"


@dataclass
class Swap:
    """Puts the database *incoming* in the place of the live one, which becomes *outgoing*."""

    live: Database
    services: Services
    journal: Journal
    probe: Callable[[], list[str]]
    forget_cache: Callable[[], None]
    progress: Progress = field(default_factory=Progress)

    def run(self, incoming: str, outgoing: str | None, *, kind: str = beside.FORMER) -> list[str]:
        """Swap, probe, and swap back where the probe fails; return what the probe said.

        An empty list means that the incoming database is live and the PMS works on it. *outgoing*
        is None where there is no live database to put aside; *kind* is what it will be.

        :raises OpsError: restore.not-swapped where the renames did not happen; the live database
            is as it was and its services run again.
        """
        running = self.services.running()
        mark = beside.present(self.live)[incoming].mark
        self.journal.record(
            "swap",
            live=self.live.name,
            incoming=incoming,
            incoming_mark=mark,
            outgoing=outgoing,
            services=running,
        )
        if mark:  # whoever lost the journal's disk finds the swap on the database
            beside.comment(self.live, incoming, mark | {"state": self.journal.short()})
        try:
            self._step("stop services", lambda: self.services.stop(running))
            self._step("rename", lambda: self.exchange(incoming, outgoing, {"is": kind}))
        except BaseException as exc:
            # A failed rename too has ended the scheduler of the live database.
            left = self.revive(running)
            if left and isinstance(exc, OpsError):
                raise OpsError(
                    f"{exc} And then: {'; '.join(left)}", exc.remedy, code=exc.code
                ) from exc
            raise
        return self.settle(self.revive(running))

    def revive(self, running: list[str]) -> list[str]:
        """Open what is closed, start workers and services; return what did not come up."""
        problems = []
        state = self.journal.state
        names = [self.live.name, state["incoming"], state["outgoing"] or state["incoming"]]
        for step, work in (
            ("open", lambda: self.open(names)),
            ("workers", self._start_workers),
            ("start services", lambda: self.services.start(running)),
        ):
            try:
                self._step(step, work)
            except psycopg2.Error as exc:
                problems.append(str(self.live.to_error(exc)))
            except OpsError as exc:
                problems.append(str(exc))
        return problems

    def settle(self, problems: list[str]) -> list[str]:
        """Probe what is live now; go back where it does not work."""
        self.journal.record("probe")
        problems = [*problems, *self._probed()]
        state = self.journal.state
        if problems and state["outgoing"] is not None:
            self.back()
        return problems

    def back(self) -> None:
        """Do the same swap backwards."""
        state = self.journal.state
        self.journal.record("back", going_back=True)
        with suppress(OpsError):  # one that is stuck must not be in the way
            self.services.stop(state["services"])
        try:
            self.exchange(state["outgoing"], state["incoming"], state["incoming_mark"])
        finally:
            self.revive(state["services"])
        self.forget_cache()

    def _probed(self) -> list[str]:
        self.forget_cache()
        with self.progress.phase("probe"):
            deadline = time.monotonic() + PROBE_SECONDS
            while (found := self.probe()) and time.monotonic() < deadline:
                self.progress.update(0, note=found[0])
                time.sleep(0.5)
        return found

    def _step(self, name: str, work: Callable[[], None]) -> None:
        self.journal.record(name)
        with self.progress.phase(name):
            work()

    def _start_workers(self) -> None:
        if self.live.name in beside.present(self.live):
            timescaledb_workers.start_workers(self.live)

    def exchange(self, incoming: str, outgoing: str | None, mark: dict[str, Any]) -> None:
        """Rename both in one transaction, with nobody connected to either.

        *mark* says what the database is that is put aside.

        :raises OpsError: restore.not-swapped
        """
        for name in (self.live.name, incoming):
            with suppress(OpsError, psycopg2.Error):
                timescaledb_workers.workers(self.live.named(name), "stop")
        with self._maintenance() as cursor:
            found = beside.listed(cursor)
            if found[incoming].kind == beside.COPY:
                timescaledb_held_jobs.release(self.live.named(incoming))
            statements = self._statements(cursor, found, incoming, outgoing, mark)
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
                        raise OpsError(
                            f"{self.live.name} could not be renamed: {str(exc).strip()}",
                            "The live database is as it was. End what holds it open, then run"
                            " again: the proved copy is kept for that.",
                            code="restore.not-swapped",
                        ) from exc
                time.sleep(0.05)

    def _statements(
        self,
        cursor: Any,
        found: dict[str, beside.Beside],
        incoming: str,
        outgoing: str | None,
        mark: dict[str, Any],
    ) -> list[str]:
        """Return the swap: names, what each database is from now on, and who may write to it."""
        live, coming = quote_ident(self.live.name), found[incoming]
        statements = []
        if self.live.name in found:
            going = quote_ident(outgoing)
            said = {
                "of": self.live.name,
                "since": utc_stamp(datetime.now(UTC)),
                "replaced_by": coming.oid,
                "comment": found[self.live.name].comment,
                "read_only": _setting(cursor, found[self.live.name].oid),
            }
            said |= mark | {"state": self.journal.short()}
            statements += [
                f"ALTER DATABASE {live} RENAME TO {going}",
                f"COMMENT ON DATABASE {going} IS {quote_literal(beside.mark_text(said))}",
                f"ALTER DATABASE {going} ALLOW_CONNECTIONS true",
            ]
            if mark.get("is") != beside.COPY:
                # Whoever finds it by its new name can look, and changes nothing by mistake.
                statements.append(f"ALTER DATABASE {going} SET {READ_ONLY} TO on")
        statements.append(f"ALTER DATABASE {quote_ident(incoming)} RENAME TO {live}")
        if coming.mark:
            comment = coming.mark.get("comment")
            statements.append(
                f"COMMENT ON DATABASE {live} IS {quote_literal(comment) if comment else 'NULL'}"
            )
        if coming.kind in (beside.FORMER, beside.UNDONE):
            value = coming.mark.get("read_only")
            statements.append(
                f"ALTER DATABASE {live} SET {READ_ONLY} TO {quote_literal(value)}"
                if value
                else f"ALTER DATABASE {live} RESET {READ_ONLY}"
            )
        return [*statements, f"ALTER DATABASE {live} ALLOW_CONNECTIONS true"]

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
        """Forget the run, on disk and on the database that was put aside."""
        self._unmark(self.journal.state.get("outgoing"))
        self.journal.close()

    def given_up(self, *, keep: bool) -> None:
        """Note that the incoming database is not live; *keep*: a proved copy still is one."""
        self._unmark(self.journal.state["incoming"], **({} if keep else {"step": "rejected"}))
        self.journal.record("not swapped")

    def _unmark(self, name: str | None, **facts: Any) -> None:
        found = beside.present(self.live)
        if name in found and found[name].mark:
            mark = {key: value for key, value in found[name].mark.items() if key != "state"}
            beside.comment(self.live, name, mark | facts)

    def _maintenance(self) -> AbstractContextManager[psycopg2.extensions.cursor]:
        return self.live.session(name=self.live.maintenance_name, superuser=True, autocommit=True)


def _end_sessions(cursor: Any, names: list[str]) -> None:
    """End all sessions of the databases *names*, and see them gone for a moment.

    A rename that finds a session which is just ending sleeps for a tenth of a second.
    """
    cursor.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = ANY(%s)", (names,)
    )
    for _ in range(GONE_LOOKS):
        if not fetch_value(
            cursor, "SELECT count(*) FROM pg_stat_activity WHERE datname = ANY(%s)", (names,)
        ):
            return
        time.sleep(GONE_SECONDS)


def _setting(cursor: Any, oid: int) -> str | None:
    """Return what a database itself says about read-only transactions, None where nothing."""
    return fetch_value(
        cursor,
        """SELECT split_part(c, '=', 2) FROM pg_db_role_setting s, unnest(s.setconfig) c
            WHERE s.setdatabase = %s AND s.setrole = 0 AND split_part(c, '=', 1) = %s""",
        (oid, READ_ONLY),
    )
