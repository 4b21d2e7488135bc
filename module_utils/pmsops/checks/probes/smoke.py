# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Return the result of a step of the smoke test, which ran before the gate."""

from __future__ import annotations

from typing import Any

from ansible.module_utils.pmsops.checks.probes import Deadline, Failed, Overdue, Unanswerable
from ansible.module_utils.pmsops.checks.probes.context import Context


def ask(params: dict[str, Any], context: Context, deadline: Deadline) -> dict[str, Any]:
    """Return the step as the smoke test reported it; it passes only with the status pass."""
    steps = (context.settings.facts.get("smoke") or {}).get("steps")
    if not steps:
        raise Unanswerable("no step was run before the gate")
    step = next((step for step in steps if step.get("id") == params["step"]), None)
    if step is None:
        raise Unanswerable(f"no step {params['step']} was run")
    finding = step.get("finding") or f"step {params['step']} is {step.get('status')}"
    if step.get("overdue"):
        raise Overdue(finding)
    if step.get("status") == "fail":
        raise Failed(finding)
    if step.get("status") != "pass":
        raise Unanswerable(finding)
    return dict(step)
