# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The journal of a restore or swap: each step is on disk before it begins.

The databases carry it too, in their marks, for the case that the disk with the journal is lost.

A full disk must not stop a swap halfway. So the journal is a file of fixed size, whose room is
taken before anything is changed, and each step is written in place: into one of two slots in turn,
so that a write that is cut off leaves the step before. Between two runs the file waits under the
name ROOM.
"""

from __future__ import annotations

import errno
import json
import zlib
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from ansible.module_utils.pmsops.common import file_system, files
from ansible.module_utils.pmsops.common.timestamps import UTC, utc_stamp_microseconds
from ansible.module_utils.pmsops.repository import sets
from ansible.module_utils.pmsops.restore.registry import ManagedDatabase

NAME = "restore.json"
ROOM = "restore.room"
SLOT_BYTES = 32 * 1024
# The steps of a swap: from the first on, the renames may have happened.
SWAP_STEPS = (
    "swap",
    "stop services",
    "rename",
    "open",
    "workers",
    "start services",
    "probe",
    "accepted",
    "slots",
    "back",
)
# Kept beside the state of a slot; no part of it.
SERIAL, CHECKSUM = "serial", "crc32"


@dataclass
class Journal:
    """The journal's state is empty if the previous run finished.

    ``state`` holds: step; live; side (the staging database) with manifest_sha256 and set; of a
    swap incoming, incoming_mark, incoming_oid, outgoing (None without a live database), services
    (those that ran before), slots (see slot_handover), read_only (the incoming database's own
    default), since_xid (the first transaction that may have written to it while it was live),
    deleted_before (rows deleted in a staging database until then, by table) and accepted (the PMS
    works on it); steps ``[[step, moment], ...]``.
    """

    path: Path
    state: dict[str, Any] = field(default_factory=dict)
    # Number of the last write, and why writes failed that nothing had to wait for.
    serial: int = 0
    problems: list[str] = field(default_factory=list)

    @classmethod
    def of_root(cls, root: Path) -> Journal:
        """Return the journal of a backup_root."""
        return cls.open(sets.state_folder(root) / NAME)

    @classmethod
    def open(cls, path: Path) -> Journal:
        """Return the journal of the previous run, empty if that run finished.

        One that cannot be read counts as lost: the marks of the databases say the same.
        """
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            return cls(path)
        except OSError as exc:
            if exc.errno != errno.EIO:
                raise
            return cls(path)
        serial, state = _newest(content)
        return cls(path, state, serial)

    @property
    def swapping(self) -> bool:
        """Tell whether the run had begun to swap."""
        return self.state.get("step") in SWAP_STEPS

    @property
    def proved(self) -> bool:
        """Tell whether a proved staging database waits for its swap."""
        return self.state.get("step") == "proved"

    def reserve(self) -> None:
        """Take the room of the journal on its disk, unless it is taken already.

        :raises OpsError: disk.full, disk.read-only, disk.error, files.unwritable
        """
        room = self.path.with_name(ROOM)
        if _size(self.path) >= 2 * SLOT_BYTES or _size(room) >= 2 * SLOT_BYTES:
            return
        with file_system.coded(self.path.parent, then="Nothing was changed."):
            files.replace(room, b" " * (2 * SLOT_BYTES))

    def record(self, step: str, **facts: Any) -> None:
        """Write that *step* begins; the file is synced before this returns.

        :raises OpsError: disk.full, disk.read-only, disk.error, files.unwritable
        """
        steps = self.state.get("steps", [])
        moment = utc_stamp_microseconds(datetime.now(UTC))
        self.state |= facts | {"step": step, "steps": [*steps, [step, moment]]}
        self.serial += 1
        with file_system.coded(self.path.parent):
            self._write(_text(self.serial, self.state))

    def note(self, step: str, **facts: Any) -> None:
        """Write that *step* begins, where no failure of a disk may stop what follows.

        What is written last is then an earlier step of the same run, and recovery from it is the
        same. ``problems`` says what failed.
        """
        try:
            self.record(step, **facts)
        except Exception as exc:  # noqa: BLE001  the services are down: nothing stops their start
            self.problems.append(f"Step '{step}' is not in the journal: {exc}")

    def close(self) -> None:
        """Forget the run: it has finished. Where that fails, the next run finds it finished."""
        self.state = {}
        try:
            self.path.replace(self.path.with_name(ROOM))
        except FileNotFoundError:
            return
        except OSError as exc:
            with suppress(OSError):
                self.path.unlink()
                return
            self.problems.append(f"{self.path} cannot be removed: {exc.strerror or exc}.")

    def summary(self) -> dict[str, Any]:
        """Return the part of the state that a mark on a database carries."""
        return {name: value for name, value in self.state.items() if name not in ("live", "steps")}

    def load_from_marks(self, found: dict[str, ManagedDatabase], live: str) -> None:
        """Take the state from the marks of *live*'s databases, where one of them carries it."""
        for each in found.values():
            if each.mark.get("of") == live and each.mark.get("state"):
                self.state = {"live": live, "steps": []} | each.mark["state"]

    def _write(self, text: bytes) -> None:
        half = _size(self.path) // 2
        if half >= max(SLOT_BYTES, len(text)):
            files.overwrite(self.path, _slot(text, half), offset=self.serial % 2 * half)
            return
        room = self.path.with_name(ROOM)
        half = _size(room) // 2
        if half < max(SLOT_BYTES, len(text)):  # none was reserved, or of a former release
            half = max(SLOT_BYTES, 2 * len(text))
            files.replace(self.path, _both(text, half, self.serial))
            return
        files.overwrite(room, _both(text, half, self.serial))
        room.replace(self.path)
        with suppress(OSError):  # a folder that cannot be synced has the new name all the same
            files.sync_folder(self.path.parent)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _text(serial: int, state: dict[str, Any]) -> bytes:
    document = state | {SERIAL: serial}
    checksum = zlib.crc32(json.dumps(document).encode())
    return json.dumps(document | {CHECKSUM: checksum}).encode()


def _slot(text: bytes, size: int) -> bytes:
    return text.ljust(size - 1) + b"\n"


def _both(text: bytes, half: int, serial: int) -> bytes:
    """Return a whole journal with one slot filled: the one that *serial* is written to."""
    slots = [_slot(b"", half), _slot(b"", half)]
    slots[serial % 2] = _slot(text, half)
    return b"".join(slots)


def _newest(content: bytes) -> tuple[int, dict[str, Any]]:
    """Return serial and state of the newest whole slot; former releases wrote one, unnumbered."""
    half = len(content) // 2
    found = [_read(each) for each in (content, content[:half], content[half:])]
    return max((each for each in found if each), key=lambda each: each[0], default=(0, {}))


def _read(text: bytes) -> tuple[int, dict[str, Any]] | None:
    try:
        document = json.loads(text)
        checksum = document.pop(CHECKSUM, None)
        if checksum not in (None, zlib.crc32(json.dumps(document).encode())):
            return None
        return int(document.pop(SERIAL, 0)), document
    except (ValueError, AttributeError, TypeError):
        return None
