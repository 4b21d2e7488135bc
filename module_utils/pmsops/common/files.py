# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Files that are complete or absent: written under a temporary name, synced, renamed."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import tempfile
from pathlib import Path

BLOCK_BYTES = 1 << 20
# What file systems answer to what they cannot do: CIFS, exFAT, S3 and other FUSE mounts, NFS.
UNABLE = (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP)
NO_LINKS = (errno.EXDEV, errno.EPERM, errno.EMLINK, *UNABLE)


def make_private_folder(path: Path) -> None:
    """Make *path* with mode 0700 where it is missing, with its parents."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileExistsError):
        path.mkdir(mode=0o700)


def make_public_folder(path: Path) -> None:
    """Make *path* with mode 0755 where it is missing, whatever the umask."""
    if not path.is_dir():
        path.mkdir(parents=True, exist_ok=True)
        set_mode(path, 0o755)


def flush(descriptor: int) -> bool:
    """Flush a file or folder to the disk; return False if its file system cannot do that."""
    try:
        os.fsync(descriptor)
    except OSError as exc:
        if exc.errno not in UNABLE:
            raise
        return False
    return True


def set_mode(path: Path | int, mode: int) -> bool:
    """Set the mode of a file of ours; return False if its file system keeps no modes."""
    try:
        if isinstance(path, int):
            os.fchmod(path, mode)
        else:
            path.chmod(mode)
    except OSError as exc:
        if exc.errno not in (*UNABLE, errno.EPERM):
            raise
        return False
    return True


def sync_folder(path: Path) -> None:
    """Flush the entries of a folder to the disk, if its file system can do that."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        flush(descriptor)
    finally:
        os.close(descriptor)


def sync_file(path: Path) -> None:
    """Flush a file's contents to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        flush(descriptor)
    finally:
        os.close(descriptor)


def replace(
    path: Path, content: bytes | bytearray, *, mode: int = 0o600, aside: Path | None = None
) -> None:
    """Replace *path* so that a reader finds the old content or the new, never a part.

    A kill may leave the temporary file; *aside* gives it a known name.
    """
    temporary = _written_aside(path, content, mode, aside)
    try:
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def overwrite(path: Path, content: bytes, *, offset: int = 0) -> None:
    """Write over a part of an existing file, synced: this needs no room on the disk."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        while content:
            written = os.pwrite(descriptor, content, offset)
            content, offset = content[written:], offset + written
        flush(descriptor)
    finally:
        os.close(descriptor)


def create_once(path: Path, content: bytes, *, mode: int = 0o600) -> bool:
    """Create *path* unless it exists by then; return whether this call created it."""
    temporary = _written_aside(path, content, mode)
    try:
        os.link(temporary, path)
    except FileExistsError:
        return False
    except OSError as exc:
        if exc.errno not in NO_LINKS:
            raise
        return _claimed(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    sync_folder(path.parent)
    return True


def _claimed(temporary: Path, path: Path) -> bool:
    """Create *path* where the file system has no links: claim the name, then put the content."""
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    except FileExistsError:
        return False
    try:
        temporary.replace(path)
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)
    return True


def _written_aside(
    path: Path, content: bytes | bytearray, mode: int, aside: Path | None = None
) -> Path:
    if aside:
        aside.unlink(missing_ok=True)
        name = str(aside)
        descriptor = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    else:
        descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        set_mode(descriptor, mode)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
            stream.flush()
            flush(stream.fileno())
    except BaseException:
        Path(name).unlink()
        raise
    return Path(name)


def hand_over(path: Path) -> None:
    """Give a file written by root to the owner of its folder, who has to replace it later."""
    if os.geteuid() == 0:
        owner = path.parent.stat()
        os.chown(path, owner.st_uid, owner.st_gid)


def usable_bytes(found: os.statvfs_result) -> int:
    """Return the size of a file system for all users but root, the base of df's percentage.

    Reserved blocks count as neither used nor free: with 252 GB, 150 of them reserved, 77 GB free
    are 75 %, not 30 %.
    """
    return (found.f_blocks - found.f_bfree + found.f_bavail) * found.f_frsize


def make_removable(folder: Path) -> None:
    """Make the folders below *folder* writable, so that it can be deleted; files keep their mode.

    A file may be a hard link to a file of another set, and both share one mode.
    """
    for path in [folder, *(p for p in folder.rglob("*") if p.is_dir() and not p.is_symlink())]:
        set_mode(path, 0o700)


def walk(folder: Path) -> list[str]:
    """Return the files and symbolic links below *folder*, relative to it."""
    found, folders = [], [""]
    while folders:
        below = folders.pop()
        with os.scandir(folder / below) as entries:  # it tells folders without asking of each file
            for entry in entries:
                name = f"{below}{entry.name}"
                if entry.is_dir(follow_symlinks=False):
                    folders.append(f"{name}/")
                else:
                    found.append(name)
    return sorted(found)


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file, in hex."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()
