# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The command deficiency: open one, close it by the record that shows it, list them."""

from __future__ import annotations

import json
from typing import Any

from pmsops_cli import inspect, playbooks
from pmsops_cli.commands import Session
from pmsops_cli.exit_status import DONE, FAILED, Stop

OPEN = 'pms-ops deficiency open --title "..." --owner "Maria Silva" --due 2026-12-15'
CLOSE = 'pms-ops deficiency close D-42 --record 57 --by "Ana Souza"'
# What each action takes; the first ones are required.
_TAKES = {
    "open": (("title", "owner", "due"), ("finding", "by")),
    "close": (("id", "record"), ("note", "by")),
    "list": ((), ("all",)),
}
_NAMES = ("id", "title", "owner", "due", "finding", "record", "note", "by", "all")


def command(session: Session) -> int:
    """Open or close a deficiency; list them, and return 1 if one is overdue."""
    given = vars(session.arguments)
    required, optional = _TAKES[given["action"]]
    lacking = [name for name in required if not given[name]]
    odd = [name for name in _NAMES if given[name] and name not in required + optional]
    if lacking or odd:
        words = [f"needs {_option(name)}" for name in lacking]
        words += [f"takes no {_option(name)}" for name in odd]
        raise Stop(
            f"deficiency {given['action']} {' and '.join(words)}.",
            {"open": OPEN, "close": CLOSE}.get(given["action"], "pms-ops deficiency list --all"),
        )
    if given["action"] == "list":
        return _list(session)
    wanted = {name: given[name] for name in required + optional if given[name]}
    for option, variable in (("id", "deficiency"), ("by", "name")):
        if option in wanted:
            wanted[variable] = wanted.pop(option)
    return session.run("deficiency", playbooks.FOLDER / "deficiency.yml", wanted)


def _option(name: str) -> str:
    return "ID" if name == "id" else f"--{name}"


def _list(session: Session) -> int:
    every = session.arguments.all
    found = {
        host: [each for each in state["deficiencies"] if every or each["closed"] is None]
        for host, state in inspect.collect(session).items()
    }
    if session.arguments.json:
        print(json.dumps({"command": "deficiency list", "hosts": found}, indent=1, sort_keys=True))
    else:
        for host, deficiencies in found.items():
            print(f"{host}:" if deficiencies else f"{host}: none{'' if every else ' open'}")
            for each in deficiencies:
                print(f"  {_line(each)}")
    return FAILED if any(each["overdue"] for every in found.values() for each in every) else DONE


def _line(each: dict[str, Any]) -> str:
    state = f"due {each['due']}{', OVERDUE' if each['overdue'] else ''}"
    if closed := each["closed"]:
        state = f"closed on {closed['at'][:10]} by line {closed['record']['line']}"
    return f"{each['id']:<6} {state:<24} {each['owner']}: {each['title']}"
