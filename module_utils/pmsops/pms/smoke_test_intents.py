# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a smoke test is about to send, on disk before it sends it; the next command finds it."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from ansible.module_utils.pmsops.common import files
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.common.process_lock import ProcessId, this_process
from ansible.module_utils.pmsops.common.timestamps import UTC, utc_stamp

# In the evidence folder; roles/pms/tasks/main.yml and status look for it too.
FILE = "smoke-test.json"
CLOSE = "ansible-playbook playbooks/smoke_close.yml"


@dataclass(frozen=True)
class Unfinished:
    """A smoke test that has not said that nothing of it is open."""

    tag: str
    began: str
    calls: tuple[str, ...]
    running: bool

    def describe(self) -> str:
        """Return what happened and what may be open."""
        sent = f"after it sent {', '.join(self.calls)}" if self.calls else "before it sent anything"
        return (
            f"a smoke test of {self.began} was killed {sent}: its test position or proposals"
            f" ({self.tag}) may still be open"
        )


class Intents:
    """The record of one smoke test; without a folder, nothing is recorded."""

    def __init__(self, folder: Path | None, *, tag: str) -> None:
        self._path = folder / FILE if folder else None
        self._document: dict[str, Any] = {
            "tag": tag,
            "began": utc_stamp(datetime.now(UTC)),
            "process": this_process().text(),
            "calls": [],
        }

    def before(self, call: str) -> None:
        """Record a call that changes the book; on disk when this returns.

        :raises OpsError: smoke.no-record; then the call must not be sent.
        """
        if self._path is None:
            return
        self._document["calls"].append(call)
        try:
            files.make_private_folder(self._path.parent)
            files.replace(self._path, json.dumps(self._document, indent=1).encode() + b"\n")
        except OSError as exc:
            raise OpsError(
                f"The smoke test cannot record in {self._path} what it is about to send:"
                f" {exc.strerror or exc}. It sent nothing more.",
                "Let the user of the playbook write into evidence_root, and check for free space.",
                code="smoke.no-record",
            ) from exc

    def closed(self) -> None:
        """Forget the record: nothing of any smoke test is open."""
        if self._path is not None:
            with suppress(OSError):  # one that stays is only told again
                self._path.unlink()


def unfinished(folder: Path) -> Unfinished | None:
    """Return the smoke test whose record is in the evidence folder, None without one."""
    try:
        document = json.loads((folder / FILE).read_bytes())
        process = ProcessId.parse(document["process"])
        return Unfinished(
            tag=str(document["tag"]),
            began=str(document["began"]),
            calls=tuple(dict.fromkeys(map(str, document["calls"]))),
            running=process is not None and process.alive(),
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None
