# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""A swap run: what a killed one left, the swap itself, and the former databases."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg2
from ansible.module_utils.pmsops.common import files, process_lock
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.common.progress import Progress
from ansible.module_utils.pmsops.pms import health, redis_cache
from ansible.module_utils.pmsops.postgresql.connection import Database
from ansible.module_utils.pmsops.repository import manifest, sets
from ansible.module_utils.pmsops.restore import crash_recovery as recovery
from ansible.module_utils.pmsops.restore import former_retention as former
from ansible.module_utils.pmsops.restore import journal as restore_journal
from ansible.module_utils.pmsops.restore import registry as beside
from ansible.module_utils.pmsops.restore import run as aside
from ansible.module_utils.pmsops.restore import staging_database as side
from ansible.module_utils.pmsops.restore import swap
from ansible.module_utils.pmsops.services.manager import Services

SWAPPED, ROLLED_BACK, RECOVERED = "swapped", "rolled_back", "recovered"


@dataclass(frozen=True)
class Operation:
    """The live database and everything that has to follow it."""

    database: Database
    services: Services
    redis: dict[str, Any] | None
    url: str | None
    root: Path
    policy: former.Policy = field(default_factory=former.Policy)

    @classmethod
    def from_options(cls, options: dict[str, Any]) -> Operation:
        """Return the operation that a module's options describe."""
        return cls(
            database=Database.from_options(options["database"]),
            services=Services.from_options(options["services"]),
            redis=options["redis"],
            url=(options["api"] or {}).get("url"),
            root=Path(options["root"]),
            policy=former.Policy(options["keep_former"], options["keep_former_days"]),
        )

    def plan(self, state: str, incoming: str | None) -> dict[str, Any]:
        """Return what ``run`` would rename."""
        result = self._result()
        found = beside.present(self.database)
        if state == RECOVERED:
            journal = restore_journal.Journal.open(self._state() / restore_journal.NAME)
            pending = bool(journal.state or beside.orphans(found, self.database.name))
            said = ["A killed run would be finished or cleaned up first."] if pending else []
            return {"changed": pending} | result | {"recovered": said}
        coming = incoming if state == SWAPPED else self._coming(found, incoming)
        if coming is None:
            return {"changed": False} | result
        going = self._going(state, found)
        return (
            {"changed": True, "diff": self._diff(coming, going)}
            | result
            | {
                "former": going,
                "incoming": coming,
                "since": found[coming].mark.get("since") if coming in found else None,
            }
        )

    def run(
        self, state: str, incoming: str | None, *, resume: Path | None = None
    ) -> dict[str, Any]:
        """Recover what a killed run left, then swap where that is asked for.

        *incoming* is the proved copy, or with ``rolled_back`` a database put aside earlier, by
        default the one that the live database replaced. *resume* is the set that the caller is
        going to restore: a proved copy of it is kept.

        :raises OpsError: lock.held, restore.probe, restore.not-swapped, restore.no-former,
            restore.missing-copy.
        """
        with (
            process_lock.exclusive(self._state() / aside.LOCK, "swap"),
            aside.one_of_this_server(self.database),
        ):
            try:
                wanted = _sha256(resume)
                recovered = self._recover(incoming, wanted)
                result = self._result() | {
                    "recovered": recovered.said,
                    "waiting": recovered.waiting,
                    "finished": recovered.finished,
                    "resumed": wanted is not None and recovered.finished == wanted,
                }
                if state == RECOVERED:
                    self.services.running()  # one that cannot be found is said now, not later
                    return {"changed": bool(recovered.said)} | result
                return self._swapped(state, incoming, result)
            except psycopg2.Error as exc:
                raise self.database.to_error(exc) from exc
            finally:
                Progress(self._progress_file).close()

    def _swapped(self, state: str, incoming: str | None, result: dict[str, Any]) -> dict[str, Any]:
        found = beside.present(self.database)
        coming = incoming if state == SWAPPED else self._coming(found, incoming)
        if coming is None:
            return {"changed": False} | result
        if coming not in found:
            raise OpsError(
                f"There is no database {coming} to put in place.",
                "Run dr_restore.yml from its beginning: it makes the copy anew.",
                code="restore.missing-copy",
            )
        going = self._going(state, found)
        one = self._swap()
        kind = beside.FORMER if state == SWAPPED else beside.UNDONE
        problems = one.run(coming, going, kind=kind)
        if problems:
            raise self._unproved(one, coming, going, problems)
        one.finish()
        gone = self._prune()
        return (
            {"changed": True, "diff": self._diff(coming, going)}
            | result
            | {"former": going, "incoming": coming, "phases": one.progress.seconds, "pruned": gone}
        )

    def _unproved(
        self, one: swap.Swap, coming: str, going: str | None, problems: list[str]
    ) -> OpsError:
        """Clean up after a swap that the PMS did not take; return what to say of it."""
        what = "The PMS did not work on the new database: " + "; ".join(problems[:3])
        if going is None:
            one.finish()
            return OpsError(
                f"{what}. It stays live, since there was no database before it.",
                "Read the log of the PMS's services (docker logs). The set itself was proved.",
                code="restore.probe-only",
            )
        one.given_up(keep=False)
        found = beside.present(self.database)
        if coming in found and found[coming].kind == beside.COPY:
            side.drop(self.database, coming)
        one.journal.close()
        return OpsError(
            f"{what}. The former database is live again.",
            "Read the log of the PMS's services (docker logs). The set itself was proved; nothing"
            " was lost.",
            code="restore.probe",
        )

    def _recover(self, incoming: str | None, wanted: str | None) -> recovery.Found:
        one = self._swap()
        # Our own copy, proved a moment ago and waiting for this very swap, is no leftover.
        if incoming and one.journal.proved and one.journal.state.get("side") == incoming:
            return recovery.Found()
        return recovery.recover(one, self.root, resume=wanted)

    def _swap(self) -> swap.Swap:
        return swap.Swap(
            live=self.database,
            services=self.services,
            journal=restore_journal.Journal.open(self._state() / restore_journal.NAME),
            probe=lambda: health.problems(self.database, self.url),
            forget_cache=lambda: redis_cache.forget(self.redis),
            progress=Progress(self._progress_file),
        )

    @property
    def _progress_file(self) -> Path:
        return self._state() / aside.PROGRESS

    def _state(self) -> Path:
        return sets.state_folder(self.root)

    def _result(self) -> dict[str, Any]:
        return {
            "live": self.database.name, "former": None, "incoming": None, "pruned": [],
            "phases": {}, "recovered": [], "waiting": None, "finished": None, "resumed": False,
        }  # fmt: skip

    def _coming(self, found: dict[str, beside.Beside], named: str | None) -> str | None:
        """Return what a rollback brings back; None where that is live already."""
        if named is None:
            coming = beside.to_bring_back(found, self.database.name)
            return coming.name if coming else None
        if named in found and found[named].mark.get("of") == self.database.name:
            return named
        raise OpsError(
            f"{named} is not a database that was put aside for {self.database.name}.",
            "`psql -l` lists the databases: their comments begin with pms-ops.",
            code="restore.no-former",
        )

    def _going(self, state: str, found: dict[str, beside.Beside]) -> str | None:
        """Return what the live database will be called; None where there is none."""
        if self.database.name not in found:
            return None
        kind = beside.FORMER if state == SWAPPED else beside.UNDONE
        return beside.free_name(self.database.name, kind, set(found))

    def _diff(self, coming: str, going: str | None) -> dict[str, str]:
        live = self.database.name
        return {
            "before": f"{live if going else ''}\n{coming}\n",
            "after": f"{going or ''}\n{live}\n",
        }

    def _prune(self) -> list[str]:
        found = beside.of(
            beside.present(self.database), self.database.name, beside.FORMER, beside.UNDONE
        )
        gone = former.expired(found, self.policy, datetime.now(UTC))
        for name in gone:
            side.drop(self.database, name)
        return gone


def _sha256(file: Path | None) -> str | None:
    """Return what names the set that *file* means; None where nothing does."""
    try:
        folder = sets.resolve(file).folder if file else None
        return files.sha256(folder / manifest.NAME) if folder else None
    except (OpsError, OSError):
        return None  # the restore itself will say what is wrong with it
