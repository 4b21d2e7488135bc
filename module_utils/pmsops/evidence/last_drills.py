# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the status says of the newest drills, here and on another host, and what is due.

A drill on another host says how long a recovery takes there, with the fetch of the set and without
it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any

from ansible.module_utils.pmsops.common.timestamps import age
from ansible.module_utils.pmsops.evidence import controls, drills, restores

ELSEWHERE_SECONDS = 35 * 86400  # a drill on another host is due monthly
HERE = ("set", "proved", "broken", "negative_control", "rto_seconds", "rpo_seconds")
THERE = (
    *(
        "set",
        "broken",
        "negative_control",
        "segregated",
        "shared",
        "drill_host",
        "source",
        "code",
        "why",
        "rto_seconds",
    ),
    *("rto_with_fetch_seconds", "fetch_seconds", "restore_seconds", "proof_seconds"),
)


def here(entries: Iterable[dict[str, Any]], now: datetime) -> dict[str, Any] | None:
    """Return the newest drill beside the live database, with its age; None without one."""
    found = drills.here(entries)
    return _known(found[-1], HERE, now) if found else None


def elsewhere(
    entries: Iterable[dict[str, Any]], now: datetime, host: str = ""
) -> dict[str, Any] | None:
    """Return the newest drill on another host, with its age.

    *host* is the one that the schedule has: then there is an entry without a drill, too.
    """
    found = drills.elsewhere(entries)
    if found:
        last = _known(found[-1], THERE, now)
        return last | {"proved": found[-1]["record"].get("proved") is True, "scheduled": host}
    return {"at": None, "proved": None, "scheduled": host} if host else None


def due(found: Mapping[str, Any] | None) -> list[tuple[str, str]]:
    """Return what is wrong with the drills that the schedule has on another host."""
    if not found or not found["scheduled"]:
        return []
    step = f"pms-ops drill --host {found['scheduled']}"
    if found["at"] is None:
        return [(f"no drill was run on host {found['scheduled']} yet", step)]
    where = f"the last drill on host {found['drill_host']}"
    if not found["proved"]:
        return [(f"{where} {controls.failed(dict(found))}: {found['why']}", step)]
    if not found["segregated"]:
        return [(f"{where} was not on a machine apart: {'; '.join(found['shared'] or [])}", step)]
    if found["age_seconds"] is None or found["age_seconds"] > ELSEWHERE_SECONDS:
        return [(f"{where} is {age(found['age_seconds'])} old", step)]
    return []


def describe(found: Mapping[str, Any] | None, say: Callable[[str, str], None]) -> None:
    """Report the newest drill on another host to people."""
    if not found or found["at"] is None:
        return
    since = f"{age(found['age_seconds'])} ago on {found['drill_host']}"
    if not found["proved"]:
        say("elsewhere", f"{since}, {controls.failed(dict(found))}")
        return
    apart = "segregated" if found["segregated"] else "NOT SEGREGATED"
    whole = found["rto_with_fetch_seconds"]
    fetched = f"; {whole:.0f} s with the fetch" if whole is not None else ""
    say("elsewhere", f"{since}, {apart}, {controls.drill(dict(found))}{fetched}")


def _known(entry: Mapping[str, Any], names: Iterable[str], now: datetime) -> dict[str, Any]:
    facts = {name: entry["record"].get(name) for name in names}
    return {"at": entry["at"]} | facts | {"age_seconds": restores.age_seconds(entry["at"], now)}
