# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The systems that the inventories of a run describe."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import ansible.module_utils

_OURS = str(Path(__file__).resolve().parents[2] / "module_utils")
if _OURS not in ansible.module_utils.__path__:
    ansible.module_utils.__path__.append(_OURS)

DOCUMENTATION = r"""
name: pms_systems
short_description: Name the systems that several inventories describe
description:
  - Returns the folders that have hosts of the group C(pms). Ansible merges the group variables of
    all inventories, so more than one folder would mix two systems.
author: Operations team (@ops)
options:
  _input:
    description: The inventories, as in C(ansible_inventory_sources).
    type: list
    elements: str
    required: true
"""

EXAMPLES = r"""
folders: "{{ ansible_inventory_sources | pms_systems }}"
"""

RETURN = r"""
_value:
  description: The folders, or inventories without a folder.
  type: list
  elements: str
"""


def systems(sources: list[str]) -> list[str]:
    """Return the folders of the systems; one inventory file can describe but one."""
    from ansible.module_utils.pmsops.control import inventories

    given = [str(source) for source in dict.fromkeys(sources)]
    if len(given) == 1 and not Path(given[0]).is_dir():
        return given
    return list(inventories.systems(given))


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return them by name."""
        return {"pms_systems": systems}
