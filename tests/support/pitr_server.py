# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""A server that can be protected continuously: on a network of its own, with data in a volume."""

from __future__ import annotations

import subprocess
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import docker

from tests.conftest import PROJECT
from tests.support.server import Server, running_server

IMAGE = "pms-lab/pitr:17"


def provide_image() -> None:
    """Build the image of Barman unless it is there."""
    build = PROJECT / "roles" / "lab" / "files" / "images" / "pitr" / "build.sh"
    done = subprocess.run([build, "17"], capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stderr


@contextmanager
def server_with_volume(**settings: str) -> Iterator[tuple[Server, str]]:
    """Run a server whose data outlive its container; give it with the name of its network.

    *settings*: those of postgresql.conf that the tests need otherwise.
    """
    provide_image()
    client, name = docker.from_env(), f"pitr-{uuid.uuid4().hex[:8]}"
    network, volume = client.networks.create(name), client.volumes.create(name)
    try:
        with running_server(volume=name, **settings) as made:
            network.connect(made.container)
            made.container.reload()
            yield made, name
    finally:
        network.reload()
        for each in network.containers:
            network.disconnect(each, force=True)
        network.remove()
        volume.remove(force=True)
