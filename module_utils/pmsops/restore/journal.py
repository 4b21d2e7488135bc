# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The journal of a restore or swap: each step is on disk before it begins.

The databases carry it too, in their marks, for the case that the disk with the journal is lost.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ansible.module_utils.pmsops.common import files
from ansible.module_utils.pmsops.common.timestamps import utc_stamp_microseconds
from ansible.module_utils.pmsops.repository import sets
from ansible.module_utils.pmsops.restore.registry import ManagedDatabase

NAME = "restore.json"
# The steps of a swap: from the first on, the renames may have happened.
SWAP_STEPS = (
    "swap",
    "stop services",
    "rename",
    "open",
    "workers",
    "start services",
    "probe",
    "slots",
    "back",
)


@dataclass
class Journal:
    """One line of JSON; empty if the previous run finished.

    ``state`` holds: step; live; side (the staging database) with manifest_sha256 and set; of a
    swap incoming, incoming_mark, outgoing (None without a live database), services (those that ran
    before) and slots (see slot_handover); steps ``[[step, moment], ...]``.
    """

    path: Path
    state: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of_root(cls, root: Path) -> Journal:
        """Return the journal of a backup_root."""
        return cls.open(sets.state_folder(root) / NAME)

    @classmethod
    def open(cls, path: Path) -> Journal:
        """Return the journal of the previous run, empty if that run finished."""
        try:
            return cls(path, json.loads(path.read_bytes()))
        except FileNotFoundError:
            return cls(path)

    @property
    def swapping(self) -> bool:
        """Tell whether the run had begun to swap."""
        return self.state.get("step") in SWAP_STEPS

    @property
    def proved(self) -> bool:
        """Tell whether a proved staging database waits for its swap."""
        return self.state.get("step") == "proved"

    def record(self, step: str, **facts: Any) -> None:
        """Write that *step* begins; the file is synced before this returns."""
        steps = self.state.get("steps", [])
        moment = utc_stamp_microseconds(datetime.now(UTC))
        self.state |= facts | {"step": step, "steps": [*steps, [step, moment]]}
        files.replace(self.path, (json.dumps(self.state) + "\n").encode())

    def close(self) -> None:
        """Forget the run: it has finished."""
        self.path.unlink(missing_ok=True)
        self.state = {}

    def summary(self) -> dict[str, Any]:
        """Return the part of the state that a mark on a database carries."""
        return {name: value for name, value in self.state.items() if name not in ("live", "steps")}

    def load_from_marks(self, found: dict[str, ManagedDatabase], live: str) -> None:
        """Take the state from the marks of *live*'s databases, where one of them carries it."""
        for each in found.values():
            if each.mark.get("of") == live and each.mark.get("state"):
                self.state = {"live": live, "steps": []} | each.mark["state"]
