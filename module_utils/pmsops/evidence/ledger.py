# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The evidence ledger: one line for each recorded event, chained by hashes.

``ledger.jsonl`` holds one JSON object a line: ``seq`` (from 1), ``at``, ``kind``, ``previous`` (the
SHA-256 of the line before, without its line feed) and ``record``. ``ledger.head`` pins the number
of lines and the hash of the last one, so that a shortened file is detected. A copy of the
head on another machine guards against somebody who can write both. From the line where signing
began, each line carries ``signature`` too; see signatures.py. scripts/verify_ledger.py checks all
of it and shares no code with this one.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO

from ansible.module_utils.pmsops.common import files
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.evidence import (
    audit,
    chain,
    ledger_head,
    ledger_keys,
    ledger_tail,
    signature_check,
)
from ansible.module_utils.pmsops.evidence.chain import GENESIS
from ansible.module_utils.pmsops.evidence.ledger_tail import Tail, split_torn

NAME = ledger_tail.NAME
HEAD = ledger_head.NAME
KINDS = (
    *("gate", "backup", "restore", "swap", "rollback"),
    *("drill", "incident", "waiver", "signoff", "attestation", "proof", "offsite"),
    "approval",  # a second person's, used
    *("host", "merge"),  # a new machine took over; what the lost one had came back
    "deficiency",
    "hold",  # a set held, or its hold lifted
)
# In the record of an entry about another database of the server than the PMS's: its name.
OTHER = "other_database"
# A line and a head, several times over.
ROOM_BYTES = 64 * 1024


@dataclass(frozen=True)
class Chain:
    """A ledger as read: its entries, the hash of its last line, problems, and harmless notes.

    *signed_lines* counts the lines with a signature; *key* is the one in use. *line_hashes* are
    those of all lines, first to last.
    """

    entries: tuple[dict[str, Any], ...] = ()
    sha256: str = GENESIS
    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    lines: int = 0
    signed_lines: int = 0
    key: str | None = None
    line_hashes: tuple[str, ...] = ()


def append(
    evidence_root: Path,
    kind: str,
    record: dict[str, Any],
    *,
    now: datetime,
    keys: Path | None = None,
) -> dict[str, Any]:
    """Add one line, on the disk when this returns; return ``{seq, at, kind, sha256, unsigned}``.

    The line is signed by the key that the ledger names. A ledger without signatures begins to have
    them with a line of its own, once *keys*, the folder of the keys, is known. A line that cannot
    be signed says why under ``unsigned``, since a recovery must not wait for a key.

    A line that a killed writer left half written was never acknowledged: its bytes move to a file
    of their own, and the new line names it under ``recovered``. Where the ledger differs from its
    head, the line is added all the same; it records the damage for ever under ``broken``.

    :raises OpsError: ledger.kind or ledger.unwritable.
    """
    if kind not in KINDS:
        raise OpsError(
            f"The ledger knows no kind {kind!r}.", f"Use {', '.join(KINDS)}.", code="ledger.kind"
        )
    record = audit.added(kind, record, now)
    with writing(evidence_root) as tail:
        return tail.add(kind, record, now, tail.signer(keys, now))


@contextmanager
def writing(evidence_root: Path) -> Iterator[Tail]:
    """Yield the end of the ledger for new lines, under its lock.

    :raises OpsError: ledger.unwritable.
    """
    try:
        files.make_private_folder(evidence_root)
        with _locked(evidence_root / NAME) as stream:
            yield Tail(evidence_root, stream)
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


def verify(evidence_root: Path, *, head: str | None = None, keys: Path | None = None) -> list[str]:
    """Return every problem of chain and signatures, the first bad line first."""
    return list(inspect(evidence_root, head=head, keys=keys, signed=True).problems)


def inspect(
    evidence_root: Path,
    *,
    head: str | None = None,
    keys: Path | None = None,
    signed: bool = False,
) -> Chain:
    """Read the chain; compare each line with the one before, and the last line with the head.

    *head* is a pin kept elsewhere: the SHA-256, or its first 12 or more characters, of a line that
    must be in the chain. Who signed each line is always compared; with *signed* each signature is
    computed too, and its key must be pinned in *keys*, the folder of the keys.
    """
    try:
        content = (evidence_root / NAME).read_bytes()
    except FileNotFoundError:
        content = b""
    except OSError as exc:
        return Chain(problems=(f"{NAME} cannot be read: {exc.strerror}",))
    whole, torn = split_torn(content)
    reading = chain.read(whole.split(b"\n")[:-1])
    if signed:
        # Who can write the evidence could name a folder of keys there, so a given one counts alone.
        places = [keys] if keys else ledger_keys.folders(evidence_root, None)
        signature_check.check(reading, places)
    problem, note = ledger_head.compare(reading.hashes, ledger_head.read(evidence_root))
    problems = reading.texts() + ([problem] if problem else [])
    notes = reading.notes + reading.accepted_texts() + ([note] if note else [])
    if torn:
        notes.append(
            f"after line {len(reading.hashes)} come {len(torn)} bytes of a killed writer;"
            " the next writer moves them to a file of their own"
        )
    if head and not any(digest.startswith(head.lower()) for digest in reading.hashes):
        problems.append(f"no line has the hash {head}, which was pinned elsewhere")
    return Chain(
        entries=tuple(reading.entries),
        sha256=reading.hashes[-1] if reading.hashes else GENESIS,
        problems=tuple(problems),
        notes=tuple(notes),
        lines=len(reading.hashes),
        signed_lines=len({each.line for each in reading.signed}),
        key=reading.key,
        line_hashes=tuple(reading.hashes),
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


@contextmanager
def _locked(path: Path) -> Iterator[BinaryIO]:
    """Open the ledger for reading and appending, under an exclusive lock."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "r+b") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield stream
