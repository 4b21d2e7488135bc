# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The consent of a second person: demanded by the module that acts, checked, and used once.

It is the inventory's to demand it. A module asks before anything is touched, and once more right
before it acts; the ledger gets a line then, so that no approval is used twice.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from ansible.module_utils.pmsops.approvals import documents, people
from ansible.module_utils.pmsops.approvals import plan as plans
from ansible.module_utils.pmsops.approvals.people import Approver
from ansible.module_utils.pmsops.approvals.plan import Plan
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.common.timestamps import UTC, from_iso
from ansible.module_utils.pmsops.evidence import ledger
from ansible.module_utils.pmsops.repository import signing

KIND = "approval"
VALID = timedelta(hours=1)
# Between the clock of the person's machine and that of the host: what doctor allows.
SKEW = timedelta(seconds=5)
# The stop that every plan comes by: no attempt that failed.
MISSING = "approval.missing"


@dataclass(frozen=True)
class Consent:
    """What the inventory says of a second person; without ``demanded`` nobody is asked."""

    evidence_root: Path | None = None
    demanded: bool = False
    system: str = ""
    operator: str = ""
    scheduled: bool = False
    command: str = "pms-ops approve"
    approvers: tuple[dict[str, Any], ...] = ()
    now: Callable[[], datetime] = lambda: datetime.now(UTC)

    @classmethod
    def from_options(
        cls, options: Mapping[str, Any] | None, evidence_root: Path | str | None
    ) -> Consent:
        """Return the consent that a module's option ``consent`` describes."""
        given = options or {}
        return cls(
            evidence_root=Path(evidence_root) if evidence_root else None,
            demanded=bool(given.get("required")),
            system=given.get("system") or "",
            operator=(given.get("operator") or "").strip(),
            scheduled=bool(given.get("scheduled")),
            command=given.get("command") or "pms-ops approve",
            approvers=tuple(given.get("approvers") or ()),
        )

    def plan(self, operation: str, **facts: Any) -> Plan:
        """Return the plan of an operation, with the system and who ordered it."""
        return {
            "operation": operation,
            "system": self.system,
            "ordered_by": self.operator,
            "login": people.login(),
            "ledger": str(self.evidence_root),
            **facts,
        }

    def shown(self, plan: Plan) -> dict[str, Any] | None:
        """Return what check mode says of the consent; None where none is demanded."""
        if not self.demanded:
            return None
        digest = plans.sha256(plan)
        return {"sha256": digest, "lines": plans.lines(plan), "command": f"{self.command} {digest}"}

    def require(self, plan: Plan) -> dict[str, Any] | None:
        """Return the valid approval of a plan, which stays usable; None where none is demanded.

        :raises OpsError: approval.*
        """
        if not self.demanded:
            return None
        root, approvers = self._ready()
        documents.keep_plan(root, plan)  # for the person who is asked
        document = documents.approval(root, plan)
        if document is None:
            documents.note_shown(root, plan, self.now(), anew=False)
            raise self._missing(plan, root, approvers)
        try:
            self._check(document, plan, approvers)
        except OpsError:
            documents.note_shown(root, plan, self.now(), anew=True)
            raise
        return document

    def use(self, plan: Plan) -> dict[str, Any]:
        """Use up the approval of a plan right before it is done; return facts for its record.

        :raises OpsError: approval.*, ledger.unwritable
        """
        if self.require(plan) is None:
            return {}
        root, approvers = self._ready()
        with ledger.writing(root) as tail:
            document = self.require(plan)  # once more: nobody else can use it now
            assert document is not None  # noqa: S101  it was there a moment ago
            key = str(signing.signer_of(document))
            facts = {
                "ordered_by": plan["ordered_by"],
                "login": plan["login"],
                "approved_by": people.whose(approvers, key).name,
                "approved_at": document["signed_at"],
                "decide_seconds": documents.decide_seconds(root, document),
                "approval_key": key,
                "plan_sha256": plans.sha256(plan),
            }
            now = self.now()
            # What the person signed comes along whole: an outsider has nothing else to check.
            record = facts | {"approval": document["id"], "plan": plan, "document": document}
            tail.add(KIND, record, now, tail.signer(None, now))
        return facts

    def _ready(self) -> tuple[Path, tuple[Approver, ...]]:
        """Return the folder of the ledger, and the approvers; refuse what makes consent void."""
        if self.evidence_root is None:
            raise OpsError(
                "restore_second_person is true, and no ledger is named that could record the use of"
                " an approval. Nothing was changed.",
                "Give evidence_root.",
                code="approval.no-ledger",
            )
        if self.scheduled:
            raise OpsError(
                "A scheduled job cannot ask a second person, whom restore_second_person demands."
                " Nothing was changed.",
                "Run it by hand, so that the plan can be approved within the hour; take the job out"
                " of the schedule.",
                code="approval.scheduled",
            )
        if not self.operator:
            raise OpsError(
                "restore_second_person is true, and nothing says who orders this run. Nothing was"
                " changed.",
                "Name the person: -e restore_operator=NAME",
                code="approval.no-operator",
            )
        return self.evidence_root, people.of_options(self.approvers)

    def _missing(self, plan: Plan, root: Path, approvers: tuple[Approver, ...]) -> OpsError:
        """Return why a plan has no approval: it has none, or another one was approved."""
        told = f"{'; '.join(plans.lines(plan))}. Plan {plans.sha256(plan)}"
        about = ("operation", "database", "site")
        for each in documents.approved_plans(root):
            other = each["plan"]
            age, key = self._age(each), signing.valid_signer(each)
            if age is None or age > VALID or key not in [one.key for one in approvers]:
                continue
            if any(other.get(name) != plan.get(name) for name in about) or _is_used(root, each):
                continue
            return OpsError(
                "The plan has changed since it was approved, in"
                f" {', '.join(plans.changed(other, plan))}; the approval is void. Nothing was"
                f" changed. The plan now: {told}.",
                f"Find out why, then let a second person approve it: {self._command(plan)}",
                code="approval.changed",
            )
        return OpsError(
            f"A second person has to approve this plan. Nothing was changed. {told}.",
            f"A second person types: {self._command(plan)}. Then run this again"
            " within the hour; after a restore with at=, name the set of the plan with file=.",
            code="approval.missing",
        )

    def _check(self, document: dict[str, Any], plan: Plan, approvers: tuple[Approver, ...]) -> None:
        key = _signer(document, plan)
        people.require_second(people.whose(approvers, key), plan, approvers)
        age, signed_at = self._age(document), document.get("signed_at")
        if age is None or age > VALID:
            raise OpsError(
                f"The approval of {signed_at} is void: it holds for an hour. Nothing was changed.",
                f"Let a second person approve the plan again: {self._command(plan)}",
                code="approval.expired",
            )
        if age < -SKEW:
            raise OpsError(
                f"The approval is of {signed_at}, which this machine's clock has not reached."
                " Nothing was changed.",
                "Set both clocks right (timedatectl). Then let a second person approve the plan"
                f" again: {self._command(plan)}",
                code="approval.future",
            )
        if self.evidence_root and _is_used(self.evidence_root, document):
            raise OpsError(
                f"The approval of plan {plans.sha256(plan)} has been used already. Nothing was"
                " changed.",
                f"Let a second person approve the plan again: {self._command(plan)}",
                code="approval.used",
            )

    def _age(self, document: Mapping[str, Any]) -> timedelta | None:
        """Return how long ago a document was signed; None if it does not say when."""
        try:
            age = self.now() - from_iso(str(document["signed_at"]))
        except (KeyError, ValueError, TypeError):
            return None
        return age

    def _command(self, plan: Plan) -> str:
        """Return what the second person types."""
        return f"{self.command} {plans.sha256(plan)} --key THEIR-KEY"


def _signer(document: dict[str, Any], plan: Plan) -> str:
    """Return the id of the key that signed the approval of this very plan.

    :raises OpsError: approval.altered
    """
    key = signing.valid_signer(document)
    fits = document.get("plan") == plan and document.get("plan_sha256") == plans.sha256(plan)
    if key is None or not fits or not document.get("id"):
        raise OpsError(
            "The approval was altered after it was signed: signature and content do not fit."
            " Nothing was changed.",
            "Find out who changed it, then let the second person approve the plan again.",
            code="approval.altered",
        )
    return key


def _is_used(root: Path, document: Mapping[str, Any]) -> bool:
    entries = ledger.records(root)
    used = {each["record"].get("approval") for each in entries if each["kind"] == KIND}
    return document.get("id") in used
