# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The progress file of a running module as lines for a terminal or a log."""

from __future__ import annotations

import json
from collections.abc import Callable

from ansible.module_utils.pmsops.common.progress_text import describe

TERMINAL_SECONDS = 1.0
LOG_SECONDS = 30.0
ERASE_LINE = "\r\x1b[K"


class ProgressDisplay:
    """Turns readings of a progress file into lines.

    A terminal gets one line that is redrawn; a log gets a line when the phase changes, and one
    every *log_seconds*.
    """

    def __init__(
        self,
        read: Callable[[], bytes],
        show: Callable[[str, bool], None],
        *,
        terminal: bool,
        now: Callable[[], float],
        log_seconds: float = LOG_SECONDS,
    ) -> None:
        self._read = read
        self._show = show
        self._terminal = terminal
        self._now = now
        self._log_seconds = log_seconds
        self._shown_at = now()
        self._phase: str | None = None
        self._read_last: tuple[bytes, float] = (b"", now())
        self._drawn = False

    def poll(self) -> None:
        """Read the file once; print a line where one is due."""
        content = self._read()
        if content != self._read_last[0]:
            self._read_last = (content, self._now())
        try:
            state = json.loads(content)
            # A phase without a known total still shows that time passes.
            state["elapsed_seconds"] += self._now() - self._read_last[1]
            line = describe(state)
        except (ValueError, KeyError, TypeError):
            return  # the module has not begun, or has ended
        if self._terminal:
            self._show(f"{ERASE_LINE}  {line}", False)
            self._drawn = True
        elif state["phase"] != self._phase or self._now() - self._shown_at >= self._log_seconds:
            self._show(f"  {line}", True)
            self._shown_at = self._now()
        self._phase = state["phase"]

    def close(self) -> None:
        """Wipe the redrawn line."""
        if self._drawn:
            self._show(ERASE_LINE, False)
