# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The newest moment for a new machine: base backups and WAL of a site, and their engine.

The whole server is recovered from them and put into the empty volume of the database's container.
What cannot be had of it falls back to the set, by name. A set is signed and its proof was seen;
base backups and WAL are neither, so each copy proves itself before it is put in place.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ansible.module_utils.pmsops.common import files
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.common.timestamps import UTC, utc_stamp
from ansible.module_utils.pmsops.common.timestamps import moment as time_of
from ansible.module_utils.pmsops.offsite import copies
from ansible.module_utils.pmsops.offsite.copies import Copy
from ansible.module_utils.pmsops.offsite.work import Work
from ansible.module_utils.pmsops.pitr import wal
from ansible.module_utils.pmsops.pitr.barman_answers import SERVER
from ansible.module_utils.pmsops.pitr.barman_files import Files, id_of
from ansible.module_utils.pmsops.pitr.engine import BaseBackup
from ansible.module_utils.pmsops.recovery import new_host_words

PREFERRED, NEWEST = "preferred", "newest"  # the set takes the place of the first, not the second


@dataclass(frozen=True)
class Wanted:
    """What an operator wants, and the engine of continuous protection of the inventory."""

    moment: str
    container: str = ""  # empty: this system is not protected continuously
    image: str = ""


@dataclass(frozen=True)
class Archive:
    """What a site has of base backups and WAL."""

    snapshot: str
    copied_at: datetime
    received_at: datetime  # when the newest WAL in it arrived
    size_bytes: int
    base: BaseBackup | None  # the newest that a restore can begin at
    data_directory: str = ""

    def document(self) -> dict[str, Any]:
        """Return what the steps after the plan need."""
        return {
            "snapshot": self.snapshot,
            "received_at": utc_stamp(self.received_at),
            "data_directory": self.data_directory,
        }


@dataclass(frozen=True)
class Choice:
    """The archive whose newest moment takes the place of the set, or why none does.

    *needs* is what has to be done before, on a machine that has no Docker Engine yet.
    """

    archive: Archive | None = None
    why: str = ""
    needs: str = ""

    def require(self) -> None:
        """Check that there is such an archive.

        :raises OpsError: host.no-moment
        """
        if self.archive is None:
            why = self.why or "the site has no base backups and WAL"
            raise OpsError(
                f"The newest moment was asked for and cannot be had: {why}. Nothing was changed.",
                "Mend that, or take the set: -e host_moment=set. -e host_moment=preferred takes the"
                " newest moment if it can be had, and the set if not.",
                code="host.no-moment",
            )


def choose(
    work: Work, known: Mapping[str, Any], taken_at: str, wanted: Wanted, engine: Any
) -> Choice:
    """Return which archive is taken instead of a set of *taken_at*; *known* is the note of a run.

    An archive that is damaged is none, and says so: the set is there.
    """
    if fell_back := known.get("fell_back"):
        return Choice(why=f"{fell_back['why']} ({fell_back['code']})")
    there = work.copies()
    has = any(each.kind == copies.PITR for each in there)
    if known:  # what was begun is finished
        snapshot = (known.get("moment") or {}).get("snapshot")
        there = [each for each in there if snapshot and each.snapshot == snapshot]
        if not there:
            return Choice(why="the run that began took the set" if has else "")
    elif wanted.moment not in (PREFERRED, NEWEST):
        return Choice(why="the set was asked for (host_moment)" if has else "")
    elif not wanted.container:
        return Choice(
            why="base backups and WAL are there, but pitr_enabled is false" if has else ""
        )
    try:
        archive = newest(work, there)
    except OpsError as exc:
        return Choice(why=f"{exc} ({exc.code})")
    if archive is None:
        return Choice(why=f"site {work.site} has no base backups and WAL")
    why = "" if known else obstacle(archive, taken_at, engine, wanted.image)
    if why:
        return Choice(why=why)
    return Choice(archive, needs=f"image {wanted.image}" if engine is None else "")


def newest(work: Work, there: Sequence[Copy]) -> Archive | None:
    """Return the newest archive of a site, without fetching it; None where the site has none.

    :raises OpsError: offsite.*
    """
    found = [each for each in there if each.kind == copies.PITR]
    if not found:
        return None
    copy = max(found, key=lambda each: each.at)
    top = copy.parts[copies.PITR]
    listed, size = Files(), 0
    for node in work.restic.call("ls", copy.snapshot, changes=True).of_type("node"):
        path, name = str(node["path"]), str(node["name"])
        inside = path.removeprefix(f"{top}/{SERVER}/").split("/")
        size += int(node.get("size") or 0)
        if node["type"] == "dir":
            if inside[:1] == ["base"] and len(inside) == 2:
                listed.folders.add(name)
        elif name.endswith("backup.info"):
            given = work.restic.call("dump", copy.snapshot, path, changes=True, binary=True)
            listed.info.setdefault(id_of(path), given.output.decode(errors="replace"))
        elif inside[0] in ("wals", "streaming") and wal.SEGMENT.match(
            name.removesuffix(wal.PARTIAL)
        ):
            listed.sizes[name] = int(node.get("size") or 0)
            listed.newest = max(listed.newest, _seconds(node["mtime"]))
    usable = [each for each in listed.backups() or [] if each[0].usable and each[1]]
    base, detail = usable[-1] if usable else (None, None)
    return Archive(
        snapshot=copy.snapshot,
        copied_at=copy.at,
        received_at=listed.received_at or datetime.fromtimestamp(0, UTC),
        size_bytes=size,
        base=base,
        data_directory=detail.data_directory if detail else "",
    )


def obstacle(archive: Archive, taken_at: str, engine: Any, image: str) -> str:
    """Return why *archive* cannot take the place of a set of *taken_at*; empty if it can."""
    if archive.base is None:
        return "no base backup in it is complete"
    if archive.received_at <= time_of(taken_at):
        return "it has nothing of after the set"
    if not image:
        return "pitr_image is empty"
    if engine is None:
        return ""  # the plan says what is needed, and it is asked again before anything is done
    if image not in {tag for each in engine.images.list() for tag in each.tags}:
        return f"this machine has no image {image} (pitr_image; docs/PITR.md says how to make it)"
    free = _free_for_volumes(engine)
    needed = archive.size_bytes + 2 * archive.base.size_bytes
    if free is not None and free < needed:
        return f"Docker's disk has {free / 1e9:.1f} GB free, and it needs {needed / 1e9:.1f} GB"
    return ""


def line(archive: Archive, taken_at: datetime, now: datetime, needs: str = "") -> str:
    """Return what the plan says of the moment that can be had."""
    younger = int((archive.received_at - taken_at).total_seconds())
    base = archive.base.id if archive.base else ""
    return (
        f"the newest moment instead of the set: WAL up to"
        f" {new_host_words.with_age(archive.received_at, now)},"
        f" {younger // 60} min {younger % 60} s younger than the set, from base backup {base},"
        f" {archive.size_bytes / 1e6:.0f} MB to fetch. The whole server comes back, with the"
        " passwords of its roles. Base backups and WAL are not signed: after an intrusion take the"
        " set (-e host_moment=set)."
        + (
            f" It needs {needs} here, which no registry has: load it (docker load)."
            if needs
            else ""
        )
        + " If the moment cannot be had or proved, the set is restored, unless host_moment=newest"
        " was given"
    )


def _free_for_volumes(engine: Any) -> int | None:
    """Return the free bytes of the disk of Docker's volumes; None if it is another machine's."""
    try:
        found = os.statvfs(engine.info()["DockerRootDir"])
    except (OSError, KeyError):
        return None
    return files.usable_bytes(found)


def _seconds(text: str) -> float:
    """Return restic's time, which has nanoseconds and a zone."""
    return copies.time_of(text).timestamp()
