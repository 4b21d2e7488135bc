# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Files of ours in a folder of others: known by their first line, and nothing else is touched."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ansible.module_utils.pmsops.common import files
from ansible.module_utils.pmsops.common.errors import OpsError


@dataclass(frozen=True)
class Plan:
    """What is to be done: names with their content before and after."""

    written: dict[str, tuple[str, str]]
    removed: dict[str, str]

    @property
    def changed(self) -> bool:
        """Tell whether there is anything to do."""
        return bool(self.written or self.removed)


def plan(folder: Path, mark: str, wanted: Mapping[str, str]) -> Plan:
    """Return what brings the marked files of a folder in line with *wanted*, name to content.

    :raises OpsError: schedule.folder, schedule.foreign
    """
    if wanted and not (folder.is_dir() and os.access(folder, os.W_OK)):
        raise OpsError(
            f"{folder} is not there, or may not be written by this user.",
            "Run the playbook as root (sudo, or --become), or correct schedule_unit_dir.",
            code="schedule.folder",
        )
    written = {}
    for name, content in wanted.items():
        path = folder / name
        before = path.read_text(encoding="utf-8") if path.exists() else ""
        if before and not _is_marked(before, mark):
            raise OpsError(
                f"{path} is there and was not written by pms-ops.",
                "Move it away, or give the job another name; nothing was changed.",
                code="schedule.foreign",
            )
        if before != content:
            written[name] = (before, content)
    marked = {path.name: text for path, text in _texts(folder) if _is_marked(text, mark)}
    removed = {name: text for name, text in sorted(marked.items()) if name not in wanted}
    return Plan(written, removed)


def carry_out(folder: Path, todo: Plan) -> None:
    """Write and remove what a plan says."""
    for name, (_, content) in todo.written.items():
        files.replace(folder / name, content.encode(), mode=0o644)
    for name in todo.removed:
        (folder / name).unlink()


def _texts(folder: Path) -> list[tuple[Path, str]]:
    found = []
    for path in folder.glob("pms-ops-*"):
        if path.is_file() and not path.is_symlink():
            found.append((path, path.read_text(encoding="utf-8", errors="replace")))
    return found


def _is_marked(text: str, mark: str) -> bool:
    return text.partition("\n")[0] == mark
