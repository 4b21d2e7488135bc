# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The Docker Engine, and the database's container."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.common.timestamps import from_iso

# Set by the callback pms_engine, for the modules of this control node: the machine whose engine
# DOCKER_HOST reaches through ssh, or why it could not be reached.
ENGINE_OF, NOT_FORWARDED = "PMS_OPS_ENGINE_OF", "PMS_OPS_ENGINE_NOT_FORWARDED"


def engine() -> Any:
    """Return the Docker Engine's client.

    :raises OpsError: clients.engine if no engine answers.
    """
    import docker
    import docker.errors

    if why := not_forwarded():
        address = os.environ["DOCKER_HOST"]
        raise OpsError(
            f"The Docker Engine of {address} is not reached: {why}.",
            "Try `ssh` to that host with the same words; ssh must ask nothing. Then run again.",
            code="clients.engine",
        )
    try:
        return docker.from_env(timeout=120)
    except docker.errors.DockerException as exc:
        raise OpsError(
            f"The Docker Engine does not answer: {exc}",
            "Start it (systemctl start docker). On a host without containers, pms_db_access is host"
            " and pms_services_manager is systemd or none: correct the one that differs.",
            code="clients.engine",
        ) from exc


def engine_here() -> Any:
    """Return the client of an engine that has the folders of this machine.

    :raises OpsError: clients.engine, clients.engine-elsewhere
    """
    require_here()
    return engine()


def require_here() -> None:
    """Refuse an engine of another machine: its containers would get that machine's folders.

    :raises OpsError: clients.engine-elsewhere
    """
    if address := elsewhere():
        raise OpsError(
            f"The Docker Engine is that of {address}, so its containers cannot use folders of this"
            " machine.",
            "Run this on that host over SSH (ansible_host instead of DOCKER_HOST; docs/FLEET.md)."
            " For backups and drills alone, forward the database's port and set pms_db_access to"
            " host, with PostgreSQL's client tools here.",
            code="clients.engine-elsewhere",
        )


def elsewhere() -> str:
    """Return the address of the machine whose engine it is; empty for this one."""
    return os.environ.get(ENGINE_OF, "")


def not_forwarded() -> str:
    """Return why an engine that DOCKER_HOST names by ssh:// is not reached; empty if it is."""
    if not os.environ.get("DOCKER_HOST", "").startswith("ssh://"):
        return ""
    return os.environ.get(NOT_FORWARDED, "ansible.cfg does not enable the callback pms_engine")


@contextmanager
def refusals() -> Iterator[None]:
    """Name what the Docker Engine refused while the ``with`` block runs, or that it was lost.

    :raises OpsError: clients.engine
    """
    try:
        yield
    except Exception as exc:
        if (docker_errors := sys.modules.get("docker.errors")) is None:
            raise  # nothing has asked an engine
        import requests.exceptions

        if isinstance(exc, docker_errors.DockerException):
            raise OpsError(
                f"The Docker Engine refused a request: {getattr(exc, 'explanation', '') or exc}",
                "Its message names the cause. If that is the disk, free room where the engine keeps"
                " its data (docker info names the folder, docker system df what is in it). Then run"
                " again.",
                code="clients.engine",
            ) from exc
        if isinstance(exc, requests.exceptions.RequestException):
            raise OpsError(
                f"The Docker Engine stopped answering: {exc}",
                "Bring the engine back (systemctl status docker), then run again.",
                code="clients.engine",
            ) from exc
        raise


def resume(container: Any) -> bool:
    """Let a container's first process go on after SIGSTOP; tell whether that could be tried.

    The signal is sent inside the container: after ``kill`` of the engine (20.10), of any signal, it
    takes the container for stopped by hand, and ``unless-stopped`` never restarts it again.
    """
    import docker.errors

    try:
        # A shell's own kill: small images have no other.
        return bool(container.exec_run(["sh", "-c", "kill -s CONT 1"], user="0").exit_code == 0)
    except docker.errors.APIError:
        return False


def database_container(docker_engine: Any, name: str | None) -> Any:
    """Return the running container *name* of the database.

    :raises OpsError: clients.container if there is none or it is not running.
    """
    import docker.errors

    try:
        container = docker_engine.containers.get(name)
    except docker.errors.NotFound as exc:
        raise OpsError(
            f"There is no container {name}.",
            "Set pms_db_container to the database's container; `docker ps -a` lists them.",
            code="clients.container",
        ) from exc
    if container.status != "running":
        verb = "unpause" if container.status == "paused" else "start"
        raise OpsError(
            f"Container {name} is {container.status}, not running.",
            f"Run docker {verb} {name}, or see docs/DR_PLAYBOOK.md, scenario 1.",
            code="clients.container",
        )
    return container


def health(state: dict[str, Any]) -> str:
    """Return the health in a container's ``State``: none, starting, healthy or unhealthy.

    While a container is paused, and until its first check afterwards, the engine calls it unhealthy
    without a check that failed. It is "starting" then, as after a start: nobody has looked yet.
    """
    found = state.get("Health") or {}
    status = str(found.get("Status") or "none")
    failed = found.get("FailingStreak", 1)  # an engine that does not count has looked
    return "starting" if status == "unhealthy" and not failed else status


def checked_at(state: dict[str, Any]) -> str | None:
    """Return when the engine last checked a container's health, None if it has not."""
    checks = (state.get("Health") or {}).get("Log") or []
    return str(checks[-1]["End"]) if checks else None


def run_to_end(container: Any, seconds: float) -> int:
    """Start a container that was made, and return its exit status once it has ended.

    The engine's answer to ``wait`` is 0, at once, for a container that never started.

    :raises OpsError: clients.engine.
    """
    with refusals():
        container.start()
        container.wait(timeout=seconds)
        container.reload()
    state = container.attrs["State"]
    if state["Status"] not in ("exited", "dead") or str(state.get("StartedAt")).startswith("0001-"):
        raise OpsError(
            f"A container of the Docker Engine is {state['Status']} and did not run to its end"
            f" ({state.get('Error') or 'the engine does not say why'}).",
            "Look whether the engine was restarted (systemctl status docker), then run again.",
            code="clients.engine",
        )
    return int(state["ExitCode"])


def started_at(state: dict[str, Any]) -> datetime | None:
    """Return the start of a container from its ``State``, None if Docker does not give it."""
    try:
        # Docker writes nanoseconds, which fromisoformat does not read.
        return from_iso(state["StartedAt"][:19] + "+00:00")
    except (KeyError, ValueError):
        return None
