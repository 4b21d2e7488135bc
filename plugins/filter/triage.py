# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The results of all detections as text: scenario, evidence, and the command to type."""

from __future__ import annotations

from collections.abc import Callable, Sequence
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
  order:
    description: The scenarios in the order of their recovery; by default that of O(scenarios).
    type: list
    elements: str
    default: []
  moments:
    description: Lines about the moment before the damage, where the WAL tells it.
    type: list
    elements: str
    default: []
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


def triage(
    look: dict[str, Any],
    scenarios: dict[str, Any],
    inventory: str = "",
    order: Sequence[str] = (),
    moments: Sequence[str] = (),
) -> list[str]:
    """Return each scenario with symptoms, its evidence, and the command to type, in order."""
    seen: dict[str, list[dict[str, Any]]] = {}
    waiting: dict[str, set[str]] = {}
    for result in look["results"]:
        if result["status"] == "fail":
            seen.setdefault(result["section"], []).append(result)
        elif result["needs"]:
            waiting.setdefault(result["section"], set()).update(result["needs"])
    absent = [
        f"Not in the inventory, so not checked: {', '.join(each)}"
        for each in [[r["id"] for r in look["results"] if r.get("absent")]]
        if each
    ]
    if not seen:
        return [f"No scenario fits: {_counted(look)}.", *absent, MORE.format(inventory)]
    names = [name for name in order or scenarios if name in seen]
    lines = []
    if len(names) > 1:
        again = f"ansible-playbook{inventory} playbooks/dr_triage.yml"
        lines.append(
            f"{len(names)} disasters at once. Recover in this order: {', '.join(names)}."
            f" After each one, look again: {again}"
        )
    for name in names:
        scenario = scenarios[name]
        lines.append(f"SEEN: {scenario['title']} (scenario {scenario['number']})")
        lines += [f"  {each['id']}: {each['finding']}" for each in seen[name]]
        words = f"{inventory} {scenario['playbook']}{_arguments(scenario)}"
        first = [each for each in names[: names.index(name)] if each in _required(scenario)]
        then = f", after the {' and the '.join(first)}" if first else ""
        lines.append(f"  type{then}: ansible-playbook{words}")
    for name in (name for name in scenarios if name in waiting and name not in seen):
        first = sorted({need.partition(".")[0] for need in waiting[name]} & set(seen))
        if first:
            lines.append(
                f"Not checked, needs the {' and '.join(first)}: {scenarios[name]['title']}"
            )
    return [*lines, *moments, *absent, MORE.format(inventory)]


def _required(scenario: dict[str, Any]) -> set[str]:
    """Return the scenarios whose symptoms stop the recovery of this one."""
    return {check.partition(".")[0] for check in scenario.get("requires", ())}


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
