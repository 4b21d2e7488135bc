# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""What persons approved and attested, and which runs lack the signature of a role."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible.module_utils.pmsops.evidence import run_record
from ansible.module_utils.pmsops.export import gate_results, rows
from ansible.module_utils.pmsops.export.segment import Segment

ROLES = tuple(each.lower() for each in run_record.SIGNERS)
# What a plan is about, by the names that plans have.
_OF_PLAN = ("set", "former", "site", "database")
_SAID = ("check", "who", "role", "when", "until", "why")


def attested(segment: Segment, records: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return each attestation in records of the gate once, with the first run that counted it."""
    found: dict[tuple[str | None, ...], dict[str, Any]] = {}
    for line in segment.of_kind("gate"):
        run = str(line.record.get("run"))
        results = records.get(run, {}).get("results")
        for each in results if isinstance(results, list) else ():
            if not isinstance(each, dict) or each.get("status") != gate_results.ATTESTED:
                continue
            said = each.get("attestation")
            said = said if isinstance(said, dict) else {}
            told = {name: str(said[name]) if said.get(name) else None for name in _SAID}
            told["check"] = told["check"] or str(each.get("id"))
            row = rows.base(line) | told | {"name": told["who"], "run": run}
            found.setdefault(tuple(told.values()), row | {"decision": None, "task": None})
    return list(found.values())


def approvals(segment: Segment) -> list[dict[str, Any]]:
    """Return each use of a second person's approval: for what plan, on whose order, by whom."""
    return [
        rows.base(line)
        | {
            name: line.record.get(name)
            for name in ("ordered_by", "approved_by", "approved_at", "approval_key", "plan_sha256")
        }
        | {
            "decide_seconds": rows.duration(line.record.get("decide_seconds")),
            # Whether it fits is for verify.py to say, not for the machine that wrote it.
            "signed": "document" in line.record,
            "operation": plan.get("operation"),
            "what": next(
                (plan[name] for name in _OF_PLAN if isinstance(plan.get(name), str)), None
            ),
        }
        for line in segment.of_kind("approval")
        for plan in (line.record.get("plan") or {},)
    ]


def unsigned(segment: Segment) -> list[tuple[str, int, int]]:
    """Return each role with the whole runs that it did not sign, and all whole runs."""
    runs = {
        str(each.record.get("run"))
        for each in segment.of_kind("gate")
        if each.record.get("partial") is not True
    }
    # A run of the last day may be signed after the period.
    signed = {
        (str(each.record.get("role")).strip().lower(), str(each.record.get("run")))
        for each in segment.lines
        if each.kind == "signoff"
    }
    return [(role, sum((role, run) not in signed for run in runs), len(runs)) for role in ROLES]
