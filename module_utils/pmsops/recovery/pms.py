# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Recover the PMS with the book of its database, and lose no position that only the PMS holds.

A running PMS may hold positions that no database has. They are saved before any restart, and a
restart that would lose one is refused until the operator confirms it.
"""

from __future__ import annotations

import json
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ansible.module_utils.pmsops.common import files
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.incidents.record import ActionRecorder
from ansible.module_utils.pmsops.pms import export, health, positions, redis_cache
from ansible.module_utils.pmsops.pms.client import PmsApi
from ansible.module_utils.pmsops.postgresql.connection import Database
from ansible.module_utils.pmsops.recovery.services import (
    DesiredState,
    Step,
    bring_up,
    planned_steps,
)
from ansible.module_utils.pmsops.services import docker_engine
from ansible.module_utils.pmsops.services.manager import Services

# Short: whether the PMS answers is asked again and again.
PING_SECONDS = (2.0, 3.0)
POLL_SECONDS = 0.3
RESUME_SECONDS = 3.0


@dataclass(frozen=True)
class Pms:
    """One PMS: its URL, what manages it, and what it depends on."""

    url: str
    service: str
    services: Services
    database: Database
    redis: dict[str, Any] | None
    persists: bool = True
    confirmed: bool = False
    healthy_seconds: float = 60.0
    stop_seconds: int = 10
    # How long a process that was stopped by a signal gets to answer after it was resumed.
    resume_seconds: float = RESUME_SECONDS


def recover(pms: Pms, folder: Path | None, *, record: ActionRecorder) -> list[str]:
    """Recover the PMS, least intrusive step first, and return the steps.

    :raises OpsError: api.would_lose, api.unwell, services.*, clients.engine, database.*.
    """
    if pms.services.manager == "none" and (not answers(pms.url) or wrong(pms)):
        raise OpsError(
            f"The PMS at {pms.url} is unhealthy, and pms_services_manager is none.",
            "Save what it holds (docs/DR_PLAYBOOK.md, scenario 6), restart it with its own service"
            " manager, and run this again.",
            code="api.unmanaged",
        )
    done = _start(pms, record)
    done += _start_others(pms, record)
    if not answers(pms.url) and (resumed := _resume(pms, record)):
        done.append(resumed)
    if answers(pms.url):
        _save(pms, folder, record)
        if done:
            _forget(pms, record)
        if not wrong(pms):
            return done
        refuse_loss(pms)
    elif not pms.persists and not pms.confirmed:
        raise _would_lose(pms, "unknown, since the PMS does not answer and stores no trades")
    return [*done, _restart(pms, record)]


def plan(pms: Pms) -> list[str]:
    """Return the first steps of a recovery.

    :raises OpsError: api.would_lose, services.*, clients.engine, database.*.
    """
    steps = [step.text for step in _startable(pms)]
    if answers(pms.url) and wrong(pms):
        refuse_loss(pms)
        steps.append(f"Save what the PMS holds, and restart {pms.service}")
    elif not steps and not answers(pms.url):
        steps.append(f"Resume {pms.service}, and restart it if that does not help")
    return steps


def answers(url: str) -> bool:
    """Tell whether the PMS answers at all."""
    with suppress(OpsError):
        return PmsApi(url, timeouts=PING_SECONDS).request("GET", "/health").status == 200
    return False


def wrong(pms: Pms) -> list[str]:
    """Return why the PMS is unhealthy; an empty list if it is healthy."""
    api = PmsApi(pms.url)
    if problem := health.problem(api):
        return [problem]
    found = positions.compare(positions.served(api), positions.stored(pms.database))
    return found.summary() if found.wrong(persists=pms.persists) else []


def refuse_loss(pms: Pms) -> None:
    """Refuse a restart that would lose a position or a closing, unless it is confirmed.

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
        raise _would_lose(pms, f"the closing of position {ids}")


def _would_lose(pms: Pms, what: str) -> OpsError:
    return OpsError(
        f"The PMS was not restarted: a restart would lose trades that are only in memory: {what}.",
        "If the PMS answered, all of it is saved as application.json in the incident's folder."
        f" Allow the restart with -e confirm={pms.database.name}, and enter the lost trades again"
        " afterwards.",
        code="api.would_lose",
    )


def _own(pms: Pms, *, restart: bool = False) -> DesiredState:
    return DesiredState(
        names=(pms.service,),
        restart=restart,
        stop_seconds=pms.stop_seconds,
        healthy_seconds=int(pms.healthy_seconds),
    )


def _startable(pms: Pms) -> list[Step]:
    """Return the steps for a stopped or paused PMS; one that hangs is examined first."""
    if pms.services.manager != "compose":
        return []
    steps = planned_steps(pms.services, _own(pms))
    return [step for step in steps if step.verb in ("start", "unpause")]


def _start(pms: Pms, record: ActionRecorder) -> list[str]:
    if pms.services.manager == "systemd":
        return bring_up(pms.services, _own(pms), record=record)
    if not _startable(pms):
        return []
    return bring_up(pms.services, _own(pms), record=record)


def _start_others(pms: Pms, record: ActionRecorder) -> list[str]:
    """Start the other stopped services, without waiting for them."""
    if pms.services.manager != "compose":
        return []
    others = tuple(name for name in pms.services.names if name != pms.service)
    done = []
    for step in planned_steps(pms.services, DesiredState(names=others)):
        if step.verb == "start":
            with record(step.text) as action:
                step.container.start()
                action.result = "started; not waited for"
            done.append(step.text)
    return done


def _resume(pms: Pms, record: ActionRecorder) -> str | None:
    """Resume a process that was stopped by a signal: this keeps what it holds in memory."""
    if pms.services.manager != "compose":
        return None
    text = f"Resume the process of {pms.service}, in case a signal stopped it"
    with record(text) as action:
        own = replace(pms.services, names=(pms.service,))
        running = [each for _name, each in own.containers() if each.status == "running"]
        if not all(docker_engine.resume(each) for each in running):
            action.result = "its image has no shell to do that with"
            return None
        deadline = time.monotonic() + pms.resume_seconds
        while time.monotonic() < deadline:
            if answers(pms.url):
                action.result = "it answers again"
                return text
            time.sleep(POLL_SECONDS)
        action.result = "it still does not answer"
    return None


def _save(pms: Pms, folder: Path | None, record: ActionRecorder) -> None:
    """Save what the PMS holds to the incident's folder, once: the first copy is the fullest."""
    if folder is None or (folder / export.NAME).exists():
        return
    with record("Save what the PMS holds over HTTP") as action:
        content, missing = export.content(pms.url)
        files.replace(folder / export.NAME, content)
        count = sum(len(each or []) for each in json.loads(content)["holds"].values())
        action.result = f"{count} rows in {export.NAME}" + (
            f"; not readable: {', '.join(missing)}" if missing else ""
        )


def _forget(pms: Pms, record: ActionRecorder) -> None:
    if redis_cache.configured(pms.redis):
        with record("Delete the keys of the former book from Redis") as action:
            action.result = redis_cache.forget(pms.redis).problem


def _restart(pms: Pms, record: ActionRecorder) -> str:
    """Restart the PMS and wait until it serves the book of its database.

    :raises OpsError: api.unwell, services.*.
    """
    done = bring_up(pms.services, _own(pms, restart=True), record=record)
    _forget(pms, record)
    deadline = time.monotonic() + pms.healthy_seconds
    while True:
        problems = health.problems(pms.database, pms.url)
        if not problems:
            return done[0] if done else f"Restart {pms.service}"
        if time.monotonic() > deadline:
            raise OpsError(
                f"The PMS was restarted and is still unhealthy: {problems[0]}.",
                f"Read its log (`docker logs` of service {pms.service}); its POSTGRES_* settings"
                " must name this database.",
                code="api.unwell",
            )
        time.sleep(POLL_SECONDS)
