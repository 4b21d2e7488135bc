# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Reach the Docker Engine of a host that DOCKER_HOST names by ssh://."""

from __future__ import annotations

import os
from pathlib import Path

import ansible.module_utils
from ansible.plugins.callback import CallbackBase

_OURS = str(Path(__file__).resolve().parents[2] / "module_utils")
if _OURS not in ansible.module_utils.__path__:
    ansible.module_utils.__path__.append(_OURS)

DOCUMENTATION = r"""
name: pms_engine
type: aggregate
short_description: Reach the Docker Engine of a host that DOCKER_HOST names by ssh://
description:
  - The Docker library of the modules reaches no engine by C(ssh://). With this plugin, ssh forwards
    the engine's socket for the time of a playbook.
  - It is for systems with C(ansible_connection=local) whose host has Docker and SSH, and no Python.
  - Without C(DOCKER_HOST=ssh://...) it does nothing.
author: Operations team (@ops)
requirements:
  - enabled in ansible.cfg
"""


class CallbackModule(CallbackBase):  # type: ignore[misc]  # Ansible has no types
    """Begins with the playbook; it shows nothing."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "pms_engine"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self) -> None:
        super().__init__()
        from ansible.module_utils.pmsops.control.engine_tunnel import forward

        forward(os.environ)
