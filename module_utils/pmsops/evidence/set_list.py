# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The backup sets of a folder as a list: size, age, proof, hold, and what cannot be read."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from datetime import datetime
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from ansible.module_utils.pmsops.common import progress
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.common.pairs import together
from ansible.module_utils.pmsops.common.timestamps import age, moment
from ansible.module_utils.pmsops.repository import manifest, sets, warm_note
from ansible.module_utils.pmsops.repository.moments import Moments

DAMAGED = ".damaged"
HEAD = ("set", "age", "size", "verified", "held", "problem")


def collect(backup_root: Path, *, now: datetime) -> list[dict[str, Any]]:
    """Return each set of the folder, newest first; quarantined ones too. Nothing is changed."""
    roots = [backup_root, *sets.of_others(backup_root).values()]
    quarantined = [path for root in roots for path in root.glob(f"*{DAMAGED}") if path.is_dir()]
    folders = [*(folder for root in roots for folder in sets.listed(root)), *quarantined]
    moments = {root: Moments(root) for root in roots}
    found = [_described(folder, now, moments[folder.parent]) for folder in folders]
    return sorted(found, key=lambda each: str(each["id"]), reverse=True)


def describe_newest(newest: dict[str, Any] | None, say: Callable[[str, str], None]) -> None:
    """Report the newest set and its parts to people."""
    if newest is None:
        return
    size = progress.size(newest["size_bytes"]) if newest["size_bytes"] else "of unknown size"
    proof = f"verified {newest['verified_at']}" if newest["verified_at"] else "not verified"
    say("newest set", f"{newest['id']}, {age(newest['age_seconds'])} old, {size}, {proof}")
    for name, text in newest["parts"].items():
        say(f"  part {name}", text)


def warm_copy(backup_root: Path, now: datetime) -> dict[str, Any] | None:
    """Return of which set the server has a warm copy, as the last run noted it."""
    found = warm_note.read(backup_root)
    if found is None:
        return None
    try:
        seconds = round((now - moment(found["kept_at"])).total_seconds(), 1)
    except (TypeError, ValueError):
        seconds = None
    return found | {"age_seconds": seconds}


def describe_warm(found: dict[str, Any] | None, say: Callable[[str, str], None]) -> None:
    """Report the warm copy to people."""
    if found:
        size = progress.size(found["size_bytes"])
        say("warm copy", f"of set {found['set']}, {size}, proved {age(found['age_seconds'])} ago")


def _described(folder: Path, now: datetime, moments: Moments) -> dict[str, Any]:
    damaged = folder.name.endswith(DAMAGED)
    proof = moments.verification(folder)
    hold = _hold(folder / sets.HOLD)
    found: dict[str, Any] = {
        "id": folder.name,
        "folder": str(folder),
        "database": None,
        "other_database": sets.other_database(folder.parent) or None,
        "snapshot_at": None,
        "age_seconds": None,
        "size_bytes": None,
        "verified_at": (proof or {}).get("verified_at"),
        "warm": warm_note.is_of(folder.parent, folder),
        "held": hold is not None,
        "hold_reason": hold,
        "damaged": damaged,
        "problem": "quarantined: its files are not those of its manifest" if damaged else None,
    }
    try:
        facts = moments.facts(folder)
    except OpsError as exc:
        return found | {"problem": found["problem"] or str(exc)}
    try:
        seconds = round((now - moment(facts["at"])).total_seconds(), 1)
        size = None if facts["bytes"] is None else int(facts["bytes"])
    except (TypeError, ValueError, AttributeError) as exc:
        damage = f"{folder / manifest.NAME} is damaged: {exc}"
        return found | {"problem": found["problem"] or damage}
    return found | {
        "database": facts["database"],
        "snapshot_at": facts["at"],
        "age_seconds": seconds,
        "size_bytes": size,
    }


def _hold(path: Path) -> str | None:
    """Return why a set is held, None where it is not; a hold that cannot be read holds."""
    try:
        return str(json.loads(path.read_bytes()).get("reason") or "no reason given")
    except FileNotFoundError:
        return None
    except (OSError, ValueError, AttributeError):
        return "a reason that cannot be read"


def chosen(
    found: Iterable[dict[str, Any]],
    *,
    pattern: str = "*",
    verified: bool | None = None,
    held: bool = False,
    damaged: bool = False,
    older_seconds: float | None = None,
    newer_seconds: float | None = None,
) -> list[dict[str, Any]]:
    """Return the sets that fit. A set of unknown age is neither older nor newer."""

    def fits(each: dict[str, Any]) -> bool:
        seconds = each["age_seconds"]
        return (
            fnmatchcase(each["id"], pattern)
            and verified in (None, bool(each["verified_at"]))
            and (each["held"] or not held)
            and (bool(each["problem"]) or not damaged)
            and (older_seconds is None or (seconds is not None and seconds > older_seconds))
            and (newer_seconds is None or (seconds is not None and seconds < newer_seconds))
        )

    return [each for each in found if fits(each)]


def table(found: Iterable[dict[str, Any]]) -> list[str]:
    """Return the sets as lines of a table for people."""
    rows = [
        (
            each["id"] + (f" of {each['other_database']}" if each["other_database"] else ""),
            age(each["age_seconds"]),
            progress.size(each["size_bytes"]) if each["size_bytes"] else "?",
            (each["verified_at"] or "no")[:10] + (", warm" if each["warm"] else ""),
            each["hold_reason"] or "",
            each["problem"] or "",
        )
        for each in found
    ]
    widths = [max(len(row[n]) for row in [HEAD, *rows]) for n in range(len(HEAD))]
    return [
        "  ".join(cell.ljust(width) for cell, width in together(row, widths)).rstrip()
        for row in [HEAD, *rows]
    ]
