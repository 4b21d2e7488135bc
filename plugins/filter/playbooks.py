# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the documents say of playbooks and tasks, read from the files that are executed."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

DOCUMENTATION = r"""
name: pms_playbooks
short_description: Describe the playbooks of a folder by their header comments
description: Reads C(When), C(Destroys), C(Takes), C(Exit) and C(Undo) of each playbook's header.
author: Operations team (@ops)
options:
  _input:
    description: Folder of the playbooks.
    type: path
    required: true
"""

EXAMPLES = r"""
playbooks: "{{ (playbook_dir ~ '/../playbooks') | pms_playbooks }}"
movements: "{{ (role_path ~ '/../incident/tasks') | pms_movements('redis') }}"
"""

RETURN = r"""
_value:
  description: One entry for each playbook, sorted by name.
  type: list
  elements: dict
  sample: [{name: backup.yml, when: nightly, destroys: nothing, takes: seconds, undo: nothing}]
"""

FIELD = re.compile(r"^# (When|Destroys|Takes|Exit|Undo):\s+(.*)$")
MOVEMENTS = ("contain", "recover")


def playbooks(folder: str) -> list[dict[str, Any]]:
    """Return name and header of each playbook of a folder."""
    found = []
    for path in sorted(Path(folder).glob("*.yml")):
        entry: dict[str, Any] = {
            "name": path.name,
            "title": yaml.safe_load(path.read_text())[0]["name"],
        }
        field = None
        for line in path.read_text().splitlines():
            if match := FIELD.match(line):
                field = match[1].lower()
                entry[field] = match[2]
            elif field and line.startswith("#    ") and not line.startswith("#   ansible"):
                entry[field] += " " + line.lstrip("# ")
            else:
                field = None
        found.append(entry)
    return found


def movements(tasks: str, scenario: str) -> dict[str, list[str]]:
    """Return the names of the tasks of each movement of a scenario, in their order."""
    return {
        movement: _names(yaml.safe_load((Path(tasks) / scenario / f"{movement}.yml").read_text()))
        for movement in MOVEMENTS
    }


def roles(folder: str) -> list[str]:
    """Return the names of the roles of a folder that describe their inputs."""
    return sorted(path.parents[1].name for path in Path(folder).glob("*/meta/argument_specs.yml"))


def _names(tasks: list[dict[str, Any]] | None) -> list[str]:
    found: list[str] = []
    for task in tasks or []:
        inner = [*task.get("block", []), *task.get("rescue", []), *task.get("always", [])]
        found += _names(inner) if inner else [task["name"]]
    return found


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return them by name."""
        return {"pms_playbooks": playbooks, "pms_movements": movements, "pms_roles": roles}
