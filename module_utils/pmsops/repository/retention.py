# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Retention of backup sets: the sets to keep; the newest verified one always stays."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

from ansible.module_utils.pmsops.common import files
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.common.timestamps import UTC, from_iso, utc_stamp
from ansible.module_utils.pmsops.repository import reading, sets
from ansible.module_utils.pmsops.repository.moments import Moments

REMOVED = "removed-sets.jsonl"  # in the folder of the state: a line for each removed set


@dataclass(frozen=True)
class Policy:
    """The number of sets to keep: the last ones, and one per day, week and month."""

    last: int = 7
    daily: int = 14
    weekly: int = 8
    monthly: int = 12


@dataclass(frozen=True, order=True)
class Candidate:
    """The facts about a set that retention needs. *taken_at* is the time of its snapshot."""

    taken_at: datetime
    name: str
    verified: bool = False
    held: bool = False
    needed: bool = False  # a part of a set of the PMS


def plan(candidates: Iterable[Candidate], policy: Policy) -> dict[str, list[str]]:
    """Return the names of the sets to keep, each with its reasons; the others may be deleted.

    A set that was never verified does not displace a verified one: of each period the newest
    verified set is kept as well as the newest. The newest set, the newest verified set, held sets
    and those that are parts of sets are kept whatever the policy says.
    """
    newest_first = sorted(candidates, reverse=True)
    keep: dict[str, list[str]] = {}

    def stay(candidate: Candidate, reason: str) -> None:
        keep.setdefault(candidate.name, []).append(reason)

    for candidate in newest_first:
        if candidate.held:
            stay(candidate, "held")
        if candidate.needed:
            stay(candidate, "part of a set")
    if newest_first:
        stay(newest_first[0], "the newest")
    proved = [c for c in newest_first if c.verified]
    if proved:
        stay(proved[0], "the newest verified")
    for candidate in newest_first[: policy.last]:
        stay(candidate, "last")
    for reason, count, period in (
        ("daily", policy.daily, _day),
        ("weekly", policy.weekly, _week),
        ("monthly", policy.monthly, _month),
    ):
        for group in (newest_first, proved):
            for candidate in _newest_of_each(group, period, count):
                if reason not in keep.get(candidate.name, []):
                    stay(candidate, reason)
    return keep


def candidates(backup_root: Path, *, keep_moments: bool = False) -> list[Candidate]:
    """Return the finished sets of *backup_root*.

    A set with an unreadable manifest is left out: a person has to decide about it. With
    *keep_moments*, the next call need not read the manifests.
    """
    found = []
    moments = Moments(backup_root)
    needed = _needed(backup_root)
    for folder in sets.listed(backup_root):
        try:
            taken_at = moments.taken_at(folder)
            found.append(
                Candidate(
                    taken_at=from_iso(taken_at),
                    name=folder.name,
                    verified=moments.verification(folder) is not None,
                    held=(folder / sets.HOLD).exists(),
                    needed=folder.name in needed,
                )
            )
        except (OpsError, ValueError):
            continue
    if keep_moments:
        moments.keep()
    return found


def _needed(backup_root: Path) -> set[str]:
    """Return the sets of another database to which a set of the PMS refers."""
    database = sets.other_database(backup_root)
    if not database:
        return set()
    main = backup_root.parent.parent
    moments, found = Moments(main), set()
    for folder in sets.listed(main):
        with suppress(OpsError):
            found.add(moments.refers_to(folder).get(database, ""))
    return found


def expired(backup_root: Path, policy: Policy, *, keep_moments: bool = False) -> list[Path]:
    """Return the folders of the sets that the policy deletes, oldest first."""
    known = candidates(backup_root, keep_moments=keep_moments)
    keep = plan(known, policy)
    return [backup_root / c.name for c in sorted(known) if c.name not in keep]


def remove(folder: Path) -> None:
    """Delete a set; at no moment does a part of it remain under its name.

    It is noted first: a set that is gone without a note was removed by something else.

    :raises OpsError: set.in-use if it is being read.
    """
    doomed = folder.with_name(f"{sets.PARTIAL}removed-{folder.name}")
    with reading.unread(folder):
        note_removal(folder)
        folder.rename(doomed)
        files.make_removable(doomed)
        shutil.rmtree(doomed)


def prune(folders: Iterable[Path]) -> tuple[list[str], list[str]]:
    """Delete sets; return the names of those that are gone, and why the others stay."""
    removed, stay = [], []
    for folder in folders:
        try:
            remove(folder)
        except OpsError as exc:  # a restore reads it: the next run removes it
            stay.append(f"Set {folder.name} stays for now: {exc}")
        else:
            removed.append(folder.name)
    return removed, stay


def note_removal(folder: Path) -> None:
    """Note that this toolkit takes the set in *folder* away."""
    note = {"set": folder.name, "at": utc_stamp(datetime.now(UTC))}
    with (sets.state_folder(folder.parent) / REMOVED).open("a", encoding="utf-8") as stream:
        stream.write(json.dumps(note) + "\n")
        stream.flush()
        files.flush(stream.fileno())


def removals(backup_root: Path) -> dict[str, str]:
    """Return the names of the sets that were removed here, with the moment of the last time."""
    try:
        lines = (backup_root / sets.STATE / REMOVED).read_text(encoding="utf-8").splitlines()
    except OSError:
        return {}
    found = {}
    for line in lines:
        with suppress(ValueError, KeyError, TypeError):  # a killed writer's half line
            note = json.loads(line)
            found[str(note["set"])] = str(note["at"])
    return found


def _newest_of_each(
    group: list[Candidate], period: Callable[[Candidate], object], count: int
) -> list[Candidate]:
    chosen: dict[object, Candidate] = {}
    for candidate in group:
        chosen.setdefault(period(candidate), candidate)
        if len(chosen) > count:
            break
    return list(chosen.values())[:count]


def _date(candidate: Candidate) -> date:
    return candidate.taken_at.date()


def _day(candidate: Candidate) -> object:
    return _date(candidate)


def _week(candidate: Candidate) -> object:
    return _date(candidate).isocalendar()[:2]


def _month(candidate: Candidate) -> object:
    return (_date(candidate).year, _date(candidate).month)
