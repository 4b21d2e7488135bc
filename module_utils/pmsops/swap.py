# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The swap: two renames in one transaction, journalled step by step, and undone if it fails.

Whatever moment a run is killed at, the live name belongs to the old database or to the new one,
whole; ``recover`` finds out which, and finishes or cleans up.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg2
from ansible.module_utils.pmsops import files, liveness
from ansible.module_utils.pmsops.database import (
    Database,
    fetch_all,
    fetch_value,
    quote_ident,
    quote_literal,
    superuser_role,
)
from ansible.module_utils.pmsops.errors import OpsError
from ansible.module_utils.pmsops.services import Services

RENAME_SECONDS = 20
PROBE_SECONDS = 60
MARK = "pms-ops:"


@dataclass
class Journal:
    """What a restore or swap is doing, on disk before and after each step.

    ``state`` is one line of json: run, live, incoming, outgoing, services (running before), step.
    """

    path: Path
    state: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def open(cls, path: Path) -> Journal:
        """Return the journal of the run before, empty where that run finished."""
        try:
            return cls(path, json.loads(path.read_bytes()))
        except FileNotFoundError:
            return cls(path)

    def record(self, step: str, **facts: Any) -> None:
        """Write that *step* begins, synced before it does."""
        steps = self.state.get("steps", [])
        moment = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        self.state |= facts | {"step": step, "steps": [*steps, [step, moment]]}
        files.replace(self.path, (json.dumps(self.state) + "\n").encode())

    def close(self) -> None:
        """Forget the run: it is finished."""
        self.path.unlink(missing_ok=True)
        self.state = {}


@dataclass
class Swap:
    """Puts the database *incoming* in the place of the live one, which becomes *outgoing*."""

    live: Database
    services: Services
    journal: Journal
    probe: Callable[[], list[str]]
    forget_cache: Callable[[], None]
    seconds: dict[str, float] = field(default_factory=dict)

    def run(self, incoming: str, outgoing: str) -> list[str]:
        """Swap, probe, and swap back where the probe fails; return what the probe said.

        An empty list means that the incoming database is live and the PMS works on it.

        :raises OpsError: restore.not-swapped where the renames did not happen; the live database
            is as it was and its services run again.
        """
        running = self.services.running()
        self.journal.record(
            "swap", live=self.live.name, incoming=incoming, outgoing=outgoing, services=running
        )
        self._step("stop services", lambda: self.services.stop(running))
        try:
            self._step("rename", lambda: self.exchange(incoming, outgoing))
        finally:
            # After a failed rename too: it has ended the scheduler of the live database.
            self._step("open", lambda: self.open([self.live.name, incoming, outgoing]))
            self._step("workers", lambda: liveness.start_workers(self.live))
            self._step("start services", lambda: self.start(running))
        return self.settle()

    def settle(self) -> list[str]:
        """Probe what is live now; go back where it does not work."""
        state = self.journal.state
        self.journal.record("probe")
        problems = self._problems()
        if problems:
            self.journal.record("back")
            self.stop(state["services"])
            try:
                self.exchange(state["outgoing"], state["incoming"])
            finally:
                self.open([self.live.name, state["incoming"], state["outgoing"]])
                liveness.start_workers(self.live)
                self.start(state["services"])
            self.forget_cache()
        return problems

    def _problems(self) -> list[str]:
        problems = list(self._start_problems)
        began = time.monotonic()
        deadline = began + PROBE_SECONDS
        self.forget_cache()
        while True:
            found = self.probe()
            if not found or time.monotonic() > deadline:
                break
            time.sleep(1)
        self.seconds["probe"] = round(time.monotonic() - began, 3)
        return problems + found

    _start_problems: list[str] = field(default_factory=list)

    def start(self, running: list[str]) -> None:
        """Start the services; that one does not come up is for the probe to judge."""
        try:
            self.services.start(running)
        except OpsError as exc:
            self._start_problems.append(str(exc))

    def stop(self, running: list[str]) -> None:
        """Stop the services; on the way back a service that is stuck must not be in the way."""
        self._start_problems.clear()
        with suppress(OpsError):
            self.services.stop(running)

    def _step(self, name: str, work: Callable[[], None]) -> None:
        self.journal.record(name)
        began = time.monotonic()
        try:
            work()
        finally:
            self.seconds[name] = round(time.monotonic() - began, 3)

    def exchange(self, incoming: str, outgoing: str) -> None:
        """Rename both in one transaction, with nobody connected to either."""
        for name in (self.live.name, incoming):
            with suppress(OpsError, psycopg2.Error):
                liveness.workers(self.live.named(name), "stop")
        connection = self._maintenance()
        try:
            with connection.cursor() as cursor:
                for name in (self.live.name, incoming):
                    cursor.execute(f"ALTER DATABASE {quote_ident(name)} ALLOW_CONNECTIONS false")
                deadline = time.monotonic() + RENAME_SECONDS
                while True:
                    cursor.execute(
                        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                        " WHERE datname IN (%s, %s)",
                        (self.live.name, incoming),
                    )
                    try:
                        cursor.execute("BEGIN")
                        cursor.execute(
                            f"ALTER DATABASE {quote_ident(self.live.name)}"
                            f" RENAME TO {quote_ident(outgoing)}"
                        )
                        cursor.execute(
                            f"ALTER DATABASE {quote_ident(incoming)}"
                            f" RENAME TO {quote_ident(self.live.name)}"
                        )
                        cursor.execute("COMMIT")
                        return
                    except psycopg2.Error as exc:
                        cursor.execute("ROLLBACK")
                        if exc.pgcode != "55006" or time.monotonic() > deadline:
                            raise OpsError(
                                f"{self.live.name} could not be renamed: {str(exc).strip()}",
                                "The live database is as it was. End what holds it open, then run"
                                " again: the copy is proved and is kept for that.",
                                code="restore.not-swapped",
                            ) from exc
                    time.sleep(0.05)
        finally:
            connection.close()

    def open(self, names: list[str]) -> None:
        """Allow connections to those of *names* that exist."""
        connection = self._maintenance()
        try:
            with connection.cursor() as cursor:
                for (name,) in fetch_all(
                    cursor,
                    "SELECT datname FROM pg_database WHERE datname = ANY(%s) AND NOT datallowconn",
                    (names,),
                ):
                    cursor.execute(f"ALTER DATABASE {quote_ident(name)} ALLOW_CONNECTIONS true")
        finally:
            connection.close()

    def _maintenance(self) -> Any:
        connection = self.live.connect(name=self.live.maintenance_name, autocommit=True)
        with connection.cursor() as cursor:
            role = superuser_role(cursor)
            if role:
                cursor.execute(f"SET ROLE {quote_ident(role)}")
        return connection


def recover(swap: Swap, drop: Callable[[str], None]) -> list[str]:
    """Finish or clean up what a killed run left; return what was found and done, in words."""
    state = swap.journal.state
    if not state:
        return []
    said = [f"The run before ended in step {state['step']!r}."]
    present = databases(swap.live)
    incoming, outgoing = state.get("incoming"), state.get("outgoing")
    if incoming is None or outgoing is None:
        side = state.get("side")
        if side in present:
            drop(side)
            said.append(f"Its unfinished copy {side} was dropped; the live database is untouched.")
    else:
        swap.open([swap.live.name, incoming, outgoing])
        liveness.start_workers(swap.live)
        swap.start(state["services"])
        if outgoing in present and incoming not in present:
            if state["step"] == "back":
                said.append("It was going back; that is finished now.")
                swap.stop(state["services"])
                swap.exchange(outgoing, incoming)
                swap.open([swap.live.name, incoming])
                liveness.start_workers(swap.live)
                swap.start(state["services"])
            else:
                problems = swap.settle()
                said.append(
                    f"The renames had happened: {incoming} is live, the former one is {outgoing}."
                    if not problems
                    else f"The renames had happened, but the PMS did not work ({problems[0]}):"
                    " the former database is live again."
                )
        else:
            said.append("The renames had not happened; the live database is the former one.")
            if state.get("side") == incoming and incoming in present:
                drop(incoming)
                said.append(f"The copy {incoming} was dropped.")
    swap.journal.close()
    return said


def databases(live: Database) -> list[str]:
    """Return the names of all databases of the server."""
    with live.session(name=live.maintenance_name, read_only=True) as cursor:
        return [row[0] for row in fetch_all(cursor, "SELECT datname FROM pg_database ORDER BY 1")]


def former(live: Database) -> list[str]:
    """Return the databases that swaps of *live* have put aside, oldest first."""
    pattern = re.compile(r"(.+)__before_\w+$")
    return [
        name
        for name in databases(live)
        if (match := pattern.fullmatch(name)) and live.name.startswith(match[1])
    ]


def comment(live: Database, name: str, text: str) -> None:
    """Leave a word on a database for whoever finds it without the journal."""
    with live.session(name=live.maintenance_name) as cursor:
        role = superuser_role(cursor)
        if role:
            cursor.execute(f"SET ROLE {quote_ident(role)}")
        if fetch_value(cursor, "SELECT 1 FROM pg_database WHERE datname = %s", (name,)):
            cursor.execute(f"COMMENT ON DATABASE {quote_ident(name)} IS {quote_literal(text)}")
