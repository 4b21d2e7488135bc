# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a system shares with another one of its inventory, and may not."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import ansible.module_utils

_PROJECT = Path(__file__).resolve().parents[2]
_OURS = str(_PROJECT / "module_utils")
if _OURS not in ansible.module_utils.__path__:
    ansible.module_utils.__path__.append(_OURS)

DOCUMENTATION = r"""
name: pms_neighbours
short_description: Name what a system shares with another one of the inventory
description:
  - Compares the database and the folders of one host with those of the other hosts. Two systems
    that share one of them would write into each other's sets and evidence.
  - A host whose variables cannot be read is passed over.
author: Operations team (@ops)
options:
  _input:
    description: The variable C(hostvars).
    type: dict
    required: true
  host:
    description: The host that is asked about.
    type: str
    required: true
  hosts:
    description: The hosts of the systems.
    type: list
    elements: str
    required: true
"""

EXAMPLES = r"""
shared: "{{ hostvars | pms_neighbours(inventory_hostname, groups['pms']) }}"
"""

RETURN = r"""
_value:
  description: A sentence for each thing that is shared.
  type: list
  elements: str
"""


def neighbours(known: Mapping[str, Any], host: str, hosts: list[str]) -> list[str]:
    """Return a sentence for each thing that the host shares."""
    from ansible.errors import AnsibleError
    from ansible.module_utils.pmsops.control import neighbours as places

    names = (*places.NAMES, *places.CONNECTION)
    found: list[places.Place] = []
    for each in [host, *(other for other in hosts if other != host)]:
        try:
            variables = known[each]  # once: Ansible gathers all of a host's variables at each look
            values = {name: variables[name] for name in names if name in variables}
            found.append(places.place(each, _defaults() | values))
        except AnsibleError:  # of a vault that does not open, for example
            if each == host:
                raise
    return [text for other in found[1:] for text in places.shared(found[0], other)]


@cache
def _defaults() -> dict[str, Any]:
    """Return the defaults of the role pms, which are no part of hostvars."""
    import yaml

    role = _PROJECT / "roles" / "pms" / "defaults" / "main.yml"
    found: dict[str, Any] = yaml.safe_load(role.read_text(encoding="utf-8"))
    return found | {
        name: str(found[name]).replace("{{ pms_project_dir }}", str(_PROJECT))
        for name in ("backup_root", "evidence_root")
    }


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return them by name."""
        return {"pms_neighbours": neighbours}
