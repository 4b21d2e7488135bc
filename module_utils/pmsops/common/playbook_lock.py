# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""One playbook at a time on a system, for the whole of a run that is many modules.

No module lives as long as its playbook, so the kernel's lock of a process cannot be the lock. Its
owner is the ansible-playbook process on the control node, named in a file on the managed host.
Where the two are the same machine, a dead owner is seen at once. Of another machine nothing can be
seen, so there the lock also ends with its lease.
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
    """Who holds a lock: the run, its process, since when and until when at the longest."""

    purpose: str
    owner: str
    since: str
    until: str

    def at_work(self, now: datetime) -> bool:
        """Tell whether the run still goes on, as far as this host can see."""
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
    """Take the lock *path* for *owner*; return the dead run that held it before, if one did.

    Taken again by its owner, it is renewed. With *dry* nothing is written.

    :raises OpsError: lock.run where another run is at work, files.unwritable.
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
    """Free the lock where *owner* holds it; return whether it did.

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
    """Refuse where a run is at work that holds the lock *path*; take nothing.

    :raises OpsError: lock.run
    """
    found = holder(path)
    if found is not None and found.at_work(now):
        raise _held(path, purpose, found)


def holder(path: Path) -> Holder | None:
    """Return who holds the lock, None for nobody; a file that says nothing holds nothing."""
    try:
        found = Holder(**json.loads(path.read_bytes()))
        moment(found.until)
    except (OSError, ValueError, TypeError):
        return None
    return found


def _held(path: Path, purpose: str, other: Holder) -> OpsError:
    return OpsError(
        f"No {purpose} now: {path} is held by {other.described()}, until {other.until} at the"
        " longest.",
        "Wait for that run to end. Where it surely has ended without freeing the lock, remove"
        f" {path}.",
        code="lock.run",
    )


@contextmanager
def _guarded(path: Path, *, dry: bool) -> Iterator[None]:
    """Keep two runs from reading and writing the file at the same moment."""
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
            "Give the user that runs the playbook the right to write there, and room.",
            code="files.unwritable",
        ) from exc
    try:
        fcntl.flock(guard, fcntl.LOCK_EX)
        yield
    finally:
        os.close(guard)
