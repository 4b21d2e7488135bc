# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""What every way of anchoring does: it takes a head, and tells the heads that it has."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from ansible.module_utils.pmsops.common.children import end_with_parent
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.common.timestamps import moment, utc_stamp
from ansible.module_utils.pmsops.evidence.anchor_notes import Pin


@dataclass(frozen=True)
class Statement:
    """What is anchored: the head of a system's ledger, and the bytes of its last line."""

    system: str
    pin: Pin
    last_line: bytes

    def document(self) -> dict[str, Any]:
        """Return it as it is written elsewhere."""
        return {
            "system": self.system,
            "at": utc_stamp(self.pin.at),
            "lines": self.pin.lines,
            "sha256": self.pin.sha256,
        }

    def line(self) -> str:
        """Return it as one line of JSON."""
        return json.dumps(self.document(), sort_keys=True) + "\n"


class Way(Protocol):
    """One anchor."""

    def send(self, statement: Statement) -> dict[str, Any]:
        """Take a head; return facts for the note.

        :raises OpsError: anchor.*
        """

    def pins(self) -> list[Pin] | None:
        """Return the heads that the anchor has; None where only a person can look.

        :raises OpsError: anchor.*
        """


def parse(text: str, name: str) -> list[Pin]:
    """Return the heads in lines of JSON.

    :raises OpsError: anchor.unreadable
    """
    try:
        found = [json.loads(line) for line in text.splitlines() if line.strip()]
        return [Pin(int(each["lines"]), str(each["sha256"]), _at(each)) for each in found]
    except (ValueError, KeyError, TypeError) as exc:
        raise unreadable(name, "a line is not what was anchored") from exc


def run(
    name: str,
    command: Sequence[str],
    *,
    seconds: float,
    text: str = "",
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
) -> str:
    """Run a program within *seconds*; return its output.

    :raises OpsError: anchor.failed
    """
    try:
        done = subprocess.run(
            command,
            input=text,
            capture_output=True,
            text=True,
            timeout=seconds,
            cwd=folder,
            env=os.environ | dict(environment or {}),
            preexec_fn=end_with_parent,
            check=False,
        )
    except subprocess.TimeoutExpired as exc:
        raise failed(name, f"{Path(command[0]).name} did not end within {seconds:g} s") from exc
    except OSError as exc:
        raise failed(name, f"{command[0]} cannot be started: {exc.strerror}") from exc
    if done.returncode:
        said = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        program = Path(command[0]).name
        raise failed(name, f"{program} ended with {done.returncode}: {said}")
    return done.stdout


def failed(name: str, why: str) -> OpsError:
    """Return the error of an anchor that took no head."""
    return OpsError(
        f"Anchor {name} took no head of the ledger: {why}.",
        "Correct it, or its entry in evidence_anchors, then run: pms-ops ledger anchor",
        code="anchor.failed",
    )


def unreadable(name: str, why: str) -> OpsError:
    """Return the error of an anchor that does not tell what it has."""
    return OpsError(
        f"Anchor {name} cannot be compared with the ledger: {why}.",
        "Look at it yourself; scripts/verify_ledger.py --head compares a hash from anywhere.",
        code="anchor.unreadable",
    )


def _at(document: Mapping[str, Any]) -> datetime:
    return moment(document["at"])
