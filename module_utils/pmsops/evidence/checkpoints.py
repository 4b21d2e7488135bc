# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is known of checkpoints: those that are there, the one that is asked for, their lines.

The line of a checkpoint is that of its hold, with the key ``checkpoint``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from pathlib import Path
from typing import Any

from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.common.timestamps import UTC, age, moment
from ansible.module_utils.pmsops.evidence import ledger
from ansible.module_utils.pmsops.repository import checkpoints, quarantine, sets, warm_note
from ansible.module_utils.pmsops.repository.checkpoints import LATEST, Checkpoint
from ansible.module_utils.pmsops.repository.moments import Moments

HOLD = "hold"  # the kind of the ledger's line
NOTE = "checkpoint"  # key of the note in it
HELD, LIFTED = "held", "lifted"  # values of its ``act``


def choose(root: Path, evidence: Path, wanted: str) -> tuple[Checkpoint, list[str]]:
    """Return the checkpoint with this note or set, or the newest; and what there is to say.

    :raises OpsError: checkpoint.none, checkpoint.unknown, checkpoint.gone
    """
    there = checkpoints.listed(root)
    if wanted in ("", LATEST):
        if there:
            return there[-1], []
        raise OpsError(
            f"{root} has no checkpoint.",
            'Make one: pms-ops checkpoint --note "release 4.2". To restore a set: pms-ops sets,'
            " then pms-ops restore SET.",
            code="checkpoint.none",
        )
    found = checkpoints.with_note(there, wanted)
    if not found:
        raise _unknown(root, evidence, wanted, there)
    notes = []
    if found[1:]:
        older = ", ".join(each.id for each in found[:-1])
        notes.append(
            f"{len(found)} checkpoints have the note {wanted!r}: the newest, set {found[-1].id}, is"
            f" taken. Name another by its set: {older}."
        )
    return found[-1], notes


def only(root: Path, evidence: Path, wanted: str) -> Checkpoint:
    """Return the one checkpoint with this note or set, which is to be released.

    :raises OpsError: checkpoint.several, and those of ``choose``
    """
    chosen, _ = choose(root, evidence, wanted)
    found = checkpoints.with_note(checkpoints.listed(root), wanted)
    if wanted in ("", LATEST) or not found[1:]:
        return chosen
    raise OpsError(
        f"{len(found)} checkpoints have the note {wanted!r}. Nothing was released.",
        f"Name the set: pms-ops checkpoint --release {found[0].id}, or"
        f" {', '.join(each.id for each in found[1:])}.",
        code="checkpoint.several",
    )


def _unknown(root: Path, evidence: Path, wanted: str, there: list[Checkpoint]) -> OpsError:
    """Return why there is no such checkpoint: it is gone, as the ledger knows it, or never was."""
    others = "; ".join(each.text() for each in reversed(there)) or "none"
    for each in reversed(_lines(evidence, root)):
        record, note = each["record"], _note(each["record"])
        if record.get("act") != HELD or wanted not in (note, record.get("set")):
            continue
        name = str(record.get("set"))
        gone = f"Checkpoint {note!r} of {each['at'][:16]} is gone: set {name}"
        if (root / name).is_dir():
            return OpsError(
                f"{gone} is there, and nobody holds it any more. Checkpoints that are there:"
                f" {others}.",
                f"Restore the set while it is there: pms-ops restore {name}.",
                code="checkpoint.gone",
            )
        aside = (root / f"{name}{quarantine.ASIDE}").is_dir()
        why = "is damaged, and quarantined" if aside else "was let go"
        return OpsError(
            f"{gone} {why}. Checkpoints that are there: {others}.",
            "Take another checkpoint, or a set: pms-ops sets; `pms-ops offsite` names copies.",
            code="checkpoint.gone",
        )
    return OpsError(
        f"No checkpoint has the note {wanted!r}, and none is of a set of that name. Checkpoints"
        f" that are there: {others}.",
        "Name one of them, or restore a set: pms-ops restore SET.",
        code="checkpoint.unknown",
    )


def _lines(evidence: Path, root: Path) -> list[dict[str, Any]]:
    found = ledger.records(evidence, HOLD, database=sets.other_database(root))
    return [each for each in found if _note(each["record"])]


def _note(record: dict[str, Any]) -> str | None:
    """Return the note in a line; a person may have held the set, with such a reason."""
    note = record.get(NOTE)
    return str(note) if note else checkpoints.note_in(str(record.get("reason") or ""))


def line(root: Path, checkpoint: Checkpoint, act: str, facts: dict[str, Any]) -> dict[str, Any]:
    """Return the record of a checkpoint that was made or released."""
    return {
        "act": act,
        "set": checkpoint.id,
        ledger.OTHER: sets.other_database(root),
        "reason": checkpoints.PREFIX + checkpoint.note if act == HELD else "",
        NOTE: checkpoint.note,
    } | facts


def write(
    root: Path, evidence: Path, keys: Path | None, checkpoint: Checkpoint, act: str, **facts: Any
) -> list[str]:
    """Add a line; return a warning where that fails: a checkpoint is not undone for it."""
    record = line(root, checkpoint, act, facts)
    try:
        added = ledger.append(evidence, HOLD, record, now=datetime.now(UTC), keys=keys)
    except OpsError as exc:
        return [f"The ledger lacks this act ({act}): {exc} The next run adds the line."]
    unsigned = added["unsigned"]
    return [f"Line {added['seq']} of the ledger is not signed. {unsigned}"] if unsigned else []


def catch_up(root: Path, evidence: Path, keys: Path | None) -> list[str]:
    """Add the lines that a killed run left out; return what was done."""
    acts: dict[str, dict[str, Any]] = {}
    for entry in ledger.records(evidence, HOLD, database=sets.other_database(root)):
        acts[str(entry["record"].get("set"))] = entry["record"]
    there = {each.id: each for each in checkpoints.listed(root)}
    missing = [
        (each, HELD) for name, each in there.items() if acts.get(name, {}).get("act") != HELD
    ]
    missing += [
        (Checkpoint(root / name, str(note)), LIFTED)
        for name, record in acts.items()
        if (note := _note(record)) and record.get("act") == HELD and name not in there
    ]
    lines = []
    for each, act in missing:
        said = f"The ledger had no line of checkpoint {each.text()} being {act}; it has one now."
        lines += write(root, evidence, keys, each, act, seen_later=True) or [said]
    return lines


def collect(root: Path, now: datetime) -> list[dict[str, Any]]:
    """Return the checkpoints, newest first, and whether the way back to each is short."""
    moments = Moments(root)
    return [_described(each, moments, now) for each in reversed(checkpoints.listed(root))]


def _described(each: Checkpoint, moments: Moments, now: datetime) -> dict[str, Any]:
    proof = moments.verification(each.folder) or {}
    try:
        at = moments.taken_at(each.folder)
        seconds = round((now - moment(at)).total_seconds(), 1)
    except (OpsError, ValueError, TypeError):
        at, seconds = None, None
    return {
        "note": each.note,
        "set": each.id,
        "snapshot_at": at,
        "age_seconds": seconds,
        "verified_at": proof.get("verified_at"),
        "warm": warm_note.is_of(each.folder.parent, each.folder),
        "restore_seconds": proof.get("duration_seconds"),
    }


def way(found: dict[str, Any]) -> str:
    """Return how long the way back to a checkpoint is, for people."""
    if found["warm"]:
        return "warm: rollback --checkpoint needs no load"
    seconds = found["restore_seconds"]
    last = f"{seconds:.0f} s the last time" if seconds else "it was never timed"
    return f"not warm: rollback --checkpoint takes the long way, {last}"


def describe(found: Iterable[dict[str, Any]], say: Callable[[str, str], None]) -> None:
    """Report the checkpoints to people."""
    for each in found:
        text = f"{each['note']}, set {each['set']}, {age(each['age_seconds'])} old, {way(each)}"
        say("checkpoint", text)
