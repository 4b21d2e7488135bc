# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Refusals of a file system as errors that an operator can act on."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ansible.module_utils.pmsops.common.errors import OpsError

FULL = (errno.ENOSPC, errno.EDQUOT)
READ_ONLY = (errno.EROFS,)
BROKEN = (errno.EIO,)
REFUSED = (errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.ENAMETOOLONG)
CODED = {*FULL, *READ_ONLY, *BROKEN, *REFUSED, errno.ENOSYS, errno.ENOTSUP, errno.EINVAL}


def error_of(exc: OSError, place: Path, *, then: str = "") -> OpsError:
    """Return what the file system of *place* refused; *then* says what was done about it."""
    what = f"{exc.strerror or exc}" + (f": {exc.filename}" if exc.filename else "")
    then = f" {then}" if then else ""
    if exc.errno in FULL:
        return OpsError(
            f"The disk of {place} is full ({what}).{then}",
            f"Free space there (df -h {place}; a quota counts too), then run again.",
            code="disk.full",
        )
    if exc.errno in READ_ONLY:
        return OpsError(
            f"The file system of {place} is read-only ({what}).{then}",
            f"Find out why (dmesg; mount | grep {place}): after an error of the disk the kernel"
            " makes it read-only. Mount it writable, or use a folder on another disk.",
            code="disk.read-only",
        )
    if exc.errno in BROKEN:
        return OpsError(
            f"The disk of {place} does not read or write ({what}).{then}",
            "Look for errors of the disk (dmesg, smartctl), and use a folder on another disk.",
            code="disk.error",
        )
    return OpsError(
        f"Cannot write below {place}: {what}.{then}",
        "Give the user of the playbook write access there, and check the file system.",
        code="files.unwritable",
    )


@contextmanager
def coded(place: Path, *, then: str = "") -> Iterator[None]:
    """Turn refusals of a file system below *place* into OpsError; other errors pass.

    Errors of libraries that derive from OSError, as those of HTTP clients do, are no refusals.

    :raises OpsError: disk.full, disk.read-only, disk.error, files.unwritable
    """
    try:
        yield
    except OSError as exc:
        if exc.errno not in CODED:
            raise
        raise error_of(exc, place, then=then) from exc
