# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""A swap run: crash recovery, the swap or rollback, and retention of former databases."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg2
from ansible.module_utils.pmsops.approvals.consent import Consent
from ansible.module_utils.pmsops.common import file_system, signals
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.common.progress import Progress
from ansible.module_utils.pmsops.evidence import ledger
from ansible.module_utils.pmsops.pms import health, redis_cache
from ansible.module_utils.pmsops.postgresql import bound_objects
from ansible.module_utils.pmsops.postgresql.connection import Database
from ansible.module_utils.pmsops.repository import sets
from ansible.module_utils.pmsops.restore import (
    by_hand,
    crash_recovery,
    database_lock,
    former_retention,
    plan_for_approval,
    refusal,
    registry,
    slot_handover,
    swap_outcome,
    swap_record,
)
from ansible.module_utils.pmsops.restore.journal import Journal
from ansible.module_utils.pmsops.restore.request import progress_file
from ansible.module_utils.pmsops.restore.swap import Swap
from ansible.module_utils.pmsops.services import manager
from ansible.module_utils.pmsops.services.manager import Services

# States of pms_swap; any other one is a rollback.
SWAPPED, RECOVERED = "swapped", "recovered"


@dataclass(frozen=True)
class SwapRun:
    """The live database, the services on it, and the policy for its former databases."""

    database: Database
    services: Services
    redis: dict[str, Any] | None
    url: str | None
    root: Path
    policy: former_retention.Policy = field(default_factory=former_retention.Policy)
    slots: str = slot_handover.REFUSE
    # Folder of the ledger, and what its line says of the set that was restored.
    evidence_root: Path | None = None
    record: dict[str, Any] = field(default_factory=dict)
    probe_seconds: float | None = None
    # How long a person has to restart the PMS, where no manager of services is known.
    restart_seconds: float = 0
    probe_writes: bool = False
    # The second person, if the inventory demands one.
    consent: Consent = field(default_factory=Consent)

    @classmethod
    def from_options(cls, options: dict[str, Any]) -> SwapRun:
        """Return the run that a module's options describe."""
        return cls(
            database=Database.from_options(options["database"]),
            services=Services.from_options(options["services"]),
            redis=options["redis"],
            url=(options["api"] or {}).get("url"),
            root=Path(options["root"]),
            policy=former_retention.Policy(options["keep_former"], options["keep_former_days"]),
            slots=options["slots"],
            evidence_root=Path(options["evidence_root"]) if options["evidence_root"] else None,
            record=(options["record"] or {}) | swap_record.of_root(Path(options["root"])),
            probe_seconds=options["probe_seconds"],
            restart_seconds=options["restart_seconds"],
            probe_writes=options["probe_writes"],
            consent=Consent.from_options(
                options["database"].get("consent"), options["evidence_root"]
            ),
        )

    def plan(self, state: str, incoming: str | None) -> dict[str, Any]:
        """Return what ``run`` would rename; nothing is changed."""
        result = swap_outcome.empty(self.database.name)
        found = registry.read_from(self.database)
        if state == RECOVERED:
            unfinished = Journal.of_root(self.root).state
            pending = bool(unfinished or registry.abandoned(found, self.database.name))
            lines = ["An interrupted run would be finished or cleaned up first."]
            return {"changed": pending} | result | {"recovered": lines if pending else []}
        incoming = incoming if state == SWAPPED else self._rollback_target(found, incoming)
        if incoming is None:
            return {"changed": False} | result
        outgoing = self._outgoing(state, found)
        with self.database.session(name=self.database.maintenance_name, read_only=True) as cursor:
            bound = bound_objects.read(cursor, self.database.name)
        return (
            {"changed": True, "diff": swap_outcome.diff(self.database.name, incoming, outgoing)}
            | result
            | {
                "former": outgoing,
                "incoming": incoming,
                "slots": slot_handover.plan(bound.slots, self.slots),
                "prepared_transactions": [each.text() for each in bound.prepared],
                "since": found[incoming].mark.get("since") if incoming in found else None,
                "by_hand": by_hand.plan(self.services, self.url, self.restart_seconds),
                "consent": self._shown_consent(found.get(incoming)),
            }
        )

    def run(
        self, state: str, incoming: str | None, *, resume: Path | None = None
    ) -> dict[str, Any]:
        """Recover from an interrupted run, then swap or roll back if *state* asks for it.

        *incoming* is the proved staging database; for a rollback a former or rolled-back database,
        by default the one that the live database replaced. *resume* is the set that the caller is
        going to restore: a proved staging database of it is kept.

        :raises OpsError: lock.held, restore.probe, restore.not-swapped, restore.no-former,
            restore.missing-copy, approval.*, restore.slots, restore.prepared-transactions, disk.*,
            files.unwritable; ledger.unwritable before the swap.
        """
        with (
            file_system.coded(self.root),
            database_lock.exclusive(self.database, self.root, "swap"),
        ):
            try:
                wanted = _manifest_sha256(resume)
                recovery = self._recover(incoming, wanted)
                result = swap_outcome.empty(self.database.name) | {
                    "recovered": recovery.lines,
                    "waiting": recovery.waiting,
                    "finished": recovery.finished,
                    "resumed": wanted is not None and recovery.finished == wanted,
                }
                if self.evidence_root:
                    ledger.require_writable(self.evidence_root)
                if state == RECOVERED:
                    self.services.running()  # a missing service is reported now, not after hours
                    return {"changed": bool(recovery.lines)} | result
                became, root = _kind(state), self.evidence_root
                with (
                    signals.Deferral() as deferral,
                    swap_record.refusals(root, became, self.record, self.database),
                ):
                    return self._swapped(state, incoming, result, deferral)
            except psycopg2.Error as exc:
                raise self.database.to_error(exc) from exc
            finally:
                self._progress().close()

    def _swapped(
        self,
        state: str,
        incoming: str | None,
        result: dict[str, Any],
        deferral: signals.Deferral,
    ) -> dict[str, Any]:
        found = registry.read_from(self.database)
        incoming = incoming if state == SWAPPED else self._rollback_target(found, incoming)
        if incoming is None:
            return {"changed": False} | result
        if incoming not in found:
            raise OpsError(
                f"The staging database {incoming} does not exist.",
                "Run dr_restore.yml from its beginning: it restores the set again.",
                code="restore.missing-copy",
            )
        outgoing = self._outgoing(state, found)
        # Whoever calls: nothing becomes live without the second person that the inventory demands.
        approved = self.consent.use(self._plan_for_approval(found[incoming]))
        swap = self._swap(approved)
        swap.deferral = deferral
        problems = swap.run(incoming, outgoing, kind=_kind(state))
        if problems:
            raise refusal.probe_failed(swap, problems, self.evidence_root, _kind(state))
        dropped, stay = swap_outcome.drop_expired(self.database, self.policy)
        record = swap_record.of_swap(_kind(state), incoming, outgoing, swap.record) | {
            "swap_seconds": swap.progress.seconds,
            "down_seconds": swap_record.down_seconds(swap.progress.seconds, swap.by_hand),
            "slots": swap.slot_results,
            "pruned": dropped,
        }
        unrecorded = swap_record.write(self.evidence_root, _kind(state), record)
        swap.finish()
        deferral.done = f"Before that, {incoming} was made live and recorded."
        return (
            {"changed": True, "diff": swap_outcome.diff(self.database.name, incoming, outgoing)}
            | result
            | {
                "former": outgoing,
                "incoming": incoming,
                "phases": swap.progress.seconds,
                "down_seconds": record["down_seconds"],
                "slots": swap.slot_results,
                "pruned": dropped,
                "not_dropped": stay,
                "warnings": [
                    *swap.warnings,
                    *swap.journal.problems,
                    *unrecorded,
                    *by_hand.unchecked(self.services, self.url),
                ],
            }
        )

    def _recover(self, incoming: str | None, wanted: str | None) -> crash_recovery.RecoveryReport:
        swap = self._swap()
        # The staging database that was proved a moment ago for this very swap is no leftover.
        if incoming and swap.journal.proved and swap.journal.state.get("side") == incoming:
            return crash_recovery.RecoveryReport()
        known = dict(swap.journal.state)
        report = crash_recovery.recover(swap, self.root, resume=wanted)
        known |= {"finished": report.finished}
        told = (self.evidence_root, self.database, known, self.root)
        report.lines += swap_record.catch_up(*told)
        refusal.of_recovery(self.evidence_root, known, report)
        return report

    def _plan_for_approval(self, incoming: registry.ManagedDatabase) -> dict[str, Any]:
        if not self.consent.demanded:
            return {}
        terms = plan_for_approval.Terms(
            self.services.names, self.slots, self.policy, self.probe_writes
        )
        return plan_for_approval.of_incoming(self.consent, self.database, incoming, terms)

    def _shown_consent(self, incoming: registry.ManagedDatabase | None) -> dict[str, Any] | None:
        if incoming is None:  # it is not made yet: the restore shows the plan
            return None
        return self.consent.shown(self._plan_for_approval(incoming))

    def _swap(self, approved: dict[str, Any] | None = None) -> Swap:
        journal = Journal.of_root(self.root)
        restart = by_hand.restart(self.services) if self.url else ""
        return Swap(
            live=self.database,
            services=self.services,
            journal=journal,
            probe=lambda: self._problems(journal.state["services"]),
            forget_cache=lambda: redis_cache.forget(self.redis).problem,
            progress=self._progress(),
            slots=self.slots,
            record=self.record | (approved or {}),
            probe_seconds=self.restart_seconds if restart else self.probe_seconds,
            by_hand=restart,
            writable=self.probe_writes,
        )

    def _problems(self, running: list[str]) -> list[str]:
        """Return why the PMS does not work on the live database."""
        found = health.problems(self.database, self.url)
        if found or self.url:
            return found
        # Without its API, only its services show whether it works.
        states = self.services.unready(running).items()
        return [self.services.explain(*each) for each in states if each[1] == manager.DOWN]

    def _progress(self) -> Progress:
        return Progress(progress_file(self.root))

    def _rollback_target(
        self, found: dict[str, registry.ManagedDatabase], named: str | None
    ) -> str | None:
        """Return the database that a rollback makes live; None if it is live already."""
        if named is None:
            target = registry.rollback_target(found, self.database.name)
            return target.name if target else None
        if named in found and found[named].mark.get("of") == self.database.name:
            return named
        raise OpsError(
            f"{named} is not a former database of {self.database.name}.",
            "`psql -l` lists the databases; the comments of former ones begin with pms-ops.",
            code="restore.no-former",
        )

    def _outgoing(self, state: str, found: dict[str, registry.ManagedDatabase]) -> str | None:
        """Return the new name of the live database; None if there is no live database."""
        if self.database.name not in found:
            return None
        return registry.free_name(self.database.name, _kind(state), set(found))


def _kind(state: str) -> str:
    """Return what the live database becomes."""
    return registry.FORMER if state == SWAPPED else registry.UNDONE


def _manifest_sha256(file: Path | None) -> str | None:
    """Return what identifies the set at *file*; None without a file, a set or a manifest."""
    try:
        return sets.resolve(file).manifest_sha256 if file else None
    except (OpsError, OSError):
        return None  # the restore itself reports what is wrong with the set
