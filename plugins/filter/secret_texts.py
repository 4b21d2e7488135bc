# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The secrets of a host's variables, so that a module can look whether a file has one in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import ansible.module_utils
from ansible.errors import AnsibleError

_PROJECT = Path(__file__).resolve().parents[2]
_OURS = str(_PROJECT / "module_utils")
if _OURS not in ansible.module_utils.__path__:
    ansible.module_utils.__path__.append(_OURS)

DOCUMENTATION = r"""
name: pms_secret_texts
short_description: Return the secrets in the variables of a host
description:
  - The texts under names that say so (password, token and the like), and the addresses of channels.
    Short ones are left out, since other texts have them too; pms-ops doctor refuses those.
author: Operations team (@ops)
options:
  _input:
    description: The variables of a host, such as C(hostvars[inventory_hostname]).
    type: dict
    required: true
"""

EXAMPLES = r"""
secrets: "{{ hostvars[inventory_hostname] | pms_secret_texts }}"
"""

RETURN = r"""
_value:
  description: The secrets, each once.
  type: list
  elements: str
"""

CHANNELS, ADDRESS = "notify_channels", "url"


def secret_texts(variables: Mapping[str, Any]) -> list[str]:
    """Return the secrets; a variable that cannot be read has none."""
    from ansible.module_utils.pmsops.common.secret_names import SHORTEST, holds_secret

    found: set[str] = set()
    for name in variables:
        try:
            value = variables[name]
        except AnsibleError:  # a template of the inventory that has no value here
            continue
        if name in ("hostvars", "vars", "groups"):
            continue
        found |= set(_texts(value) if holds_secret(str(name)) else _inside(value, name == CHANNELS))
    return sorted(each for each in found if len(each) >= SHORTEST)


def _inside(value: Any, channels: bool) -> Iterator[str]:
    """Yield the secrets in a value whose own name is none of a secret."""
    from ansible.module_utils.pmsops.common.secret_names import holds_secret

    if isinstance(value, Mapping):
        for name, each in value.items():
            if holds_secret(str(name)) or (channels and name == ADDRESS):
                yield from _texts(each)
            else:
                yield from _inside(each, channels)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _inside(each, channels)


def _texts(value: Any) -> Iterator[str]:
    from ansible.module_utils.pmsops.common.secret_names import leaves

    return (str(each) for each in leaves(value) if isinstance(each, str))


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return them by name."""
        return {"pms_secret_texts": secret_texts}
