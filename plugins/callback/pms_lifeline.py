# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""End what a playbook has started together with it."""

from __future__ import annotations

from pathlib import Path

import ansible.module_utils
from ansible.plugins.callback import CallbackBase

_OURS = str(Path(__file__).resolve().parents[2] / "module_utils")
if _OURS not in ansible.module_utils.__path__:
    ansible.module_utils.__path__.append(_OURS)

DOCUMENTATION = r"""
name: pms_lifeline
type: aggregate
short_description: End what a playbook has started together with it
description:
  - Ansible ends no module with its playbook or its task. With this plugin the workers end when
    ansible-playbook is killed or its terminal closes, and a task whose C(timeout) is over, or whose
    worker was killed, ends what it had started. On other hosts too, since the SSH session closes.
  - Modules of pms-ops then clean up, and end.
  - A run that C(nohup) started goes on without its terminal.
author: Operations team (@ops)
requirements:
  - enabled in ansible.cfg
"""


class CallbackModule(CallbackBase):  # type: ignore[misc]  # Ansible has no types
    """Begins with the playbook; it shows nothing."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "pms_lifeline"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self) -> None:
        super().__init__()
        from ansible.module_utils.pmsops.control.lifeline import Lifeline

        self._lifeline = Lifeline()
        self._lifeline.tie()
