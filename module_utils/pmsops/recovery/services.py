# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Bring services back that are stopped, paused, hung, unhealthy or restarting in a loop."""

from __future__ import annotations

import math
import subprocess
import time
from dataclasses import dataclass
from typing import Any

from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.incidents.record import ActionRecorder
from ansible.module_utils.pmsops.postgresql.connection import Database, fetch_value
from ansible.module_utils.pmsops.services import docker_engine as containers
from ansible.module_utils.pmsops.services.manager import Services, started_at

POLL_SECONDS = 0.2
LOG_LINES = 5
LINE_LENGTH = 200


@dataclass(frozen=True)
class DesiredState:
    """What is wanted of the services *names* of a project, and of *containers* by name."""

    names: tuple[str, ...] = ()
    containers: tuple[str, ...] = ()
    restart: bool = False
    # Whether one that runs and is unhealthy is restarted; its caller may know of something milder.
    unhealthy: bool = True
    stop_seconds: int = 10
    healthy_seconds: int = 90


@dataclass(frozen=True)
class Step:
    """What has to be done to one container: verb and reason."""

    name: str
    container: Any
    verb: str
    why: str

    @property
    def text(self) -> str:
        """Return the step as it is told."""
        verbs = {"start": "Start", "restart": "Restart", "unpause": "Let go on"}
        return f"{verbs[self.verb]} {self.name}, which {self.why}"


def needed(
    state: dict[str, Any], *, restart: bool, unhealthy: bool = True
) -> tuple[str, str] | None:
    """Return verb and reason for a container in a *state* of Docker's, None where it is well."""
    status = state.get("Status")
    health = (state.get("Health") or {}).get("Status", "none")
    if status == "paused":
        return "unpause", "was paused"
    if status == "restarting":
        return "restart", "was restarting in a loop"
    if status != "running":
        return "start", f"was {status} (exit status {state.get('ExitCode')})"
    if health == "unhealthy" and unhealthy:
        return "restart", "was unhealthy"
    if restart:
        return "restart", "was running and did not do its work"
    return None


def planned_steps(services: Services, wish: DesiredState) -> list[Step]:
    """Return the steps that the wish needs now.

    :raises OpsError: services.missing, clients.engine.
    """
    steps = []
    for name, container in _containers(services, wish):
        if need := needed(container.attrs["State"], restart=wish.restart, unhealthy=wish.unhealthy):
            steps.append(Step(name, container, *need))
    return steps


def bring_up(
    services: Services, wish: DesiredState, *, record: ActionRecorder, wait_healthy: bool = True
) -> list[str]:
    """Do what the wish needs, wait until all are healthy, and return the steps in words.

    Without *wait_healthy* the caller sees for itself when they do their work.

    :raises OpsError: services.missing, services.unhealthy, services.refused, clients.engine.
    """
    if services.manager == "systemd":
        return _systemd(services, wish, record)
    done = []
    for step in planned_steps(services, wish):
        with record(step.text) as action:
            _do(step, wish.stop_seconds)
            if wait_healthy:
                action.result = _wait(wish, step)
        done.append(step.text)
    return done


def older_than_server(services: Services, name: str, database: Database) -> bool:
    """Tell whether a service has run since before its database server began to.

    False where nobody knows: services that nothing manages, a service that does not run.

    :raises OpsError: services.missing, clients.engine, database.*.
    """
    if services.manager == "systemd":
        asked = ["systemctl", "show", "--timestamp=unix", "--property=ActiveEnterTimestamp"]
        shown = subprocess.run(
            [*asked, "--value", name], capture_output=True, text=True, timeout=30
        )
        since = float(shown.stdout.strip().removeprefix("@") or "inf")
    elif services.manager == "compose":
        state = _containers(services, DesiredState(names=(name,)))[0][1].attrs["State"]
        started = started_at(state)
        since = started.timestamp() if started and state["Status"] == "running" else math.inf
    else:
        return False
    with database.session(name=database.maintenance_name, read_only=True) as cursor:
        began = fetch_value(cursor, "SELECT extract(epoch FROM pg_postmaster_start_time())")
    return since < began


def _containers(services: Services, wish: DesiredState) -> list[tuple[str, Any]]:
    import docker.errors

    found = []
    if wish.names:
        wanted = Services(services.manager, wish.names, services.project)
        found += wanted.containers()
    for name in wish.containers:
        try:
            found.append((name, containers.engine().containers.get(name)))
        except docker.errors.NotFound as exc:
            raise OpsError(
                f"There is no container {name}: it was removed, or has another name.",
                "Make it anew where the PMS's Compose file is (docker compose up -d), or correct"
                " the inventory; `docker ps -a` lists what there is.",
                code="services.missing",
            ) from exc
    return found


def _do(step: Step, stop_seconds: int) -> None:
    import docker.errors

    try:
        if step.verb == "unpause":
            step.container.unpause()
        elif step.verb == "start":
            step.container.start()
        else:
            step.container.restart(timeout=stop_seconds)
    except docker.errors.APIError as exc:
        said = " ".join(str(exc.explanation or exc).split())
        raise OpsError(
            f"Docker does not {step.verb} {step.name}: {said}.",
            f"Mend what it names (`docker inspect {step.name}`), then run again.",
            code="services.refused",
        ) from exc


def _wait(wish: DesiredState, step: Step) -> str:
    """Wait until a container is well, and say how long that took.

    :raises OpsError: services.unhealthy with the end of its log.
    """
    began = time.monotonic()
    while True:
        step.container.reload()
        state = step.container.attrs["State"]
        health = (state.get("Health") or {}).get("Status", "none")
        if state["Status"] == "running" and health in ("healthy", "none"):
            return f"well after {time.monotonic() - began:.1f} s"
        if time.monotonic() - began > wish.healthy_seconds:
            raise OpsError(
                f"{step.name} is {state['Status']}, its health {health}, {wish.healthy_seconds} s"
                f" after the {step.verb}; its log ends: {log_end(step.container)}",
                f"`docker logs {step.name}` says why it does not come up.",
                code="services.unhealthy",
            )
        time.sleep(POLL_SECONDS)


def log_end(container: Any) -> str:
    """Return the last lines of a container's log, shortened."""
    lines = container.logs(tail=LOG_LINES).decode(errors="replace").splitlines()
    return " / ".join(line[:LINE_LENGTH] for line in lines if line.strip()) or "(empty)"


def _systemd(services: Services, wish: DesiredState, record: ActionRecorder) -> list[str]:
    done = []
    for name in wish.names:
        active = name in Services("systemd", (name,)).running()
        if active and not wish.restart:
            continue
        text = f"{'Restart' if active else 'Start'} {name}"
        with record(text):
            Services("systemd", (name,)).restart([name])
        done.append(text)
    return done
