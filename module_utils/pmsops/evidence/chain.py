# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The lines of a ledger compared with each other: hashes, numbers, dates, who signed.

Nothing here opens a file or computes a signature; evidence/signatures.py does the latter.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from ansible.module_utils.pmsops.common.timestamps import from_iso
from ansible.module_utils.pmsops.evidence import signatures
from ansible.module_utils.pmsops.evidence.signatures import Signed

GENESIS = "0" * 64
FIELDS = {"seq", "at", "kind", "previous", "record"}
# Keys that a writer adds about damage that it found, or why it could not sign; see ledger.append.
NOTES = {"recovered", "broken", "unsigned"}
SHORT = 12
# A clock may be set back by this much between two lines.
CLOCK = timedelta(minutes=5)
# The kind of the lines about the keys themselves, and what such a line says.
SIGNING = "signing"
BEGAN, ROTATED, REPLACED, ACCEPTED = "began", "rotated", "replaced", "accepted"


@dataclass(frozen=True)
class Problem:
    """A fault of one line. One that can be *acceptable* is a note once a signed line accepts it."""

    line: int
    text: str
    acceptable: bool = False


@dataclass
class Reading:
    """What the lines so far have shown."""

    entries: list[dict[str, Any]] = field(default_factory=list)
    hashes: list[str] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    signed: list[Signed] = field(default_factory=list)
    # The key that has to sign the next line, None before signing began; each key's public half.
    key: str | None = None
    publics: dict[str, str] = field(default_factory=dict)
    # The line at which each key came without the signature of the one before.
    introduced: dict[str, int] = field(default_factory=dict)
    accepted: set[int] = field(default_factory=set)
    newest: datetime | None = None

    def texts(self) -> list[str]:
        """Return the problems that no line accepts."""
        return [each.text for each in self.problems if not self._is_accepted(each)]

    def accepted_texts(self) -> list[str]:
        """Return the problems that a line accepts."""
        return [f"accepted: {each.text}" for each in self.problems if self._is_accepted(each)]

    def _is_accepted(self, problem: Problem) -> bool:
        return problem.acceptable and problem.line in self.accepted

    def fault(self, number: int, text: str, *, acceptable: bool = False) -> None:
        """Add a problem of line *number*."""
        self.problems.append(Problem(number, text, acceptable))


def read(lines: list[bytes]) -> Reading:
    """Compare each line with those before it."""
    reading = Reading()
    for number, line in enumerate(lines, 1):
        _take(reading, number, line)
    return reading


def current_key(lines: list[bytes]) -> str | None:
    """Return the key that has to sign the next line, None if signing has not begun."""
    for line in reversed(lines):
        try:
            _body, signature = signatures.split(line)
        except ValueError:
            continue
        if signature:
            return str(signature.get("successor", signature)["key"])
    return None


def sha256(content: bytes) -> str:
    """Return the hash of a line, in hex."""
    return hashlib.sha256(content).hexdigest()


def _take(reading: Reading, number: int, line: bytes) -> None:
    expected = reading.hashes[-1] if reading.hashes else GENESIS
    reading.hashes.append(sha256(line))
    try:
        body, signature = signatures.split(line)
        entry = json.loads(body)
    except ValueError:
        reading.fault(number, f"line {number} is no JSON")
        return
    if not isinstance(entry, dict) or not FIELDS <= set(entry) <= FIELDS | NOTES:
        reading.fault(number, f"line {number} is no entry of a ledger")
        return
    if entry["seq"] != number:
        reading.fault(
            number,
            f"line {number} has the number {entry['seq']}: a line was removed, added or moved here",
        )
    elif entry["previous"] != expected:
        changed = f"line {number - 1} was changed after" if number > 1 else "a line came before"
        reading.fault(
            number,
            f"{changed} line {number} was written: it refers to {str(entry['previous'])[:SHORT]},"
            f" and finds {expected[:SHORT]}",
        )
    if "broken" in entry:
        reading.fault(number, f"line {number} found the ledger damaged: {entry['broken']}")
    if "recovered" in entry:
        reading.notes.append(
            f"line {number} moved {entry['recovered'].get('bytes')} bytes of a killed writer out"
        )
    _who(reading, number, entry, body, signature)
    _when(reading, number, entry)
    reading.entries.append(entry)


def _who(
    reading: Reading,
    number: int,
    entry: dict[str, Any],
    body: bytes,
    signature: dict[str, Any] | None,
) -> None:
    """Take down who signed a line, and whether that was the key that had to."""
    if signature is None:
        if "unsigned" in entry:
            why = entry["unsigned"].get("why") if isinstance(entry["unsigned"], dict) else None
            reading.fault(number, f"line {number} is not signed: {why}", acceptable=True)
        elif reading.key is not None:
            reading.fault(number, f"line {number} is not signed, and lines before it are")
        return
    record = entry["record"] if entry["kind"] == SIGNING else {}
    event = record.get("event") if isinstance(record, dict) else None
    signed_by = signature["key"]
    if event in (BEGAN, REPLACED):
        if event == BEGAN and reading.key is not None:
            reading.fault(number, f"line {number} begins to sign, and lines before it are signed")
        reading.key = signed_by
        reading.introduced[signed_by] = number
        if event == REPLACED:
            reading.notes.append(
                f"line {number} replaced the key without the signature of the one before:"
                f" {record.get('why')}"
            )
        _introduce(reading, number, record)
    if reading.key is None:
        reading.fault(number, f"line {number} is signed, and no line says that signing began")
    elif signed_by != reading.key:
        reading.fault(
            number,
            f"line {number} is signed by key {signed_by[:SHORT]}; in use is {reading.key[:SHORT]}",
        )
    reading.signed.append(Signed(number, body, signed_by, signature["value"]))
    successor = signature.get("successor")
    if event == ROTATED and successor and record.get("key") == successor["key"]:
        _introduce(reading, number, record)
        reading.signed.append(Signed(number, body, successor["key"], successor["value"]))
        reading.key = successor["key"]
    elif event == ROTATED or successor:
        reading.fault(number, f"line {number} changes the key, and the new key did not sign it")
    if event == ACCEPTED and isinstance(record.get("lines"), list):
        lines = {each for each in record["lines"] if isinstance(each, int)}
        reading.accepted |= {each for each in lines if each < number}


def _introduce(reading: Reading, number: int, record: dict[str, Any]) -> None:
    """Take down the public half of a key that a line brings."""
    key, public = str(record.get("key")), str(record.get("public_key"))
    if key != signatures.key_id_of(public):
        reading.fault(number, f"line {number} brings a public key that is not the one it names")
    else:
        reading.publics[key] = public


def _when(reading: Reading, number: int, entry: dict[str, Any]) -> None:
    """Compare the date of a signed line with the newest date before it."""
    try:
        at = from_iso(entry["at"])
        behind = reading.newest - at if reading.newest else timedelta(0)
    except (TypeError, ValueError):
        if reading.key is not None:
            reading.fault(number, f"line {number} has no date")
        return
    if behind > CLOCK and reading.key is not None:
        reading.fault(
            number,
            f"line {number} is dated {entry['at']}, before the lines that it follows",
            acceptable=True,
        )
    reading.newest = max(reading.newest or at, at)
