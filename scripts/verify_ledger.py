#!/usr/bin/env python3
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Check the hash chain of an evidence ledger, with nothing but Python.

    verify_ledger.py evidence/                       the chain, and ledger.head beside it
    verify_ledger.py ledger.jsonl --head 5f3c...     and that the line pinned elsewhere is in it
    verify_ledger.py ledger.jsonl --count 41 --last 5f3c...   a whole head kept elsewhere

Exit status: 0 the chain is whole, 1 it is not (the first bad line is named), 2 nothing to check.

Each line of ledger.jsonl is a JSON object with `seq` (1, 2, 3, ...), `at`, `kind`, `previous` and
`record`. `previous` is the SHA-256 of the line before without its line feed, 64 zeros in line 1.
ledger.head holds {"lines": n, "sha256": hash of line n}. This script shares no code with what
writes the ledger, so a mistake in one does not hide in the other.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from pathlib import Path


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
    arguments = parser.parse_args(argv)
    try:
        problems, notes, count = check(arguments)
    except (OSError, ValueError, KeyError, TypeError) as exc:
        print(f"Cannot check {arguments.ledger}: {exc}", file=sys.stderr)
        return 2
    for note in notes:
        print(f"note: {note}")
    if problems:
        print(f"BROKEN: {'; '.join(problems)}")
        return 1
    if not count:
        print(f"Cannot check {arguments.ledger}: it has no line", file=sys.stderr)
        return 2
    print(f"whole: {count} lines")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
