# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""A swap run: what a killed one left, the swap itself, and the former databases."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg2
from ansible.module_utils.pmsops import aside, locks, pms_probe, restore, sets, swap
from ansible.module_utils.pmsops.database import Database
from ansible.module_utils.pmsops.errors import OpsError
from ansible.module_utils.pmsops.services import Services


@dataclass(frozen=True)
class Operation:
    """The live database and everything that has to follow it."""

    database: Database
    services: Services
    redis: dict[str, Any] | None
    url: str | None
    root: Path

    @classmethod
    def from_options(cls, options: dict[str, Any]) -> Operation:
        """Return the operation that a module's options describe."""
        return cls(
            database=Database.from_options(options["database"]),
            services=Services.from_options(options["services"]),
            redis=options["redis"],
            url=(options["api"] or {}).get("url"),
            root=Path(options["root"]),
        )

    def plan(self, state: str, incoming: str | None) -> dict[str, Any]:
        """Return what ``run`` would rename."""
        live = self.database.name
        result = {"live": live, "former": None, "recovered": [], "pruned": [], "phases": {}}
        if state == "recovered":
            pending = self._journal().state
            return {"changed": bool(pending)} | result
        coming = incoming or self._newest_former()
        going = self._outgoing(state)
        diff = {"before": f"{live}\n{coming}\n", "after": f"{going}\n{live}\n"}
        return {"changed": True, "diff": diff} | result | {"former": going}

    def run(self, state: str, incoming: str | None, *, keep: int) -> dict[str, Any]:
        """Recover what a killed run left, then swap where that is asked for.

        :raises OpsError: lock.held, restore.probe, restore.not-swapped, restore.no-former,
            restore.missing-copy.
        """
        result: dict[str, Any] = {
            "live": self.database.name, "former": None, "pruned": [], "phases": {},
        }  # fmt: skip
        with locks.exclusive(sets.state_folder(self.root) / aside.LOCK, "swap"):
            try:
                recovered = self._recover(incoming)
                result["recovered"] = recovered
                if state == "recovered":
                    self.services.running()  # one that cannot be found is said now, not later
                    return {"changed": bool(recovered)} | result
                coming = incoming or self._newest_former()
                going = self._outgoing(state)
                if coming not in swap.databases(self.database):
                    raise OpsError(
                        f"There is no database {coming} to put in place.",
                        "Run dr_restore.yml from its beginning: it makes the copy anew.",
                        code="restore.missing-copy",
                    )
                one = self._swap()
                problems = one.run(coming, going)
                result["phases"] = one.seconds
                if problems:
                    one.journal.close()
                    if state == "swapped":
                        restore.drop(self.database, coming)
                    raise OpsError(
                        "The PMS did not work on the new database: "
                        + "; ".join(problems[:3])
                        + ". The former database is live again.",
                        "Read the log of the PMS's services (docker logs). The set itself was"
                        " proved; nothing was lost.",
                        code="restore.probe",
                    )
                self._comments(state, going)
                one.journal.close()
                result["pruned"] = self._prune(keep)
            except psycopg2.Error as exc:
                raise self.database.explained(exc) from exc
        diff = {
            "before": f"{result['live']}\n{coming}\n",
            "after": f"{going}\n{result['live']}\n",
        }
        return {"changed": True, "diff": diff} | result | {"former": going}

    def _recover(self, incoming: str | None) -> list[str]:
        aside.clean(self.database, sets.state_folder(self.root))
        journal = self._journal()
        # Our own copy, proved a moment ago and waiting for this very swap, is no leftover.
        if journal.state.get("step") == "proved" and journal.state.get("side") == incoming:
            return []
        return swap.recover(self._swap(), lambda name: restore.drop(self.database, name))

    def _swap(self) -> swap.Swap:
        return swap.Swap(
            live=self.database,
            services=self.services,
            journal=self._journal(),
            probe=lambda: pms_probe.problems(self.database, self.url),
            forget_cache=lambda: pms_probe.forget_cache(self.redis),
        )

    def _journal(self) -> swap.Journal:
        return swap.Journal.open(sets.state_folder(self.root) / aside.JOURNAL)

    def _outgoing(self, state: str) -> str:
        what = "before" if state == "swapped" else "undone"
        run = datetime.now(UTC).strftime("%Y%m%d%H%M%S")
        return restore.beside(self.database.name, what, run)

    def _newest_former(self) -> str:
        found = swap.former(self.database)
        if not found:
            raise OpsError(
                f"There is no database {self.database.name}__before_* to bring back.",
                "Restore a set instead: dr_restore.yml -e file=...",
                code="restore.no-former",
            )
        return found[-1]

    def _comments(self, state: str, going: str) -> None:
        moment = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        what = "put aside by a restore" if state == "swapped" else "put aside by a rollback"
        swap.comment(self.database, going, f"{swap.MARK} {what} at {moment}")
        swap.comment(self.database, self.database.name, f"{swap.MARK} live since {moment}")

    def _prune(self, keep: int) -> list[str]:
        if keep < 1:
            return []
        gone = swap.former(self.database)[:-keep]
        for name in gone:
            restore.drop(self.database, name)
        return gone
