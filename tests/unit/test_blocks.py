# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Blocks and roles as releases of ansible-core read them.

A block's `when` is asked anew for each of its tasks, those of `rescue` and `always` included: a
block that changes a variable of its own condition runs in part. A `tasks_from` that does not exist
is rescued by 2.21, and ends 2.19 and 2.20 with 4, the status of an unreachable host.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

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


KINDS = ("include_tasks", "import_tasks", "include_role", "import_role")


def given(task: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Give what a task includes or imports: the kind, and its arguments."""
    for kind in KINDS:
        if (value := task.get(f"ansible.builtin.{kind}", task.get(kind))) is not None:
            yield kind, value if isinstance(value, dict) else {"file": value, "name": value}


def files_of(kind: str, value: dict[str, Any], path: Path) -> list[Path]:
    """Return the files of tasks that are meant; any, where a template says which."""
    if kind.endswith("role"):
        folder, name = PROJECT / "roles" / str(value["name"]) / "tasks", value.get("tasks_from")
    else:
        folder, name = path.parent, value["file"]
    pattern = re.sub(r"\{\{.*?\}\}", "*", str(name or "main")).removesuffix(".yml") + ".yml"
    role = next((each for each in path.parents if each.name == "tasks"), folder)
    return sorted(folder.glob(pattern)) or sorted(role.glob(pattern))


@functools.cache
def document_of(path: Path) -> Any:
    """Return what a file of YAML says; nobody changes it."""
    return yaml.load(path.read_text(), Loader)  # noqa: S506


def changed_by(node: Any, path: Path, seen: set[Path] | None = None) -> Iterator[str]:
    """Give the variables that tasks set, and the files of tasks to which they lead."""
    seen = set() if seen is None else seen
    for task in tasks(node):
        if "register" in task:
            yield str(task["register"])
        for key in ("ansible.builtin.set_fact", "set_fact"):
            yield from (str(each) for each in task.get(key) or {} if each != "cacheable")
        for kind, value in given(task):
            for file in files_of(kind, value, path):
                if file not in seen:
                    seen.add(file)
                    yield from changed_by(document_of(file), file, seen)


def words(text: str) -> set[str]:
    """Return the variables of an expression, and other words."""
    return set(re.findall(r"[A-Za-z_]\w*", re.sub(r"'[^']*'", "", text)))


# What the variables of roles are made of.
MADE_OF = {
    name: words(str(value))
    for folder in ("vars", "defaults")
    for file in (PROJECT / "roles").glob(f"*/{folder}/*.yml")
    for name, value in (yaml.load(file.read_text(), Loader) or {}).items()  # noqa: S506
    if "{{" in str(value) or "{%" in str(value)
}


def asks_for(condition: str) -> set[str]:
    """Return the variables of a condition, and those that these are made of."""
    found, left = set(), words(condition)
    while left:
        found |= left
        left = {each for name in left for each in MADE_OF.get(name, ())} - found
    return found


def broken(document: Any, path: Path = PROJECT / "roles" / "x" / "tasks" / "x.yml") -> list[str]:
    """Name what asks its condition anew after it has changed it: a block, and a file that is
    imported, whose tasks all get the condition. Of an include it is asked once."""
    found = []
    for task in tasks(document):
        inner = [task.get(part) or [] for part in ("block", "rescue", "always")]
        inner += [{k: v} for k, v in task.items() if "import_tasks" in k or "import_role" in k]
        if "when" not in task or not any(inner):
            continue
        if "block" not in task:
            inner = [{"name": "import"} | each for each in inner if each]
        names = {name for part in inner for name in changed_by(part, path)}
        condition = str(task["when"])
        found += [
            f"{task.get('name', condition)}: {name}" for name in sorted(names & asks_for(condition))
        ]
    return found


def test_no_block_changes_a_variable_of_its_own_condition():
    assert len(FILES) > 300
    found = {str(path.relative_to(PROJECT)): broken(document_of(path), path) for path in FILES}
    assert {name: each for name, each in found.items() if each} == {}


def test_a_condition_that_is_made_of_what_a_file_changes_is_found(tmp_path):
    (tmp_path / "sets.yml").write_text("- {name: a, command: b, register: __x_done}\n")
    block = {"name": "x", "when": "__x_due", "block": [{"name": "y", "include_tasks": "sets.yml"}]}
    MADE_OF["__x_due"] = words("{{ __x_done is undefined }}")
    try:
        assert broken([block], tmp_path / "main.yml") == ["x: __x_done"]
        imported = {"name": "z", "when": "__x_due", "ansible.builtin.import_tasks": "sets.yml"}
        assert broken([imported], tmp_path / "main.yml") == ["z: __x_done"]
        included = {"name": "z", "when": "__x_due", "ansible.builtin.include_tasks": "sets.yml"}
        assert broken([included], tmp_path / "main.yml") == []
    finally:
        del MADE_OF["__x_due"]


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
        for task in tasks(document_of(path)):
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


def test_a_group_of_a_regular_expression_is_written_with_one_backslash():
    r"""In a block of YAML two of them stay two: a record had "with \\1 \\2" for its parts."""
    found = [
        f"{path.relative_to(PROJECT)}: {each}"
        for path in FILES
        for each in strings(document_of(path))
        if r"\\1" in each
    ]
    assert found == []
