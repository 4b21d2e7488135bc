# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a run is about to ask of the PMS, on disk before it is asked.

A run that is killed between a request and its answer leaves this behind; the next one then knows
that the request may have arrived, even where the PMS keeps no trace of who asked for it.
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
from ansible.module_utils.pmsops.incidents import record as incidents

FOLDER = "requests"


@dataclass
class Intent:
    """One request: its file, and what is written there."""

    path: Path
    document: dict[str, Any]

    @property
    def known(self) -> bool:
        """Tell whether an earlier run has begun it."""
        return self.path.exists()

    def sent(self, step: str) -> dict[str, Any] | None:
        """Return what is known of a step that was sent, None where it never was."""
        return self.document.get("steps", {}).get(step)

    def remember(self, **facts: Any) -> None:
        """Write facts down that later runs need."""
        self.document |= facts
        self._write()

    @contextmanager
    def sending(self, step: str) -> Iterator[None]:
        """Write down that a step is sent, and afterwards that it was answered.

        A request that certainly did not arrive is taken back.
        """
        steps = self.document.setdefault("steps", {})
        steps[step] = {"sent_at": time.time(), "answered": False}
        self._write()
        try:
            yield
        except OpsError as exc:
            if exc.code == "pms.answer":  # refused by the PMS itself: nothing is under way
                steps[step]["answered"] = True
                self._write()
            raise
        steps[step]["answered"] = True
        self._write()

    def _write(self) -> None:
        files.make_private_folder(self.path.parent)
        text = json.dumps(self.document, indent=1, sort_keys=True, default=str)
        files.replace(self.path, text.encode() + b"\n")


def of(evidence_root: Path, kind: str, digest: str) -> Intent:
    """Return the request of a kind with a digest, as an earlier run left it, or new."""
    path = _folder(evidence_root) / f"{kind}_{digest}.json"
    return Intent(path, _read(path) or {"kind": kind, "digest": digest})


def others(evidence_root: Path, kind: str, digest: str) -> list[dict[str, Any]]:
    """Return all other requests of a kind that were begun."""
    paths = sorted(_folder(evidence_root).glob(f"{kind}_*.json"))
    found = [_read(path) for path in paths]
    return [each for each in found if each and each.get("digest") != digest]


@contextmanager
def alone(evidence_root: Path, purpose: str) -> Iterator[None]:
    """Keep all other runs that change the book out.

    :raises OpsError: lock.held, incident.unwritable.
    """
    folder = evidence_root / incidents.FOLDER
    try:
        files.make_private_folder(evidence_root)
        files.make_private_folder(folder)
    except OSError as exc:
        raise OpsError(
            f"The folder {folder} cannot be made: {exc.strerror or exc}.",
            "Give the user that runs the playbook the right to write there, and room.",
            code="incident.unwritable",
        ) from exc
    with process_lock.exclusive(folder / "book.lock", purpose):
        yield


def _folder(evidence_root: Path) -> Path:
    return evidence_root / incidents.FOLDER / FOLDER


def _read(path: Path) -> dict[str, Any] | None:
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None
