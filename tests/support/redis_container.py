# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""A real Redis server, in a container of the lab's image."""

from __future__ import annotations

import os
import secrets
import socket
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import docker

from tests.support import debian_image
from tests.support.server import LABEL

# A Debian release whose Redis is tested instead of the lab's.
RELEASE = os.environ.get("PMS_TEST_REDIS_RELEASE")


def image() -> str:
    """Return the image of Redis: the lab's, or one that is made of another release's packages."""
    if not RELEASE:
        return "pms-lab/redis:8"
    made = f"pms-test/redis:{RELEASE}"
    debian_image.provide(made, release=RELEASE, packages="redis-server,redis-tools")
    return made


class Redis:
    """A Redis server in a container."""

    def __init__(self, container: Any, password: str) -> None:
        self.container = container
        self.password = password

    @property
    def options(self) -> dict[str, Any]:
        self.container.reload()
        port = int(self.container.attrs["NetworkSettings"]["Ports"]["6379/tcp"][0]["HostPort"])
        return {"host": "127.0.0.1", "port": port, "password": self.password}


@contextmanager
def real_redis() -> Iterator[Redis]:
    """Give a Redis server with a password, and remove it."""
    engine = docker.from_env()
    password = secrets.token_urlsafe(12)
    container = engine.containers.run(
        image(),
        entrypoint=["redis-server", "--requirepass", password, "--bind", "0.0.0.0"],
        command=[],
        name=f"pms-test-{uuid.uuid4().hex[:8]}",
        ports={"6379/tcp": ("127.0.0.1", None)},
        labels={LABEL: "1"},
        detach=True,
    )
    try:
        made = Redis(container, password)
        for _ in range(100):
            try:
                container.reload()
                with socket.create_connection(("127.0.0.1", made.options["port"]), timeout=1) as s:
                    s.sendall(b"PING\r\n")
                    if s.recv(16):
                        break
            except (OSError, KeyError, TypeError, IndexError):
                time.sleep(0.1)
        yield made
    finally:
        container.remove(force=True, v=True)
