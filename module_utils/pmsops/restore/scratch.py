# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Private folders of a restore, gone with it; the next run removes those of a killed one.

The plain copy of an encrypted dump lies in memory where it fits there, else beside the sets.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ansible.module_utils.pmsops.repository import sets

MEMORY = Path("/dev/shm")  # noqa: S108  # the folders made below it are private


def _prefix(root: Path) -> str:
    """Return how the folders of one backup_root are called: others' are none of its business."""
    return f".pms-restore-{hashlib.sha256(str(root.absolute()).encode()).hexdigest()[:12]}-"


@contextmanager
def folder(root: Path, *, memory_bytes: int = 0) -> Iterator[Path]:
    """Give a private folder, in memory where twice the *memory_bytes* asked for are free."""
    where = sets.state_folder(root)
    if memory_bytes and MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > 2 * memory_bytes:
        where = MEMORY
    with tempfile.TemporaryDirectory(prefix=_prefix(root), dir=where) as name:
        yield Path(name)


def left(root: Path) -> list[Path]:
    """Return what killed runs left; whoever calls holds the lock, or what runs is among it."""
    return [
        path
        for place in (sets.state_folder(root), MEMORY)
        for path in place.glob(f"{_prefix(root)}*")
    ]


def clean(root: Path) -> list[Path]:
    """Remove what killed runs left, and return it; whoever calls holds the lock."""
    found = left(root)
    for path in found:
        shutil.rmtree(path, ignore_errors=True)
    return found
