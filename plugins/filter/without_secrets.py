# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The inventory without secrets, which goes along with a copy on another site."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import ansible.module_utils
from ansible.errors import AnsibleError

_PROJECT = Path(__file__).resolve().parents[2]
_OURS = str(_PROJECT / "module_utils")
if _OURS not in ansible.module_utils.__path__:
    ansible.module_utils.__path__.append(_OURS)

DOCUMENTATION = r"""
name: pms_without_secrets
short_description: Return the variables of a host that the toolkit reads, without their secrets
description:
  - Variables whose name says that they hold a secret are left out. Where the value of one is in the
    text of another, it is replaced.
author: Operations team (@ops)
options:
  _input:
    description: The variables of a host, such as C(hostvars[inventory_hostname]).
    type: dict
    required: true
"""

EXAMPLES = r"""
inventory: "{{ hostvars[inventory_hostname] | pms_without_secrets }}"
"""

RETURN = r"""
_value:
  description: The variables by name.
  type: dict
  sample: {pms_db_name: macro_trading}
"""

OURS = re.compile(r"(pms|backup|evidence|golive|offsite|pitr|schedule|restore|ops|incident)_")
CHANNELS = "channel"  # their addresses are secrets, too
HIDDEN = "(secret)"
SHORTEST = 4  # of a text to look for in others


def without_secrets(variables: Mapping[str, Any]) -> dict[str, Any]:
    """Return the toolkit's variables without secrets; one that cannot be read is left out."""
    found: dict[str, Any] = {}
    secrets: set[str] = set()
    for name in variables:
        if not OURS.match(name):
            continue
        try:
            value = variables[name]
        except AnsibleError:  # a template of the inventory that has no value here
            continue
        if _secret(name):
            secrets |= _texts(value)
        else:
            found[name] = _plain(value, secrets)
    return {name: _hidden(value, secrets) for name, value in sorted(found.items())}


def _secret(name: str) -> bool:
    from ansible.module_utils.pmsops.common.secret_names import holds_secret

    return CHANNELS in name or holds_secret(name)


def _plain(value: Any, secrets: set[str]) -> Any:
    """Return plain JSON without entries of dicts that are secret, and note those in *secrets*."""
    if isinstance(value, Mapping):
        kept = {}
        for name, each in value.items():
            if _secret(str(name)):
                secrets |= _texts(each)
            else:
                kept[str(name)] = _plain(each, secrets)
        return kept
    if isinstance(value, list | tuple):
        return [_plain(each, secrets) for each in value]
    if value is None or isinstance(value, bool | int | float):
        return value
    return str(value)


def _texts(value: Any) -> set[str]:
    if isinstance(value, Mapping):
        return set().union(*(_texts(each) for each in value.values()))
    if isinstance(value, list | tuple):
        return set().union(*(_texts(each) for each in value))
    text = str(value)
    return {text} if len(text) >= SHORTEST else set()


def _hidden(value: Any, secrets: set[str]) -> Any:
    if isinstance(value, dict):
        return {name: _hidden(each, secrets) for name, each in value.items()}
    if isinstance(value, list):
        return [_hidden(each, secrets) for each in value]
    if isinstance(value, str):
        for text in sorted(secrets, key=len, reverse=True):
            value = value.replace(text, HIDDEN)
    return value


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return them by name."""
        return {"pms_without_secrets": without_secrets}
