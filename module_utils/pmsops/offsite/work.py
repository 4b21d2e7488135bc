# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is done with one site: make its repository, upload, check, fetch, try a deletion, let go."""

from __future__ import annotations

import hashlib
import tempfile
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from ansible.module_utils.pmsops.common import files
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.common.timestamps import UTC
from ansible.module_utils.pmsops.offsite import (
    clock,
    contents,
    copies,
    fence,
    fetch_folder,
    remembered,
    signs,
)
from ansible.module_utils.pmsops.offsite.contents import Places
from ansible.module_utils.pmsops.offsite.copies import Copy
from ansible.module_utils.pmsops.offsite.restic import READERS, Restic
from ansible.module_utils.pmsops.repository import manifest, reading, sets

TRIES = 2  # of a copy during which a file of the evidence was replaced


@dataclass(frozen=True)
class Work:
    """The work on one site, for one database of one system."""

    restic: Restic
    system: str
    places: Places
    database: str = ""

    @property
    def site(self) -> str:
        """Return the site's name."""
        return self.restic.site.name

    def init(self, *, check: bool) -> bool:
        """Make the repository if there is none; return whether it was, or would be, made.

        :raises OpsError: offsite.*
        """
        try:
            self.copies()
        except OpsError as exc:
            if exc.code not in ("offsite.no-repository", "offsite.no-bucket"):
                raise
        else:
            return False
        if not check:
            self.restic.call("init")
        return True

    def copies(self, *, cached: bool = True) -> list[Copy]:
        """Return the copies there, oldest first.

        :raises OpsError: offsite.other-system and others
        """
        found = copies.listed(self.restic, cached=cached)
        copies.require_own(self.site, found, self.system)
        remembered.keep(self.restic, found)
        return found

    def upload(
        self,
        folder: Path,
        accepted: Collection[str],
        *,
        check: bool,
        known_seconds: float = 0,
    ) -> tuple[dict[str, Any], list[Copy]]:
        """Copy a set and what belongs to it, read its manifest back and compare it.

        Returns the facts of the copy, and the copies that were there before. A copy that is there
        already is not made again. The site is not asked again for its copies if it answered at most
        *known_seconds* ago.

        :raises OpsError: offsite.differs if the manifest comes back different; offsite.*, set.*
        """
        there = remembered.recall(self.restic, self.system, known_seconds)
        if there is not None:
            try:
                return self._upload(folder, accepted, there, check=check)
            except OpsError as exc:
                # The site may be another one than minutes ago; if it is not, this is the reason.
                if exc.code in ("offsite.clock", "system.replaced"):
                    raise
                now = self.copies()
                if {each.snapshot for each in now} == {each.snapshot for each in there}:
                    raise
                return self._upload(folder, accepted, now, check=check)
        return self._upload(folder, accepted, self.copies(), check=check)

    def _upload(
        self, folder: Path, accepted: Collection[str], there: list[Copy], *, check: bool
    ) -> tuple[dict[str, Any], list[Copy]]:
        began = time.monotonic()
        fence.require_current(self.site, there, self.places.root)
        clock.require_right(self.restic.site, there, self.places, note=not check)
        with reading.held(folder):
            wanted = contents.of_set(self.system, folder, self.places, self.database)
            same = [each for each in there if each.same_as(wanted)]
            made = same[-1] if same else wanted
            if not same and not check:
                made = self._backup(wanted, there)
            if not check:
                self._read_back(made)
        archive = None
        if self.places.pitr and not self.database and not check:
            archive = self._backup(contents.of_archive(self.system, self.places), there)
        known = [*there, *([] if same or check else [made]), *([archive] if archive else [])]
        facts = made.document() | {
            "changed": not same,
            "manifest_sha256": wanted.manifest_sha256,
            "head": wanted.head,
            "read_bytes": made.read_bytes,
            "seconds": round(time.monotonic() - began, 1),
            **signs.told(known, accepted, self.database, self.places),
            "archive_bytes": archive.new_bytes if archive else None,
        }
        return facts, there

    def check(self, part: int, parts: int) -> dict[str, Any]:
        """Check the repository's structure, and read part *part* of *parts* of its data.

        :raises OpsError: offsite.damaged and others
        """
        began = time.monotonic()
        self.restic.call("check", f"--read-data-subset={part}/{parts}", changes=True)
        return {"part": part, "parts": parts, "seconds": round(time.monotonic() - began, 1)}

    def fetch(self, wanted: str, into: Path, snapshot: str = "") -> dict[str, Any]:
        """Bring a copy into an empty folder, from the site alone; check its set's files.

        What a killed fetch left there is used again.

        *wanted* is the id of a set, ``newest`` or ``proved``; ``pitr`` is the newest archive of
        base backups and WAL, whose files Barman checks. *snapshot* names one of a set's copies.

        :raises OpsError: offsite.not-empty, offsite.no-copy; set.damaged, signing.*
        """
        began = time.monotonic()
        fetch_folder.require_empty(into)
        there = self.copies(cached=False)
        there = [each for each in there if snapshot in ("", each.snapshot)]
        copy = copies.choose(self.site, there, wanted, self.database)
        into.mkdir(mode=0o700, parents=True, exist_ok=True)
        whole = into / fetch_folder.PARTIAL
        for left in [each for each in into.iterdir() if each != whole]:
            fetch_folder.remove(left)
        if whole.exists():
            files.make_removable(whole)
        self.restic.call(
            *("restore", copy.snapshot, "--target", str(whole), "--delete"),
            changes=True,
            cached=False,
        )
        for name, path in copy.parts.items():
            target = into / (copy.set if name == "set" else fetch_folder.FETCHED.get(name, name))
            target.parent.mkdir(mode=0o700, exist_ok=True)
            (whole / path.lstrip("/")).rename(target)
        taken = {"seconds": round(time.monotonic() - began, 1)}
        if copy.kind == copies.PITR:
            fetch_folder.remove(whole)
            return copy.document() | taken | {"folder": str(into / copies.PITR)}
        folder = into / copy.set
        checked = sets.check(sets.resolve(folder), self.places.keys)
        # Last, since it says that the fetch is not done: a run that is killed while it checks files
        # would leave a folder that no next one takes.
        fetch_folder.remove(whole)
        return copy.document() | {
            "folder": str(folder),
            "files": checked["files"],
            "bytes": checked["bytes"],
            "key_id": checked["key_id"],
            **taken,
        }

    def take_over(self, machine: str, chosen: Copy, now: datetime) -> bool:
        """Leave the mark that this machine has the system now; return whether one was made.

        :raises OpsError: offsite.*
        """
        there = self.copies(cached=False)
        last = fence.mark(there)
        if last and last.machine == machine:
            return False
        made = Copy("", self.system, now, copies.REPLACED, set=chosen.set, machine=machine)
        self.leave(made, "A new machine took this system over.", there)
        return True

    def leave(self, wanted: Copy, text: str, there: Sequence[Copy]) -> Copy:
        """Make a snapshot that is a note: it holds a line of text."""
        with tempfile.NamedTemporaryFile(prefix=f"pms-ops-{wanted.kind}-") as stream:
            stream.write(f"{text}\n".encode())
            stream.flush()
            return self._backup(replace(wanted, parts={wanted.kind: stream.name}), there)

    def _backup(self, wanted: Copy, there: Sequence[Copy]) -> Copy:
        """Make the snapshot; return it as it was made."""
        # Nobody watches, so nothing has to be counted beforehand.
        command = ["backup", "--no-scan", "--host", self.system]
        command += ["--read-concurrency", str(READERS)]
        # Files that are as they were in the last copy of the kind are not read again.
        before = [
            each for each in there if (each.kind, each.database) == (wanted.kind, wanted.database)
        ]
        command += ["--parent", before[-1].snapshot] if before else []
        for tag in wanted.tags():
            command += ["--tag", tag]
        for path in contents.left_out(self.places):
            command += ["--exclude", path]
        for attempt in range(TRIES):
            began = datetime.now(UTC)
            try:
                answer = self.restic.call(*command, "--", *wanted.parts.values(), changes=True)
            except OpsError as exc:
                if exc.code != "offsite.unread":
                    raise
                # A trial and a note are no copies: a note of each would ask for the next one.
                if wanted.kind != copies.TRIAL:
                    self._disown(wanted, began)
                if attempt + 1 == TRIES:
                    raise
                continue
            break
        summary = answer.of_type("summary")[-1]
        made = replace(
            wanted,
            snapshot=summary["snapshot_id"],
            read_bytes=summary.get("total_bytes_processed"),
            new_bytes=summary.get("data_added_packed"),
        )
        remembered.add(self.restic, made)
        return made

    def _disown(self, wanted: Copy, began: datetime) -> None:
        """Note of a snapshot of which not all could be read that it is no copy.

        restic makes it nevertheless, with the tags of a copy, and a site may let nothing go.
        """
        for each in self.copies(cached=False):
            if each.at >= began and each.same_as(wanted):
                note = Copy("", self.system, began, copies.TRIAL, unread=each.snapshot)
                self.leave(note, f"Not all of {each.snapshot} could be read.", [])
        self.copies(cached=False)  # what is remembered of the site is of before the note

    def _read_back(self, made: Copy) -> None:
        """Read the manifest of a copy from the site and compare it by hash.

        :raises OpsError: offsite.differs
        """
        path = f"{made.parts['set']}/{manifest.NAME}"
        answer = self.restic.call("dump", made.snapshot, path, changes=True, binary=True)
        found = hashlib.sha256(answer.output).hexdigest()
        if found != made.manifest_sha256:
            raise OpsError(
                f"The manifest of set {made.set} comes back from site {self.site} with SHA-256"
                f" {found[:16]}..., not {made.manifest_sha256[:16]}...: the copy is not the set.",
                "Run pms-ops offsite check; keep the sets here, and look at the site's disk.",
                code="offsite.differs",
            )
