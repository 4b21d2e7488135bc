# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the containers of a Compose project say, where there are any: they know more than files."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from pmsops_cli import compose
from pmsops_cli.exit_status import Stop

LABEL = "com.docker.compose."


def containers() -> list[dict[str, Any]] | None:
    """Return what the Docker Engine tells of each Compose container, None without an engine."""
    from ansible.module_utils.pmsops.common.errors import OpsError
    from ansible.module_utils.pmsops.services import docker_engine

    try:
        engine = docker_engine.engine()
        made = engine.containers.list(
            all=True, filters={"label": [f"{LABEL}project"]}, ignore_removed=True
        )
    except (OpsError, OSError):
        return None
    return [each.attrs for each in made]


def read(sources: compose.Sources, *, local: bool) -> compose.Project:
    """Return the project of the files, corrected by its containers where they are on this machine.

    :raises Stop: where several projects were started from these files.
    """
    found = compose.read(sources)
    known = containers() if local else None
    if known is None:
        where = "No Docker Engine answers here" if local else "The containers are on another host"
        found.notes.append(f"{where}, so only the files were read.")
        return found
    by_project: dict[str, list[dict[str, Any]]] = {}
    for each in known:
        if _label(each, "oneoff") != "True":
            by_project.setdefault(_label(each, "project"), []).append(each)
    started = [
        name for name, made in by_project.items() if any(_is_of(each, sources) for each in made)
    ]
    if sources.project is None and found.name not in started and len(started) > 1:
        raise Stop(
            f"{sources.files[0]} was started as several projects: {', '.join(sorted(started))}.",
            f"Say which: --project {sorted(started)[0]}",
        )
    name = found.name
    if sources.project is None and name not in started and started:
        name = started[0]
        found.notes.append(f"The containers of these files belong to the project {name}.")
    made = by_project.get(name, [])
    if not made:
        found.notes.append(
            f"No container of the project {name} exists on this machine, so only the files were"
            " read."
        )
        return found
    files = _files(made)
    if not any(_is_of(each, sources) for each in made):
        listed = ", ".join(str(each) for each in files.values()) or "other files"
        found.notes.append(f"The containers of {name} were made from {listed}; they count.")
    elif files and all(path.is_file() for path in files.values()):
        # Perhaps more files than were given, or a project's name of -p.
        env = _label(made[0], "project.environment_file").split(",")[0]
        again = compose.Sources(
            files=tuple(files.values()),
            env=sources.env or (Path(env) if env and Path(env).is_file() else None),
            project=name,
            profiles=("*",),
        )
        notes, found = found.notes, compose.read(again)
        found.notes, found.folder = notes, sources.folder
    _correct(found, made)
    return found


def _correct(project: compose.Project, made: list[dict[str, Any]]) -> None:
    """Put what the containers are in the place of what the files say."""
    by_service = {_label(each, "service"): each for each in made}
    missing = project.active - by_service.keys()
    project.active = {name for name in project.services if name in by_service}
    if missing:
        project.notes.append(
            f"No container: {', '.join(sorted(missing))}. Services without one are left out."
        )
    for name, each in by_service.items():
        if name not in project.services:
            continue
        service, config = project.services[name], each["Config"]
        service["container_name"] = each["Name"].lstrip("/")
        if not str(config.get("Image") or "sha256:").startswith("sha256:"):
            service["image"] = config["Image"]
        service["environment"] = dict(line.partition("=")[::2] for line in config.get("Env") or [])
        service["entrypoint"] = config.get("Entrypoint") or []
        service["command"] = config.get("Cmd") or []
        host = each.get("HostConfig") or {}
        if host.get("NetworkMode") == "host":
            service["network_mode"] = "host"
        # A container that is stopped has its ports in its configuration only.
        ports = (each.get("NetworkSettings") or {}).get("Ports") or host.get("PortBindings") or {}
        service["ports"] = [
            {
                "target": int(inside.partition("/")[0]),
                "protocol": inside.partition("/")[2] or "tcp",
                "published": place.get("HostPort") or "",
                "host_ip": place.get("HostIp") or "",
            }
            for inside, places in ports.items()
            for place in places or []
        ]


def _label(container: dict[str, Any], name: str) -> str:
    return str((container["Config"].get("Labels") or {}).get(LABEL + name, ""))


def _files(made: list[dict[str, Any]]) -> dict[str, Path]:
    """Return the files that the newest container was made from, by their real paths."""
    newest = max(made, key=lambda each: str(each.get("Created", "")))
    listed = [each for each in _label(newest, "project.config_files").split(",") if each]
    return {_real(Path(each)): Path(each) for each in listed}


def _is_of(container: dict[str, Any], sources: compose.Sources) -> bool:
    files = _label(container, "project.config_files").split(",")
    if sources.files[0].is_dir():
        folder = _label(container, "project.working_dir")
        return _real(Path(folder)) == _real(sources.folder) if folder else False
    return _real(sources.files[0]) in {_real(Path(each)) for each in files if each}


def _real(path: Path) -> str:
    return os.path.realpath(path)
