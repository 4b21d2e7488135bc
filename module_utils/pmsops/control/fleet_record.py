# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the control node keeps of each system of a fleet: the head of its ledger, and what was seen.

Evidence and ledgers stay each system's own. A head that was seen once has to be in the ledger ever
after: one that was shortened, or written anew with its own head, differs from this record.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ansible.module_utils.pmsops.common import files
from ansible.module_utils.pmsops.common.timestamps import moment, utc_stamp

HEADS_KEPT = 1000


@dataclass(frozen=True)
class Seen:
    """What was seen of a system: its status as `pms_status` returns it, when, and what is cut."""

    system: str
    at: datetime | None = None
    status: Mapping[str, Any] | None = None
    cut: str = ""


class Record:
    """The files of a fleet in a private folder, one for each system."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def head(self, system: str) -> str | None:
        """Return the SHA-256 of the last line that was seen, None where none was."""
        heads = self._read(system).get("heads") or []
        return str(heads[-1]["sha256"]) if heads else None

    def last(self, system: str) -> Seen:
        """Return what was seen last; without a moment where nothing was."""
        found = self._read(system)
        if not found:
            return Seen(system)
        return Seen(system, moment(found["seen_at"]), found["status"], found["cut"])

    def take(self, system: str, status: Mapping[str, Any], now: datetime) -> Seen:
        """Keep what was seen now, with the head where the ledger holds the one before; return it.

        *status* was collected with the head before as its pin. A ledger that was cut keeps the head
        that it lacks in the record, so that each later look finds it too.
        """
        found = self._read(system)
        heads = found.get("heads") or []
        now_has = status["ledger"]
        cut = _cut(heads[-1], now_has, self.path(system)) if heads else ""
        if not cut and now_has["lines"] and (not heads or heads[-1]["lines"] < now_has["lines"]):
            new = {"at": utc_stamp(now), "lines": now_has["lines"], "sha256": now_has["sha256"]}
            heads = [*heads, new][-HEADS_KEPT:]
        document = {
            "system": system,
            "seen_at": utc_stamp(now),
            "cut": cut,
            "heads": heads,
            "status": status,
        }
        files.make_private_folder(self._folder)
        files.replace(self.path(system), json.dumps(document, indent=1).encode(), mode=0o600)
        return Seen(system, now, status, cut)

    def path(self, system: str) -> Path:
        """Return the file of a system."""
        return self._folder / f"{quote(system, safe='')}.json"

    def _read(self, system: str) -> dict[str, Any]:
        try:
            found = json.loads(self.path(system).read_bytes())
            moment(found["seen_at"])
            wanted = found["system"] == system and found["status"]["ledger"]["sha256"]
        except (OSError, ValueError, KeyError, TypeError):
            return {}
        return found if wanted else {}


def _cut(before: Mapping[str, Any], now: Mapping[str, Any], path: Path) -> str:
    """Return what the ledger lacks of the record; empty where it holds the head before."""
    missing = any(str(before["sha256"]) in problem for problem in now["problems"])
    same_length = now["lines"] == before["lines"] and now["sha256"] != before["sha256"]
    if not missing and not same_length and now["lines"] >= before["lines"]:
        return ""
    return (
        f"the ledger was cut or written anew: line {before['lines']}, seen {before['at']}, is not"
        f" in it, and it has {now['lines']} lines ({path} holds the heads)"
    )
