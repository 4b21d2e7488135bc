# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The lab's state file: its ports and secrets, made at the first start and kept."""

from __future__ import annotations

import hashlib
import os
import random
import re
import secrets
import socket
import tempfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml
from ansible.module_utils.pmsops.common.errors import OpsError

# Below the ports that Linux gives to clients and Docker to containers, away from the PMS's own.
PORT_RANGE = range(21000, 30000)
SECRET_BYTES = 24
PUBLISHED = re.compile(r":(\d+)->")

Run = Callable[[list[str]], str]


def load(path: Path) -> dict[str, dict[str, Any]]:
    """Return the recorded state; without a file, an empty one.

    :raises OpsError: when the file is not such a state.
    """
    if not path.exists():
        return {"ports": {}, "secrets": {}}
    state = yaml.safe_load(path.read_text(encoding="utf-8"))
    if not isinstance(state, dict) or not all(
        isinstance(state.get(part), dict) for part in ("ports", "secrets")
    ):
        raise OpsError(
            f"{path} does not hold the ports and secrets of a lab",
            "Remove the lab with playbooks/lab_down.yml, delete the file, and start the lab anew.",
            code="lab.state-damaged",
        )
    return state


def complete(
    state: Mapping[str, Mapping[str, Any]],
    ports: Iterable[str],
    names: Iterable[str],
    wanted: Mapping[str, int],
    is_free: Callable[[int], bool],
) -> dict[str, dict[str, Any]]:
    """Return the state with every port in *ports* and every secret in *names*.

    What is recorded stays, unless *wanted* asks for another port.
    """
    chosen: dict[str, Any] = {}
    for name in ports:
        port = wanted.get(name) or state["ports"].get(name)
        chosen[name] = int(port) if port else free_port(is_free, chosen.values())
    return {
        "ports": chosen,
        "secrets": {
            name: state["secrets"].get(name) or secrets.token_urlsafe(SECRET_BYTES)
            for name in names
        },
    }


def free_port(is_free: Callable[[int], bool], taken: Iterable[int]) -> int:
    """Return a port of PORT_RANGE that nobody listens on and that is not in *taken*.

    :raises OpsError: when 200 tries found none.
    """
    taken = set(taken)
    for port in random.sample(PORT_RANGE, 200):
        if port not in taken and is_free(port):
            return port
    raise OpsError(
        f"No free port between {PORT_RANGE.start} and {PORT_RANGE.stop} in 200 tries",
        "Name ports of your own with -e '{lab_ports: {timescaledb: ..., redis: ...}}'.",
        code="lab.no-free-port",
    )


def is_free(port: int) -> bool:
    """Tell whether a server could listen on this port of 127.0.0.1."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def published(run: Run) -> dict[int, tuple[str, str]]:
    """Return (container, Compose project) of every port that a container publishes."""
    label = '{{.Label "com.docker.compose.project"}}'
    listed = run(["docker", "ps", "--format", "{{.Names}}\t" + label + "\t{{.Ports}}"])
    holders: dict[int, tuple[str, str]] = {}
    for line in listed.splitlines():
        name, project, ports = line.split("\t")
        for port in PUBLISHED.findall(ports):
            holders[int(port)] = (name, project)
    return holders


def check_ports(
    ports: Mapping[str, int],
    project: str,
    run: Run,
    is_free: Callable[[int], bool],
    proc: Path = Path("/proc"),
) -> None:
    """Refuse a port that somebody else holds.

    :raises OpsError: naming each such port and, as far as it can be seen, who holds it.
    """
    holders = published(run)
    taken = []
    for service, port in ports.items():
        container, owner = holders.get(port, ("", ""))
        if owner == project:
            continue
        if container:
            taken.append(f"{port} ({service}) by the container {container}")
        elif not is_free(port):
            taken.append(f"{port} ({service}) by {process_on(port, proc)}")
    if taken:
        raise OpsError(
            f"Taken ports of 127.0.0.1: {'; '.join(taken)}. Nothing was started.",
            "Stop that program, or give the service another port: "
            "-e '{lab_ports: {<service>: <port>}}'.",
            code="lab.port-taken",
        )


def check_owner(directory: Path, project: str, run: Run) -> None:
    """Refuse a Compose project that another folder's lab runs as.

    A folder that is gone owns nothing any more: what it left is taken over.

    :raises OpsError: naming that folder.
    """
    label = '{{.Label "com.docker.compose.project.working_dir"}}'
    mine = f"label=com.docker.compose.project={project}"
    for line in run(["docker", "ps", "-a", "--filter", mine, "--format", label]).splitlines():
        if line and Path(line).is_dir() and Path(line).resolve() != directory.resolve():
            raise OpsError(
                f"The lab of another folder runs as {project}: {line}. Nothing was started.",
                "Remove that one first (playbooks/lab_down.yml), or start this one beside it: "
                "-e lab_instance=<name>.",
                code="lab.owned-elsewhere",
            )


def process_on(port: int, proc: Path = Path("/proc")) -> str:
    """Return name and id of the process that listens on a TCP port, as far as it can be seen."""
    sockets = {f"socket:[{inode}]" for inode in _listening_inodes(port, proc)}
    for link in proc.glob("[0-9]*/fd/*"):
        try:
            if str(link.readlink()) in sockets:
                process = link.parts[-3]
                name = (proc / process / "comm").read_text(encoding="utf-8").strip()
                return f"{name} (process {process})"
        except OSError:  # it ended meanwhile, or belongs to another user
            continue
    return "a process that this user cannot see"


def _listening_inodes(port: int, proc: Path) -> Iterable[str]:
    """Yield the socket inodes that listen on a TCP port. Source: proc_net_tcp.rst of Linux."""
    for table in ("tcp", "tcp6"):
        path = proc / "net" / table
        if not path.exists():
            continue
        for line in path.read_text(encoding="ascii").splitlines()[1:]:
            fields = line.split()
            local, status, inode = fields[1], fields[3], fields[9]
            if status == "0A" and int(local.rpartition(":")[2], 16) == port:
                yield inode


def fingerprint(folder: Path) -> str:
    """Return a hash of the names and contents of the files below a folder, caches apart."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            content = hashlib.sha256(path.read_bytes()).hexdigest()
            digest.update(f"{path.relative_to(folder)}\0{content}\n".encode())
    return digest.hexdigest()[:16]


def store(path: Path, state: Mapping[str, Any]) -> None:
    """Write the state atomically, readable by its owner alone."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write("# Made by playbooks/lab.yml; holds secrets. lab_down.yml removes it.\n")
            yaml.safe_dump(dict(state), file, sort_keys=True)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
