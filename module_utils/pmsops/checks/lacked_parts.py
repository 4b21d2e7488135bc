# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Checks about parts that the inventory says a system does not have (``pms_without``).

They are not run, do not block, and hinder no other check. Only the first check of each part is run:
if it passes, the system has the part, and the inventory hides all that is wrong with it.
"""

from __future__ import annotations

from collections.abc import Sequence

from ansible.module_utils.pmsops.checks.checklist import Check
from ansible.module_utils.pmsops.checks.validation import PARTS
from ansible.module_utils.pmsops.checks.worker import ProbeResult

THERE = "pms_without says that this system has no {part}, and it has: take it out of pms_without"


class LackedParts:
    """The checks about lacked parts among *checks*: ``skipped`` results by id, and who is asked."""

    def __init__(self, checks: Sequence[Check], without: frozenset[str]) -> None:
        about = [check for check in checks if check.about in without]
        self.ids = {check.id for check in about}
        self._first = {check.about: check for check in reversed(about)}
        asked = {check.id for check in self._first.values()}
        self.skipped = {check.id: _absent(check) for check in about if check.id not in asked}

    def judge(self, found: dict[str, ProbeResult]) -> dict[str, ProbeResult]:
        """Return the results of the first check of each part, as they count."""
        judged = {}
        for part, check in self._first.items():
            result = found[check.id]
            if result.status == "pass":
                result.status, result.finding = "fail", THERE.format(part=PARTS[part])
                judged[check.id] = result
            else:
                judged[check.id] = _absent(check)
        return judged


def _absent(check: Check) -> ProbeResult:
    finding = f"this system has no {PARTS[check.about]} (pms_without)"
    return ProbeResult("unknown", finding, attempts=0, absent=True)
