#!/usr/bin/env python3
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Ask the Docker Engine itself whether it answers, and which images it has.

Needs nothing beyond the standard library, so it works before the virtual environment exists.
A ``docker`` program on the PATH proves nothing: many machines have the client without an engine.

Usage: engine_ping.py [IMAGE...]

Exit status: 0 the engine answers and has every image named; 1 it does not answer;
3 it may not be asked (permission denied on its socket); 4 it answers and lacks an image.
"""

from __future__ import annotations

import http.client
import os
import socket
import sys
from urllib.parse import quote, urlsplit

DEFAULT_HOST = "unix:///var/run/docker.sock"
TIMEOUT_SECONDS = 5.0


class UnixConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=TIMEOUT_SECONDS)
        self.path = path

    def connect(self) -> None:
        """Open the socket."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(TIMEOUT_SECONDS)
        self.sock.connect(self.path)


def connection(host: str) -> http.client.HTTPConnection:
    """Return a connection to the engine that DOCKER_HOST names.

    :raises ValueError: for a kind of address that is neither unix:// nor tcp://.
    """
    address = urlsplit(host)
    if address.scheme == "unix":
        return UnixConnection(address.path)
    if address.scheme in {"tcp", "http"} and address.hostname:
        return http.client.HTTPConnection(
            address.hostname, address.port or 2375, timeout=TIMEOUT_SECONDS
        )
    raise ValueError(f"DOCKER_HOST={host}: only unix:// and tcp:// addresses can be asked")


def status(host: str, path: str) -> int:
    """Return the HTTP status of GET path."""
    link = connection(host)
    try:
        link.request("GET", path)
        return link.getresponse().status
    finally:
        link.close()


def main(images: list[str]) -> int:
    """Return the exit status described above."""
    host = os.environ.get("DOCKER_HOST") or DEFAULT_HOST
    try:
        if status(host, "/_ping") != 200:
            return 1
        wanted = (f"/images/{quote(name, safe=':/')}/json" for name in images)
        return 0 if all(status(host, path) == 200 for path in wanted) else 4
    except PermissionError:
        return 3
    except (OSError, http.client.HTTPException):
        return 1
    except ValueError as exc:
        print(exc, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
