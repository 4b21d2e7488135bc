# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The secrets of a host's variables, so that a module can look whether a file has one in it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ansible.errors import AnsibleError

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

SECRET = re.compile(
    r"password|passphrase|pass$|secret|token|private|credential|api_key|webhook", re.I
)
# Paths of files with secrets.
PATHS = re.compile(r"(_file|_dir|_command|_path)$")
CHANNELS, ADDRESS = "notify_channels", "url"
SHORTEST = 8  # doctor refuses shorter ones


def secret_texts(variables: Mapping[str, Any]) -> list[str]:
    """Return the secrets; a variable that cannot be read has none."""
    found: set[str] = set()
    for name in variables:
        try:
            value = variables[name]
        except AnsibleError:  # a template of the inventory that has no value here
            continue
        if name in ("hostvars", "vars", "groups"):
            continue
        found |= set(_texts(value) if _is_secret(str(name)) else _inside(value, name == CHANNELS))
    return sorted(each for each in found if len(each) >= SHORTEST)


def _is_secret(name: str) -> bool:
    return bool(SECRET.search(name)) and not PATHS.search(name)


def _inside(value: Any, channels: bool) -> Iterator[str]:
    """Yield the secrets in a value whose own name is none of a secret."""
    if isinstance(value, Mapping):
        for name, each in value.items():
            if _is_secret(str(name)) or (channels and name == ADDRESS):
                yield from _texts(each)
            else:
                yield from _inside(each, channels)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _inside(each, channels)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        for each in value.values():
            yield from _texts(each)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _texts(each)
    elif isinstance(value, str):
        yield str(value)


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return them by name."""
        return {"pms_secret_texts": secret_texts}
