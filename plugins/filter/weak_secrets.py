# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Secrets of an inventory that are part of other texts: Ansible would make stars of those."""

from __future__ import annotations

import re
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
name: pms_weak_secrets
short_description: Name the secrets that are part of other texts
description:
  - Ansible replaces a secret of a module by asterisks wherever its text occurs in the result. One
    that is short, a number or a date, or a part of a name that results have, makes stars of set
    ids, counts, moments and paths. This names such secrets, and never shows them.
  - Secrets are what lies under a name that says so, and the addresses of channels.
author: Operations team (@ops)
options:
  _input:
    description: The variables of a host, such as C(hostvars[inventory_hostname]).
    type: dict
    required: true
  known:
    description: Names, paths and the like that results have, by what they are.
    type: dict
    default: {}
"""

EXAMPLES = r"""
weak: "{{ hostvars[inventory_hostname] | pms_weak_secrets({'the database': pms_db_name}) }}"
"""

RETURN = r"""
_value:
  description: C(short) names secrets that are short or a number, C(part) those inside of others.
  type: dict
"""

CHANNELS, ADDRESS = "notify_channels", "url"
# What the product takes: its own variables, and those of a vault that they are made of
_TAKEN = re.compile(
    r"(backup|drill|golive|host|notify|offsite|ops|pitr|pms|restore|schedule|vault)_"
)
# Words that results are full of
_WORDS = "backup container database evidence incident password postgresql restore timescaledb"


def weak_secrets(
    variables: Mapping[str, Any], known: Mapping[str, Any] | None = None
) -> dict[str, list[str]]:
    """Return the names of weak secrets: those that are short or a number, and parts of others."""
    from ansible.module_utils.pmsops.common.secret_names import is_plain

    names = {what: str(text) for what, text in (known or {}).items() if text}
    found: dict[str, list[str]] = {"short": [], "part": []}
    for name in sorted(map(str, variables)):
        if not _TAKEN.match(name):
            continue
        try:
            value = variables[name]
        except AnsibleError:  # a template of the inventory that has no value here
            continue
        for where, text in _secrets(name, value):
            if is_plain(text):
                found["short"].append(where)
                continue
            parts = [what for what, other in names.items() if text in other]
            parts += ["a word of results"] if text.lower() in _WORDS else []
            found["part"] += [f"{where} ({what})" for what in parts[:1]]
    return found


def _secrets(name: str, value: Any) -> Iterator[tuple[str, str]]:
    """Yield where each secret is, and its text; what a value that is one holds is all secret."""
    from ansible.module_utils.pmsops.common.secret_names import holds_secret

    if holds_secret(name):
        yield from _texts(name, value)
    else:
        yield from _inside(name, value, name == CHANNELS)


def _inside(where: str, value: Any, channels: bool) -> Iterator[tuple[str, str]]:
    from ansible.module_utils.pmsops.common.secret_names import holds_secret

    for key, each in _entries(value):
        if holds_secret(key) or (channels and key == ADDRESS):
            yield from _texts(f"{where}.{key}", each)
        else:
            yield from _inside(f"{where}.{key}", each, channels)


def _texts(where: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, bool) or value in (None, ""):
        return
    if isinstance(value, str | int | float):  # a password without quotes is a number in YAML
        yield where, str(value)
    for key, each in _entries(value):
        yield from _texts(f"{where}.{key}", each)


def _entries(value: Any) -> list[tuple[str, Any]]:
    if isinstance(value, Mapping):
        return [(str(key), each) for key, each in value.items()]
    if isinstance(value, list | tuple):
        given = [each.get("name") if isinstance(each, Mapping) else None for each in value]
        return [
            (str(name or number), each)
            for number, (name, each) in enumerate(zip(given, value, strict=True))
        ]
    return []


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return them by name."""
        return {"pms_weak_secrets": weak_secrets}
