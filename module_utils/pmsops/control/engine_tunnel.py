# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""DOCKER_HOST=ssh://USER@HOST: the socket of that machine's engine, forwarded for one run.

The Docker library reaches such an address only with paramiko, and would log in once for each
worker. Forwarded by the operator's own ssh, the socket is for everybody who asks a Unix socket.
"""

from __future__ import annotations

import atexit
import selectors
import shutil
import subprocess
import tempfile
from collections.abc import MutableMapping
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

from ansible.module_utils.pmsops.services import docker_engine

SOCKET = "/var/run/docker.sock"
OPTIONS = (
    *("-o", "BatchMode=yes", "-o", "ExitOnForwardFailure=yes", "-o", "ConnectTimeout=10"),
    *("-o", "ServerAliveInterval=10", "-o", "ServerAliveCountMax=3"),
    # A connection of its own: one that is shared outlives the run, with the socket.
    *("-o", "ControlMaster=no", "-o", "ControlPath=none"),
)
SECONDS = 30.0
READY = b"ready\n"


class NotForwardedError(Exception):
    """ssh did not forward the socket; the text is its reason."""


def command(address: str, socket: Path) -> list[str]:
    """Return the command that forwards the socket of *address* to *socket*.

    It ends with its standard input, so that it cannot outlive a run that was killed.

    :raises NotForwardedError: if the address names no host.
    """
    parts = urlsplit(address)
    try:
        host, port = parts.hostname, parts.port
    except ValueError as exc:
        raise NotForwardedError(str(exc)) from exc
    if not host:
        raise NotForwardedError("it names no host")
    return [
        *("ssh", *OPTIONS, "-L", f"{socket}:{parts.path.rstrip('/') or SOCKET}"),
        *(("-l", parts.username) if parts.username else ()),
        *(("-p", str(port)) if port else ()),
        *("--", host, "echo ready; exec cat >/dev/null"),
    ]


def forward(environment: MutableMapping[str, str]) -> subprocess.Popen[bytes] | None:
    """Forward the engine that ``DOCKER_HOST`` names by ssh://, and name its socket there instead.

    If that fails, the reason is left for the modules, which name it where they need the engine.
    """
    address = environment.get("DOCKER_HOST", "")
    if not address.startswith("ssh://"):
        return None
    folder = Path(tempfile.mkdtemp(prefix="pms-engine-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    socket = folder / "docker.sock"
    try:
        running = _started(command(address, socket))
    except (NotForwardedError, OSError) as exc:
        environment[docker_engine.NOT_FORWARDED] = str(exc)
        return None
    environment[docker_engine.ENGINE_OF] = address
    environment["DOCKER_HOST"] = f"unix://{socket}"
    return running


def _started(words: list[str]) -> subprocess.Popen[bytes]:
    # Into a file: nobody reads it while the connection stands.
    with tempfile.TemporaryFile() as errors:
        running = subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors
        )
        atexit.register(_end, running)
        assert running.stdout is not None  # noqa: S101  for the type checker
        with selectors.DefaultSelector() as selector:
            selector.register(running.stdout, selectors.EVENT_READ)
            said = running.stdout.readline() if selector.select(SECONDS) else b""
        if said != READY:
            _end(running)
            errors.seek(0)
            told = errors.read().decode(errors="replace").strip().splitlines()
            raise NotForwardedError(told[-1] if told else f"no answer within {SECONDS:.0f} s")
    return running


def _end(running: subprocess.Popen[bytes]) -> None:
    running.terminate()
    with suppress(subprocess.TimeoutExpired):
        running.wait(5)
