# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""What will be on a new machine, and what cannot be: said before anything is done."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.common.timestamps import moment as time_of
from ansible.module_utils.pmsops.offsite.copies import REPLACED, Copy
from ansible.module_utils.pmsops.recovery import new_host_moment, new_host_words
from ansible.module_utils.pmsops.repository import set_parts

FREE_FACTOR = 4  # the set, its staging database, the database, and room
SHOWN = 10


@dataclass(frozen=True)
class Seen:
    """What the sites have, and when they were asked; *unfired* is why no timer starts a job."""

    there: Mapping[str, Sequence[Copy]]
    now: datetime
    unfired: str = ""

    def last(self, copy: Copy) -> Copy:
        """Return the newest copy of any kind of the system that *copy* is of."""
        found = [each for copies in self.there.values() for each in copies]
        mine = [each for each in found if each.system == copy.system and each.kind != REPLACED]
        return max([copy, *mine], key=lambda each: each.at)


def images(engine: Any, document: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return the images of the lost machine: those here, those to pull, those that are lost."""
    found: dict[str, list[str]] = {"here": [], "to_pull": [], "lost": []}
    known = set()
    if engine is not None:
        known = {tag for each in engine.images.list() for tag in each.tags}
    for name, facts in sorted((document.get("images") or {}).items()):
        tag = name if ":" in name.rpartition("/")[2] or "@" in name else f"{name}:latest"
        if tag in known:
            found["here"].append(name)
        else:
            found["to_pull" if facts.get("digests") else "lost"].append(name)
    return found


def lines(
    copy: Copy,
    site: str,
    others: Mapping[str, Copy | None],
    document: Mapping[str, Any],
    parts: Mapping[str, dict[str, Any]],
    found: Mapping[str, list[str]],
    moment: new_host_moment.Choice,
    seen: Seen,
) -> tuple[list[str], list[str]]:
    """Return what will be there, and what cannot be, a line each.

    *parts* are those of the set, *seen* is what the sites have.
    """
    taken_at, now = time_of(copy.taken_at), seen.now
    until = moment.archive.received_at if moment.archive else taken_at
    newer = new_host_words.newer(seen.there, copy)
    will = [
        f"set {copy.set} of {new_host_words.with_age(taken_at, now)},"
        f" {'proved' if copy.proved else 'NOT PROVED'}, from site {site}"
        f"{'' if newer else ', and no site has a newer set'}: the database with its roles,"
        " attributes and memberships; evidence and ledger up to then"
    ]
    cannot = [new_host_words.lost(until, seen.last(copy), now)]
    cannot += [new_host_words.newer_line(name, sets, now) for name, sets in newer.items()]
    cannot.append(f"evidence after {new_host_words.with_age(copy.at, now)}")
    if moment.archive:
        will.append(new_host_moment.line(moment.archive, taken_at, now, moment.needs))
    elif moment.why:
        cannot.append(f"moments after the set: {moment.why}")
    for name, other in others.items():
        if moment.archive:
            will.append(f"database {name}, as of the same moment")
        elif other is None:
            cannot.append(f"database {name}: the site has no set of it")
        else:
            of_its_own = new_host_words.with_age(time_of(other.taken_at), now)
            will.append(f"database {name}, as of {of_its_own} (of its own moment)")
            if copy.refers_to.get(name, other.set) != other.set:
                cannot.append(
                    f"database {name} as of set {copy.refers_to[name]}, which the set refers to:"
                    " the site does not have it"
                )
    filed = set_parts.files(parts)
    if not document:
        lacking = "files beside the parts" if filed else "Compose files, .env"
        cannot.append(
            f"{lacking} and what services mount: this copy does not have them. Put them in place"
            " by hand, and name the Compose files with -e host_compose_files="
        )
    will += [f"part {name} of the set: {set_parts.full_text(each)}" for name, each in filed.items()]
    cannot += [
        f"part {name}, which the set does not have: {each['not_taken']}"
        for name, each in parts.items()
        if each["not_taken"]
    ]
    stored = [each["path"] for each in document.get("files", ()) if "stored" in each]
    if stored:
        beside = " beside the parts" if filed else ""
        will.append(f"{len(stored)} files{beside}: {_folders(stored)}")
    if found["here"]:
        will.append(f"images that are here: {', '.join(found['here'])}")
    if found["to_pull"]:
        will.append(f"images that a registry has: {', '.join(found['to_pull'])}")
    if found["lost"]:
        cannot.append(
            f"images that no registry has: {', '.join(found['lost'])}. Build or load them"
            " (docker load) before you go on"
        )
    volumes = document.get("volumes") or {}
    data = [name for name, each in volumes.items() if "postgresql" not in each["destination"]]
    if data:
        cannot.append(f"the contents of volumes {', '.join(sorted(data))}: they begin empty")
    cannot += [
        f"what Redis had: it begins empty. The set has {set_parts.full_text(each)}; pms-ops restore"
        f" {copy.set} --parts-only --parts redis gives back those whose time is not over"
        for each in parts.values()
        if each["kind"] == set_parts.REDIS and each["count"] and not each["not_taken"]
    ]
    cannot += [f"in no copy: {each}" for each in document.get("left_out", ())]
    if document.get("scheduled"):
        if seen.unfired:
            cannot.append(
                f"jobs that start by themselves. Nothing fires these jobs here: {seen.unfired}"
            )
        else:
            will.append("the timers of the schedule, of the inventory")
    return will, cannot


def _folders(paths: Sequence[str]) -> str:
    """Return files by name; many by their folders, the first ten and how many more."""
    if len(paths) <= SHOWN:
        return ", ".join(paths)
    found = Counter(str(Path(each).parent) for each in paths)
    shown = [f"{folder} ({count})" for folder, count in sorted(found.items())[:SHOWN]]
    more = len(found) - len(shown)
    return ", ".join(shown) + (f", and {more} more folders" if more else "")


def require_room(root: Path, copy: Copy) -> None:
    """Check that the disk has room for the set, its staging database and the database.

    :raises OpsError: host.room
    """
    folder = next(each for each in (root, *root.parents) if each.exists())
    free, needed = shutil.disk_usage(folder).free, FREE_FACTOR * copy.set_bytes
    if free < needed:
        raise OpsError(
            f"{folder} has {free / 1e9:.1f} GB free; set {copy.set} needs about"
            f" {needed / 1e9:.1f} GB to be fetched and restored.",
            "Use a larger disk, or set backup_root to one.",
            code="host.room",
        )
