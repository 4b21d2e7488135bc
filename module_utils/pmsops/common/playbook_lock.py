# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""A lock for a whole playbook: one at a time on a system.

A module ends long before its playbook, so a kernel lock of a process does not serve. The owner is
the ansible-playbook process on the control node, named in a file on the managed host. If both are
the same machine, a dead owner is noticed at once. A process of another machine cannot be seen, so
there the lock also ends with its lease.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path

from ansible.module_utils.pmsops.common import files
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.common.process_lock import ProcessId
from ansible.module_utils.pmsops.common.timestamps import moment, utc_stamp


@dataclass(frozen=True)
class Holder:
    """The holder of a lock: purpose, process, start, and the end of the lease."""

    purpose: str
    owner: str
    since: str
    until: str

    def at_work(self, now: datetime) -> bool:
        """Return whether the run still goes on, as far as this host can see."""
        process = ProcessId.parse(self.owner)
        if process is None or not process.alive():
            return False
        return now < moment(self.until)

    def described(self) -> str:
        """Return the holder for people."""
        process = ProcessId.parse(self.owner)
        who = f"process {process.pid} on {process.host}" if process else "somebody"
        return f"{self.purpose}, {who} since {self.since}"


def take(
    path: Path,
    purpose: str,
    owner: ProcessId,
    *,
    lease: timedelta,
    now: datetime,
    dry: bool = False,
) -> Holder | None:
    """Take the lock *path* for *owner*; return the dead run that held it before, else None.

    Its owner renews it by taking it again. With *dry* nothing is written.

    :raises OpsError: lock.run if another run holds it, files.unwritable.
    """
    if dry and not path.parent.is_dir():
        return None
    with _guarded(path, dry=dry):
        former = holder(path)
        own = former if former is not None and former.owner == owner.text() else None
        if former is not None and own is None and former.at_work(now):
            raise _held(path, purpose, former)
        if not dry:
            entry = Holder(
                purpose=purpose,
                owner=owner.text(),
                since=own.since if own else utc_stamp(now),
                until=utc_stamp(now + lease),
            )
            files.replace(path, json.dumps(asdict(entry)).encode() + b"\n", mode=0o600)
        return former if own is None else None


def free(path: Path, owner: ProcessId, *, dry: bool = False) -> bool:
    """Release the lock if *owner* holds it; return whether it did.

    :raises OpsError: files.unwritable.
    """
    if not path.exists():
        return False
    with _guarded(path, dry=dry):
        found = holder(path)
        if found is None or found.owner != owner.text():
            return False
        if not dry:
            path.unlink(missing_ok=True)
        return True


def see_free(path: Path, purpose: str, *, now: datetime) -> None:
    """Check that no running playbook holds the lock *path*; take nothing.

    :raises OpsError: lock.run
    """
    found = holder(path)
    if found is not None and found.at_work(now):
        raise _held(path, purpose, found)


def holder(path: Path) -> Holder | None:
    """Return the holder of the lock, None if nobody holds it or the file is unreadable."""
    try:
        found = Holder(**json.loads(path.read_bytes()))
        moment(found.until)
    except (OSError, ValueError, TypeError):
        return None
    return found


def _held(path: Path, purpose: str, other: Holder) -> OpsError:
    return OpsError(
        f"Cannot start {purpose}: {path} is held by {other.described()}, until {other.until} at the"
        " latest.",
        "Wait for that run to end. If it has certainly ended without releasing the lock, remove"
        f" {path}.",
        code="lock.run",
    )


@contextmanager
def _guarded(path: Path, *, dry: bool) -> Iterator[None]:
    """Serialize access to the lock file."""
    if dry:
        yield
        return
    try:
        files.make_private_folder(path.parent)
        guard = os.open(
            path.with_name(f"{path.name}.guard"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600
        )
    except OSError as exc:
        raise OpsError(
            f"{path} cannot be written: {exc.strerror or exc}.",
            "Give the user of the playbook write access there, and free space.",
            code="files.unwritable",
        ) from exc
    try:
        fcntl.flock(guard, fcntl.LOCK_EX)
        yield
    finally:
        os.close(guard)
