# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The results of all detections as text: scenario, evidence, and the command to type."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

DOCUMENTATION = r"""
name: pms_triage
short_description: Name the scenarios whose symptoms were found
description: Turns the result of M(pms_gate) over all detections into text lines.
author: Operations team (@ops)
options:
  _input:
    description: The result of the gate.
    type: dict
    required: true
  scenarios:
    description: The scenarios of C(roles/incident/files/scenarios.yml).
    type: dict
    required: true
  inventory:
    description: The inventory options of a command, with a leading space.
    type: str
    default: ""
"""

EXAMPLES = r"""
lines: "{{ look | pms_triage(scenarios) }}"
"""

RETURN = r"""
_value:
  description: Lines; the first scenario to run comes first.
  type: list
  elements: str
"""


# Detections cover the scenarios that have a playbook; the gate checks much more.
MORE = "Is something else wrong? ansible-playbook{} golive.yml checks more."


def triage(look: dict[str, Any], scenarios: dict[str, Any], inventory: str = "") -> list[str]:
    """Return each scenario with symptoms, its evidence, and the command to type."""
    seen: dict[str, list[dict[str, Any]]] = {}
    waiting: dict[str, set[str]] = {}
    for result in look["results"]:
        if result["status"] == "fail":
            seen.setdefault(result["section"], []).append(result)
        elif result["needs"]:
            waiting.setdefault(result["section"], set()).update(result["needs"])
    if not seen:
        return [f"No scenario fits: {_counted(look)}.", MORE.format(inventory)]
    lines = []
    for name in (name for name in scenarios if name in seen):
        scenario = scenarios[name]
        lines.append(f"SEEN: {scenario['title']} (scenario {scenario['number']})")
        lines += [f"  {each['id']}: {each['finding']}" for each in seen[name]]
        words = f"{inventory} {scenario['playbook']}{_arguments(scenario)}"
        lines.append(f"  type: ansible-playbook{words}")
    for name in (name for name in scenarios if name in waiting and name not in seen):
        first = sorted({need.partition(".")[0] for need in waiting[name]} & set(seen))
        if first:
            lines.append(
                f"Not checked, needs the {' and '.join(first)}: {scenarios[name]['title']}"
            )
    return [*lines, MORE.format(inventory)]


def _arguments(scenario: dict[str, Any]) -> str:
    return f" {scenario['arguments']}" if scenario.get("arguments") else ""


def _counted(look: dict[str, Any]) -> str:
    good = sum(result["status"] == "pass" for result in look["results"])
    return f"{good} of {len(look['results'])} symptoms were checked and not found"


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return them by name."""
        return {"pms_triage": triage}
