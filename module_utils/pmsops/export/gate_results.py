# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a run of the gate came to: one reading, for the signed statement and for the report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible.module_utils.pmsops.evidence import verdicts

PASSED, WARNED, FAILED = "PASSED", "WARNED", "FAILED"
BLOCKER, UNKNOWN, ATTESTED = "blocker", "unknown", "attested"


@dataclass
class Result:
    """The ids of the checks by their outcomes; *result* is None without a verdict."""

    result: str | None
    tests: dict[str, list[str]] = field(default_factory=dict)
    attested: list[str] = field(default_factory=list)
    # Blockers without an answer: the run neither saw them pass nor fail.
    unanswered: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)  # blockers or not
    waived: list[str] = field(default_factory=list)  # did not pass, and a waiver let it through
    flaky: list[str] = field(default_factory=list)  # passed, but not at the first attempt


def of(record: Mapping[str, Any]) -> Result:
    """Return the result of a run's record.

    What the gate lets through although it did not pass (a waiver, a check without an answer, a
    check that is no blocker) is a warning.
    """
    verdict = verdicts.of("gate", record)
    found = Result(None, {PASSED: [], WARNED: [], FAILED: []})
    results = record.get("results")
    if not isinstance(results, list):
        return found
    said = record.get("blocking")
    blocking = {str(each) for each in said} if isinstance(said, list) else set()
    for each in results:
        name = str(each["id"]) if isinstance(each, dict) and each.get("id") else ""
        if not name:
            continue
        status = str(each.get("status"))
        found.tests[_outcome(name, status, blocking)].append(name)
        if status == ATTESTED:
            found.attested.append(name)
        if status == UNKNOWN and each.get("severity") == BLOCKER:
            found.unanswered.append(name)
        if status == "fail":
            found.failed.append(name)
        if status == "waived":
            found.waived.append(name)
        if each.get("flaky") is True:
            found.flaky.append(name)
    listed = (found.attested, found.unanswered, found.failed, found.waived, found.flaky)
    for names in (*found.tests.values(), *listed):
        names.sort()
    if verdict != verdicts.NOT_MEASURED:
        failed = verdict == verdicts.FAIL
        found.result = FAILED if failed else WARNED if found.tests[WARNED] else PASSED
    return found


def _outcome(name: str, status: str, blocking: set[str]) -> str:
    if status in ("pass", ATTESTED):
        return PASSED
    return FAILED if name in blocking else WARNED
