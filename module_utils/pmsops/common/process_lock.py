# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""A lock for one process, and the identity of a process."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from ansible.module_utils.pmsops.common import file_system
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.common.timestamps import UTC, utc_stamp

RETRY_SECONDS = 0.05


@dataclass(frozen=True)
class ProcessId:
    """A process, distinguished from a later one with the same number.

    *host* names the machine and its PID namespace: a container on the machine's network has the
    machine's name too, and process numbers of its own.
    """

    host: str
    pid: int
    started_ticks: int
    boot: str

    def text(self) -> str:
        """Return the form that ``parse`` reads."""
        return f"{self.host} {self.pid} {self.started_ticks} {self.boot}"

    @classmethod
    def parse(cls, text: str) -> ProcessId | None:
        """Return the process of a text that ``text`` wrote, None for any other text."""
        parts = text.split()
        if len(parts) != 4 or not (parts[1].isdigit() and parts[2].isdigit()):
            return None
        return cls(parts[0], int(parts[1]), int(parts[2]), parts[3])

    def alive(self) -> bool:
        """Return whether the process still runs; one of another host counts as alive."""
        here = this_process()
        if self.host != here.host:
            return True
        return self.boot == here.boot and self.started_ticks == started_ticks_of(self.pid)


def this_process() -> ProcessId:
    """Return the identity of this process."""
    return process(os.getpid())


def process(pid: int) -> ProcessId:
    """Return the identity of a process of this host."""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    seen = Path("/proc/self/ns/pid").stat().st_ino
    return ProcessId(f"{socket.gethostname()}/{seen}", pid, started_ticks_of(pid) or 0, boot)


def started_ticks_of(pid: int) -> int | None:
    """Return a process's start in clock ticks since boot, None if there is no such process.

    Source: proc(5), field 22 of /proc/pid/stat; the name in field 2 may hold blanks.
    """
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in ("Z", "X") else int(fields[19])


@contextmanager
def exclusive(path: Path, purpose: str) -> Iterator[None]:
    """Hold the lock file *path* for the length of a ``with`` block.

    The kernel releases the lock when its process ends; the content of the file only serves the
    message.

    :raises OpsError: lock.held if another process holds it; disk.read-only, disk.error, disk.full,
        files.unwritable.
    """
    with file_system.coded(path.parent, then=f"The {purpose} did not begin."):
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as exc:
            if exc.errno in (errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EINVAL):
                raise _no_locks(path, exc) from exc
            if exc.errno not in (errno.EAGAIN, errno.EACCES):
                raise
            raise _held(path, purpose) from exc
        holder = {
            "purpose": purpose,
            "pid": os.getpid(),
            "host": socket.gethostname(),
            "since": utc_stamp(datetime.now(UTC)),
        }
        with suppress(OSError):  # the lock holds on a full disk too
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, json.dumps(holder).encode() + b"\n", 0)
        yield
    finally:
        os.close(descriptor)


def held(path: Path) -> bool:
    """Tell whether a process that this one can see holds the lock file *path*; takes no lock.

    Source: proc(5), /proc/locks; where it cannot be read, a lock file counts as held.
    """
    try:
        inode = path.stat().st_ino
        lines = Path("/proc/locks").read_text().splitlines()
    except FileNotFoundError:
        return path.exists()
    except OSError:
        return True
    # "1: FLOCK  ADVISORY  WRITE 708 08:02:1234 0 EOF"; one that waits has "->" before its kind.
    return any(f":{inode} " in line and "->" not in line for line in lines)


@contextmanager
def awaited(path: Path, purpose: str, *, seconds: float) -> Iterator[None]:
    """Hold the lock file *path* as ``exclusive`` does, and wait up to *seconds* for it.

    :raises OpsError: lock.held if another process holds it until then.
    """
    last = time.monotonic() + seconds
    with ExitStack() as held:
        while True:
            try:
                held.enter_context(exclusive(path, purpose))
                break
            except OpsError:
                if time.monotonic() >= last:
                    raise
                time.sleep(RETRY_SECONDS)
        yield


def holder_of(path: Path) -> int | None:
    """Return the process of this host that holds the lock file *path*, None if nobody does.

    The lock is not touched: who tried it would keep its next holder away for a moment.
    Source: proc_locks(5); the device is not compared, since file systems in layers name another.
    """
    try:
        inode = path.stat().st_ino
        lines = Path("/proc/locks").read_text().splitlines()
    except OSError:
        return None
    for line in lines:
        fields = line.split()
        if fields[1:2] == ["FLOCK"] and fields[5].rpartition(":")[2] == str(inode):
            return int(fields[4])
    return None


def _no_locks(path: Path, exc: OSError) -> OpsError:
    return OpsError(
        f"The file system of {path.parent} has no locks ({exc.strerror or exc}), without which two"
        " runs at once would harm each other.",
        "Mount it with locks (NFS: without nolock, with a lock service), or set backup_root to a"
        " folder on a local disk and copy the sets from there.",
        code="files.no-locks",
    )


def _held(path: Path, purpose: str) -> OpsError:
    try:
        holder = json.loads(path.read_text())
        who = f"{holder['purpose']}, process {holder['pid']} on {holder['host']} since"
        who = f"{who} {holder['since']}"
    except (ValueError, KeyError, OSError):
        who = "a run that has just begun"
    return OpsError(
        f"Cannot begin the {purpose}: {path} is held by {who}.",
        "Wait for that run to end. The lock is released when its process ends.",
        code="lock.held",
    )
