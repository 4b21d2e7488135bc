# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""A Docker Engine of another release than this machine's, in a container of that Debian release.

It has no networks and another storage driver than usual: a container may set up neither.
"""

from __future__ import annotations

import subprocess
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker
import docker.errors

from tests.support import debian_image
from tests.support.server import LABEL

PACKAGES = "docker.io,ca-certificates,procps"
RELEASES = {26: "trixie", 28: "sid"}
START_SECONDS = 120
DAEMON = (
    *("dockerd", "--host", "unix:///shared/docker.sock", "--storage-driver", "vfs"),
    *("--iptables=false", "--ip6tables=false", "--bridge=none"),
)


@dataclass(frozen=True)
class OtherEngine:
    """The engine's client, and the container that it runs in."""

    client: Any
    container: str

    def signal(self, container: Any, name: str) -> None:
        """Send a signal to a container's first process, from outside it and not by the engine."""
        container.reload()
        pid = str(container.attrs["State"]["Pid"])
        self.run("kill", "-s", name, pid)

    def run(self, *command: str) -> str:
        """Run a command beside the engine."""
        words = ["docker", "exec", self.container, *command]
        return subprocess.run(words, check=True, capture_output=True, text=True, timeout=60).stdout


@contextmanager
def running(major: int, folder: Path, image: str) -> Iterator[OtherEngine]:
    """Run an engine that has one image of this machine's; its socket is made in *folder*."""
    made_of = f"pms-test/engine:{major}"
    debian_image.provide(made_of, release=RELEASES[major], packages=PACKAGES)
    name = f"pms-test-engine-{uuid.uuid4().hex[:8]}"
    try:
        subprocess.run(
            [
                *("docker", "run", "--detach", "--name", name, "--label", f"{LABEL}=1"),
                *("--cap-add", "SYS_ADMIN", "--cap-add", "NET_ADMIN"),
                *("--security-opt", "seccomp=unconfined"),
                *("--security-opt", "apparmor=unconfined", "--tmpfs", "/run"),
                *("--volume", "/sys/fs/cgroup:/sys/fs/cgroup", "--volume", "/var/lib/docker"),
                *("--volume", f"{folder}:/shared", made_of, *DAEMON),
            ],
            check=True,
            capture_output=True,
            timeout=120,
        )
        client = _client(folder / "docker.sock", name)
        saved = subprocess.run(
            ["docker", "save", image], check=True, capture_output=True, timeout=300
        )
        client.images.load(saved.stdout)
        yield OtherEngine(client, name)
        client.close()
    finally:
        subprocess.run(["docker", "rm", "--force", "--volumes", name], capture_output=True)


def _client(socket: Path, name: str) -> Any:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        # It asks the engine for its version, and cannot be closed where that does not answer.
        if socket.exists():
            try:
                return docker.DockerClient(base_url=f"unix://{socket}", timeout=120)
            except docker.errors.DockerException:
                pass
        time.sleep(0.5)
    said = subprocess.run(["docker", "logs", "--tail", "20", name], capture_output=True, text=True)
    raise TimeoutError(said.stderr)
