# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Who reads a set holds it: retention deletes, and quarantine renames, no set that is being read.

The hold is a shared lock on the set's manifest, which the kernel releases when its process ends. It
needs no right to write, and other tools can take it: ``flock -s SET/manifest.json rsync ...``. A
file system without locks gives no such protection.
"""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.repository import manifest

BUSY = (errno.EAGAIN, errno.EACCES)


@contextmanager
def held(folder: Path | None) -> Iterator[None]:
    """Keep the set in *folder* where it is while the ``with`` block runs; None is a bare dump.

    :raises OpsError: set.removed if it was removed or renamed since it was looked up.
    """
    if folder is None:
        yield
        return
    path = folder / manifest.NAME
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError as exc:
        raise _removed(folder) from exc
    try:
        # Without NB: who has it alone removes the set within a moment.
        _lock(descriptor, fcntl.LOCK_SH)
        try:
            same = os.path.samestat(os.fstat(descriptor), path.stat())
        except FileNotFoundError:
            same = False
        if not same:
            raise _removed(folder)
        yield
    finally:
        os.close(descriptor)


@contextmanager
def unread(folder: Path) -> Iterator[None]:
    """Keep readers away from the set in *folder*, which is going to be removed or renamed.

    :raises OpsError: set.in-use if it is being read.
    """
    try:
        descriptor = os.open(folder / manifest.NAME, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:  # nobody reads a set without one
        yield
        return
    try:
        if not _lock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB):
            raise OpsError(
                f"Set {folder} is being read: by a restore, a drill, a comparison or a copy.",
                "Wait for that run to end (`pms-ops status` shows it); the set goes with the next"
                " run.",
                code="set.in-use",
            )
        yield
    finally:
        os.close(descriptor)


def _lock(descriptor: int, kind: int) -> bool:
    """Take a lock; return False if somebody has it. A file system without locks has none."""
    try:
        fcntl.flock(descriptor, kind)
    except OSError as exc:
        return exc.errno not in BUSY
    return True


def _removed(folder: Path) -> OpsError:
    return OpsError(
        f"Set {folder} was removed or renamed a moment ago.",
        "Run again: another set is the newest now, or name one with file=.",
        code="set.removed",
    )
