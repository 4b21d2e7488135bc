# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Recover services that are stopped, paused, hung, unhealthy or restarting in a loop."""

from __future__ import annotations

import math
import subprocess
import time
from dataclasses import dataclass, replace
from typing import Any

from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.incidents.record import ActionRecorder
from ansible.module_utils.pmsops.postgresql.connection import Database, fetch_value
from ansible.module_utils.pmsops.services import docker_engine as containers
from ansible.module_utils.pmsops.services.docker_engine import started_at
from ansible.module_utils.pmsops.services.manager import Services

POLL_SECONDS = 0.2
LOG_LINES = 5
LINE_LENGTH = 200


@dataclass(frozen=True)
class DesiredState:
    """Which services (by name) and containers must run, and how they are brought there."""

    names: tuple[str, ...] = ()
    containers: tuple[str, ...] = ()
    restart: bool = False
    # False leaves a running, unhealthy one alone: the caller has a milder remedy.
    unhealthy: bool = True
    stop_seconds: int = 10
    healthy_seconds: int = 90


@dataclass(frozen=True)
class Step:
    """One action on one container, or on a systemd unit (*container* None): verb and reason."""

    name: str
    container: Any
    verb: str
    why: str

    @property
    def text(self) -> str:
        """Return the step as one line."""
        verbs = {"start": "Start", "restart": "Restart", "unpause": "Unpause"}
        return f"{verbs[self.verb]} {self.name}, which {self.why}"


def needed(
    state: dict[str, Any], *, restart: bool, unhealthy: bool = True
) -> tuple[str, str] | None:
    """Return verb and reason for a container in a Docker *state*, or None if it needs nothing."""
    status = state.get("Status")
    health = containers.health(state)
    if status == "paused":
        return "unpause", "was paused"
    if status == "restarting":
        return "restart", "was restarting in a loop"
    if status != "running":
        return "start", f"was {status} (exit status {state.get('ExitCode')})"
    if health == "unhealthy" and unhealthy:
        return "restart", "was unhealthy"
    if restart:
        return "restart", "was running but did not work"
    return None


def planned_steps(services: Services, desired: DesiredState) -> list[Step]:
    """Return the steps to the desired state.

    :raises OpsError: services.missing, clients.engine.
    """
    steps = []
    if services.manager == "systemd":
        steps += _unit_steps(services, desired)
    for name, container in _containers(services, desired):
        state = container.attrs["State"]
        if need := needed(state, restart=desired.restart, unhealthy=desired.unhealthy):
            steps.append(Step(name, container, *need))
    return steps


def bring_up(
    services: Services, desired: DesiredState, *, record: ActionRecorder, wait_healthy: bool = True
) -> list[str]:
    """Bring services to the desired state, wait until they are healthy, and return the steps.

    Without *wait_healthy* the caller checks the result itself.

    :raises OpsError: services.missing, services.unhealthy, services.refused, clients.engine.
    """
    done = []
    for step in planned_steps(services, desired):
        with record(step.text) as action:
            if step.container is None:
                services.restart([step.name])
            else:
                _do(step, desired.stop_seconds)
            if wait_healthy and step.container is not None:
                action.result = _wait(desired, step)
        done.append(step.text)
    return done


def older_than_server(services: Services, name: str, database: Database) -> bool:
    """Tell whether a service has been running for longer than its database server.

    False if that is unknown: the service does not run, or nothing manages it.

    :raises OpsError: services.missing, clients.engine, database.*.
    """
    if services.manager == "systemd":
        command = ["systemctl", "show", "--timestamp=unix", "--property=ActiveEnterTimestamp"]
        shown = subprocess.run(
            [*command, "--value", name], capture_output=True, text=True, timeout=30
        )
        since = float(shown.stdout.strip().removeprefix("@") or "inf")
    elif services.manager == "compose":
        state = _containers(services, DesiredState(names=(name,)))[0][1].attrs["State"]
        started = started_at(state)
        since = started.timestamp() if started and state["Status"] == "running" else math.inf
    else:
        return False
    with database.session(name=database.maintenance_name, read_only=True) as cursor:
        began = float(fetch_value(cursor, "SELECT extract(epoch FROM pg_postmaster_start_time())"))
    return since < began


def _containers(services: Services, desired: DesiredState) -> list[tuple[str, Any]]:
    found = []
    if desired.names and services.manager == "compose":
        found += replace(services, names=desired.names).containers()
    return found + [(name, _container(name)) for name in desired.containers]


def _container(name: str) -> Any:
    # Imported here: a host whose services are systemd units need not have this library.
    import docker.errors

    try:
        return containers.engine().containers.get(name)
    except docker.errors.NotFound as exc:
        raise OpsError(
            f"There is no container {name}: it was removed, or has another name.",
            "Create it again with the PMS's Compose file (docker compose up -d), or correct the"
            " inventory; `docker ps -a` lists all containers.",
            code="services.missing",
        ) from exc


def _unit_steps(services: Services, desired: DesiredState) -> list[Step]:
    """Return the steps for systemd units."""
    active = replace(services, names=desired.names).running()
    steps = [Step(name, None, "start", "was not active") for name in desired.names]
    if desired.restart:
        restarts = [Step(name, None, "restart", "was running but did not work") for name in active]
    else:
        restarts = []
    return [step for step in steps if step.name not in active] + restarts


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
        reason = " ".join(str(exc.explanation or exc).split())
        raise OpsError(
            f"Docker does not {step.verb} {step.name}: {reason}.",
            f"Correct the cause that it names (`docker inspect {step.name}`), then run again.",
            code="services.refused",
        ) from exc


def _wait(desired: DesiredState, step: Step) -> str:
    """Wait until a container is healthy, and return how long that took.

    :raises OpsError: services.unhealthy with the end of its log.
    """
    began = time.monotonic()
    while True:
        step.container.reload()
        state = step.container.attrs["State"]
        health = containers.health(state)
        if state["Status"] == "running" and health in ("healthy", "none"):
            return f"healthy after {time.monotonic() - began:.1f} s"
        if time.monotonic() - began > desired.healthy_seconds:
            raise OpsError(
                f"{step.name} is {state['Status']}, its health {health},"
                f" {desired.healthy_seconds} s after the {step.verb}; its log ends:"
                f" {log_end(step.container)}",
                f"`docker logs {step.name}` shows why it does not start.",
                code="services.unhealthy",
            )
        time.sleep(POLL_SECONDS)


def log_end(container: Any) -> str:
    """Return the last lines of a container's log, shortened."""
    lines = container.logs(tail=LOG_LINES).decode(errors="replace").splitlines()
    return " / ".join(line[:LINE_LENGTH] for line in lines if line.strip()) or "(empty)"
