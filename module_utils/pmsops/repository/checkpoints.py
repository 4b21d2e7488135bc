# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Checkpoints: held sets with a note, to which a rollback returns.

The hold of a set is the checkpoint: there is one from the moment on at which the file of the hold
has its name, and none before. So a run that is killed leaves a checkpoint as a whole, or none.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible.module_utils.pmsops.common import file_system
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.repository import manifest, sets, shrinkage

# Begins the reason of such a hold. Persisted: it never changes.
PREFIX = "checkpoint: "
LATEST = "latest"
NOTE_LENGTH = 120


@dataclass(frozen=True)
class Checkpoint:
    """A held set, and its note."""

    folder: Path
    note: str

    @property
    def id(self) -> str:
        """Return the name of the set."""
        return self.folder.name

    def text(self) -> str:
        """Return how people are told of it."""
        return f"{self.note!r} (set {self.id})"


def note_in(reason: str | None) -> str | None:
    """Return the note in the reason of a hold; None where it is no checkpoint's."""
    return reason.removeprefix(PREFIX) if reason and reason.startswith(PREFIX) else None


def note_of(folder: Path) -> str | None:
    """Return the note of a set; None where it is no checkpoint, or its hold cannot be read."""
    return note_in(str(_hold(folder).get("reason") or ""))


def listed(root: Path) -> list[Checkpoint]:
    """Return the checkpoints, the oldest set first."""
    noted = ((folder, note_of(folder)) for folder in sets.listed(root))
    return [Checkpoint(folder, note) for folder, note in noted if note is not None]


def require_note(text: str) -> str:
    """Return a note as it is kept.

    :raises OpsError: checkpoint.note
    """
    note = text.strip()
    if not note or len(note) > NOTE_LENGTH or not note.isprintable():
        raise OpsError(
            f"{text!r} is no note of a checkpoint: it has one line, of 1 to {NOTE_LENGTH}"
            " characters that can be printed.",
            'For example: pms-ops checkpoint --note "release 4.2"',
            code="checkpoint.note",
        )
    if note == LATEST or sets.NAME.fullmatch(note):
        raise OpsError(
            f"{note!r} cannot be the note of a checkpoint: rollback --checkpoint would take it for"
            " the newest one, or for the name of a set.",
            "Choose another note.",
            code="checkpoint.note",
        )
    return note


def with_note(found: list[Checkpoint], wanted: str) -> list[Checkpoint]:
    """Return the checkpoints of *found* with this note, or of the set with this name."""
    by_name = [each for each in found if each.id == Path(wanted).name]
    return by_name or [each for each in found if each.note == wanted.strip()]


def make(folder: Path, note: str) -> Checkpoint:
    """Hold a finished set as a checkpoint.

    :raises OpsError: checkpoint.held if it is held for another reason; manifest.*, disk.*
    """
    manifest.read(folder)
    held = _hold(folder)
    reason = PREFIX + note
    if held.get("reason") not in (None, reason):
        raise OpsError(
            f"Set {folder.name} is already held: {held['reason']}.",
            "Make a checkpoint of a new set: pms-ops checkpoint --note ...",
            code="checkpoint.held",
        )
    sets.write_note(folder / sets.HOLD, json.dumps(held | {"reason": reason}) + "\n")
    return Checkpoint(folder, note)


def release(checkpoint: Checkpoint) -> None:
    """Lift the hold; one that a loss of rows asks for stays, without the note.

    :raises OpsError: disk.*, files.unwritable
    """
    held = _hold(checkpoint.folder)
    path = checkpoint.folder / sets.HOLD
    if held.get(shrinkage.FLAG):
        reason = "a later set lost rows that this one has"
        sets.write_note(path, json.dumps(held | {"reason": reason}) + "\n")
        return
    with file_system.coded(checkpoint.folder):
        path.unlink(missing_ok=True)


def _hold(folder: Path) -> dict[str, Any]:
    try:
        found = json.loads((folder / sets.HOLD).read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
