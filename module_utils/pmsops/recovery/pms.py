# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Bring the PMS back with the book that its database holds, and lose nothing that only it holds.

A PMS that answers may hold positions that no database has. So what it holds is saved before any
restart, and a restart that would lose a position is refused until somebody confirms it.
"""

from __future__ import annotations

import json
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible.module_utils.pmsops.common import files
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.incidents.record import ActionRecorder
from ansible.module_utils.pmsops.pms import export, positions
from ansible.module_utils.pmsops.pms import health as pms_probe
from ansible.module_utils.pmsops.pms.client import PmsApi
from ansible.module_utils.pmsops.postgresql.connection import Database
from ansible.module_utils.pmsops.recovery import services as service_care
from ansible.module_utils.pmsops.services.manager import Services

# Short: whether it answers at all is asked again and again.
PATIENCE_SECONDS = (2.0, 3.0)
POLL_SECONDS = 0.3
WAKE_SECONDS = 3.0


@dataclass(frozen=True)
class Pms:
    """One PMS: where it answers, what manages it, and what stands behind it."""

    url: str
    service: str
    services: Services
    database: Database
    redis: dict[str, Any] | None
    persists: bool = True
    confirmed: bool = False
    healthy_seconds: float = 60.0
    stop_seconds: int = 10


def recover(pms: Pms, folder: Path | None, *, record: ActionRecorder) -> list[str]:
    """Do the least that brings the PMS back, and return the steps in words.

    :raises OpsError: api.would_lose, api.unwell, services.*, clients.engine, database.*.
    """
    if pms.services.manager == "none" and (not answers(pms.url) or wrong(pms)):
        raise OpsError(
            f"The PMS at {pms.url} is not well, and pms_services_manager is none.",
            "Save what it holds (docs/DR_PLAYBOOK.md, scenario 6), restart it by what manages it,"
            " and run this again.",
            code="api.unmanaged",
        )
    done = _start(pms, record)
    done += _start_others(pms, record)
    if not answers(pms.url) and (woken := _wake(pms, record)):
        done.append(woken)
    if answers(pms.url):
        _save(pms, folder, record)
        if done:
            _forget(pms, record)
        if not wrong(pms):
            return done
        refuse_loss(pms)
    elif not pms.persists and not pms.confirmed:
        raise _would_lose(pms, "it does not answer, so what its memory alone holds is unknown")
    return [*done, _restart(pms, record)]


def plan(pms: Pms) -> list[str]:
    """Return in words what a recovery would begin with.

    :raises OpsError: api.would_lose, services.*, clients.engine, database.*.
    """
    steps = [step.text for step in _startable(pms)]
    if answers(pms.url) and wrong(pms):
        refuse_loss(pms)
        steps.append(f"Save what the PMS holds, and restart {pms.service}")
    elif not steps and not answers(pms.url):
        steps.append(f"Let {pms.service} go on, and restart it where that does not help")
    return steps


def answers(url: str) -> bool:
    """Tell whether the PMS answers at all."""
    with suppress(OpsError):
        return PmsApi(url, timeouts=PATIENCE_SECONDS).request("GET", "/health").status == 200
    return False


def wrong(pms: Pms) -> list[str]:
    """Return why the PMS is not well; an empty list where it is."""
    if problem := _healthy(pms):
        return [problem]
    found = positions.compare(positions.served(PmsApi(pms.url)), positions.stored(pms.database))
    if found.stale or (pms.persists and found.in_memory_only):
        return found.summary()
    return []


def _healthy(pms: Pms) -> str | None:
    """Return what the PMS's own page says against it, None where it says that it is well."""
    health = PmsApi(pms.url).request("GET", "/health").body
    if not isinstance(health, dict) or health.get("database") != "connected":
        return f"/health says {health!r}, not that the database is connected"
    return None


def refuse_loss(pms: Pms) -> None:
    """Refuse a restart that loses what no database holds, unless it was confirmed.

    :raises OpsError: api.would_lose, pms.*, database.*.
    """
    if pms.confirmed:
        return
    served = positions.served(PmsApi(pms.url))
    found = positions.compare(served, positions.stored(pms.database))
    if found.unstored:
        raise _would_lose(pms, positions.summary(served[number] for number in found.unstored))
    if found.closed_unstored:
        ids = ", ".join(map(str, found.closed_unstored))
        raise _would_lose(pms, f"that position {ids} is closed")


def _would_lose(pms: Pms, what: str) -> OpsError:
    return OpsError(
        f"The PMS was not restarted, since a restart would lose what no database holds: {what}.",
        "It is saved in the incident's folder (application.json), where the PMS answered. Enter it"
        f" again afterwards; then allow the restart: -e confirm={pms.database.name}",
        code="api.would_lose",
    )


def _own(pms: Pms, **wishes: Any) -> service_care.DesiredState:
    return service_care.DesiredState(
        names=(pms.service,),
        stop_seconds=pms.stop_seconds,
        healthy_seconds=int(pms.healthy_seconds),
        **wishes,
    )


def _startable(pms: Pms) -> list[service_care.Step]:
    """Return what is stopped or paused; what hangs is looked at closer first."""
    if pms.services.manager != "compose":
        return []
    steps = service_care.planned_steps(pms.services, _own(pms))
    return [step for step in steps if step.verb in ("start", "unpause")]


def _start(pms: Pms, record: ActionRecorder) -> list[str]:
    if pms.services.manager == "systemd":
        return service_care.bring_up(pms.services, _own(pms), record=record)
    if not _startable(pms):
        return []
    return service_care.bring_up(pms.services, _own(pms), record=record)


def _start_others(pms: Pms, record: ActionRecorder) -> list[str]:
    """Start the other services that are stopped; nobody waits for them here."""
    if pms.services.manager != "compose":
        return []
    others = tuple(name for name in pms.services.names if name != pms.service)
    done = []
    for step in service_care.planned_steps(pms.services, service_care.DesiredState(names=others)):
        if step.verb == "start":
            with record(step.text) as action:
                step.container.start()
                action.result = "started; not waited for"
            done.append(step.text)
    return done


def _wake(pms: Pms, record: ActionRecorder) -> str | None:
    """Let a process go on that somebody stopped; what it holds in memory is then not lost."""
    if pms.services.manager != "compose":
        return None
    text = f"Let the process of {pms.service} go on, in case it was stopped"
    with record(text) as action:
        own = Services("compose", (pms.service,), pms.services.project)
        for _name, container in own.containers():
            if container.status == "running":
                container.kill(signal="CONT")
        began = time.monotonic()
        while time.monotonic() - began < WAKE_SECONDS:
            if answers(pms.url):
                action.result = "it answers again"
                return text
            time.sleep(POLL_SECONDS)
        action.result = "it still does not answer"
    return None


def _save(pms: Pms, folder: Path | None, record: ActionRecorder) -> None:
    """Write what the PMS holds into the incident's folder, once: the first is the fullest."""
    if folder is None or (folder / export.NAME).exists():
        return
    with record("Save what the PMS holds over HTTP") as action:
        content, missing = export.export(pms.url)
        files.replace(folder / export.NAME, content)
        held = json.loads(content)["holds"]
        action.result = f"{sum(len(each or []) for each in held.values())} things in " + (
            export.NAME + (f"; not to be had: {', '.join(missing)}" if missing else "")
        )


def _forget(pms: Pms, record: ActionRecorder) -> None:
    if pms.redis and pms.redis.get("host"):
        with record("Delete what Redis holds of the former book"):
            pms_probe.forget_cache(pms.redis)


def _restart(pms: Pms, record: ActionRecorder) -> str:
    """Restart the PMS and wait until its book is that of the database.

    :raises OpsError: api.unwell, services.*.
    """
    done = service_care.bring_up(pms.services, _own(pms, restart=True), record=record)
    _forget(pms, record)
    deadline = time.monotonic() + pms.healthy_seconds
    while True:
        problems = pms_probe.problems(pms.database, pms.url)
        if not problems:
            return done[0] if done else f"Restart {pms.service}"
        if time.monotonic() > deadline:
            raise OpsError(
                f"The PMS was restarted and is not well: {problems[0]}.",
                f"Read its log (`docker logs` of service {pms.service}); its POSTGRES_* must lead"
                " to this database.",
                code="api.unwell",
            )
        time.sleep(POLL_SECONDS)
