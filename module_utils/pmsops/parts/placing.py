# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The files of a part, put where they were. What is there is kept beside as NAME.before-RUN.

At no moment is a path without a file: the former one gets a second name first, then the new one
takes the path. A note of the run, written before, says how to undo it, also after a kill.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible.module_utils.pmsops.common import files
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.parts import project, storage
from ansible.module_utils.pmsops.repository import sets
from ansible.module_utils.pmsops.services.project_files import FORMER, SYSTEM_PATHS

JOURNAL = "restored-parts.json"  # in the folder of the state: the last run
BEGUN, DONE = "begun", "done"
NEW, REPLACES, SAME = "new", "replaces", "is as in the set"


@dataclass(frozen=True)
class Step:
    """A file of a part, and what becomes of its path."""

    part: str
    path: Path
    content: bytes
    entry: Mapping[str, Any]
    what: str

    @property
    def text(self) -> str:
        """Return it for people."""
        kept = ", which is kept beside" if self.what == REPLACES else ""
        return f"{self.path}: {self.what}{' the file there' if kept else ''}{kept}"


def steps(
    folder: Path, name: str, part: Mapping[str, Any], identity: Path | None
) -> tuple[list[Step], list[Mapping[str, Any]]]:
    """Return what becomes of each file of a part, and its folders and links; nothing is written.

    :raises OpsError: parts.path, parts.in-the-way, encryption.*
    """
    found, others = [], []
    for each in project.listing(storage.read(folder, part["files"][0], identity)):
        path = Path(each["path"])
        if not path.is_absolute() or ".." in path.parts or _of_system(path):
            raise OpsError(
                f"Part {name} has a file for {path}, where no file of the PMS belongs. Nothing was"
                " changed.",
                "The set is signed, so ask who made it; take another one.",
                code="parts.path",
            )
        if "stored" not in each:
            others.append(each)
            continue
        content = storage.read(folder, each["stored"], identity)
        found.append(Step(name, path, content, each, _what(path, content)))
    return found, others


def _of_system(path: Path) -> bool:
    return any(path == each or each in path.parents for each in SYSTEM_PATHS)


def _what(path: Path, content: bytes) -> str:
    try:
        if not os.path.lexists(path):
            return NEW
        if path.is_dir():
            raise OpsError(
                f"{path} is a folder; in the set it is a file. Nothing was changed.",
                "Docker makes a folder where a file that it should mount is missing. Move the"
                " folder away, then run again.",
                code="parts.in-the-way",
            )
        return SAME if path.is_file() and path.read_bytes() == content else REPLACES
    except OSError as exc:
        raise OpsError(
            f"{path} cannot be read: {exc.strerror}. Nothing was changed.",
            "Run as a user who can read and write it.",
            code="parts.in-the-way",
        ) from exc


def place(root: Path, run: str, found: Sequence[Step], others: Sequence[Mapping[str, Any]]) -> None:
    """Put the files in place, and keep each former one as ``NAME.before-RUN``.

    :raises OSError: where a file cannot be written; a rollback undoes what was done.
    """
    for each in others:
        _folder_or_link(each)
    wanted = [each for each in found if each.what != SAME]
    if not wanted:
        return
    known = read_journal(root)
    # A run that was killed: what it has replaced is still to be undone with this one.
    earlier = known.get("files", []) if known.get("state") == BEGUN else []
    noted = [
        {
            "part": step.part,
            "path": str(step.path),
            "former": str(former(step.path, run)) if step.what == REPLACES else None,
            "sha256": hashlib.sha256(step.content).hexdigest(),
        }
        for step in wanted
    ]
    journal = {"run": run, "state": BEGUN, "files": [*earlier, *noted]}
    write_journal(root, journal)
    for step in wanted:
        step.path.parent.mkdir(parents=True, exist_ok=True)
        if step.what == REPLACES:
            _second_name(step.path, former(step.path, run))
        files.replace(step.path, step.content, mode=int(step.entry["mode"]))
        _own(step.path, step.entry)
    write_journal(root, journal | {"state": DONE})


def former(path: Path, run: str) -> Path:
    """Return the name under which a run keeps what was at *path*."""
    return path.with_name(f"{path.name}{FORMER}{run}")


def _second_name(path: Path, second: Path) -> None:
    try:
        os.link(path, second, follow_symlinks=False)
    except OSError as exc:
        if exc.errno not in files.NO_LINKS:
            raise
        shutil.copy2(path, second, follow_symlinks=False)
    files.sync_folder(path.parent)


def _folder_or_link(entry: Mapping[str, Any]) -> None:
    path = Path(entry["path"])
    if os.path.lexists(path):
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    if "link" in entry:
        path.symlink_to(entry["link"])
    elif entry.get("folder"):
        path.mkdir()
        files.set_mode(path, int(entry["mode"]))
        _own(path, entry)


def _own(path: Path, entry: Mapping[str, Any]) -> None:
    if os.geteuid() == 0:
        with suppress(OSError):  # a file system without owners
            os.chown(path, int(entry["uid"]), int(entry["gid"]))


def read_journal(root: Path) -> dict[str, Any]:
    """Return the note of the last run; empty if there is none."""
    try:
        found = json.loads((root / sets.STATE / JOURNAL).read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def write_journal(root: Path, journal: Mapping[str, Any]) -> None:
    """Write the note of a run."""
    path = sets.state_folder(root) / JOURNAL
    files.replace(path, json.dumps(journal, indent=1, sort_keys=True).encode())


def undo(root: Path, run: str, names: Sequence[str], *, check: bool) -> list[str]:
    """Put the former files of the last run back; return a line for each.

    What was changed since is kept beside, too.

    :raises OpsError: parts.nothing-to-undo
    """
    journal = read_journal(root)
    wanted = [each for each in journal.get("files", []) if each["part"] in names]
    if not wanted:
        raise OpsError(
            f"No restore has replaced a file of {', '.join(names)} since the last rollback. Nothing"
            " was changed.",
            f"Files that earlier runs replaced are beside them, as NAME{FORMER}RUN.",
            code="parts.nothing-to-undo",
        )
    lines = [_undone(each, run, check=check) for each in reversed(wanted)]
    if not check:
        left = [each for each in journal["files"] if each not in wanted]
        write_journal(root, journal | {"files": left, "state": DONE})
    return lines


def _undone(each: Mapping[str, Any], run: str, *, check: bool) -> str:
    path, before = Path(each["path"]), Path(each["former"]) if each["former"] else None
    if before and not os.path.lexists(before):
        return f"{path}: it was not replaced, or {before.name} was removed; it stays"
    kept = ""
    if os.path.lexists(path) and not _is(path, each["sha256"]) and not _same(path, before):
        aside = former(path, run)
        kept = f"; it was changed since, which is kept as {aside.name}"
        if not check:
            _second_name(path, aside)
    if before is None:
        if not check:
            path.unlink(missing_ok=True)
        return f"{path}: removed, it was new{kept}"
    if not check:
        if _same(path, before):
            before.unlink()  # the run was killed before it had replaced anything
        else:
            before.replace(path)
        files.sync_folder(path.parent)
    return f"{path}: the former file is back{kept}"


def _same(path: Path, before: Path | None) -> bool:
    try:
        return before is not None and path.samefile(before)
    except OSError:
        return False


def _is(path: Path, digest: str) -> bool:
    try:
        return files.sha256(path) == digest
    except OSError:
        return False
