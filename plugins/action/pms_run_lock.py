# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Give pms_run_lock its owner, the ansible-playbook process: only the control node knows it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import ansible.module_utils
from ansible.plugins.action import ActionBase

# Ansible ships module_utils to modules, but puts it on no path for plugins of the control node.
_OURS = str(Path(__file__).resolve().parents[2] / "module_utils")
if _OURS not in ansible.module_utils.__path__:
    ansible.module_utils.__path__.append(_OURS)

from ansible.module_utils.pmsops.common.process_lock import process  # noqa: E402


class ActionModule(ActionBase):  # type: ignore[misc]  # Ansible has no types
    """The action of module pms_run_lock."""

    def run(
        self, tmp: str | None = None, task_vars: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        """Run the module as the process that runs the playbook."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        # A task runs in a worker process of its own; its parent is ansible-playbook.
        owner = process(os.getppid()).text()
        arguments = self._task.args | {"owner": owner}
        result.update(self._execute_module(module_args=arguments, task_vars=task_vars))
        return result
