# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Plans that wait and approvals, as files in ``evidence_root/approvals``.

``<hash>.plan.json`` is a plan that a run was stopped for; ``<hash>.approval.json`` is that plan
with who approved it and when, signed by their Ed25519 key. ``<hash>.shown.json`` says since
when the plan waits for that approval.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from ansible.module_utils.pmsops.approvals import people
from ansible.module_utils.pmsops.approvals import plan as plans
from ansible.module_utils.pmsops.approvals.people import Approver
from ansible.module_utils.pmsops.approvals.plan import Plan
from ansible.module_utils.pmsops.common import files
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.common.timestamps import from_iso, utc_stamp
from ansible.module_utils.pmsops.repository import signing

FOLDER = "approvals"
PLAN, APPROVAL, SHOWN = ".plan.json", ".approval.json", ".shown.json"
SCHEMA = 1
HASH = re.compile(r"[0-9a-f]{12,64}")


def keep_plan(evidence_root: Path, plan: Plan) -> None:
    """Keep a plan for the person who is asked.

    :raises OpsError: approval.unwritable
    """
    _write(evidence_root, plans.sha256(plan) + PLAN, plan)


def note_shown(evidence_root: Path, plan: Plan, now: datetime, *, anew: bool) -> None:
    """Note since when a plan waits; *anew*: an earlier approval of it is void."""
    name = plans.sha256(plan) + SHOWN
    if anew or _object(evidence_root / FOLDER / name) is None:
        _write(evidence_root, name, {"shown_at": utc_stamp(now)})


def decide_seconds(evidence_root: Path, document: Mapping[str, Any]) -> float | None:
    """Return how long a plan waited, by this host's clock and the approver's; None: unknown."""
    shown = _object(evidence_root / FOLDER / (plans.sha256(document["plan"]) + SHOWN)) or {}
    try:
        since, until = (from_iso(str(each)) for each in (shown["shown_at"], document["signed_at"]))
        waited = (until - since).total_seconds()
    except (KeyError, ValueError, TypeError):
        return None
    return waited if waited >= 0 else None


def waiting(evidence_root: Path, wanted: str) -> Plan:
    """Return the plan of a hash, or of its first 12 or more digits.

    :raises OpsError: approval.no-plan, approval.plan-altered
    """
    folder = evidence_root / FOLDER
    named = wanted.strip().lower()
    found = sorted(folder.glob(f"{named}*{PLAN}")) if HASH.fullmatch(named) else []
    if len(found) != 1:
        known = ", ".join(each.name[:12] for each in sorted(folder.glob(f"*{PLAN}"))) or "none"
        raise OpsError(
            f"No plan {wanted} waits in {folder} (plans there: {known}).",
            "Take the hash from the message of the run that was stopped; the same run prints it"
            " again.",
            code="approval.no-plan",
        )
    plan = _object(found[0])
    if plan is None or plans.sha256(plan) != found[0].name.removesuffix(PLAN):
        raise OpsError(
            f"{found[0]} is not the plan of its name: the file was altered.",
            "Approve nothing. Find out who changed it; the run that was stopped writes it anew.",
            code="approval.plan-altered",
        )
    return plan


def approve(
    plan: Plan, approvers: Sequence[Approver], key_file: Path, now: datetime
) -> tuple[Approver, dict[str, Any]]:
    """Return who approves a plan with a private key, and the approval, signed.

    :raises OpsError: approval.no-key, approval.unknown-key, approval.own-plan, signing.key
    """
    try:
        key = signing.load_private(key_file)
    except OSError as exc:
        raise OpsError(
            f"The private key {key_file} cannot be read: {exc.strerror or exc}.",
            "Name your own key with --key, or make one: pms-ops approve --new-key --key FILE",
            code="approval.no-key",
        ) from exc
    person = people.whose(approvers, signing.key_id(signing.raw_public(key)))
    people.require_second(person, plan, approvers)
    document = {
        "schema_version": SCHEMA,
        "plan": plan,
        "plan_sha256": plans.sha256(plan),
        "signed_at": utc_stamp(now),
        "id": secrets.token_hex(16),
    }
    return person, signing.sign(document, key)


def keep_approval(evidence_root: Path, document: Mapping[str, Any]) -> Path:
    """Keep an approval for the run that it allows; return its file.

    :raises OpsError: approval.unwritable
    """
    name = plans.sha256(document["plan"]) + APPROVAL
    _write(evidence_root, name, dict(document))
    return evidence_root / FOLDER / name


def approval(evidence_root: Path, plan: Plan) -> dict[str, Any] | None:
    """Return the approval of a plan as its file has it, None without one.

    :raises OpsError: approval.altered if it is no approval
    """
    path = evidence_root / FOLDER / (plans.sha256(plan) + APPROVAL)
    if not path.exists():
        return None
    found = _object(path)
    if found is None:
        raise OpsError(
            f"{path} is no approval: it cannot be read as one. Nothing was changed.",
            "Let the second person approve the plan again.",
            code="approval.altered",
        )
    return found


def approved_plans(evidence_root: Path) -> Iterator[dict[str, Any]]:
    """Yield the approvals that lie there, whatever they are worth, the newest first."""
    found = [each for each in (evidence_root / FOLDER).glob(f"*{APPROVAL}") if each.is_file()]
    for path in sorted(found, key=lambda each: each.stat().st_mtime, reverse=True):
        document = _object(path)
        if document is not None and isinstance(document.get("plan"), dict):
            yield document


def _object(path: Path) -> dict[str, Any] | None:
    try:
        document = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None


def _write(evidence_root: Path, name: str, document: dict[str, Any]) -> None:
    folder = evidence_root / FOLDER
    try:
        files.make_private_folder(evidence_root)
        files.make_private_folder(folder)
        content = json.dumps(document, indent=1, ensure_ascii=True).encode() + b"\n"
        files.replace(folder / name, content)
    except OSError as exc:
        raise OpsError(
            f"{folder / name} cannot be written: {exc.strerror or exc}.",
            "Give the user of the playbooks write access and free space there, then run again.",
            code="approval.unwritable",
        ) from exc
