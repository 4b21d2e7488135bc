# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The evidence ledger: one line for each recorded event, chained by hashes.

``ledger.jsonl`` holds one JSON object a line: ``seq`` (from 1), ``at``, ``kind``, ``previous`` (the
SHA-256 of the line before, without its line feed) and ``record``. ``ledger.head`` pins the number
of lines and the hash of the last one, so that a shortened file is detected. A copy of the
head on another machine guards against somebody who can write both. scripts/verify_ledger.py checks
both files and shares no code with this one.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO

from ansible.module_utils.pmsops.common import files
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.common.timestamps import utc_stamp_microseconds

NAME = "ledger.jsonl"
HEAD = "ledger.head"
KINDS = (
    *("gate", "backup", "restore", "swap", "rollback"),
    *("drill", "incident", "waiver", "signoff", "attestation", "proof", "offsite"),
    *("host", "merge"),  # a new machine took over; what the lost one had came back
)
# In the record of an entry about another database of the server than the PMS's: its name.
OTHER = "other_database"
GENESIS = "0" * 64
FIELDS = {"seq", "at", "kind", "previous", "record"}
# Keys that a writer adds about damage that it found; see append.
NOTES = {"recovered", "broken"}
SHORT = 12
# A line and a head, several times over.
ROOM_BYTES = 64 * 1024


@dataclass(frozen=True)
class Chain:
    """A ledger as read: its entries, the hash of its last line, problems, and harmless notes."""

    entries: tuple[dict[str, Any], ...] = ()
    sha256: str = GENESIS
    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    lines: int = 0


@dataclass
class _Reading:
    entries: list[dict[str, Any]] = field(default_factory=list)
    hashes: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def append(
    evidence_root: Path, kind: str, record: dict[str, Any], *, now: datetime
) -> dict[str, Any]:
    """Add one line, on the disk when this returns; return ``{seq, at, kind, sha256}``.

    A line that a killed writer left half written was never acknowledged: its bytes move to a file
    of their own, and the new line names it under ``recovered``. Where the ledger differs from its
    head, the line is added all the same, since a recovery must not wait for a ledger; it records
    the damage for ever under ``broken``.

    :raises OpsError: ledger.kind or ledger.unwritable.
    """
    if kind not in KINDS:
        raise OpsError(
            f"The ledger knows no kind {kind!r}.", f"Use {', '.join(KINDS)}.", code="ledger.kind"
        )
    try:
        files.make_private_folder(evidence_root)
        with _locked(evidence_root / NAME) as stream:
            return _append(evidence_root, stream, kind, record, now)
    except OSError as exc:
        raise OpsError(
            f"{evidence_root / NAME} cannot be written: {exc.strerror or exc}.",
            "Give the user of the playbook write access and free space there, then run it again.",
            code="ledger.unwritable",
        ) from exc


def require_writable(evidence_root: Path) -> None:
    """Check that lines can be added; nothing stays but the folder and an empty ledger.

    What is going to be recorded may take hours: a disk that is full is found before.

    :raises OpsError: ledger.unwritable
    """
    room = evidence_root / f".{NAME}.room"
    try:
        files.make_private_folder(evidence_root)
        with _locked(evidence_root / NAME):
            try:
                files.replace(room, b" " * ROOM_BYTES)
            finally:
                room.unlink(missing_ok=True)
    except OSError as exc:
        raise OpsError(
            f"{evidence_root / NAME} cannot be written: {exc.strerror or exc}. Nothing was done"
            " that would have to be recorded there.",
            "Give the user of the playbook write access and free space there, or name a folder on"
            " another disk with -e evidence_root=..., then run again.",
            code="ledger.unwritable",
        ) from exc


def _append(
    root: Path, stream: BinaryIO, kind: str, record: dict[str, Any], now: datetime
) -> dict[str, Any]:
    content = stream.read()
    whole, torn = _split_torn(content)
    lines = whole.split(b"\n")[:-1]
    previous = _sha256(lines[-1]) if lines else GENESIS
    if not lines and _read_head(root) is None:
        _write_head(root, 0, GENESIS)  # a writer killed after its first line is no damage
    entry: dict[str, Any] = {
        "seq": len(lines) + 1,
        "at": utc_stamp_microseconds(now),
        "kind": kind,
        "previous": previous,
        "record": record,
    }
    if (broken := _against_head(_hashes(lines), _read_head(root))) and broken[0]:
        entry["broken"] = broken[0]
    if torn:
        fragment = root / f"{NAME}.torn-{_sha256(torn)[:SHORT]}"
        files.replace(fragment, torn)
        entry["recovered"] = {"bytes": len(torn), "sha256": _sha256(torn), "file": fragment.name}
        stream.truncate(len(whole))
    line = json.dumps(entry, sort_keys=True, separators=(",", ":"), default=str).encode()
    stream.seek(0, os.SEEK_END)
    stream.write(line + b"\n")
    stream.flush()
    files.flush(stream.fileno())
    digest = _sha256(line)
    _write_head(root, entry["seq"], digest)
    return {"seq": entry["seq"], "at": entry["at"], "kind": kind, "sha256": digest}


def verify(evidence_root: Path, *, head: str | None = None) -> list[str]:
    """Return every problem of the chain, the first bad line first; empty where it is whole."""
    return list(inspect(evidence_root, head=head).problems)


def inspect(evidence_root: Path, *, head: str | None = None) -> Chain:
    """Read the chain; compare each line with the one before, and the last line with the head.

    *head* is a pin kept elsewhere: the SHA-256, or its first 12 or more characters, of a line that
    must be in the chain.
    """
    try:
        content = (evidence_root / NAME).read_bytes()
    except FileNotFoundError:
        content = b""
    except OSError as exc:
        return Chain(problems=(f"{NAME} cannot be read: {exc.strerror}",))
    whole, torn = _split_torn(content)
    reading = _Reading()
    for number, line in enumerate(whole.split(b"\n")[:-1], 1):
        _take(reading, number, line)
    pinned = _read_head(evidence_root)
    problem, note = _against_head(reading.hashes, pinned)
    reading.problems += [problem] if problem else []
    reading.notes += [note] if note else []
    if torn:
        reading.notes.append(
            f"after line {len(reading.hashes)} come {len(torn)} bytes of a killed writer;"
            " the next writer moves them to a file of their own"
        )
    if head and not any(digest.startswith(head.lower()) for digest in reading.hashes):
        reading.problems.append(f"no line has the hash {head}, which was pinned elsewhere")
    return Chain(
        entries=tuple(reading.entries),
        sha256=reading.hashes[-1] if reading.hashes else GENESIS,
        problems=tuple(reading.problems),
        notes=tuple(reading.notes),
        lines=len(reading.hashes),
    )


def records(
    evidence_root: Path, kind: str | None = None, *, database: str = ""
) -> list[dict[str, Any]]:
    """Return the readable entries, oldest first; with *kind* those about one database."""
    entries = inspect(evidence_root).entries
    return list(entries) if kind is None else of_kind(entries, kind, database=database)


def of_kind(
    entries: Iterable[dict[str, Any]], *kinds: str, database: str = ""
) -> list[dict[str, Any]]:
    """Return the entries of these kinds; *database* is another one than the PMS's."""
    return [
        entry
        for entry in entries
        if entry["kind"] in kinds and entry["record"].get(OTHER, "") == database
    ]


def _take(reading: _Reading, number: int, line: bytes) -> None:
    """Compare one line with those before it."""
    expected = reading.hashes[-1] if reading.hashes else GENESIS
    reading.hashes.append(_sha256(line))
    try:
        entry = json.loads(line)
    except ValueError:
        reading.problems.append(f"line {number} is no JSON")
        return
    if not isinstance(entry, dict) or not FIELDS <= set(entry) <= FIELDS | NOTES:
        reading.problems.append(f"line {number} is no entry of a ledger")
        return
    if entry["seq"] != number:
        reading.problems.append(
            f"line {number} has the number {entry['seq']}: a line was removed, added or moved here"
        )
    elif entry["previous"] != expected:
        changed = f"line {number - 1} was changed after" if number > 1 else "a line came before"
        reading.problems.append(
            f"{changed} line {number} was written: it refers to {entry['previous'][:SHORT]},"
            f" and finds {expected[:SHORT]}"
        )
    if "broken" in entry:
        reading.problems.append(f"line {number} found the ledger damaged: {entry['broken']}")
    if "recovered" in entry:
        reading.notes.append(
            f"line {number} moved {entry['recovered'].get('bytes')} bytes of a killed writer out"
        )
    reading.entries.append(entry)


def _against_head(hashes: list[str], pinned: tuple[int, str] | None) -> tuple[str, str]:
    """Return the problem at the end of the chain, and a harmless note; each may be empty."""
    if pinned is None:
        return ("", "") if not hashes else (f"{HEAD} is missing or cannot be read", "")
    count, digest = pinned
    if count > len(hashes):
        return (
            f"line {len(hashes) + 1} is missing: {HEAD} counts {count} lines, there are"
            f" {len(hashes)}"
        ), ""
    if count and hashes[count - 1] != digest:
        return (
            f"line {count} was changed: {HEAD} pins {digest[:SHORT]}, it has"
            f" {hashes[count - 1][:SHORT]}"
        ), ""
    if len(hashes) == count + 1:
        return "", f"line {len(hashes)} is not pinned yet: its writer was killed after writing it"
    if len(hashes) > count:
        return f"line {count + 2} is not pinned: {HEAD} counts {count} lines", ""
    return "", ""


@contextmanager
def _locked(path: Path) -> Iterator[BinaryIO]:
    """Open the ledger for reading and appending, under an exclusive lock."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "r+b") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield stream


def _read_head(root: Path) -> tuple[int, str] | None:
    try:
        found = json.loads((root / HEAD).read_bytes())
        lines, digest = found["lines"], found["sha256"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    valid = isinstance(lines, int) and lines >= 0 and re.fullmatch(r"[0-9a-f]{64}", str(digest))
    return (lines, digest) if valid else None


def _write_head(root: Path, lines: int, digest: str) -> None:
    text = json.dumps({"lines": lines, "sha256": digest}) + "\n"
    files.replace(root / HEAD, text.encode())


def _split_torn(content: bytes) -> tuple[bytes, bytes]:
    end = content.rfind(b"\n") + 1
    return content[:end], content[end:]


def _hashes(lines: list[bytes]) -> list[str]:
    return [_sha256(line) for line in lines]


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
