# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a file system refuses, as errors that an operator can act on, and what it cannot do."""

from __future__ import annotations

import errno
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from ansible.module_utils.pmsops.common import files
from ansible.module_utils.pmsops.common.errors import OpsError

# What was told of a file system, in the folder of the state.
NOTE = "file-system.json"
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
    if exc.errno in files.UNABLE:
        return OpsError(
            f"The file system of {place} cannot do what is needed ({what}).{then}",
            "Use a folder on a file system of Linux (ext4, xfs), and copy the sets from there.",
            code="files.unsuitable",
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


@dataclass(frozen=True)
class Abilities:
    """What the file system of a folder can do beyond reading and writing."""

    modes: bool = True
    links: bool = True
    folder_sync: bool = True
    # Whether others are kept from a file that is made for its owner alone.
    private: bool = True

    def lines(self, place: Path) -> list[str]:
        """Return what is missing and what that means, a line each."""
        found = []
        if not self.private:
            found.append(
                f"The file system of {place} lets others of this machine read every file. Mount it"
                " for one user (CIFS, exFAT: uid=, file_mode=0600, dir_mode=0700), or encrypt the"
                " sets (backup_recipients)."
            )
        if not self.modes:
            found.append(
                f"The file system of {place} keeps no modes: nothing there guards a set against"
                " being changed by mistake; its signature still shows that."
            )
        if not self.links:
            found.append(
                f"The file system of {place} has no hard links: each set takes its full size."
            )
        if not self.folder_sync:
            found.append(
                f"The file system of {place} cannot flush a folder: a power failure right after a"
                " backup may lose that set."
            )
        return found


def abilities(folder: Path) -> Abilities:
    """Return what the file system of *folder* can do; two small files are made and removed.

    :raises OSError: if no file can be made at all.
    """
    descriptor, name = tempfile.mkstemp(prefix=".pms-ops-probe-", dir=folder)
    path = Path(name)
    other = path.with_name(path.name + ".link")
    try:
        os.close(descriptor)
        modes = files.set_mode(path, 0o400) and path.stat().st_mode & 0o777 == 0o400
        private = path.stat().st_mode & 0o077 == 0 or folder.stat().st_mode & 0o077 == 0
        try:
            os.link(path, other)
            links = True
        except OSError as exc:
            if exc.errno not in files.NO_LINKS:
                raise
            links = False
        place = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            synced = files.flush(place)
        finally:
            os.close(place)
    finally:
        other.unlink(missing_ok=True)
        path.unlink(missing_ok=True)
    return Abilities(modes, links, synced, private)


def first_use(folder: Path) -> list[str]:
    """Return what the file system of *folder* cannot do, once: a note there says what was told."""
    note = folder / NOTE
    try:
        found = asdict(abilities(folder))
        try:
            told = json.loads(note.read_bytes())
        except (OSError, ValueError):
            told = asdict(Abilities())
        if found == told:
            return []
        files.replace(note, json.dumps(found).encode() + b"\n")
    except OSError:
        return []  # what is written there next says why
    return Abilities(**found).lines(folder)
