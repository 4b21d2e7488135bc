# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Quarantine of damaged sets: found together with the sets that share their files, and renamed.

Nothing is deleted: under its new name a damaged set no longer counts as a backup, and most of its
files can still be read by hand.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from ansible.module_utils.pmsops.common import files
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.common.timestamps import UTC
from ansible.module_utils.pmsops.repository import (
    manifest,
    reading,
    retention,
    sets,
    signing,
)

ASIDE = ".damaged"
NOTE = "DAMAGED.txt"
BLOCK = 1 << 20
SHOWN = 5
# Codes of a failed drill that speak of the set; all others speak of the server or the disk.
OF_THE_SET = (
    *("set.", "manifest.", "signing.invalid", "signing.missing"),
    *("restore.different", "restore.failed", "restore.canary", "restore.query"),
    "restore.partial-dump",
)


@dataclass(frozen=True)
class Examined:
    """What the files of a set are worth; *percent* of its bytes were read."""

    folder: Path
    problems: tuple[str, ...] = ()
    # Files that are there with another content than was signed: others may be links to them.
    rotten: tuple[str, ...] = ()
    percent: float = 100.0
    missing: tuple[str, ...] = ()

    @property
    def sound(self) -> bool:
        """Return whether nothing is wrong with the part that was read."""
        return not self.problems


@dataclass
class Choice:
    """The set to rely on, None without one, and why newer ones were passed over."""

    folder: Path | None = None
    document: dict[str, Any] = field(default_factory=dict)
    verified: bool = False
    passed_over: list[str] = field(default_factory=list)


def examine(
    folder: Path,
    keys: Path,
    *,
    trust: str | None = None,
    seconds: float | None = None,
    now: Callable[[], float] = time.monotonic,
) -> Examined:
    """Read a set's signature and files, with *seconds* only as many as that allows.

    The small files come first, so that most of them are read whatever the time.

    :raises OpsError: signing.unknown-key, signing.key where nobody can say who signed it.
    """
    deadline = None if seconds is None else now() + seconds
    try:
        document = manifest.read(folder)
        signing.check(document, keys, trust=trust)
    except OpsError as exc:
        if exc.code in ("signing.unknown-key", "signing.key"):
            raise
        return Examined(folder, (str(exc),))
    recorded = document["files"]
    problems, rotten, missing = [], [], []
    present = {name for name in files.walk(folder) if name not in sets.NOTES}
    problems += [f"{name} is not in the manifest" for name in sorted(present - set(recorded))]
    total = sum(entry["size_bytes"] for entry in recorded.values())
    read = 0
    in_time = True
    for name, entry in sorted(recorded.items(), key=lambda item: item[1]["size_bytes"]):
        path = folder / name
        if name not in present or path.is_symlink() or not path.is_file():
            problems.append(f"{name} is missing")
            missing.append(name)
        elif (size := path.stat().st_size) != entry["size_bytes"]:
            problems.append(f"{name} has {size} bytes, not {entry['size_bytes']}")
            rotten.append(name)
        elif in_time:
            try:
                found = _sha256(path, deadline, now)
            except OSError as exc:
                problems.append(f"{name} cannot be read ({exc.strerror or exc})")
                rotten.append(name)
                continue
            in_time = found is not None
            read += size if in_time else 0
            if found not in (None, entry["sha256"]):
                problems.append(f"{name} has another content than was signed")
                rotten.append(name)
    percent = 100.0 if in_time else round(100 * read / max(total, 1), 1)
    return Examined(folder, tuple(problems), tuple(rotten), percent, tuple(missing))


def sharing(root: Path, examined: Examined) -> list[Path]:
    """Return the other sets that hold a rotten file of this one: one content, stored once."""
    bad = set()
    for name in examined.rotten:
        status = (examined.folder / name).stat()
        bad.add((status.st_dev, status.st_ino))
    found = []
    for folder in sets.listed(root):
        if folder == examined.folder or not bad:
            continue
        for name in files.walk(folder):
            status = (folder / name).lstat()
            if status.st_nlink > 1 and (status.st_dev, status.st_ino) in bad:
                found.append(folder)
                break
    return found


def failed_drill(entries: Iterable[dict[str, Any]], folder: Path) -> str | None:
    """Return why the last drill of a set failed, None where it did not or where it says nothing.

    *entries* are the ledger's drills, oldest first. One that does not say which set it was about
    was about the newest. One on another host was of a copy, which may be damaged where the set is
    not.
    """
    why = None
    taken = manifest_moment(folder)
    for entry in entries:
        record = entry["record"]
        named = record.get("set")
        if record.get("drill_host"):
            continue
        if entry["at"] < (taken or ""):
            continue  # of another set of that name, one that was set aside
        if named is not None and Path(str(named)).name != folder.name:
            continue
        if record.get("proved") is True:
            why = None
        elif str(record.get("code") or "").startswith(OF_THE_SET):
            why = str(record.get("why") or record["code"])
    return why


def manifest_moment(folder: Path) -> str | None:
    """Return when a set's snapshot was taken, None where its manifest cannot be read."""
    try:
        return str(manifest.read(folder)["snapshot_at"])
    except OpsError:
        return None


def choose(
    root: Path,
    keys: Path,
    *,
    database: str,
    trust: str | None = None,
    verified: bool,
    drills: Iterable[dict[str, Any]] = (),
) -> Choice:
    """Return the newest set of a database whose files are those that were signed.

    With *verified* only one that was restored and compared counts. Each set that is passed over
    is named with the reason.

    :raises OpsError: signing.unknown-key, signing.key.
    """
    choice = Choice()
    drills = list(drills)
    for folder in reversed(sets.listed(root)):
        try:
            document = manifest.read(folder)
        except OpsError as exc:
            choice.passed_over.append(f"{folder.name}: {exc}")
            continue
        proved = sets.verification(folder) is not None
        if document["database_name"] != database:
            why: str | None = f"is of database {document['database_name']}"
        elif verified and not proved:
            why = "was never restored and compared"
        elif why := failed_drill(drills, folder):
            why = f"did not restore: {why}"
        else:
            problems = examine(folder, keys, trust=trust).problems
            why = "; ".join(problems[:SHOWN]) or None
        if why is None:
            choice.folder, choice.document, choice.verified = folder, document, proved
            return choice
        choice.passed_over.append(f"{folder.name}: {why}")
    return choice


def damaged(
    root: Path,
    keys: Path,
    *,
    trust: str | None = None,
    drills: Iterable[dict[str, Any]] = (),
) -> list[tuple[Path, str]]:
    """Return the sets that are no backup, with the reason: from the newest on until one is sound.

    What shares a rotten file with one of them is among them, however old it is.

    :raises OpsError: signing.unknown-key, signing.key.
    """
    drills = list(drills)
    found: dict[Path, str] = {}
    order = sets.listed(root)
    for folder in reversed(order):
        if folder in found:
            continue
        examined = examine(folder, keys, trust=trust)
        if not examined.sound:
            found[folder] = "; ".join(examined.problems[:SHOWN])
            for other in sharing(root, examined):
                found.setdefault(other, f"it shares damaged files with {folder.name}")
        elif why := failed_drill(drills, folder):
            found[folder] = f"it did not restore: {why}"
        else:
            break
    # The newest last: while it is there, a run after a kill still finds what shares its files.
    return sorted(found.items(), key=lambda item: order.index(item[0]))


def set_aside(folder: Path, why: str, *, now: datetime) -> Path:
    """Rename a set so that nothing takes it for a backup, and return its new place.

    :raises OpsError: set.in-use, set.not-aside
    """
    place = folder.with_name(folder.name + ASIDE)
    number = 2
    while place.exists():
        place = folder.with_name(f"{folder.name}{ASIDE}-{number}")
        number += 1
    try:
        with reading.unread(folder):
            retention.note_removal(folder)
            folder.rename(place)
        files.sync_folder(folder.parent)
        mode = place.stat().st_mode
        files.set_mode(place, 0o700)
        text = f"Set aside on {now.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC: {why}\n"
        files.replace(place / NOTE, text.encode())
        files.set_mode(place, mode)
    except OSError as exc:
        raise OpsError(
            f"{folder} cannot be quarantined: {exc.strerror or exc}.",
            "Give the user of the playbook write access to backup_root, and free space there.",
            code="set.not-aside",
        ) from exc
    return place


def _sha256(path: Path, deadline: float | None, now: Callable[[], float]) -> str | None:
    """Return the digest of a file, None where the time was over before its end."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(BLOCK):
            if deadline is not None and now() > deadline:
                return None
            digest.update(block)
    return digest.hexdigest()
