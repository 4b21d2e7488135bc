# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Damaged files of a set: who shares them, who has another copy, and how they are mended.

Equal content is stored once, so one bad sector can damage every set that links to a file. A file is
known by its recorded SHA-256: any set that has it in a file of its own can lend it.
"""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ansible.module_utils.pmsops.common import files
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.repository import manifest, signing

# Sets that are read to find one that is whole.
MAX_READ = 3
Inode = tuple[int, int]


@dataclass
class Fault:
    """A file that is not what its set's manifest says."""

    path: Path
    entry: dict[str, Any]
    # The same file in other sets: damaged with it.
    shared: list[Path] = field(default_factory=list)
    # A sound file of the recorded content, None if no set has one.
    copy: Path | None = None


class Others:
    """The other sets of a root, as far as their manifests can be read."""

    def __init__(self, folders: Iterable[Path]) -> None:
        self.recorded: dict[Path, dict[str, dict[str, Any]]] = {}
        for folder in folders:
            try:
                self.recorded[folder] = manifest.read(folder)["files"]
            except OpsError:
                continue
        # What each inode was found to hold; one that cannot be read holds None.
        self._content: dict[Inode, str | None] = {}

    def faults(self, folder: Path, recorded: dict[str, Any], names: Sequence[str]) -> list[Fault]:
        """Return the faults *names* of the set in *folder*, all of whose files were read."""
        for name, entry in recorded.items():
            if (inode := _inode(folder / name)) is not None:
                self._content[inode] = None if name in names else entry["sha256"]
        found = []
        for name in names:
            fault = Fault(folder / name, recorded[name])
            bad = _inode(fault.path)
            for path, entry in self._files():
                inode = _inode(path)
                if inode is None:
                    continue
                if inode == bad:
                    fault.shared.append(path)
                elif fault.copy is None and self._holds(path, inode, entry, fault.entry):
                    fault.copy = path
            found.append(fault)
        return found

    def whole(self, keys: Path, *, trust: str | None = None) -> Path | None:
        """Return the newest of the last few sets in which every file is what was signed."""
        for folder in sorted(self.recorded, reverse=True)[:MAX_READ]:
            try:
                signing.check(manifest.read(folder), keys, trust=trust)
            except OpsError:
                continue
            if all(
                (inode := _inode(folder / name)) is not None
                and self._holds(folder / name, inode, entry, entry)
                for name, entry in self.recorded[folder].items()
            ):
                return folder
        return None

    def _files(self) -> Iterable[tuple[Path, dict[str, Any]]]:
        for folder in sorted(self.recorded, reverse=True):
            for name, entry in self.recorded[folder].items():
                yield folder / name, entry

    def _holds(
        self, path: Path, inode: Inode, entry: dict[str, Any], wanted: dict[str, Any]
    ) -> bool:
        """Return whether a file is recorded as *wanted* and holds it; each is read once."""
        if (entry["sha256"], entry["size_bytes"]) != (wanted["sha256"], wanted["size_bytes"]):
            return False
        if inode not in self._content:
            try:
                self._content[inode] = files.sha256(path)
            except OSError:
                self._content[inode] = None
        return self._content[inode] == str(wanted["sha256"])


def explain(folder: Path, found: Sequence[Fault], whole: Path | None) -> tuple[str, str]:
    """Return who shares the damage, and what to do, for people."""
    sharing = sorted({_set_of(path, folder) for fault in found for path in fault.shared})
    what = (
        f" The same file is in {', '.join(sharing)}, which are damaged with it." if sharing else ""
    )
    lenders = sorted({_set_of(fault.copy, folder) for fault in found if fault.copy is not None})
    if whole is None and found and all(fault.copy for fault in found):
        return what, (
            f"Set {', '.join(lenders)} has the damaged files once"
            " more: playbooks/dr_bad_backup.yml mends it from there. Then look at the disk."
        )
    other = (
        f"Set {whole.name} is whole: verify that first, playbooks/drill.yml -e file={whole}."
        if whole
        else "Take another set, and verify that first: playbooks/drill.yml -e file=<set>."
    )
    return what, other


def mend(found: Iterable[Fault]) -> list[str]:
    """Replace damaged files by another copy, in every set that shares them.

    Return a line for each. The new file is compared with its record before it takes the place of
    the damaged one.
    """
    lines = []
    for fault in found:
        if fault.copy is None:
            continue
        _put(fault.copy, fault.path, fault.entry)
        for path in fault.shared:
            _link(fault.path, path, fault.entry)
        several = f", and {len(fault.shared)} sets that share it" if fault.shared else ""
        lines.append(f"{fault.path}: mended from {fault.copy}{several}")
    return lines


def _put(source: Path, target: Path, entry: dict[str, Any]) -> None:
    temporary = target.with_name(f".{target.name}.mended")
    temporary.unlink(missing_ok=True)
    digest = hashlib.sha256()
    try:
        with source.open("rb") as good, temporary.open("xb") as out:
            while block := good.read(files.BLOCK_BYTES):
                digest.update(block)
                out.write(block)
            out.flush()
            files.flush(out.fileno())
        if digest.hexdigest() != entry["sha256"]:
            raise OpsError(
                f"{source} is not what it was a moment ago.",
                "Look for errors of the disk (dmesg, smartctl).",
                code="set.damaged",
            )
        files.set_mode(temporary, 0o400)
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)
    files.sync_folder(target.parent)


def _link(source: Path, target: Path, entry: dict[str, Any]) -> None:
    temporary = target.with_name(f".{target.name}.mended")
    temporary.unlink(missing_ok=True)
    try:
        os.link(source, temporary)
    except OSError as exc:
        if exc.errno in (errno.ENOSPC, errno.EROFS):
            raise
        _put(source, target, entry)
        return
    temporary.replace(target)
    files.sync_folder(target.parent)


def _inode(path: Path) -> Inode | None:
    try:
        status = path.lstat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _set_of(path: Path, folder: Path) -> str:
    """Return the name of the set of *path*: a set beside that of the fault."""
    return path.relative_to(folder.parent).parts[0]
