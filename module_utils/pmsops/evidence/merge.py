# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The evidence of a machine that was replaced, brought to the one that replaced it.

Both ledgers have the lines up to the last copy, and then each goes on by itself. No line is moved:
the other ledger stays whole in a folder of its own, where anybody can check it, and a line of this
one pins its last line. So neither chain is broken, and each file of it can still be traced.
"""

from __future__ import annotations

import filecmp
import hashlib
import shutil
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from ansible.module_utils.pmsops.common import files
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.evidence import ledger

FOLDER, PARTIAL = "merged", ".partial-"
LEFT_OUT = ("metrics", FOLDER)
KIND = "merge"
DIGITS = 12


def merge(evidence_root: Path, lost: Path, *, now: datetime, check: bool) -> dict[str, Any]:
    """Bring the evidence in *lost* below ``merged/``, pin its ledger in ours; return the facts.

    What is here already with the same content is not copied. A second call changes nothing.

    :raises OpsError: merge.nothing, merge.other-system, ledger.unwritable
    """
    ours, theirs = digests(evidence_root), digests(lost)
    if not theirs:
        raise OpsError(
            f"{lost} has no ledger with lines.",
            f"Name the folder of the lost machine's evidence, in which {ledger.NAME} is.",
            code="merge.nothing",
        )
    common = _common(ours, theirs)
    if not common:
        raise OpsError(
            f"The ledger in {lost} has no line in common with the one in {evidence_root}: it is of"
            " another system.",
            "Name the evidence of the machine that this one replaced.",
            code="merge.other-system",
        )
    name = theirs[-1][:DIGITS]
    target = evidence_root / FOLDER / name
    facts: dict[str, Any] = {
        "changed": False,
        "folder": str(target),
        "head": theirs[-1],
        "lines": len(theirs),
        "common_lines": common,
        "problems": list(ledger.inspect(lost).problems),
    }
    known = ledger.records(evidence_root, KIND)
    if common == len(theirs) or any(each["record"].get("head") == theirs[-1] for each in known):
        return facts | {"files": 0}
    wanted = list(_missing(evidence_root, lost))
    facts |= {"changed": True, "files": len(wanted)}
    if check:
        return facts
    if not target.exists():
        _copy(lost, wanted, target)
    record = {key: each for key, each in facts.items() if key not in ("changed", "folder")}
    record |= {
        "folder": f"{FOLDER}/{name}",
        "ledger_sha256": files.sha256(target / ledger.NAME),
        "forked_after": ours[common - 1],
    }
    ledger.append(evidence_root, KIND, record, now=now)
    return facts


def digests(folder: Path) -> list[str]:
    """Return the hash of each whole line of the ledger in *folder*."""
    try:
        content = (folder / ledger.NAME).read_bytes()
    except FileNotFoundError:
        return []
    return [hashlib.sha256(line).hexdigest() for line in content.split(b"\n")[:-1]]


def _common(ours: list[str], theirs: list[str]) -> int:
    """Return how many lines from the first both chains have."""
    pairs = zip(ours, theirs)
    return next(
        (number for number, (mine, other) in enumerate(pairs) if mine != other),
        min(len(ours), len(theirs)),
    )


def _missing(evidence_root: Path, lost: Path) -> Iterator[Path]:
    """Yield the files of the lost machine that are not here, or differ: relative paths."""
    for path in sorted(lost.rglob("*")):
        relative = path.relative_to(lost)
        if relative.parts[0] in LEFT_OUT or path.is_symlink() or not path.is_file():
            continue
        here = evidence_root / relative
        of_ledger = relative.name in (ledger.NAME, ledger.HEAD)
        if of_ledger or not here.is_file() or not filecmp.cmp(path, here, shallow=False):
            yield relative


def _copy(lost: Path, wanted: list[Path], target: Path) -> None:
    files.make_private_folder(target.parent)
    partial = target.with_name(PARTIAL + target.name)
    shutil.rmtree(partial, ignore_errors=True)  # of a killed run
    for relative in wanted:
        (partial / relative).parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        shutil.copy2(lost / relative, partial / relative)
        files.sync_file(partial / relative)
    partial.rename(target)
    files.sync_folder(target.parent)
