# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a playbook has started ends with it, or with its task: of other hosts too.

A module on the control node sees by itself that ansible-playbook or its worker is gone. One on
another host sees the end of its SSH session, and the SSH client of a worker that was killed, or
whose task's ``timeout`` is over, keeps that open.
"""

from __future__ import annotations

import atexit
import ctypes
import multiprocessing.util
import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

PR_SET_PDEATHSIG = 1


class Lifeline:
    """Ties workers to this process, ansible-playbook, and to each worker what it started."""

    def __init__(self) -> None:
        self._playbook = os.getpid()
        self._libc = ctypes.CDLL(None)
        # The queue manager has set its handler before it loads callbacks.
        self._tasks: Any = getattr(signal.getsignal(signal.SIGTERM), "__self__", None)

    def tie(self) -> None:
        """Tie what is started from now on; a terminal that closes ends the run as SIGTERM does."""
        multiprocessing.util.register_after_fork(self, Lifeline._begin_worker)
        atexit.register(self._end_killed_workers)
        if signal.getsignal(signal.SIGHUP) is signal.SIG_DFL:  # nohup ignores it
            signal.signal(
                signal.SIGHUP, lambda _number, _frame: signal.raise_signal(signal.SIGTERM)
            )

    def _begin_worker(self) -> None:
        """In a worker: end by SIGTERM with ansible-playbook, and at the end leave nothing behind.

        The worker sends SIGTERM on to all that it started.
        """
        self._libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != self._playbook:
            os._exit(1)
        multiprocessing.util.Finalize(None, _end_abandoned, exitpriority=1)

    def _end_killed_workers(self) -> None:
        """End what workers that were killed have left."""
        if os.getpid() != self._playbook:
            return
        # While a process belongs to the session, no other process gets the leader's number.
        ended = {
            worker.pid
            for worker in filter(None, getattr(self._tasks, "_workers", ()))
            if worker.pid and not worker.is_alive() and not Path(f"/proc/{worker.pid}").exists()
        }
        if ended:  # one look at all processes, however many workers there were
            _end(each for each, _, session in _processes() if session in ended)


def _end_abandoned() -> None:
    """End the children of this worker that it no longer waits for, with all below them."""
    with suppress(ChildProcessError):  # it has none: each task but one whose time was up
        os.waitpid(-1, os.WNOHANG)
        started, own = {os.getpid()}, os.getpid()
        found = sorted(_processes())
        while more := {pid for pid, parent, _ in found if parent in started} - started:
            started |= more
        # What left the session is to stay: a connection that is kept open, for instance.
        _end(pid for pid, _, session in found if pid in started - {own} and session == own)


def _end(pids: Iterator[int]) -> None:
    for pid in pids:
        with suppress(ProcessLookupError, PermissionError):  # sudo hands it on to its command
            os.kill(pid, signal.SIGTERM)


def _processes() -> Iterator[tuple[int, int, int]]:
    """Yield process, parent and session of each process. Source: proc(5), /proc/pid/stat."""
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError, IndexError):
            fields = path.read_text().rpartition(")")[2].split()
            yield int(path.parent.name), int(fields[1]), int(fields[3])
