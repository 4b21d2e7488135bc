# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The Docker Engine of an empty Debian or Ubuntu: which packages of the distribution it needs."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
from collections.abc import Sequence
from pathlib import Path

from ansible.module_utils.pmsops.common.errors import OpsError

SOCKET = Path("/run/docker.sock")
DAEMON = ("dockerd", "/usr/sbin/dockerd", "/usr/bin/dockerd")
ENGINE, CLIENT = "docker.io", "docker-cli"  # Debian 13 has the client apart
# Compose as a plugin of the client, the best one first: Ubuntu's, then Debian's. Debian 12 has only
# Compose 1, which is another program; there the toolkit's own is used.
COMPOSE = ("docker-compose-v2", "docker-compose")
_CANDIDATE = re.compile(r"^(\S+):\n(?:  .*\n)*?  Candidate: (?!\(none\))(?:\d+:)?(\d+)", re.M)


def here() -> bool:
    """Tell whether there is a Docker Engine to ask: one that died leaves its socket behind."""
    if os.environ.get("DOCKER_HOST"):
        return True
    with socket.socket(socket.AF_UNIX) as stream:
        try:
            stream.connect(str(SOCKET))
        except PermissionError:
            return True  # of another user: whoever asks is told
        except OSError:
            return False
    return True


def missing(*, compose: bool) -> list[str]:
    """Return the packages to install for a Docker Engine; none where one is here.

    With *compose* its plugin is wanted too.

    :raises OpsError: host.docker-down, host.no-docker-package
    """
    if here():
        return []
    if any(shutil.which(each) for each in DAEMON):
        raise OpsError(
            f"The Docker Engine is installed and does not run: nobody answers at {SOCKET}.",
            "Start it (systemctl start docker), and look at journalctl -u docker.",
            code="host.docker-down",
        )
    found = _candidates([ENGINE, CLIENT, *COMPOSE])
    if not found or ENGINE not in found:
        raise OpsError(
            f"There is no Docker Engine on this machine, and no package {ENGINE} to install:"
            f" {'it is no Debian and no Ubuntu' if found is None else 'its sources have none'}.",
            "On Debian or Ubuntu: apt-get update with their own sources (on Ubuntu with universe),"
            " then run again. On another system install the Docker Engine yourself.",
            code="host.no-docker-package",
        )
    plugin = next((each for each in COMPOSE if found.get(each, 0) > 1), None)
    return [
        *(each for each in (ENGINE, CLIENT) if each in found),
        *([plugin] if compose and plugin else []),
    ]


def _candidates(names: Sequence[str]) -> dict[str, int] | None:
    """Return the major version of each package that can be installed; None without apt."""
    try:
        done = subprocess.run(
            ["apt-cache", "policy", *names],
            env=os.environ | {"LC_ALL": "C"},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return {name: int(major) for name, major in _CANDIDATE.findall(done.stdout)}
