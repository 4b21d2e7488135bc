# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Each task that adds a line to the ledger lets the anchors have it, also in a run that fails."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from tests.conftest import PROJECT
from tests.unit.test_task_arguments import Loader

HANDLER = "Anchor the ledger"
# The modules that add lines, and of those that also do other things, which arguments say that.
WRITERS = (
    *("pms_ledger", "pms_ledger_key", "pms_evidence", "pms_evidence_merge", "pms_pitr_server"),
    *("pms_swap", "pms_restore_tables", "pms_restore_parts", "pms_incident", "pms_host"),
    "pms_deficiency",
)
READS = {
    "pms_ledger": lambda given: "kind" not in given,
    "pms_incident": lambda given: given.get("state") != "closed",
    "pms_host": lambda given: "'finished'" not in str(given),
}
TASKS = sorted((PROJECT / "roles").glob("*/tasks/**/*.yml"))
# The only task of this file is a plan.
PLANS = ("parts_plan.yml",)
# Playbooks that take a part of such a role which adds no line.
LOOKS = (
    "anchor",
    "approve",
    "evidence_export",
    "dr_triage",
    "envelope",
    "site",
    "smoke_close",
    "status",
    "database_role",
)


def tasks(node: Any) -> Iterator[dict[str, Any]]:
    """Give each task, however deep it lies."""
    if isinstance(node, list):
        for each in node:
            yield from tasks(each)
    elif isinstance(node, dict):
        yield node
        for key in ("block", "rescue", "always"):
            yield from tasks(node.get(key, []))


def adding(path: Path) -> Iterator[dict[str, Any]]:
    """Give the tasks of a file that add lines."""
    for task in tasks(yaml.load(path.read_text(), Loader)):  # noqa: S506  a safe one
        module = next((name for name in WRITERS if name in task), None)
        reads = READS.get(module or "", lambda _given: False)
        if module and path.name not in PLANS and not reads(task[module]):
            yield task


def test_a_restore_or_a_proof_added_lines_that_no_anchor_got():
    found = [(path, task) for path in TASKS for task in adding(path)]
    assert len(found) > 25
    wrong = [
        f"{path.name}: {task['name']}" for path, task in found if task.get("notify") != HANDLER
    ]
    assert wrong == []


def test_the_line_of_a_failed_run_is_anchored_too():
    """A failed drill that stays on the machine could be taken out again."""
    written = {path.parts[path.parts.index("roles") + 1] for path in TASKS if any(adding(path))}
    wrong = []
    for path in sorted((PROJECT / "playbooks").glob("*.yml")):
        for play in yaml.safe_load(path.read_text()):
            due = path.stem not in LOOKS and bool(written & roles(play))
            if bool(play.get("force_handlers")) != due:
                wrong.append(f"{path.name}: {play.get('name')}")
    assert wrong == []


def roles(play: dict[str, Any]) -> set[str]:
    """Return the roles that a play names."""
    named = {each if isinstance(each, str) else each["role"] for each in play.get("roles", [])}
    given = [task.get("ansible.builtin.include_role") for task in tasks(play.get("tasks", []))]
    return named | {each["name"] for each in given if each}
