# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The caller of a module: a module ends with it, and cleans up, instead of working on alone.

Ansible ends no module with its task. ansible-playbook that is killed, or whose terminal closes,
leaves its worker and the module; a worker that is killed, and a task whose ``timeout`` is over,
leave the module. None of them tells it. So each module looks by itself, all the time that it works.
"""

from __future__ import annotations

import os
import select
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ansible.module_utils.pmsops.common import masking, process_lock, signals

POLL_SECONDS = 0.5
STDOUT = 1
MAX_ANCESTORS = 32
GONE = "the end of its caller, ansible-playbook or the worker of this task"


@contextmanager
def attended(module: masking.Module | None = None) -> Iterator[None]:
    """Run the ``with`` block while there is a caller; raise an error in it when that is gone.

    SIGTERM, SIGHUP and SIGINT are the same error. The main function of each module enters it,
    around all that it does (tests/unit/modules/test_callers.py). *module* is warned of secrets that
    would make stars of its result.

    :raises InterruptError: run.interrupted, at any place of the block.
    """
    if module:
        masking.warn(module)
    caller = Caller(_of_ansible())
    ended, gone = threading.Event(), threading.Event()

    def watch() -> None:
        while not ended.wait(POLL_SECONDS):
            if caller.gone():
                gone.set()
                # To the main thread, whose system call it interrupts.
                signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGTERM)
                return

    with signals.raised(lambda: GONE if gone.is_set() else None):
        watcher = threading.Thread(target=watch, daemon=True)
        watcher.start()
        try:
            yield
        finally:
            ended.set()
            watcher.join()


@dataclass(frozen=True)
class Caller:
    """Who waits for this module: processes of this host, if they are known, and its output."""

    processes: tuple[process_lock.ProcessId, ...]

    def gone(self) -> bool:
        """Return whether nobody waits any more."""
        ended = any(
            process_lock.started_ticks_of(each.pid) != each.started_ticks for each in self.processes
        )
        return ended or _unread(STDOUT)


def _unread(descriptor: int) -> bool:
    """Return whether an output is a pipe, a socket or a terminal that nobody reads any more.

    Source: poll(2): POLLERR for a pipe without a reader, POLLHUP for a socket or a terminal.
    """
    output = select.poll()
    output.register(descriptor, 0)
    return any(event & (select.POLLERR | select.POLLHUP) for _, event in output.poll(0))


def _of_ansible() -> tuple[process_lock.ProcessId, ...]:
    """Return the worker of this task and ansible-playbook, if they are on this host, else nothing.

    The worker is a fork of ansible-playbook that leads a session of its own: no other ancestor has
    its parent's command line and a session. Without one, over SSH for instance, the output tells.
    A module in the background is to outlive its task.
    """
    pid = os.getpid()
    for _ in range(MAX_ANCESTORS):
        seen = _seen(pid)
        if seen is None or "async_wrapper" in seen.command:
            return ()
        parent = _seen(seen.parent)
        if parent is None:
            return ()
        if seen.leads_session and seen.command and seen.command == parent.command:
            return process_lock.process(pid), process_lock.process(seen.parent)
        pid = seen.parent
    return ()


@dataclass(frozen=True)
class _Seen:
    parent: int
    leads_session: bool
    command: str


def _seen(pid: int) -> _Seen | None:
    """Return what is known of a process; None if there is none, or it may not be looked at.

    Source: proc(5), fields 4 and 6 of /proc/pid/stat; the name in field 2 may hold blanks.
    """
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        command = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace")
    except OSError:
        return None
    return _Seen(int(fields[1]), int(fields[3]) == pid, command)
