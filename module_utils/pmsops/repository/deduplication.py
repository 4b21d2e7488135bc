# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Equal content is stored once: a new set's files become hard links to an earlier set's."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ansible.module_utils.pmsops.common import files
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.repository import manifest

# ext4 allows 65,000 links to a file; stay below it and start a new copy.
MAX_LINKS = 30_000


def known_contents(earlier: Iterable[Path]) -> dict[tuple[str, int], Path]:
    """Return the file of each content in the *earlier* sets, by SHA-256 and size.

    A set with an unreadable manifest is skipped.
    """
    known = {}
    for folder in earlier:
        try:
            document = manifest.read(folder)
        except OpsError:
            continue
        for name, entry in document["files"].items():
            known[(entry["sha256"], entry["size_bytes"])] = folder / name
    return known


def link(
    folder: Path,
    recorded: dict[str, dict[str, Any]],
    known: dict[tuple[str, int], Path],
    *,
    max_shared: int = 0,
    damaged: list[Path] | None = None,
) -> int:
    """Replace files of *folder* by links to equal ones in *known*; return the bytes saved.

    The older file is read again first: a damaged copy must not become part of this set, and is
    added to *damaged*. With *max_shared*, that many sets share a file at most: the next one keeps
    its own, so that one bad sector is not all history.
    """
    most = min(max_shared or MAX_LINKS, MAX_LINKS)
    saved = 0
    for name, entry in recorded.items():
        source = known.get((entry["sha256"], entry["size_bytes"]))
        if source is None or entry["size_bytes"] == 0:
            continue
        if not _intact(source, entry):
            if damaged is not None:
                damaged.append(source)
            continue
        status = source.lstat()
        if status.st_nlink >= most or status.st_mode & 0o222:
            continue
        path = folder / name
        temporary = path.with_name(f".{path.name}.link")
        try:
            os.link(source, temporary)
        except OSError as exc:
            # Another file system, or one without hard links: the set keeps its own copy.
            if exc.errno in files.NO_LINKS:
                continue
            raise
        temporary.replace(path)
        saved += entry["size_bytes"]
    return saved


def _intact(source: Path, entry: dict[str, Any]) -> bool:
    try:
        return (
            not source.is_symlink()
            and source.lstat().st_size == entry["size_bytes"]
            and files.sha256(source) == entry["sha256"]
        )
    except OSError:
        return False


def own_bytes(folder: Path) -> int:
    """Return the bytes that deleting the set would free: files shared with no other set."""
    return sum(
        (folder / name).stat().st_size
        for name in files.walk(folder)
        if (folder / name).lstat().st_nlink == 1
    )
