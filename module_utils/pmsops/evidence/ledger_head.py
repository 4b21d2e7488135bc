# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""``ledger.head``: the number of lines of a ledger, and the hash of its last one."""

from __future__ import annotations

import json
import re
from pathlib import Path

from ansible.module_utils.pmsops.common import files
from ansible.module_utils.pmsops.evidence.chain import SHORT

NAME = "ledger.head"


def read(root: Path) -> tuple[int, str] | None:
    """Return the lines and the last hash that the head pins, None where there is no head."""
    try:
        found = json.loads((root / NAME).read_bytes())
        lines, digest = found["lines"], found["sha256"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    valid = isinstance(lines, int) and lines >= 0 and re.fullmatch(r"[0-9a-f]{64}", str(digest))
    return (lines, digest) if valid else None


def write(root: Path, lines: int, digest: str) -> None:
    """Pin the last line."""
    text = json.dumps({"lines": lines, "sha256": digest}) + "\n"
    files.replace(root / NAME, text.encode())


def compare(hashes: list[str], pinned: tuple[int, str] | None) -> tuple[str, str]:
    """Return the problem at the end of the chain, and a harmless note; each may be empty."""
    if pinned is None:
        return ("", "") if not hashes else (f"{NAME} is missing or cannot be read", "")
    count, digest = pinned
    if count > len(hashes):
        return (
            f"line {len(hashes) + 1} is missing: {NAME} counts {count} lines, there are"
            f" {len(hashes)}"
        ), ""
    if count and hashes[count - 1] != digest:
        return (
            f"line {count} was changed: {NAME} pins {digest[:SHORT]}, it has"
            f" {hashes[count - 1][:SHORT]}"
        ), ""
    if len(hashes) == count + 1:
        return "", f"line {len(hashes)} is not pinned yet: its writer was killed after writing it"
    if len(hashes) > count:
        return f"line {count + 2} is not pinned: {NAME} counts {count} lines", ""
    return "", ""
