# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Unit files of pms-ops in a shared folder: recognized by their first line; others are kept."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ansible.module_utils.pmsops.common import files
from ansible.module_utils.pmsops.common.errors import OpsError


@dataclass(frozen=True)
class Changes:
    """Names of files with their content before and after."""

    written: dict[str, tuple[str, str]]
    removed: dict[str, str]

    @property
    def changed(self) -> bool:
        """Tell whether there is a change."""
        return bool(self.written or self.removed)


def plan(folder: Path, mark: str, expected: Mapping[str, str]) -> Changes:
    """Return the changes that make the marked files of a folder equal to *expected*.

    :raises OpsError: schedule.folder, schedule.foreign
    """
    # A folder that is missing is made: that of another program than systemd need not be there.
    here = next(each for each in (folder, *folder.parents) if each.exists())
    if expected and not here.is_dir():
        raise OpsError(
            f"{here} is no folder.", "Correct schedule_unit_dir.", code="schedule.folder"
        )
    if expected and not os.access(here, os.W_OK):
        if here == folder:
            raise OpsError(
                f"{folder} cannot be written by this user.",
                "Run the playbook as root (sudo, or --become), or correct schedule_unit_dir.",
                code="schedule.folder",
            )
        raise OpsError(
            f"{folder} does not exist, and this user cannot make it in {here}.",
            "Run the playbook as root (sudo, or --become), or correct schedule_unit_dir.",
            code="schedule.folder",
        )
    written = {}
    for name, content in expected.items():
        path = folder / name
        before = path.read_text(encoding="utf-8") if path.exists() else ""
        if before and not _is_marked(before, mark):
            raise OpsError(
                f"{path} exists and was not written by pms-ops.",
                "Move it away, or give the job another name. Nothing was changed.",
                code="schedule.foreign",
            )
        if before != content:
            written[name] = (before, content)
    marked = {path.name: text for path, text in _texts(folder) if _is_marked(text, mark)}
    removed = {name: text for name, text in sorted(marked.items()) if name not in expected}
    return Changes(written, removed)


def apply(folder: Path, changes: Changes) -> None:
    """Write and remove files; a folder that is missing is made.

    :raises OpsError: schedule.folder
    """
    if changes.written:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as exc:
            raise OpsError(
                f"{folder} cannot be made: {exc.strerror}.",
                "Make it, or correct schedule_unit_dir.",
                code="schedule.folder",
            ) from exc
    for name, (_, content) in changes.written.items():
        files.replace(folder / name, content.encode(), mode=0o644)
    for name in changes.removed:
        (folder / name).unlink()


def _texts(folder: Path) -> list[tuple[Path, str]]:
    found = []
    for path in folder.glob("pms-ops-*"):
        if path.is_file() and not path.is_symlink():
            found.append((path, path.read_text(encoding="utf-8", errors="replace")))
    return found


def _is_marked(text: str, mark: str) -> bool:
    return text.partition("\n")[0] == mark
