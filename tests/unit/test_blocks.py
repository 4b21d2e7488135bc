# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Blocks and roles as releases of ansible-core read them.

A block's `when` is asked anew for each of its tasks, those of `rescue` and `always` included: a
block that changes a variable of its own condition runs in part. A `tasks_from` that does not exist
is rescued by 2.21, and ends 2.19 and 2.20 with 4, the status of an unreachable host.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from tests.conftest import PROJECT
from tests.unit.test_task_arguments import FILES, Loader


def tasks(node: Any) -> Iterator[dict[str, Any]]:
    if isinstance(node, dict):
        if "name" in node or "block" in node:
            yield node
        for value in node.values():
            yield from tasks(value)
    elif isinstance(node, list):
        for each in node:
            yield from tasks(each)


def changed_by(node: Any) -> Iterator[str]:
    """Give the variables that the tasks of a block set."""
    for task in tasks(node):
        if "register" in task:
            yield str(task["register"])
        for key in ("ansible.builtin.set_fact", "set_fact"):
            yield from (str(each) for each in task.get(key) or {})


def broken(document: Any) -> list[str]:
    found = []
    for task in tasks(document):
        if "block" not in task or "when" not in task:
            continue
        condition = str(task["when"])
        parts = [task.get(part) or [] for part in ("block", "rescue", "always")]
        names = {name for part in parts for name in changed_by(part)}
        found += [
            f"{task.get('name', condition)}: {name}"
            for name in sorted(names)
            if re.search(rf"\b{re.escape(name)}\b", condition)
        ]
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PROJECT)))
def test_no_block_changes_a_variable_of_its_own_condition(path):
    assert broken(yaml.load(path.read_text(), Loader)) == []  # noqa: S506


def test_a_block_that_does_is_found():
    block = {
        "name": "x",
        "when": "not done | default(false)",
        "block": [{"name": "y", "ansible.builtin.set_fact": {"done": True}}],
        "always": [{"name": "z", "ansible.builtin.debug": {}}],
    }
    assert broken([block]) == ["x: done"]
    assert broken([block | {"when": "other"}]) == []


def test_every_file_of_tasks_that_a_role_is_asked_for_exists():
    seen = 0
    for path in FILES:
        for task in tasks(yaml.load(path.read_text(), Loader)):  # noqa: S506
            for key in ("include_role", "import_role"):
                given = task.get(f"ansible.builtin.{key}") or task.get(key) or {}
                name, asked = given.get("name", ""), given.get("tasks_from")
                if asked and "{{" not in f"{name}{asked}":
                    seen += 1
                    file = PROJECT / "roles" / name / "tasks" / asked
                    assert file.is_file() or file.with_suffix(".yml").is_file(), (path, asked)
    assert seen > 10


def strings(node: Any) -> Iterator[str]:
    if isinstance(node, str):
        yield node
    elif isinstance(node, (dict, list)):
        for each in node.values() if isinstance(node, dict) else node:
            yield from strings(each)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PROJECT)))
def test_a_group_of_a_regular_expression_is_written_with_one_backslash(path):
    r"""In a block of YAML two of them stay two: a record had "with \\1 \\2" for its parts."""
    found = [each for each in strings(yaml.load(path.read_text(), Loader)) if r"\\1" in each]  # noqa: S506
    assert found == []
