# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Measurements for progress alone, made as seldom as they are slow.

The size of a database or a dump is asked of each of its files. With 20,000 chunks, asked every
second, that costs more the longer a run takes: its square.
"""

from __future__ import annotations

import time
from collections.abc import Callable

SHARE = 0.02  # of the time, at most


class Sparing:
    """Measures by *measure*, in a fiftieth of the time; meanwhile it returns the last number."""

    def __init__(
        self, measure: Callable[[], int], *, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._measure = measure
        self._now = now
        self._next = float("-inf")
        self._last = 0

    def read(self) -> int:
        """Return the number of now, or that of a moment ago."""
        began = self._now()
        if began >= self._next:
            self._last = self._measure()
            ended = self._now()
            self._next = ended + (ended - began) / SHARE
        return self._last
