# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""A write-ahead log of requests to the PMS: on disk before a request is sent.

If a run is killed between a request and its answer, the next run finds the entry. It then knows
that the request may have arrived, even if the PMS does not record who sent it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible.module_utils.pmsops.common import files, process_lock
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.incidents import record

FOLDER = "requests"


@dataclass
class SentRequest:
    """One logged request: its file and its content."""

    path: Path
    document: dict[str, Any]

    @property
    def known(self) -> bool:
        """Tell whether an earlier run, or this one, has written it."""
        return self.path.exists()

    def state(self, step: str) -> dict[str, Any] | None:
        """Return ``sent_at`` and ``answered`` of a step, or None if it was never sent."""
        steps: dict[str, dict[str, Any]] = self.document.get("steps", {})
        return steps.get(step)

    def update(self, **facts: Any) -> None:
        """Write facts that later runs need."""
        self.document |= facts
        self._write()

    @contextmanager
    def sending(self, step: str) -> Iterator[None]:
        """Log that a step is being sent, and afterwards that it was answered.

        An answer that refuses the request counts as an answer; a lost connection does not.
        """
        steps = self.document.setdefault("steps", {})
        steps[step] = {"sent_at": time.time(), "answered": False}
        self._write()
        try:
            yield
        except OpsError as exc:
            if exc.code == "pms.answer":  # the PMS refused it: nothing is in progress
                steps[step]["answered"] = True
                self._write()
            raise
        steps[step]["answered"] = True
        self._write()

    def _write(self) -> None:
        files.make_private_folder(self.path.parent)
        text = json.dumps(self.document, indent=1, sort_keys=True, default=str)
        files.replace(self.path, text.encode() + b"\n")


def load(evidence_root: Path, kind: str, digest: str) -> SentRequest:
    """Return the logged request of a kind with a digest, or a new one."""
    path = _folder(evidence_root) / f"{kind}_{digest}.json"
    return SentRequest(path, _read(path) or {"kind": kind, "digest": digest})


def others(evidence_root: Path, kind: str, digest: str) -> list[dict[str, Any]]:
    """Return all logged requests of a kind with another digest."""
    paths = sorted(_folder(evidence_root).glob(f"{kind}_*.json"))
    found = [_read(path) for path in paths]
    return [each for each in found if each and each.get("digest") != digest]


@contextmanager
def exclusive(evidence_root: Path, purpose: str) -> Iterator[None]:
    """Hold the lock that lets one run at a time change the book.

    :raises OpsError: lock.held, incident.unwritable.
    """
    folder = evidence_root / record.FOLDER
    try:
        files.make_private_folder(evidence_root)
        files.make_private_folder(folder)
    except OSError as exc:
        raise OpsError(
            f"The folder {folder} cannot be created: {exc.strerror or exc}.",
            "Let the user that runs the playbook write there, and check for free space.",
            code="incident.unwritable",
        ) from exc
    with process_lock.exclusive(folder / "book.lock", purpose):
        yield


def _folder(evidence_root: Path) -> Path:
    return evidence_root / record.FOLDER / FOLDER


def _read(path: Path) -> dict[str, Any] | None:
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None
