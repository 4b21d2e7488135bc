# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The command `sets`: the backup sets of each system, as a table or as JSON."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import Any

from pmsops_cli import inspect
from pmsops_cli.commands import Session
from pmsops_cli.exit_status import DONE, Stop

_AGE = re.compile(r"(\d+(?:\.\d+)?)\s*(h|d|w)?")
_SECONDS = {"h": 3600, "d": 86_400, "w": 7 * 86_400}


def command(session: Session) -> int:
    """Print the sets that fit, newest first; where there is none, say so."""
    from ansible.module_utils.pmsops.evidence import set_list

    given = session.arguments
    options = {
        "pattern": given.pattern,
        "verified": True if given.verified else False if given.unverified else None,
        "held": given.held,
        "damaged": given.damaged,
        "older_seconds": seconds(given.older),
        "newer_seconds": seconds(given.newer),
    }
    hosts = {
        host: set_list.chosen(found, **options)
        for part in session.split()
        for host, found in _collect(part).items()
    }
    if given.json:
        print(json.dumps({"command": "sets", "hosts": hosts}, indent=1, sort_keys=True))
        return DONE
    for host, found in hosts.items():
        print(f"{host}: {len(found)} set{'s' if len(found) != 1 else ''}")
        for line in set_list.table(found) if found else []:
            print(f"  {line}")
    return DONE


def _collect(session: Session) -> dict[str, list[dict[str, Any]]]:
    from ansible.module_utils.pmsops.evidence import set_list

    systems = session.systems
    if not all(each.local for each in systems):
        found: dict[str, list[dict[str, Any]]] = inspect.ask_hosts(session, {"status_sets": True})[
            "sets"
        ]
        return found
    now = datetime.now(UTC)
    return {each.host: set_list.collect(each.backup_root, now=now) for each in systems}


def seconds(text: str | None) -> float | None:
    """Return an age in seconds.

    :raises Stop: where it is none.
    """
    if text is None:
        return None
    match = _AGE.fullmatch(text.strip())
    if match is None:
        raise Stop(f"{text!r} is no age.", "For example --older 30d, --newer 12h or 2w.")
    return float(match[1]) * _SECONDS[match[2] or "d"]
