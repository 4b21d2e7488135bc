# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""An action that runs a long module and shows its progress, on remote hosts too.

The module keeps a small progress file on the managed host. While it runs, a second connection
reads that file every second, of many systems less often; on the control node itself it is simply
read.
"""

from __future__ import annotations

import os
import shlex
import sys
import threading
import time
from pathlib import Path, PurePosixPath
from typing import Any

from ansible.module_utils.pmsops.control.progress_display import (
    LOG_SECONDS,
    TERMINAL_SECONDS,
    ProgressDisplay,
)
from ansible.plugins.action import ActionBase
from ansible.plugins.loader import connection_loader
from ansible.utils.display import Display

# Looks at remote progress files in a second, for all systems of a run together: each takes an SSH
# client here, and a shell there.
LOOKS_PER_SECOND = 2


def on_terminal() -> bool:
    """Return whether Ansible's output goes to a terminal.

    An action runs in a worker process without one; the output of its parent counts.
    """
    try:
        output = os.open(f"/proc/{os.getppid()}/fd/1", os.O_WRONLY | os.O_NOCTTY | os.O_NONBLOCK)
    except OSError:
        return sys.stdout.isatty()
    try:
        return os.isatty(output)
    finally:
        os.close(output)


def seconds_between_looks(systems: int) -> float:
    """Return after how many seconds the progress of a remote system is read again."""
    return max(TERMINAL_SECONDS, systems / LOOKS_PER_SECOND)


class ProgressAction(ActionBase):  # type: ignore[misc]  # Ansible has no types
    """The action of a module that reports progress; a subclass names the progress file."""

    # The module's option that names a folder, and the progress file below it.
    root_option = "root"
    progress_name: str
    _supports_async = True

    def run(
        self, tmp: str | None = None, task_vars: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        """Run the module; show its progress until it has ended."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        ended = threading.Event()
        local = self._connection.transport == "local"
        systems = 1 if local else len((task_vars or {}).get("ansible_play_hosts_all") or ())
        pause = seconds_between_looks(systems)
        watcher = threading.Thread(target=self._watch, args=(ended, pause), daemon=True)
        # Nobody waits for a module in the background.
        background = bool(self._task.async_val)
        shown = not background and not self._task.check_mode
        if shown and self._task.args.get(self.root_option):
            watcher.start()
        try:
            result.update(self._execute_module(task_vars=task_vars, wrap_async=background))
        finally:
            ended.set()
            if watcher.is_alive():
                watcher.join(timeout=5)
        return result

    def _watch(self, ended: threading.Event, pause: float) -> None:
        display = Display()
        path = str(PurePosixPath(self._task.args[self.root_option]) / self.progress_name)
        # A program that reads the output line by line, as pms-ops does, sets the interval.
        interval = os.environ.get("PMS_OPS_PROGRESS_SECONDS")
        progress = ProgressDisplay(
            lambda: self._read(path),
            lambda text, newline: display.display(text, newline=newline),
            terminal=on_terminal() and not interval,
            now=time.monotonic,
            log_seconds=float(interval) if interval else LOG_SECONDS,
        )
        poll_at = time.monotonic() + pause
        while not ended.wait(max(poll_at - time.monotonic(), 0)):
            poll_at = time.monotonic() + pause  # a slow read is part of the interval
            progress.poll()
        progress.close()

    def _read(self, path: str) -> bytes:
        """Return the progress file's content, empty where there is none."""
        if self._connection.transport == "local":
            try:
                return Path(path).read_bytes()
            except OSError:
                return b""
        if not hasattr(self, "_second"):
            # Not the task's own connection: that one is busy with the module.
            self._second = connection_loader.get(self._connection.ansible_name, self._play_context)
            self._second.set_options(direct=self._connection.get_options())
        output: bytes = self._second.exec_command(
            f"cat {shlex.quote(path)} 2>/dev/null", sudoable=False
        )[1]
        return output
