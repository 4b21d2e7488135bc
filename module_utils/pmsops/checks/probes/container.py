# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Inspect a container: whether it runs, is healthy, and keeps restarting."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from ansible.module_utils.pmsops.checks.probes import (
    Deadline,
    NotGiven,
    Overdue,
    Unanswerable,
    part,
)
from ansible.module_utils.pmsops.checks.probes.context import Context, one_line
from ansible.module_utils.pmsops.services import docker_engine
from ansible.module_utils.pmsops.services.docker_engine import started_at

# A container that was restarted and has run for less than this may be in a loop.
SETTLED_SECONDS = 120
# So many names of containers are shown.
MOST_NAMES = 8


def ask(params: dict[str, Any], context: Context, deadline: Deadline) -> dict[str, Any]:
    """Return the container's state, ports, log options, and the variables of ``env``.

    Of a *part* that runs on the host, the same fields come from its unit or its port.
    """
    if params.get("part") and not part.in_container(params["part"], context.settings):
        return part.on_host(params, context)
    import docker
    import requests

    client = context.docker(deadline)
    try:
        found = client.api.inspect_container(_name(params, context, client))
    except docker.errors.NotFound as exc:
        # Nobody knows whether it was removed or has another name, so this is no symptom.
        raise Unanswerable(
            f"there is no container {_asked(params, context)}; it was removed, or the inventory"
            f" names another ({_there(client)})"
        ) from exc
    except requests.Timeout as exc:
        raise Overdue("Docker does not answer in time") from exc
    except (docker.errors.DockerException, requests.RequestException) as exc:
        raise Unanswerable(f"Docker does not answer: {one_line(exc)}") from exc
    return describe(found, context.settings.now, list(params.get("env") or []))


def describe(found: dict[str, Any], now: datetime, names: list[str]) -> dict[str, Any]:
    """Return the parts of Docker's inspection that checks need, and the variables *names*."""
    state, host = found["State"], found["HostConfig"]
    environment = dict(
        entry.partition("=")[::2] for entry in found["Config"].get("Env") or [] if "=" in entry
    )
    restarts = found.get("RestartCount", 0)
    return {
        "name": found["Name"].lstrip("/"),
        "status": state.get("Status"),
        "health": docker_engine.health(state),
        "health_checked_at": docker_engine.checked_at(state),
        "restarts": restarts,
        "restarting": bool(state.get("Restarting")),
        "looping": bool(state.get("Restarting"))
        or (restarts > 0 and _seconds_up(state, now) < SETTLED_SECONDS),
        "oom_killed": bool(state.get("OOMKilled")),
        "exit_code": state.get("ExitCode"),
        "started_at": state.get("StartedAt"),
        "image": found["Config"].get("Image"),
        "restart_policy": (host.get("RestartPolicy") or {}).get("Name") or "no",
        "ports": _ports(found),
        "log": {
            "driver": (host.get("LogConfig") or {}).get("Type"),
            "options": (host.get("LogConfig") or {}).get("Config") or {},
        },
        "env_names": sorted(environment),
        "env": {name: environment[name] for name in names if name in environment},
    }


def _name(params: dict[str, Any], context: Context, client: Any) -> str:
    if params.get("name"):
        return str(params["name"])
    if named := params.get("part"):
        return _of_part(str(named), context, client)
    return _of_service(params, context, client)


def _of_part(named: str, context: Context, client: Any) -> str:
    """Return the container of a part: its service's in the project, else the one it is named."""
    options = {"database": context.settings.database, "redis": context.settings.redis}
    container = (options.get(named) or {}).get("container")
    service = part.service(named, context.settings)
    project = context.settings.compose_project
    if not (service and project):
        if container:
            return str(container)
        missing = "pms_compose_project" if service else f"golive_services.{named}"
        raise NotGiven(f"{missing} is not set")
    try:
        return _of_service({"service": service}, context, client)
    except Unanswerable:
        if container:
            return str(container)
        raise


def _of_service(params: dict[str, Any], context: Context, client: Any) -> str:
    project = params.get("project") or context.settings.compose_project
    if not project:
        raise Unanswerable("no Compose project was given (pms_compose_project)")
    labels = [
        f"com.docker.compose.project={project}",
        f"com.docker.compose.service={params['service']}",
    ]
    found = client.api.containers(all=True, filters={"label": labels})
    if not found:
        raise Unanswerable(
            f"project {project} has no container of service {params['service']}; it was removed, or"
            f" pms_compose_project or golive_services is wrong ({_there(client, project)})"
        )
    return str(found[0]["Id"])


def _asked(params: dict[str, Any], context: Context) -> str:
    options = {"database": context.settings.database, "redis": context.settings.redis}
    named = (options.get(str(params.get("part"))) or {}).get("container")
    return str(params.get("name") or named)


def _there(client: Any, project: str | None = None) -> str:
    """Return what there is instead: the containers, or the services of a Compose project."""
    import docker
    import requests

    labels = [f"com.docker.compose.project={project}"] if project else []
    try:
        made = client.api.containers(all=True, filters={"label": labels})
    except (docker.errors.DockerException, requests.RequestException):
        return "Docker does not list its containers"
    if project:
        names = {(each.get("Labels") or {}).get("com.docker.compose.service") for each in made}
    else:
        names = {str((each.get("Names") or ["?"])[0]).lstrip("/") for each in made}
    shown = sorted(name for name in names if name)
    more = f" and {len(shown) - MOST_NAMES} more" if len(shown) > MOST_NAMES else ""
    return "there is " + (", ".join(shown[:MOST_NAMES]) + more if shown else "none")


def _ports(found: dict[str, Any]) -> list[dict[str, Any]]:
    published = (found.get("NetworkSettings") or {}).get("Ports") or {}
    published = published or found["HostConfig"].get("PortBindings") or {}
    return [
        {"container": inside, "ip": binding.get("HostIp") or "0.0.0.0", "port": binding["HostPort"]}  # noqa: S104
        for inside, bindings in sorted(published.items())
        for binding in bindings or []
    ]


def _seconds_up(state: dict[str, Any], now: datetime) -> float:
    started = started_at(state)
    return (now - started).total_seconds() if started else 0.0
