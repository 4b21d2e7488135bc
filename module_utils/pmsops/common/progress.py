# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The progress of a long run, in a small file for those who wait."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

INTERVAL_SECONDS = 1.0


class Progress:
    """Writes the progress of a run to ``path``, at most once a second, and times its phases.

    The file is one line of json: phase, step and number of steps, done and total (bytes
    unless *unit* says otherwise), elapsed_seconds. It is not synced: losing it costs nothing,
    and no disk that is full or read-only stops the run that it tells of.
    """

    def __init__(
        self,
        path: Path | None = None,
        *,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._path = path
        self._now = now
        self._started = now()
        self._written = -INTERVAL_SECONDS
        self._state: dict[str, Any] = {}
        self._expected: float | None = None
        self._lock = threading.Lock()  # several threads report
        self.seconds: dict[str, float] = {}

    @contextmanager
    def phase(self, name: str, *, total: int = 0, unit: str = "bytes") -> Iterator[None]:
        """Report a phase while the ``with`` block runs, and record its seconds."""
        began = self._now()
        self._state = {"phase": name, "done": 0, "total": total, "unit": unit, "began": began}
        self._write(force=True)
        try:
            yield
        finally:
            self.seconds[name] = round(self.seconds.get(name, 0.0) + self._now() - began, 3)

    def expect(self, seconds: float | None) -> None:
        """Report the expected seconds of the whole run, counted from its beginning."""
        self._expected = seconds

    def update(self, done: int, *, note: str = "") -> None:
        """Report how much of the phase is done."""
        with self._lock:
            self._state |= {"done": done, "note": note}
            self._write()

    def close(self) -> None:
        """Remove the file at the end of the run."""
        if self._path:
            with suppress(OSError):
                self._path.unlink(missing_ok=True)

    def _write(self, *, force: bool = False) -> None:
        if self._path is None or (not force and self._now() - self._written < INTERVAL_SECONDS):
            return
        self._written = self._now()
        state = {name: value for name, value in self._state.items() if name != "began"}
        state["elapsed_seconds"] = round(self._now() - self._started, 1)
        state["expected_seconds"] = self._expected
        state["phase_seconds"] = round(self._now() - self._state["began"], 1)
        temporary = self._path.with_suffix(f".{os.getpid()}.tmp")
        try:
            temporary.write_text(json.dumps(state) + "\n")
            temporary.replace(self._path)
        except OSError:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)


def size(count: float) -> str:
    """Return a number of bytes for people, in decimal units."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"
