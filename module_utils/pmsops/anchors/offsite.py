# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""An anchor in an off-site repository: a snapshot of restic whose tags have the head."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible.module_utils.pmsops.anchors.way import Statement, unreadable
from ansible.module_utils.pmsops.evidence.anchor_notes import Pin
from ansible.module_utils.pmsops.offsite.copies import time_of
from ansible.module_utils.pmsops.offsite.restic import Restic

# Another mark than that of copies: no act on copies sees an anchor, and retention removes none.
MARK = "pms-ops-anchor"
FILE = "anchor.json"


@dataclass(frozen=True)
class OnSite:
    """The repository of a site. *system* is the name under which its copies are."""

    name: str
    restic: Restic
    system: str

    def send(self, statement: Statement) -> dict[str, Any]:
        """Make a snapshot of the head.

        :raises OpsError: offsite.*
        """
        tags = []
        for each in (MARK, f"lines={statement.pin.lines}", f"head={statement.pin.sha256}"):
            tags += ["--tag", each]
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / FILE
            path.write_text(statement.line())
            command = ["backup", "--host", self.system, *tags, "--", str(path)]
            answer = self.restic.call(*command, changes=True)
        return {"snapshot": answer.of_type("summary")[-1]["snapshot_id"]}

    def pins(self) -> list[Pin]:
        """Return the heads of the snapshots.

        :raises OpsError: offsite.*, anchor.unreadable
        """
        command = ["snapshots", "--host", self.system, "--tag", MARK]
        found = []
        answer = self.restic.call(*command, cached=False)
        for each in (answer.documents or [[]])[0] or []:
            if MARK not in (each.get("tags") or []) or each.get("hostname") != self.system:
                continue
            pairs = (tag.partition("=") for tag in each["tags"])
            texts = {name: text for name, _equals, text in pairs}
            try:
                at = time_of(each["time"])
                found.append(Pin(int(texts["lines"]), texts["head"], at))
            except (KeyError, ValueError) as exc:
                raise unreadable(self.name, f"snapshot {each.get('id', '')[:8]}") from exc
        return found
