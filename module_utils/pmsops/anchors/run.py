# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The head of the ledger given to each anchor that is due, and compared with what anchors have.

An anchor that fails hinders no other one and no run.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from ansible.module_utils.pmsops.anchors.simple import ByMail
from ansible.module_utils.pmsops.anchors.way import Statement, Way, failed
from ansible.module_utils.pmsops.common import files, process_lock
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.common.timestamps import UTC, utc_stamp
from ansible.module_utils.pmsops.evidence import anchor_notes, ledger
from ansible.module_utils.pmsops.evidence.anchor_notes import Pin
from ansible.module_utils.pmsops.evidence.ledger import Chain

LOCK = "anchors.lock"
LOCK_SECONDS = 5


def make(
    evidence_root: Path,
    ways: Mapping[str, Way],
    system: str,
    *,
    hours: float,
    force: bool,
    check: bool,
) -> dict[str, Any]:
    """Give the head to each anchor that took none within *hours*; return what each did.

    A mail is left to the caller, who says with ``note`` that it was sent.

    :raises OpsError: lock.held while another run does the same
    """
    chain = ledger.inspect(evidence_root)
    notes = anchor_notes.read(evidence_root)
    now = datetime.now(UTC)
    due = [name for name in ways if force or anchor_notes.is_due(notes, name, now, hours)]
    if not chain.lines or not due:
        return {"anchors": [], "due": [], "mails": [], "statement": None}
    statement = _statement(evidence_root, chain, system, now)
    mails = [name for name in due if isinstance(ways[name], ByMail)]
    results = []
    if not check:
        files.make_private_folder(evidence_root / anchor_notes.FOLDER)
        lock = evidence_root / anchor_notes.FOLDER / LOCK
        with process_lock.awaited(lock, "anchoring", seconds=LOCK_SECONDS):
            results = [
                _send(evidence_root, name, ways[name], statement)
                for name in due
                if name not in mails
            ]
    return {
        "anchors": results,
        "due": due,
        "mails": mails,
        "statement": statement.document(),
    }


def note(evidence_root: Path, name: str, document: Mapping[str, Any], why: str | None) -> None:
    """Note that a mail with the head in *document* was sent, or why not."""
    if why:
        anchor_notes.note_failed(evidence_root, name, failed(name, why), datetime.now(UTC))
    else:
        anchor_notes.note_done(evidence_root, name, anchor_notes.pin_of(document), {})


def verify(evidence_root: Path, ways: Mapping[str, Way], keys: Path | None) -> dict[str, Any]:
    """Return for each anchor up to which line an outsider can be sure, and what it contradicts."""
    chain = ledger.inspect(evidence_root, keys=keys, signed=True)
    notes = anchor_notes.read(evidence_root)
    return {
        "lines": chain.lines,
        "sha256": chain.sha256,
        "problems": list(chain.problems),
        "anchors": [_compare(name, way, chain, notes) for name, way in ways.items()],
    }


def _statement(evidence_root: Path, chain: Chain, system: str, now: datetime) -> Statement:
    lines = (evidence_root / ledger.NAME).read_bytes().split(b"\n")
    return Statement(system, Pin(chain.lines, chain.sha256, now), lines[chain.lines - 1])


def _send(evidence_root: Path, name: str, way: Way, statement: Statement) -> dict[str, Any]:
    try:
        facts = way.send(statement)
    except OpsError as exc:
        anchor_notes.note_failed(evidence_root, name, exc, datetime.now(UTC))
        return {"name": name, "code": exc.code, "why": str(exc), "remedy": exc.remedy}
    anchor_notes.note_done(evidence_root, name, statement.pin, facts)
    return {"name": name, "lines": statement.pin.lines, "sha256": statement.pin.sha256}


def _compare(name: str, way: Way, chain: Chain, notes: anchor_notes.Notes) -> dict[str, Any]:
    facts: dict[str, Any] = {"name": name, "lines": 0, "at": None, "problems": []}
    try:
        pins = way.pins()
    except OpsError as exc:
        return facts | {"problems": [f"{name}: {exc.code}: {exc}"], "text": f"{name}: {exc}"}
    if pins is None:
        done = notes.get(name, {}).get("done")
        text = (
            f"compare by hand: line {done['lines']} has {done['sha256']}, sent at {done['at']}"
            if done
            else "it took no head yet"
        )
        return facts | {"text": f"{name}: {text}"}
    sure = anchor_notes.sure_lines(chain, pins)
    problems = anchor_notes.contradictions(chain, pins) if pins else ["it has no head"]
    text = (
        f"sure up to line {sure.lines}, since {utc_stamp(sure.at)}" if sure else "sure of no line"
    )
    return facts | {
        "lines": sure.lines if sure else 0,
        "at": utc_stamp(sure.at) if sure else None,
        "problems": [f"{name}: {each}" for each in problems],
        "text": f"{name}: {'; '.join([text, *problems])}",
    }
