# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Damaged sets that another set can mend: it holds the same content in a file of its own."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from ansible.module_utils.pmsops.common import file_system
from ansible.module_utils.pmsops.repository import manifest, quarantine, sets, shared_files


def mend(
    root: Path,
    folders: Iterable[Path],
    keys: Path,
    *,
    trust: str | None = None,
    dry: bool = False,
) -> list[str]:
    """Mend the files of sets of which another set has a copy of its own; return a line for each.

    With *dry* nothing is changed, and the lines say what would be mended.

    :raises OpsError: disk.*, files.unwritable
    """
    lines = []
    for folder in folders:
        examined = quarantine.examine(folder, keys, trust=trust)
        names = [*examined.rotten, *examined.missing]
        if not names:
            continue
        others = shared_files.Others(each for each in sets.listed(root) if each != folder)
        found = others.faults(folder, manifest.read(folder)["files"], names)
        if dry:
            lines += [f"{each.path}: from {each.copy}" for each in found if each.copy]
            continue
        with file_system.coded(root):
            lines += shared_files.mend(found)
    return lines
