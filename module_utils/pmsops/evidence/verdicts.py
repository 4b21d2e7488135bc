# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a record says, in the three words that auditors read: PASS, FAIL, NOT MEASURED.

Each kind of record keeps its own words (go, no-go, proved, outcome); these are only mapped.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

PASS, FAIL, NOT_MEASURED = "PASS", "FAIL", "NOT MEASURED"
VERDICTS = (PASS, FAIL, NOT_MEASURED)
# A proof that cannot fail, or that came to no verdict, says nothing about what it was to prove.
_NO_VERDICT = frozenset({"proof.broken", "pitr.no-verdict"})
_GATE = {"go": PASS, "no-go": FAIL}
_STATUS = {"pass": PASS, "attested": PASS, "waived": FAIL, "fail": FAIL}
_INCIDENT = {"recovered": PASS, "not_recovered": FAIL}
_REPLACED = ("restore", "swap", "rollback")


def of(kind: str, record: Mapping[str, Any]) -> str:
    """Return the verdict of a ledger's record, of any release."""
    if record.get("broken") is True or record.get("code") in _NO_VERDICT:
        return NOT_MEASURED
    if kind == "gate":
        return _GATE.get(str(record.get("verdict")), NOT_MEASURED)
    if kind == "incident":
        return _INCIDENT.get(str(record.get("outcome")), NOT_MEASURED)
    if isinstance(record.get("proved"), bool):
        return PASS if record["proved"] else FAIL
    if kind in _REPLACED:
        # Only a restore that was undone, failed or was broken has an outcome.
        outcome = record.get("outcome")
        return PASS if outcome is None else NOT_MEASURED if outcome == "broken" else FAIL
    if kind == "deficiency":
        return PASS if record.get("act") == "closed" else FAIL
    if kind in ("backup", "host"):
        return PASS if record.get("set") else NOT_MEASURED
    return NOT_MEASURED


def of_check(status: str) -> str:
    """Return the verdict of a check of the gate: *unknown* was not measured."""
    return _STATUS.get(status, NOT_MEASURED)
