# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Private folders of a restore or a trial, removed at its end, or by the next run after a kill.

The decrypted copy of an encrypted dump is kept in memory if it fits, else next to the sets. What a
trial keeps of an encrypted set is in memory or nowhere.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ansible.module_utils.pmsops.common import files
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.repository import encryption, sets

LIST_BYTES = 8_000_000  # more than the lists of a restore take, one for each phase
MEMORY = Path("/dev/shm")  # noqa: S108  # the folders made below it are private


def _prefix(root: Path, purpose: str = "restore") -> str:
    """Return the prefix of the folders of one backup_root; those of others are not touched."""
    return f".pms-{purpose}-{hashlib.sha256(str(root.absolute()).encode()).hexdigest()[:12]}-"


def _fits_memory(count: int) -> bool:
    return MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > 2 * count


@contextmanager
def folder(root: Path, *, memory_bytes: int = 0) -> Iterator[Path]:
    """Give a private folder, in memory if twice the *memory_bytes* asked for are free there.

    One for lists alone is in memory too if the disk of the sets is full.
    """
    parent = sets.state_folder(root)
    full = not memory_bytes and shutil.disk_usage(parent).free < LIST_BYTES
    expected = memory_bytes or LIST_BYTES
    if (memory_bytes or full) and _fits_memory(expected):
        parent = MEMORY
    with tempfile.TemporaryDirectory(prefix=_prefix(root), dir=parent) as name:
        yield Path(name)


@contextmanager
def trial_folder(root: Path, *, memory_bytes: int = 0) -> Iterator[Path]:
    """Give a private folder to a trial; with *memory_bytes* it is in memory.

    :raises OpsError: backup.trial-memory if that many bytes do not fit.
    """
    parent = MEMORY if memory_bytes else sets.state_folder(root)
    if memory_bytes and not _fits_memory(memory_bytes):
        raise OpsError(
            f"{MEMORY} has no room for the schema of an encrypted set, which no disk may hold.",
            f"Make {MEMORY} larger (it needs {2 * memory_bytes} bytes free).",
            code="backup.trial-memory",
        )
    with tempfile.TemporaryDirectory(prefix=_prefix(root, "trial"), dir=parent) as name:
        yield Path(name)


def decrypt(dump: Path, identity: Path, folder: Path) -> Path:
    """Return a decrypted copy of *dump*, which disappears with the private *folder*.

    :raises OpsError: files.not-private if others could read it.
    """
    target = folder / dump.name.removesuffix(encryption.SUFFIX)
    with target.open("xb") as out:
        kept = files.set_mode(target, 0o600)
        if not kept and target.stat().st_mode & folder.stat().st_mode & 0o077:
            raise OpsError(
                f"The file system of {folder} lets others read the decrypted dump.",
                f"Make room in {MEMORY}, where the decrypted dump goes if it fits twice, or put"
                " backup_root on a file system that keeps modes.",
                code="files.not-private",
            )
        with encryption.decrypted(dump, identity) as source:
            shutil.copyfileobj(source, out, files.BLOCK_BYTES)
    return target


def leftovers(root: Path, purpose: str = "restore") -> list[Path]:
    """Return the folders that killed runs left; only the holder of the lock may call this."""
    return [
        path
        for parent in (sets.state_folder(root), MEMORY)
        for path in parent.glob(f"{_prefix(root, purpose)}*")
    ]


def clean(root: Path, purpose: str = "restore") -> list[Path]:
    """Remove the leftovers; return those that are gone. ``leftovers`` has the others.

    Only the holder of the lock may call this.
    """
    found = leftovers(root, purpose)
    for path in found:
        shutil.rmtree(path, ignore_errors=True)
    return [path for path in found if not path.exists()]
