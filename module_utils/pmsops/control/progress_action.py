# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""An action that runs a long module and shows meanwhile how far it is, on remote hosts too.

The module keeps a small progress file on the managed host. While it runs, a second connection
reads that file every second; on the control node itself it is simply read.
"""

from __future__ import annotations

import os
import shlex
import sys
import threading
import time
from pathlib import Path, PurePosixPath

from ansible.module_utils.pmsops.control.progress_display import (
    LOG_SECONDS,
    TERMINAL_SECONDS,
    Watcher,
)
from ansible.plugins.action import ActionBase
from ansible.plugins.loader import connection_loader
from ansible.utils.display import Display


def on_terminal() -> bool:
    """Tell whether what Ansible says goes to a terminal.

    An action runs in a worker, whose own output leads nowhere: its parent's is what counts.
    """
    try:
        output = os.open(f"/proc/{os.getppid()}/fd/1", os.O_WRONLY | os.O_NOCTTY | os.O_NONBLOCK)
    except OSError:
        return sys.stdout.isatty()
    try:
        return os.isatty(output)
    finally:
        os.close(output)


class WatchedAction(ActionBase):
    """Front of a module that reports progress; a subclass says where its file is."""

    # The module's option that names a folder, and the progress file below it.
    root_option = "root"
    progress_name: str
    _supports_async = True

    def run(self, tmp=None, task_vars=None):
        """Run the module; show its progress until it has ended."""
        result = super().run(tmp, task_vars)
        ended = threading.Event()
        watcher = threading.Thread(target=self._watch, args=(ended,), daemon=True)
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

    def _watch(self, ended: threading.Event) -> None:
        display = Display()
        path = str(PurePosixPath(self._task.args[self.root_option]) / self.progress_name)
        # Who reads our output line by line, as scripts/pms-ops does, says how often it wants one.
        wanted = os.environ.get("PMS_OPS_PROGRESS_SECONDS")
        watcher = Watcher(
            lambda: self._read(path),
            lambda text, newline: display.display(text, newline=newline),
            terminal=on_terminal() and not wanted,
            now=time.monotonic,
            log_seconds=float(wanted) if wanted else LOG_SECONDS,
        )
        look_at = time.monotonic() + TERMINAL_SECONDS
        while not ended.wait(max(look_at - time.monotonic(), 0)):
            look_at = time.monotonic() + TERMINAL_SECONDS  # a slow read is part of the interval
            watcher.look()
        watcher.close()

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
        _status, output, _errors = self._second.exec_command(
            f"cat {shlex.quote(path)} 2>/dev/null", sudoable=False
        )
        return output
