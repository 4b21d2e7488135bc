# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The start of this machine, and the time since then: a clock that nobody can set."""

from __future__ import annotations

import time
from pathlib import Path

_IDENTITY = Path("/proc/sys/kernel/random/boot_id")


def identity() -> str:
    """Return the id that the kernel gave this start of the machine; empty if it has none."""
    try:
        return _IDENTITY.read_text().strip()
    except OSError:
        return ""


def uptime() -> float:
    """Return the seconds since then, those of suspension too."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)
