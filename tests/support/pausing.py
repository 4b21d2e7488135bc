# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Pause a container, also on a busy machine."""

from __future__ import annotations

import subprocess
import time

ATTEMPTS = 5


def pause(container: str) -> None:
    """Freeze all processes of a container.

    With version 1 of cgroups the kernel cannot freeze a process that is just being made; runc
    gives up soon ("unable to freeze"), and leaves the next attempt to its caller.
    Raises CalledProcessError if five attempts fail.
    """
    for attempt in range(1, ATTEMPTS + 1):
        words = ["docker", "pause", container]
        tried = subprocess.run(words, capture_output=True, timeout=120, check=attempt == ATTEMPTS)
        if tried.returncode == 0:
            return
        time.sleep(1)
