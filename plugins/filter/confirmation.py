# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether what destroys was confirmed for a system."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import ansible.module_utils

_OURS = str(Path(__file__).resolve().parents[2] / "module_utils")
if _OURS not in ansible.module_utils.__path__:
    ansible.module_utils.__path__.append(_OURS)

DOCUMENTATION = r"""
name: pms_confirms
short_description: Tell whether a confirmation is about a system
description:
  - With one system in the run, the name of its database confirms. With several, which may have
    databases of one name, each has to be named as C(SYSTEM:DATABASE), with commas between them.
author: Operations team (@ops)
options:
  _input:
    description: What was typed, C(-e confirm=).
    type: str
    required: true
  database:
    description: The system's database.
    type: str
    required: true
  system:
    description: The host.
    type: str
    required: true
  systems:
    description: The hosts of the run.
    type: list
    elements: str
    required: true
"""

EXAMPLES = r"""
confirmed: "{{ confirm | pms_confirms(pms_db_name, inventory_hostname, ansible_play_hosts_all) }}"
"""

RETURN = r"""
_value:
  description: Whether it confirms.
  type: bool
"""


def confirms(typed: str, database: str, system: str, systems: list[str]) -> bool:
    """Tell whether *typed* confirms the system."""
    from ansible.module_utils.pmsops.control import confirmation

    return confirmation.given_for(str(typed), str(system), str(database), list(map(str, systems)))


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return them by name."""
        return {"pms_confirms": confirms}
