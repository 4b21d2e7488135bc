# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a restore or swap is doing, on disk before each step begins, and on the databases too."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ansible.module_utils.pmsops.common import files
from ansible.module_utils.pmsops.common.timestamps import utc_stamp_microseconds
from ansible.module_utils.pmsops.restore import registry as beside

NAME = "restore.json"
# The steps after which the renames may have happened.
SWAPPING = ("swap", "stop services", "rename", "open", "workers", "start services", "probe", "back")


@dataclass
class Journal:
    """One line of json; empty where the run before has finished.

    ``state`` holds: step; live; side (the copy) with manifest_sha256 and set; incoming, outgoing
    (None where there was no live database) and services (those that ran before) of a swap; steps
    ``[[step, moment], ...]``.
    """

    path: Path
    state: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def open(cls, path: Path) -> Journal:
        """Return the journal of the run before, empty where that run finished."""
        try:
            return cls(path, json.loads(path.read_bytes()))
        except FileNotFoundError:
            return cls(path)

    @property
    def swapping(self) -> bool:
        """Tell whether the run had begun to swap."""
        return self.state.get("step") in SWAPPING

    @property
    def proved(self) -> bool:
        """Tell whether a proved copy waits for its swap."""
        return self.state.get("step") == "proved"

    def record(self, step: str, **facts: Any) -> None:
        """Write that *step* begins, synced before it does."""
        steps = self.state.get("steps", [])
        moment = utc_stamp_microseconds(datetime.now(UTC))
        self.state |= facts | {"step": step, "steps": [*steps, [step, moment]]}
        files.replace(self.path, (json.dumps(self.state) + "\n").encode())

    def close(self) -> None:
        """Forget the run: it is finished."""
        self.path.unlink(missing_ok=True)
        self.state = {}

    def short(self) -> dict[str, Any]:
        """Return what a comment on a database has to say of the run."""
        return {name: value for name, value in self.state.items() if name not in ("live", "steps")}

    def from_marks(self, found: dict[str, beside.Beside], live: str) -> None:
        """Take from the comments of *live*'s databases what the file no longer says."""
        for each in found.values():
            if each.mark.get("of") == live and each.mark.get("state"):
                self.state = {"live": live, "steps": []} | each.mark["state"]
