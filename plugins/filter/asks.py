# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The question of a check and the answer that it expects, for somebody who asks by hand."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ansible.module_utils

_OURS = str(Path(__file__).resolve().parents[2] / "module_utils")
if _OURS not in ansible.module_utils.__path__:
    ansible.module_utils.__path__.append(_OURS)

DOCUMENTATION = r"""
name: pms_asks
short_description: Say what a check asks and what it expects
description: Turns an item of a checklist into Markdown, from the parameters of its probe.
author: Operations team (@ops)
options:
  _input:
    description: The check.
    type: dict
    required: true
"""

EXAMPLES = r"""
text: "{{ check | pms_asks }}"
"""

RETURN = r"""
_value:
  description: One line, for example C(Asks Redis `PING`; expects `reply` = PONG.)
  type: str
"""

SHOWN = 4
_VARIABLE = re.compile(r"\$\{[^}]+\}")
OPERATORS = {
    "eq": "=",
    "ne": "≠",
    "gt": ">",
    "ge": "≥",
    "lt": "<",
    "le": "≤",
    "in": "one of",
    "not_in": "none of",
    "contains": "containing",
    "contains_all": "containing all of",
    "matches": "matching",
    "not_matches": "not matching",
}
# Probes without parameters that matter here: each looks at one thing alone.
FIXED = {
    "attest": "a named person",
    "backup": "the newest backup set",
    "drill": "the last drill in the ledger",
    "journal": "the decision journal for every entry, and computes its hash again",
    "ledger": "the evidence ledger, and computes its chain again and each signature",
    "anchors": "the notes of the anchors, and compares their heads with the ledger",
    "deficiencies": "the evidence ledger for deficiencies that are open past their due date",
}


def asks(check: dict[str, Any]) -> str:
    """Return the line.

    :raises KeyError: for a probe that this does not know.
    """
    expected = [_expectation(each) for each in check.get("expect") or []]
    if len(expected) > SHOWN:
        expected = [*expected[:SHOWN], f"{len(expected) - SHOWN} more"]
    question = f"Asks {_asked(check['probe'], check.get('params') or {})}"
    return f"{question}; expects {', '.join(expected)}." if expected else f"{question}."


def _expectation(expectation: dict[str, Any]) -> str:
    """Return an expectation in words: ```status` = 200``."""
    from ansible.module_utils.pmsops.checks import comparison
    from ansible.module_utils.pmsops.checks.expectations import label_of
    from ansible.module_utils.pmsops.checks.values import show

    label = _code(label_of(expectation))
    name = comparison.comparison_of(expectation)
    expected = expectation[name]
    if name == "not_empty":
        return f"{label} not empty"
    if name == "is_null":
        return f"{label} empty"
    if name == "between":
        return f"{label} from {_shown(show(expected[0]))} to {_shown(show(expected[1]))}"
    if name == "max_age":
        return f"{label} {_shown(comparison.describe(name, expected))}"
    is_pattern = name in ("matches", "not_matches")
    value = _code(show(expected)) if is_pattern else _shown(show(expected))
    return f"{label} {OPERATORS[name]} {value}"


# What the probe of the database's integrity looks for.
WHOLE = {
    "set": "what the newest verified set has and it lacks",
    "catalogue": "contradictions in TimescaleDB's catalogue",
    "pages": "rows that cannot be read",
    "amcheck": "damaged pages",
    "jobs": "background jobs that failed and left their work undone",
}


# What the probe of continuous protection asks.
PITR = {
    "seen": "the engine and the server for window and stream (`pms-ops pitr status`)",
    "window": "the engine and the server for the window (`pms-ops pitr status`)",
    "stream": "the engine and the server for the stream (`pms-ops pitr status`)",
    "proof": "the evidence ledger for the newest proof of base backup and WAL",
}

# What the probe of other sites asks.
OFFSITE = {
    "current": "the note of each site for its newest upload and check (`pms-ops offsite list`)",
    "proved": "the evidence ledger for the newest proof of a set that came from each site",
    "immutable": "the note of each site for the newest try to delete a copy there",
    "sites": "the note of each site, and counts those that have the newest set",
    "elsewhere": "the evidence ledger for the newest drill on another host",
}


def _shown(text: str) -> str:
    """Return a value with its variables as code: Markdown would read them."""
    return _VARIABLE.sub(lambda match: f"`{match[0]}`", text)


def _asked(probe: str, params: dict[str, Any]) -> str:
    if probe in FIXED:
        return FIXED[probe]
    return {
        "sql": lambda: f"the database {_code(params['query'])}{_with(params.get('args') or {})}",
        "http": lambda: f"{_place(params)} {_code(_request(params))}{_login(params)}",
        "redis": lambda: (
            f"Redis {_code(shlex.join(params['command']))}"
            + (" without a password" if params.get("auth") is False else "")
        ),
        "container": lambda: _part(params),
        "dagster": lambda: f"Dagster for its {params['about']}",
        "grafana": lambda: (
            f"Grafana to run each query of its dashboard {params['dashboard']}"
            if "dashboard" in params
            else f"Grafana for its {params['about']}"
        ),
        "disk": lambda: f"for the free space at {_code(params['path'])} (as `df` shows it)",
        "command": lambda: f"the exit status of {_code(shlex.join(params['argv']))}",
        "file": lambda: f"the file {_code(params['path'])}",
        "whole": lambda: f"the database for {WHOLE[params['about']]}",
        "pitr": lambda: PITR[params["about"]],
        "offsite": lambda: OFFSITE[params["about"]],
        "smoke": lambda: f"for the result of step {_code(params['step'])} of this run",
    }[probe]()


def _part(params: dict[str, Any]) -> str:
    if part := params.get("part"):
        return f"Docker for the container of the {part}, or the host for its unit and its port"
    name = _code(params.get("service") or params["name"])
    return f"Docker for the container of service {name}"


def _with(args: dict[str, Any]) -> str:
    named = [f"`{name}` = {_code(value)}" for name, value in args.items()]
    return f" with {', '.join(named)}" if named else ""


def _place(params: dict[str, Any]) -> str:
    return {"dagster": "Dagster", "grafana": "Grafana"}.get(params.get("base", ""), "the PMS")


def _request(params: dict[str, Any]) -> str:
    urls = params["url"] if isinstance(params["url"], list) else [params["url"]]
    return f"{params.get('method', 'GET')} {' or '.join(urls)}"


def _login(params: dict[str, Any]) -> str:
    if params.get("auth") == "forged":
        return " with a token signed with " + (_code(params["secret"]) or "an empty secret")
    return " with a token" if params.get("auth") else ""


def _code(text: str) -> str:
    words = " ".join(str(text).split())
    return f"`{words}`" if words else ""


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return them by name."""
        return {"pms_asks": asks}
