# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""A Compose file as Compose itself reads it, and the roles of its services."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

from pmsops_cli.exit_status import COULD_NOT_RUN, Stop
from pmsops_cli.project import VENV_BIN

SECONDS = 60
# How a service is recognised: by a word of its image, a word of its command, a port inside.
SIGNS: dict[str, dict[str, tuple[str | int, ...]]] = {
    "database": {"image": ("timescale", "postgres"), "ports": (5432,)},
    "redis": {"image": ("redis", "valkey"), "ports": (6379,)},
    "grafana": {"image": ("grafana",), "ports": (3000,)},
    "daemon": {"command": ("dagster-daemon", "dagster._daemon")},
    "dagster": {"command": ("dagster-webserver", "dagster_webserver", "dagit"), "ports": (3001,)},
    "api": {"command": ("uvicorn", "gunicorn"), "ports": (8000,)},
}
NEEDED = ("database",)


def read(file: Path, env: Path | None, project: str | None) -> dict[str, Any]:
    """Return the whole of a Compose file, every variable filled in and every profile on.

    Compose's own reader does it, of .venv: its rules for `${NAME:-default}`, env_file, extends and
    short forms are not written a second time. The variables of this shell do not count, only those
    of the .env, so that the same files give the same inventory.

    :raises Stop: where Compose refuses the file.
    """
    command = [
        str(VENV_BIN / "docker-compose"),
        *("--file", str(file), "--profile", "*"),
        *(["--env-file", str(env)] if env else []),
        *(["--project-name", project] if project else []),
        *("config", "--format", "json"),
    ]
    try:
        done = subprocess.run(
            command,
            env={"PATH": "/usr/bin:/bin", "HOME": str(file.parent)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as exc:
        raise Stop(
            f"Compose could not be asked about {file}: {exc}",
            "Run `make setup` in the project; it installs docker-compose into .venv.",
            status=COULD_NOT_RUN,
        ) from exc
    if done.returncode:
        raise Stop(
            f"Compose cannot read {file}: {' '.join(done.stderr.split())}",
            "Correct the file; a variable that is missing belongs into its .env (--env FILE).",
        )
    document: dict[str, Any] = _unescaped(json.loads(done.stdout))
    return document


def _unescaped(value: Any) -> Any:
    """Return plain values: what `config` prints could be read by Compose again, dollars doubled."""
    if isinstance(value, str):
        return value.replace("$$", "$")
    if isinstance(value, list):
        return [_unescaped(each) for each in value]
    if isinstance(value, dict):
        return {name: _unescaped(each) for name, each in value.items()}
    return value


def roles(services: dict[str, dict[str, Any]], given: dict[str, str]) -> dict[str, str]:
    """Return the service of each role; *given* ones are taken as they are.

    :raises Stop: where a given one does not exist, the database is missing, or several fit.
    """
    for role, name in given.items():
        if role not in SIGNS:
            raise Stop(f"There is no role {role}.", f"Roles: {', '.join(SIGNS)}.")
        if name not in services:
            raise Stop(f"There is no service {name}.", f"Services: {', '.join(services)}.")
    found = dict(given)
    for role in SIGNS:
        if role in found:
            continue
        free = {name: each for name, each in services.items() if name not in found.values()}
        fitting = _fitting(role, free)
        if len(fitting) > 1:
            raise Stop(
                f"Several services may be the {role}: {', '.join(fitting)}.",
                f"Say which: --service {role}={fitting[0]}",
            )
        if fitting:
            found[role] = fitting[0]
    for role in NEEDED:
        if role not in found:
            raise Stop(
                f"None of the services is the {role}: {', '.join(services) or 'there is none'}.",
                f"Say which: --service {role}=NAME",
            )
    return found


def _fitting(role: str, services: dict[str, dict[str, Any]]) -> list[str]:
    """Return the services with the first sign of a role that any has."""
    signs = SIGNS[role]
    for sign, words in signs.items():
        found = [name for name, each in services.items() if _has(sign, words, each)]
        if found:
            return found
    wanted = {"daemon": ("dagster-daemon",), "dagster": ("dagster-webserver", "dagster")}
    return [name for name in wanted.get(role, (role,)) if name in services][:1]


def _has(sign: str, words: tuple[str | int, ...], service: dict[str, Any]) -> bool:
    if sign == "ports":
        return any(each.get("target") in words for each in service.get("ports") or [])
    text = service.get("image") or ""
    if sign == "command":
        parts = [*(service.get("entrypoint") or []), *(service.get("command") or [])]
        text = " ".join(str(part) for part in parts)
    return any(str(word) in text for word in words)


def published(service: dict[str, Any], inside: int | None = None) -> tuple[str, int] | None:
    """Return the address and the port that a service is published at, None where it is not."""
    for port in service.get("ports") or []:
        if port.get("published") and inside in (None, port.get("target")):
            address = port.get("host_ip") or ""
            anywhere = address in ("", "0.0.0.0", "::")  # noqa: S104  (where it is reached at)
            return ("127.0.0.1" if anywhere else address), int(str(port["published"]).split("-")[0])
    return None


def container(document: dict[str, Any], name: str) -> str:
    """Return the name of a service's container."""
    return document["services"][name].get("container_name") or f"{document['name']}-{name}-1"
