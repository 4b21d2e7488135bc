#!/usr/bin/env python3
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""ansible-lint, with one syntax check for all playbooks and roles in place of one for each.

ansible-lint starts ansible-playbook --syntax-check for every playbook, import and role: a hundred
times, and two thirds of its time. One process checks all of them in two seconds. Where it finds
something, ansible-lint's own checks follow, which say what and where; where a later release has no
such method, they are all that runs.

Each of forty rules copies each task, half of what is left of its time. Pickling copies in a third.

    scripts/ansible_lint.py [what ansible-lint takes]
"""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
import tempfile
from collections.abc import Callable
from typing import Any

import ansiblelint.utils
import yaml
from ansiblelint.__main__ import _run_cli_entrypoint
from ansiblelint.runner import Runner

one_by_one = getattr(Runner, "_map_syntax_check_workers", None)


def all_at_once(runner: Runner, worker: Callable[..., Any], files: list[Any]) -> list[Any]:
    """Return no match where ansible-playbook accepts all *files*, else what it says of each."""
    playbooks = [str(each.path) for each in files if each.kind == "playbook"]
    roles = [str(each.path.absolute()) for each in files if each.kind == "role"]
    with tempfile.NamedTemporaryFile("w", suffix=".yml") as imports:
        plays = [
            {
                "name": "A role",
                "hosts": "localhost",
                "tasks": [{"ansible.builtin.import_role": {"name": role}}],
            }
            for role in roles
        ]
        imports.write(yaml.safe_dump(plays))
        imports.flush()
        wanted = [*playbooks, *([imports.name] if roles else [])]
        if not wanted:
            return []
        done = subprocess.run(
            ["ansible-playbook", "--syntax-check", *wanted], capture_output=True, check=False
        )
    if done.returncode:
        return one_by_one(runner, worker, files)
    # It is asked of each playbook that another imports: an import is static, so each was just read.
    runner.app.runtime.has_playbook = lambda *_, **__: True
    return []


class Copier:
    """What ansible-lint uses of the module ``copy``."""

    @staticmethod
    def deepcopy(data: Any) -> Any:
        """Return a copy of data with their tags and positions."""
        try:
            return pickle.loads(pickle.dumps(data))  # noqa: S301 - a moment ago
        except (AttributeError, TypeError, pickle.PicklingError):
            return copy.deepcopy(data)


if __name__ == "__main__":
    if hasattr(ansiblelint.utils, "copy"):
        ansiblelint.utils.copy = Copier
    if one_by_one:
        Runner._map_syntax_check_workers = all_at_once
    sys.exit(_run_cli_entrypoint())
