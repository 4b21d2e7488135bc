# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""How busy this host is: its load, its processors, and what both mean for a time-out."""

from __future__ import annotations

import math
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

# From here on, a process waits about as long as it works, so a time-out says little.
BUSY_PER_PROCESSOR = 2.0
MAX_PATIENCE = 5.0
LOADAVG = Path("/proc/loadavg")
SENTENCE = "the host is"


@dataclass(frozen=True)
class Load:
    """Processes that run or wait for a processor or a disk, against the processors."""

    processes: float
    processors: int

    @property
    def busy(self) -> bool:
        """Tell whether a missing answer may be the host's fault."""
        return self.processes >= BUSY_PER_PROCESSOR * self.processors

    @property
    def patience(self) -> float:
        """Return by how much a time-out has to grow to mean the same as on a quiet host."""
        return min(max(math.ceil(self.processes / self.processors), 1.0), MAX_PATIENCE)

    def describe(self) -> str:
        """Return the load in words."""
        word = "processor" if self.processors == 1 else "processors"
        state = "busy" if self.busy else "not busy"
        return f"{SENTENCE} {state}: load {self.processes:.0f} on {self.processors} {word}"


def now() -> Load:
    """Return the load of this moment, or of the last minute where that was higher.

    The average of a minute lags behind a burst, and the number of this moment misses one that has
    just ended while probes were waiting for it. A host that does not say it is not busy.
    """
    processes = 0.0
    with suppress(OSError, ValueError, IndexError):
        minute, _, _, running, _ = LOADAVG.read_text(encoding="ascii").split()
        # The reader itself is one of those that run.
        processes = max(float(minute), float(running.partition("/")[0]) - 1)
    return Load(processes, os.cpu_count() or 1)


def higher(one: Load, other: Load) -> Load:
    """Return the one with more processes."""
    return max(one, other, key=lambda load: load.processes)
