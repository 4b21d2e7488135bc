# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a check of a checklist asks, and what it wants to hear, for whoever asks by hand."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import ansible.module_utils

_OURS = str(Path(__file__).resolve().parents[2] / "module_utils")
if _OURS not in ansible.module_utils.__path__:
    ansible.module_utils.__path__.append(_OURS)

DOCUMENTATION = r"""
name: pms_asks
short_description: Say what a check asks and what it wants to hear
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
  description: One line, for example C(Asks Redis `PING`; wants reply to be PONG.)
  type: str
"""

SHOWN = 4
_PATTERN = re.compile(r"(?<=like )\S+|\$\{[^}]+\}")
# Probes that have no parameters to speak of: each looks at one thing alone.
WHOLE = {
    "attest": "a named person",
    "backup": "the newest set",
    "drill": "the last drill in the ledger",
    "journal": "every entry of the decision journal, whose hash it computes again",
    "ledger": "the evidence ledger, whose chain it computes again (`scripts/verify_ledger.py`)",
}


def asks(check: dict[str, Any]) -> str:
    """Return the line.

    :raises KeyError: for a probe that this does not know.
    """
    from ansible.module_utils.pmsops.checks import expectations

    wants = [_marked(expectations.described(each)) for each in check.get("expect") or []]
    if len(wants) > SHOWN:
        wants = [*wants[:SHOWN], f"{len(wants) - SHOWN} more"]
    said = f"Asks {_asked(check['probe'], check.get('params') or {})}"
    return f"{said}; wants {', '.join(wants)}." if wants else f"{said}."


def _asked(probe: str, params: dict[str, Any]) -> str:
    if probe in WHOLE:
        return WHOLE[probe]
    return {
        "sql": lambda: f"the database {_code(params['query'])}{_with(params.get('args') or {})}",
        "http": lambda: f"{_place(params)} {_code(_request(params))}{_login(params)}",
        "redis": lambda: (
            f"Redis {_code(shlex.join(params['command']))}"
            + (" without a password" if params.get("auth") is False else "")
        ),
        "container": lambda: f"Docker for the container of service {_code(params['service'])}",
        "dagster": lambda: f"Dagster for its {params['about']}",
        "grafana": lambda: (
            f"Grafana to run each query of its dashboard {params['dashboard']}"
            if "dashboard" in params
            else f"Grafana for its {params['about']}"
        ),
        "disk": lambda: f"for the room at {_code(params['path'])} (as `df` has it)",
        "command": lambda: f"the exit status of {_code(shlex.join(params['argv']))}",
        "file": lambda: f"the file {_code(params['path'])}",
        "smoke": lambda: f"how step {_code(params['step'])} of this run went",
    }[probe]()


def _marked(text: str) -> str:
    """Return what is wanted with patterns and variables as code: Markdown would read them."""
    return _PATTERN.sub(lambda match: f"`{match[0]}`", text)


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

    def filters(self) -> dict:
        """Return them by name."""
        return {"pms_asks": asks}
