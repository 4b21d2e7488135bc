# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Tasks give the project's modules only options that these have: Ansible looks late."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conftest import PROJECT

FILES = sorted(
    path
    for folder in ("roles", "playbooks", "molecule")
    for path in (PROJECT / folder).rglob("*.yml")
    if "files" not in path.relative_to(PROJECT).parts
)


class Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
    """Reads Ansible's own tags, too."""


Loader.add_multi_constructor("!", lambda loader, suffix, node: None)


@pytest.fixture(scope="module")
def options() -> dict[str, set[str]]:
    """The options of each module, with those of its documentation fragments."""
    names = [path.stem for path in (PROJECT / "library").glob("pms_*.py")]
    names += [path.stem for path in (PROJECT / "plugins" / "action").glob("pms_*.py")]
    done = subprocess.run(
        [Path(sys.executable).with_name("ansible-doc"), "--json", "--type=module", *set(names)],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return {
        name: set(page["doc"].get("options", {})) for name, page in json.loads(done.stdout).items()
    }


def calls(node: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """Give each task's module and its arguments, however deep the task lies."""
    if isinstance(node, dict):
        for key, value in node.items():
            if str(key).startswith("pms_") and isinstance(value, dict) and "name" in node:
                yield str(key), value
            yield from calls(value)
    elif isinstance(node, list):
        for each in node:
            yield from calls(each)


def test_no_task_gives_an_option_that_its_module_lacks(options):
    seen, wrong = 0, []
    for path in FILES:
        for module, given in calls(yaml.load(path.read_text(), Loader)):  # noqa: S506  a safe one
            if module in options:
                seen += 1
                wrong += [
                    f"{path.relative_to(PROJECT)}: {module} has no {name}"
                    for name in given.keys() - options[module]
                ]
    assert wrong == []
    assert seen > 40


def test_whoever_asks_the_gate_about_the_system_says_what_runs_its_services():
    """Without it, the checks of parts asked Docker on a host that has none."""
    wrong = [
        str(path.relative_to(PROJECT))
        for path in FILES
        for module, given in calls(yaml.load(path.read_text(), Loader))  # noqa: S506  a safe one
        if module == "pms_gate" and "compose_project" in given and "services" not in given
    ]
    assert wrong == []
