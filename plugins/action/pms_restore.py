# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Shows how far a restore is while the module runs."""

from __future__ import annotations

from pathlib import Path

import ansible.module_utils

# Ansible ships module_utils to modules, but puts it on no path for plugins of the control node.
_OURS = str(Path(__file__).resolve().parents[2] / "module_utils")
if _OURS not in ansible.module_utils.__path__:
    ansible.module_utils.__path__.append(_OURS)

from ansible.module_utils.pmsops.control.progress_action import ProgressAction  # noqa: E402


class ActionModule(ProgressAction):
    """The action of module pms_restore."""

    progress_name = ".pms-ops/restore.progress"
