# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Anchors in a file, by a command, and by a mail."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible.module_utils.pmsops.anchors.way import Statement, failed, parse, run, unreadable
from ansible.module_utils.pmsops.common import files
from ansible.module_utils.pmsops.evidence.anchor_notes import Pin


@dataclass(frozen=True)
class InFile:
    """A file to which heads are appended, on a mount of another machine."""

    name: str
    path: Path

    def send(self, statement: Statement) -> dict[str, Any]:
        """Append the head; its folder must be there, so that no head goes below a mount point."""
        try:
            descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
            with os.fdopen(descriptor, "w") as stream:
                stream.write(statement.line())
                stream.flush()
                files.flush(stream.fileno())
        except OSError as exc:
            raise failed(self.name, f"{self.path}: {exc.strerror}") from exc
        return {"path": str(self.path)}

    def pins(self) -> list[Pin]:
        """Return the heads in the file."""
        try:
            return parse(self.path.read_text(), self.name)
        except OSError as exc:
            raise unreadable(self.name, f"{self.path}: {exc.strerror}") from exc


@dataclass(frozen=True)
class ByCommand:
    """A program that gets the head on its standard input; another prints all heads."""

    name: str
    command: tuple[str, ...]
    read_command: tuple[str, ...] = ()
    seconds: float = 60

    def send(self, statement: Statement) -> dict[str, Any]:
        """Run the program."""
        environment = {
            "PMS_OPS_HEAD": statement.pin.sha256,
            "PMS_OPS_LINES": str(statement.pin.lines),
        }
        run(
            self.name,
            self.command,
            seconds=self.seconds,
            text=statement.line(),
            environment=environment,
        )
        return {}

    def pins(self) -> list[Pin] | None:
        """Return the heads that the other program prints."""
        if not self.read_command:
            return None
        return parse(run(self.name, self.read_command, seconds=self.seconds), self.name)


@dataclass(frozen=True)
class ByMail:
    """Messages that the control node sends; here they are noted alone."""

    name: str

    def send(self, statement: Statement) -> dict[str, Any]:
        """Note that the message was sent."""
        return {}

    def pins(self) -> None:
        """Return None: only who got the messages can look."""
        return
