# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""One drill at a time on a host, whichever system, user, folder or control node it is of.

The lock is a name in the abstract namespace of Unix sockets: it needs no folder that all users may
write to, and the kernel frees it when its process ends. It holds for the machine, or for a
container with a network of its own. A second name beside it says who holds it.
Source: unix(7), "abstract"; proc_net(5), /proc/net/unix.
"""

from __future__ import annotations

import errno
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.common.timestamps import UTC, utc_stamp

NAME = "pms-ops-drill"
HOLDER = "pms-ops-drill of "
RETRY_SECONDS = 1.0
NAMES = Path("/proc/net/unix")
LONGEST = 107  # bytes of a name, without the zero before it


@contextmanager
def alone(
    system: str,
    *,
    minutes: float,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[None]:
    """Hold the lock for the length of a ``with`` block; wait for it up to so many minutes.

    :raises OpsError: drill.busy if another drill holds it until then.
    """
    last = clock() + minutes * 60
    with (
        socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as lock,
        socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as told,
    ):
        while not _bound(lock, NAME):
            if clock() >= last:
                raise OpsError(
                    f"This host runs another drill: {holder()}. It was waited for {minutes:g}"
                    " minutes.",
                    "Wait for that drill to end. restore_drill_wait_minutes says how long this one"
                    " waits by itself.",
                    code="drill.busy",
                )
            sleep(RETRY_SECONDS)
        since = utc_stamp(datetime.now(UTC))
        _bound(told, f"{HOLDER}{system[:40]}, process {os.getpid()} since {since}")
        yield


def holder() -> str:
    """Return who holds the lock, in words."""
    try:
        lines = NAMES.read_text(errors="replace").splitlines()
    except OSError:
        lines = []
    names = [line.partition(f"@{HOLDER}")[2] for line in lines]
    return next((name for name in names if name), "one that has just begun")


def _bound(lock: socket.socket, name: str) -> bool:
    """Tell whether the name was free, and is taken now."""
    try:
        lock.bind(b"\0" + name.encode(errors="replace")[:LONGEST])
    except OSError as exc:
        if exc.errno != errno.EADDRINUSE:
            raise
        return False
    return True
