#!/usr/bin/env python3
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Check an evidence ledger: its chain with nothing but Python, its signatures with `cryptography`.

    verify_ledger.py evidence/                       the chain, and ledger.head beside it
    verify_ledger.py ledger.jsonl --head 5f3c...     and that the line pinned elsewhere is in it
    verify_ledger.py ledger.jsonl --count 41 --last 5f3c...   a whole head kept elsewhere
    verify_ledger.py ledger.jsonl --key 5f3c...      and that this key, known otherwise, signed

Exit status: 0 the ledger is whole, 1 it is not (BROKEN, the first bad line is named) or a new
machine took over with a key that was not given (UNKNOWN KEY, it is named), 2 nothing to check.

Each line of ledger.jsonl is a JSON object with `seq` (1, 2, 3, ...), `at`, `kind`, `previous` and
`record`. `previous` is the SHA-256 of the line before without its line feed, 64 zeros in line 1.
ledger.head holds {"lines": n, "sha256": hash of line n}.

From a line of kind `signing` on, each line ends with `,"signature":{"key":...,"value":...}}`. What
was signed with Ed25519 is `pms-ops ledger line 1`, a line feed, and the SHA-256 in hex of the line
without that field. `key` is the SHA-256 of the raw public key, which the line of kind `signing`
brings: `began` (the first key), `rotated` (both keys sign; the new one's signature is `successor`),
`replaced` (the old key was lost, as on a new machine that took over), `accepted` (lines that are
not signed, or are dated back). Without `--key`, a whole ledger says which keys signed it; with it,
that they are keys you know. A ledger that a new machine took over needs `--key` of both machines.

This script shares no code with what writes the ledger, so a mistake in one does not hide in the
other.
"""

from __future__ import annotations

import argparse
import base64
import binascii
import hashlib
import json
import re
import sys
from datetime import datetime, timedelta
from pathlib import Path

SIGNATURE = re.compile(rb',"signature":(\{[^{}]*(\{[^{}]*\}[^{}]*)?\})\}$')
CLOCK = timedelta(minutes=5)
SHORTEST_KEY = 32
UNKNOWN = re.compile(r"line \d+ begins with key [0-9a-f]{64}, none of those given: ")
# Behind a key that nobody vouched for, which begins where one that is known was lost
TAKEN_OVER = (
    ": a new machine took over there with a key of its own, or a lost key was replaced. If that"
    " key is yours, give its id too: --key {key} (on the machine that wrote the line it is the name"
    " of a file in pms_keys_dir/trusted/ledger/). If it is not, others wrote this line and those"
    " after it"
)


def digests(lines: list[bytes]) -> list[str]:
    """Return the hash of each line."""
    return [hashlib.sha256(line).hexdigest() for line in lines]


def first_bad_line(lines: list[bytes]) -> tuple[int, str] | None:
    """Return the number of the first line that breaks the chain and why, None where none does."""
    expected = "0" * 64
    for number, line in enumerate(lines, 1):
        try:
            entry = json.loads(line)
            seq, previous = entry["seq"], entry["previous"]
            complete = isinstance(entry["record"], dict) and entry["at"] and entry["kind"]
        except (ValueError, KeyError, TypeError, IndexError):
            return number, "is not an entry of a ledger"
        if not complete:
            return number, "is not an entry of a ledger"
        if type(seq) is not int or seq != number:
            return number, f"carries the number {seq}: a line was removed, added or moved here"
        if previous != expected:
            if number == 1:
                return 1, "is not the beginning: it refers to a line before it"
            return number - 1, f"was changed: line {number} refers to another content"
        if "broken" in entry:
            return number, f"found the ledger damaged when it was written: {entry['broken']}"
        expected = hashlib.sha256(line).hexdigest()
    return None


def wrong_end(hashes: list[str], count: int, last: str) -> tuple[int, str] | None:
    """Return the first line that a head (count and hash of the last line) shows to be wrong."""
    if count > len(hashes):
        return len(
            hashes
        ) + 1, f"is missing: the head counts {count} lines, there are {len(hashes)}"
    if count and hashes[count - 1] != last:
        return count, "was changed: the head pins another hash"
    if len(hashes) > count + 1:
        return count + 2, f"is not pinned: the head counts {count} lines"
    return None


def read_head(path: Path) -> tuple[int, str]:
    """Return the pinned count and hash of a ledger.head."""
    found = json.loads(path.read_bytes())
    return int(found["lines"]), str(found["sha256"])


class Signatures:
    """Who signed each line of a ledger, and what is wrong with that."""

    def __init__(self, known: list[str]) -> None:
        """Take the beginnings of the ids of keys that are known otherwise."""
        self.known = known
        self.first = 0
        self.key = ""
        self.number = 0
        self.spans: list[tuple[int, str]] = []  # from which line on which key has to sign
        self.publics: dict[str, bytes] = {}
        self.to_check: list[tuple[int, bytes, str, bytes]] = []
        self.bad: list[tuple[int, str]] = []
        self.excusable: list[tuple[int, str]] = []
        self.accepted: set[int] = set()
        self.notes: list[str] = []
        self.newest: datetime | None = None

    def read(self, number: int, line: bytes) -> None:
        """Take one line down."""
        self.number = number
        entry = json.loads(line)
        found = SIGNATURE.search(line)
        self.date(number, str(entry["at"]), signed=bool(self.key or found))
        if not found:
            if "unsigned" in entry:
                why = entry["unsigned"]
                why = why.get("why") if isinstance(why, dict) else why
                self.excusable.append((number, f"is not signed: {why}"))
            elif self.first:
                self.bad.append((number, f"is not signed, and line {self.first} began to sign"))
            return
        signature = json.loads(found[1])
        body = line[: found.start()] + b"}"
        about = entry["record"] if entry["kind"] == "signing" else {}
        event = about.get("event")
        if event == "began" and self.first:
            self.bad.append((number, f"begins to sign, and line {self.first} did already"))
        if event in ("began", "replaced"):
            self.first = self.first or number
            self.use(number, about["key"])
            self.bring(number, about)
            if self.known and not self.is_known(self.key):
                why = f"begins with key {self.key}, none of those given"
                if event == "replaced" and self.is_known(self.spans[0][1]):
                    why += TAKEN_OVER.format(key=self.key)
                self.bad.append((number, why))
        if event == "replaced":
            self.notes.append(f"line {number} replaced a key that was lost: {about.get('why')}")
        if signature["key"] != self.key:
            self.bad.append((number, f"is signed by key {signature['key']}, not by the one in use"))
        self.add(number, body, signature)
        if event == "rotated":
            self.bring(number, about)
            self.add(number, body, signature.get("successor") or {})
            self.use(number + 1, about["key"])
            if (signature.get("successor") or {}).get("key") != self.key:
                self.bad.append((number, "changes the key, and the new key did not sign it"))
        if event == "accepted":
            self.accepted |= {each for each in about["lines"] if each < number}

    def use(self, number: int, key: str) -> None:
        """Take down from which line on a key has to sign."""
        self.key = key
        self.spans.append((number, key))

    def is_known(self, key: str) -> bool:
        """Tell whether a key is one of those that are known otherwise."""
        return any(key.startswith(each) for each in self.known)

    def date(self, number: int, text: str, *, signed: bool) -> None:
        """Compare a date with the newest one before it."""
        try:
            at = datetime.fromisoformat(text.replace("Z", "+00:00"))
        except ValueError:
            return
        if signed and self.newest and self.newest - at > CLOCK:
            self.excusable.append((number, f"is dated {text}, before the lines that it follows"))
        self.newest = max(self.newest or at, at)

    def bring(self, number: int, about: dict) -> None:
        """Take a public key down, whose hash has to be its id."""
        public = base64.b64decode(about["public_key"])
        if hashlib.sha256(public).hexdigest() != about["key"]:
            self.bad.append((number, "brings a public key that is not the one it names"))
        self.publics[about["key"]] = public

    def add(self, number: int, body: bytes, signature: dict) -> None:
        """Take a signature down."""
        try:
            value = base64.b64decode(signature.get("value", ""))
        except binascii.Error:
            value = b""
        self.to_check.append((number, body, str(signature.get("key")), value))

    def verdict(self) -> tuple[list[tuple[int, str]], str]:
        """Return what is wrong, by line, and what was checked."""
        if not self.first:
            return self.bad + self.excusable, ""
        problems = self.bad + [each for each in self.excusable if each[0] not in self.accepted]
        try:
            from cryptography.exceptions import InvalidSignature
            from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
        except ImportError:
            return problems, "signatures not checked: the package cryptography is not there"
        for number, body, key, value in self.to_check:
            message = b"pms-ops ledger line 1\n" + hashlib.sha256(body).hexdigest().encode()
            try:
                Ed25519PublicKey.from_public_bytes(self.publics[key]).verify(value, message)
            except (InvalidSignature, KeyError, ValueError):
                problems.append((number, "was changed after it was signed, or others signed it"))
                break  # those after it refer to it
        return problems, self.said() + (
            "" if self.known else " (which --key compares with the id that you know)"
        )

    def said(self) -> str:
        """Return which key signed which lines."""
        spans = [each for each in self.spans if each[0] <= self.number]
        ends = [f"to line {begin - 1}" for begin, _ in spans[1:]] + ["on"]
        return ", ".join(
            f"from line {begin} {end} signed by key {key}"
            for (begin, key), end in zip(spans, ends, strict=True)
        )


def signatures(lines: list[bytes], known: list[str]) -> tuple[list[str], list[str]]:
    """Return what is wrong with the signatures, the first bad line first, and notes."""
    found = Signatures(known)
    for number, line in enumerate(lines, 1):
        try:
            found.read(number, line)
        except (ValueError, KeyError, TypeError, AttributeError):
            found.bad.append((number, "has a signature or a key in no known form"))
            break
    problems, said = found.verdict()
    notes = found.notes + ([said] if said else [])
    return [f"line {number} {text}" for number, text in sorted(problems)], notes


def check(arguments: argparse.Namespace) -> tuple[list[str], list[str], int]:
    """Return what is wrong, what is worth a note, and the number of lines."""
    given = arguments.ledger
    ledger = given / "ledger.jsonl" if given.is_dir() else given
    head = ledger.with_name("ledger.head")
    content = ledger.read_bytes()
    lines = content.split(b"\n")
    torn = lines.pop()
    hashes = digests(lines)
    problems, notes = [], []
    if bad := first_bad_line(lines):
        problems.append(f"line {bad[0]} {bad[1]}")
    else:
        problems, notes = signatures(lines, [each.lower() for each in arguments.key])
    pinned = None
    if arguments.count is not None or arguments.last is not None:
        if arguments.count is None or arguments.last is None:
            raise ValueError("--count and --last belong together")
        pinned = (arguments.count, arguments.last)
    elif head.exists():
        pinned = read_head(head)
    elif lines:
        problems.append("ledger.head is missing: a shortened ledger would not show")
    if pinned:
        if bad := wrong_end(hashes, *pinned):
            problems.append(f"line {bad[0]} {bad[1]}")
        elif len(hashes) == pinned[0] + 1:
            notes.append(f"line {len(hashes)} is not pinned yet; its writer may have been killed")
    if arguments.head and not any(found.startswith(arguments.head.lower()) for found in hashes):
        problems.append(f"no line has the pinned hash {arguments.head}")
    if torn:
        notes.append(f"{len(torn)} bytes of an unfinished line follow; their writer was killed")
    return problems, notes, len(lines)


def key_id(text: str) -> str:
    """Return the id of a key, or its beginning: 128 bits, so that nobody makes another like it.

    :raises argparse.ArgumentTypeError: where it is shorter, or no number in hex.
    """
    if not re.fullmatch(rf"[0-9a-f]{{{SHORTEST_KEY},64}}", text.lower()):
        raise argparse.ArgumentTypeError(f"{text!r} is not {SHORTEST_KEY} to 64 digits in hex")
    return text.lower()


def main(argv: list[str] | None = None) -> int:
    """Check one ledger, print what was found, and return the exit status."""
    summary, _, details = (__doc__ or "").partition("\n\n")
    parser = argparse.ArgumentParser(
        description=summary, epilog=details, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("ledger", type=Path, help="ledger.jsonl, or the folder that holds it")
    parser.add_argument(
        "--head", help="hash of a line that was pinned elsewhere, 12 digits or more"
    )
    parser.add_argument("--count", type=int, help="number of lines that was pinned elsewhere")
    parser.add_argument("--last", help="hash of the last of these lines")
    parser.add_argument(
        "--key",
        action="append",
        type=key_id,
        default=[],
        help="id of a key that is known otherwise, 32 digits or more; the first key of the"
        " ledger, and each that replaced a lost one, must be among them",
    )
    arguments = parser.parse_args(argv)
    try:
        problems, notes, count = check(arguments)
    except (OSError, ValueError, KeyError, TypeError) as exc:
        print(f"Cannot check {arguments.ledger}: {exc}", file=sys.stderr)
        return 2
    for note in notes:
        print(f"note: {note}")
    if problems:
        found = "UNKNOWN KEY" if all(map(UNKNOWN.match, problems)) else "BROKEN"
        print(f"{found}: {'; '.join(problems)}")
        return 1
    if not count:
        print(f"Cannot check {arguments.ledger}: it has no line", file=sys.stderr)
        return 2
    print(f"whole: {count} lines")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
