# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the sites gave, for people."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import ansible.module_utils

_OURS = str(Path(__file__).resolve().parents[2] / "module_utils")
if _OURS not in ansible.module_utils.__path__:
    ansible.module_utils.__path__.append(_OURS)

DOCUMENTATION = r"""
name: pms_offsite_lines
short_description: Say what each site gave
description: Turns the result of pms_offsite or pms_offsite_info into a line for each site.
author: Operations team (@ops)
options:
  _input:
    description: The result.
    type: dict
    required: true
  action:
    description: The action of the role offsite.
    type: str
    default: list
  check:
    description: Whether nothing was done, in check mode.
    type: bool
    default: false
"""

EXAMPLES = r"""
lines: "{{ result | pms_offsite_lines('upload') }}"
"""

RETURN = r"""
_value:
  description: The lines.
  type: list
  elements: str
  sample: ["vault: set 2026-11-29_0115, 1.2 MB new, read back and equal"]
"""

SHOWN = 14


def lines(result: Mapping[str, Any], action: str = "list", check: bool = False) -> list[str]:
    """Return a line for each site, and one for each copy where they were asked for."""
    if action == "list":
        return _listed(result)
    if not result.get("sites"):
        said = result.get("msg")
        return [f"No copy: {said} {result.get('remedy', '')}".strip()] if said else ["No site."]
    found = []
    for each in result["sites"]:
        if "code" in each:
            text = f"FAILED ({each['code']}): {each['why']} {each['remedy']}"
        else:
            text = _SAYS.get(action, _nothing)(each)
            text = f"would be: {text}" if check and each.get("changed") else text
        found.append(f"{each['site']}: {text}")
        found += [f"{each['site']}: {line}" for line in each.get("expected") or ()]
        if each.get("warning"):
            found.append(f"{each['site']}: {each['warning']}")
        found += [f"{each['site']}: SIGN OF RANSOMWARE: {sign}" for sign in each.get("signs") or ()]
    return found


def _listed(result: Mapping[str, Any]) -> list[str]:
    found = []
    known = {each["site"]: each for each in result.get("sites") or ()}
    for each in result.get("copies") or ():
        site = each["site"]
        if not each["ok"]:
            found.append(f"{site}: FAILED ({each['code']}): {each['why']}")
            continue
        behind = known.get(site, {}).get("behind")
        sets = [copy for copy in each["copies"] if copy["kind"] == "set"]
        there = f", the newest {sets[-1]['set']}{_other(sets[-1])}" if sets else ""
        text = f"{len(sets)} copies of sets{there}; {behind or 'it has the newest set'}"
        found.append(f"{site}: {text}")
        for copy in sets[-SHOWN:]:
            new = "" if copy["new_bytes"] is None else f", {_size(copy['new_bytes'])} new"
            proof = "proved" if copy["proved"] else "not proved"
            found.append(
                f"{site}: set {copy['set']}{_other(copy)}, {_size(copy['set_bytes'])}{new},"
                f" {proof}, copied {copy['at']}, snapshot {copy['snapshot'][:8]}"
            )
        signs = known.get(site, {}).get("signs") or ()
        found += [f"{site}: SIGN OF RANSOMWARE: {sign}" for sign in signs]
    return found or ["No site was asked."]


def _other(copy: Mapping[str, Any]) -> str:
    return f" of database {copy['database']}" if copy["database"] else ""


def _uploaded(each: Mapping[str, Any]) -> str:
    if not each["changed"]:
        return f"set {each['set']} was there; its manifest was read back and is equal"
    new = "" if each["new_bytes"] is None else f", {_size(each['new_bytes'])} new"
    return f"set {each['set']}{new}, its manifest was read back and is equal, {each['seconds']} s"


def _checked(each: Mapping[str, Any]) -> str:
    seconds = f" in {each['seconds']} s" if "seconds" in each else ""
    return f"part {each['part']} of {each['parts']} of the data was read{seconds}, nothing is wrong"


def _tried(each: Mapping[str, Any]) -> str:
    if each.get("held"):
        return "it hid a copy and keeps it: object lock refused to delete its version"
    if each["refused"]:
        return "it refused to delete a copy, as it should"
    return "this machine CAN DELETE copies there: so can whoever takes it over"


def _pruned(each: Mapping[str, Any]) -> str:
    gone = ", ".join(each["removed"]) or "no set"
    return f"removed {gone} ({each['snapshots']} snapshots)"


def _nothing(each: Mapping[str, Any]) -> str:
    return "done" if each.get("changed") else "nothing has to be done"


_SAYS: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "init": lambda each: "repository made" if each["changed"] else "the repository is there",
    "upload": _uploaded,
    "check": _checked,
    "fetch": lambda each: f"{'set ' + each['set'] if each['set'] else 'it'} is in {each['folder']}",
    "try": _tried,
    "prune": _pruned,
    "accept": lambda each: "its signs are accepted",
}


def _size(count: float) -> str:
    from ansible.module_utils.pmsops.common.progress import size

    return size(count)


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return them by name."""
        return {"pms_offsite_lines": lines}
