# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""An action that runs a long module and shows meanwhile how far it is, on remote hosts too.

The module keeps a small progress file on the managed host. While it runs, a second connection
reads that file every second; on the control node itself it is simply read.
"""

from __future__ import annotations

import shlex
import sys
import threading
import time
from pathlib import Path, PurePosixPath

from ansible.module_utils.pmsops.watching import TERMINAL_SECONDS, Watcher
from ansible.plugins.action import ActionBase
from ansible.plugins.loader import connection_loader
from ansible.utils.display import Display

# A worker has neither terminal nor standard streams; this module is loaded before it is forked.
TERMINAL = sys.stderr.isatty()


class WatchedAction(ActionBase):
    """Front of a module that reports progress; a subclass says where its file is."""

    # The module's option that names a folder, and the progress file below it.
    root_option = "root"
    progress_name: str

    def run(self, tmp=None, task_vars=None):
        """Run the module; show its progress until it has ended."""
        result = super().run(tmp, task_vars)
        ended = threading.Event()
        watcher = threading.Thread(target=self._watch, args=(ended,), daemon=True)
        if not self._task.check_mode and self._task.args.get(self.root_option):
            watcher.start()
        try:
            result.update(self._execute_module(task_vars=task_vars))
        finally:
            ended.set()
            if watcher.is_alive():
                watcher.join(timeout=5)
        return result

    def _watch(self, ended: threading.Event) -> None:
        display = Display()
        path = str(PurePosixPath(self._task.args[self.root_option]) / self.progress_name)
        watcher = Watcher(
            lambda: self._read(path),
            # Ansible leaves its standard output unflushed; of standard error every line is seen.
            lambda text, newline: display.display(text, newline=newline, stderr=True),
            terminal=TERMINAL,
            now=time.monotonic,
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
