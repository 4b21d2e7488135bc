# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""What was anchored: the last success and failure of each anchor, noted beside the ledger.

The notes are on the same disk as the ledger. They tell what is due; what an outsider can be sure of
is asked of the anchors themselves.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from ansible.module_utils.pmsops.common import files
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.common.timestamps import moment, utc_stamp
from ansible.module_utils.pmsops.evidence.chain import CLOCK, SHORT
from ansible.module_utils.pmsops.evidence.ledger import Chain

FOLDER, STATE = "anchors", "state.json"  # in the folder of the evidence
Notes = dict[str, dict[str, Any]]


@dataclass(frozen=True)
class Pin:
    """A head as an anchor knows it: the number of lines, the hash of the last one, and when."""

    lines: int
    sha256: str
    at: datetime


def read(evidence_root: Path) -> Notes:
    """Return the notes by the anchor's name: ``done`` and ``failed``, each with its time."""
    try:
        found = json.loads((evidence_root / FOLDER / STATE).read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def note_done(evidence_root: Path, name: str, pin: Pin, facts: Mapping[str, Any]) -> None:
    """Note that an anchor took a head."""
    done = {"at": utc_stamp(pin.at), "lines": pin.lines, "sha256": pin.sha256, **facts}
    _write(evidence_root, name, {"done": done, "failed": None})


def note_failed(evidence_root: Path, name: str, error: OpsError, now: datetime) -> None:
    """Note why an anchor took none."""
    failed = {"at": utc_stamp(now), "code": error.code, "why": str(error)}
    _write(evidence_root, name, {"failed": failed})


def is_due(notes: Notes, name: str, now: datetime, hours: float) -> bool:
    """Tell whether an anchor took no head within *hours*."""
    done = notes.get(name, {}).get("done")
    return done is None or now - moment(done["at"]) >= timedelta(hours=hours)


def pin_of(done: Mapping[str, Any]) -> Pin:
    """Return the head of a note."""
    return Pin(done["lines"], done["sha256"], moment(done["at"]))


def assess(
    evidence_root: Path, names: Sequence[str], chain: Chain, *, now: datetime, hours: float
) -> dict[str, list[str]]:
    """Return the anchors that are overdue, and what contradicts the ledger, as sentences."""
    notes = read(evidence_root)
    overdue, contradicted = [], []
    for name in names:
        note = notes.get(name, {})
        if is_due(notes, name, now, hours):
            done = note.get("done")
            since = f"the last was at {done['at']}" if done else "none was made"
            failed = note.get("failed")
            why = f"; {failed['code']}: {failed['why']}" if failed else ""
            overdue.append(f"{name}: {since}{why}")
        if note.get("done"):
            contradicted += [
                f"{name}: {each}" for each in contradictions(chain, [pin_of(note["done"])])
            ]
    return {"overdue": overdue, "contradicted": contradicted}


def contradictions(chain: Chain, pins: Iterable[Pin]) -> list[str]:
    """Return how a ledger differs from heads that anchors know, the first line first."""
    found: dict[int, str] = {}
    for pin in pins:
        if pin.lines > chain.lines:
            found[chain.lines + 1] = (
                f"line {chain.lines + 1} is missing: {pin.lines} lines were anchored at"
                f" {utc_stamp(pin.at)}"
            )
        elif pin.lines and chain.line_hashes[pin.lines - 1] != pin.sha256:
            found[pin.lines] = (
                f"line {pin.lines}, or one before it, was changed after it was anchored at"
                f" {utc_stamp(pin.at)}: the anchor has {pin.sha256[:SHORT]}, the ledger"
                f" {chain.line_hashes[pin.lines - 1][:SHORT]}"
            )
        for entry in chain.entries:
            if entry["seq"] > pin.lines and moment(entry["at"]) < pin.at - CLOCK:
                found[entry["seq"]] = (
                    f"line {entry['seq']} is dated {entry['at']}, and was not there when"
                    f" {pin.lines} lines were anchored at {utc_stamp(pin.at)}"
                )
                break
    return [found[number] for number in sorted(found)]


def sure_lines(chain: Chain, pins: Iterable[Pin]) -> Pin | None:
    """Return the newest head that the ledger still has; None if there is none."""
    fitting = [
        pin
        for pin in pins
        if 0 < pin.lines <= chain.lines and chain.line_hashes[pin.lines - 1] == pin.sha256
    ]
    return max(fitting, key=lambda pin: (pin.lines, pin.at), default=None)


def _write(evidence_root: Path, name: str, facts: Mapping[str, Any]) -> None:
    notes = read(evidence_root)
    notes[name] = notes.get(name, {}) | dict(facts)
    folder = evidence_root / FOLDER
    files.make_private_folder(folder)
    text = json.dumps(notes, indent=1, sort_keys=True) + "\n"
    files.replace(folder / STATE, text.encode())
