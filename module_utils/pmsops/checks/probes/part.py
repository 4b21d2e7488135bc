# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Inspect a part of the PMS where it runs: in a container, as a systemd unit, or on the host.

The inventory says which (pms_services_manager, pms_db_access). The answer has the same fields.
"""

from __future__ import annotations

import socket
from typing import Any
from urllib.parse import urlsplit

from ansible.module_utils.pmsops.checks.probes import NotGiven, Unanswerable
from ansible.module_utils.pmsops.checks.probes.context import Context, Settings
from ansible.module_utils.pmsops.services import host_services

PARTS = ("database", "redis", "api", "dagster", "daemon", "grafana")
LOOPBACK = frozenset({"", "localhost", "127.0.0.1", "::1"})
# journald limits its files by itself, to 4 GB at most.
JOURNAL = {"driver": "journald", "options": {"max-size": "4g"}}
SETTLED_SECONDS = 120
URLS = {"api": "pms_api_url", "dagster": "pms_dagster_url", "grafana": "pms_grafana_url"}


def in_container(part: str, settings: Settings) -> bool:
    """Tell whether a part runs in a container, by what the inventory says.

    The database has a setting of its own: with ``pms_db_access: host`` a container with its name
    belongs to another system.
    """
    if part == "database":
        return bool(settings.database.get("access", "container") == "container")
    return manager(settings) == "compose"


def manager(settings: Settings) -> str:
    """Return what manages the services: compose, systemd or none."""
    return str(settings.services.get("manager") or "compose")


def service(part: str, settings: Settings) -> str:
    """Return the name of a part's service or unit, "" where the inventory names none."""
    return str((settings.services.get("parts") or {}).get(part) or "")


def on_host(params: dict[str, Any], context: Context) -> dict[str, Any]:
    """Return the state of a part that runs on the host.

    :raises Unanswerable: where neither a unit nor a port tells it.
    """
    part, settings = params["part"], context.settings
    name = service(part, settings)
    host, port = _address(part, settings)
    listening = host_services.listeners(port) if port else []
    properties = host_services.unit(name) if name and manager(settings) != "none" else None
    found = (
        _of_unit(name, properties, listening)
        if properties
        else _of_process(part, name, host, port, listening, settings)
    )
    pid = found.pop("pid")
    found["ports"] = [{"ip": each.ip, "port": each.port} for each in listening]
    if part == "redis" and settings.redis.get("socket") and not listening:
        found["ports"] = [{"ip": "unix", "port": 0}]
    if names := list(params.get("env") or []):
        found["env"] = _environment(part, pid, names)
    for told in params.get("tells") or []:
        if found.get(told) is None:
            raise Unanswerable(_untold(part, name, told, settings))
    return found


def _of_unit(
    name: str, properties: dict[str, str], listening: list[host_services.Listener]
) -> dict[str, Any]:
    active, sub = properties.get("ActiveState", ""), properties.get("SubState", "")
    restarts = int(properties.get("NRestarts") or 0)
    restarting = active == "activating" and sub == "auto-restart"
    fresh = host_services.seconds_active(properties) < SETTLED_SECONDS
    at_boot = properties.get("UnitFileState") in host_services.STARTS_AT_BOOT
    pid = int(properties.get("MainPID") or 0) or None
    if sub == "exited":
        # It only starts other units, and stays active when these end: Debian's postgresql.service.
        active = "active" if listening else "not running"
        pid = host_services.owner(listening)
    journal = properties.get("StandardOutput", "").startswith("journal")
    return {
        "name": name,
        "pid": pid,
        "status": "running" if active == "active" else active or "unknown",
        "health": "none",
        "restarts": restarts,
        "restarting": restarting,
        "looping": restarting or (restarts > 0 and fresh),
        "oom_killed": properties.get("Result") == "oom-kill",
        "restart_policy": "always" if at_boot else "no",
        "log": JOURNAL if journal else {"driver": properties.get("StandardOutput"), "options": {}},
    }


def _of_process(
    part: str,
    name: str,
    host: str,
    port: int | None,
    listening: list[host_services.Listener],
    settings: Settings,
) -> dict[str, Any]:
    """Return what a listening port, or a command line, says of a part without a unit."""
    pid = host_services.owner(listening)
    up = bool(listening) or (part == "redis" and bool(settings.redis.get("socket")))
    if port is None and not up:
        # A system may have no Dagster or Grafana; the daemon belongs to Dagster.
        if part in ("api", "dagster", "daemon", "grafana") and not _url(part, settings):
            raise NotGiven(f"{URLS.get(part, URLS['dagster'])} is not set")
        if not name:
            raise NotGiven(f"golive_services.{part} is not set")
        pid = host_services.process_of(name)
        up = pid is not None
    if not up and host not in LOOPBACK and not host.startswith("/"):
        raise Unanswerable(f"{part} runs on another host ({host}), where this check was not asked")
    return {
        "name": name or part,
        "pid": pid,
        "status": "running" if up else "not running",
        "health": "none",
        "restarts": 0,
        "restarting": False,
        "looping": False,
        "oom_killed": False,
        "restart_policy": None,
        "log": None,
    }


def _address(part: str, settings: Settings) -> tuple[str, int | None]:
    """Return host and port of a part, as the inventory says them; no port for the daemon."""
    if part == "database":
        return str(settings.database.get("host") or ""), int(settings.database.get("port") or 5432)
    if part == "redis":
        redis = settings.redis
        if redis.get("socket"):
            return "", None
        return str(redis.get("host") or ""), int(redis.get("port") or 6379)
    url = _url(part, settings)
    if part == "daemon" or not url:
        return "", None
    parts = urlsplit(url)
    return _resolved(parts.hostname or ""), parts.port or (443 if parts.scheme == "https" else 80)


def _url(part: str, settings: Settings) -> str:
    """Return the URL of a part; the daemon has that of Dagster's web server."""
    if part == "api":
        return str(settings.api.get("url") or "")
    if part == "grafana":
        return str(settings.grafana.get("url") or "")
    return settings.dagster_url


def _resolved(host: str) -> str:
    try:
        return str(socket.getaddrinfo(host, None)[0][4][0])
    except OSError:
        return host


def _environment(part: str, pid: int | None, names: list[str]) -> dict[str, str]:
    variables = host_services.environment(pid) if pid else None
    if variables is None:
        raise Unanswerable(
            f"the environment of {part} can be read by its own user and by root only: run pms-ops"
            " as one of them (ansible_become)"
        )
    if "TZ" in names and "TZ" not in variables and (zone := host_services.timezone()):
        variables["TZ"] = zone  # a process without TZ has the time zone of its host
    return {name: variables[name] for name in names if name in variables}


def _untold(part: str, name: str, told: str, settings: Settings) -> str:
    what = "whether it starts after a reboot" if told == "restart_policy" else "who rotates its log"
    if manager(settings) == "none":
        return f"nothing manages {part} (pms_services_manager: none), so nothing tells {what}"
    return (
        f"there is no systemd unit {name or '(golive_services.' + part + ' is not set)'}: set"
        f" golive_services.{part} to the unit that runs it, which tells {what}"
    )
