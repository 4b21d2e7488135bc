# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""A drill on another host: a set comes from a site, is restored, proved and dropped there.

The host reads the site with its own copy of the repository's password, and believes the keys that
are trusted there. Nothing of the source is asked. What the drill made goes when it ends; what a
killed one left, the next one removes.
"""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ansible.module_utils.pmsops.client_tools import sidecar
from ansible.module_utils.pmsops.common import files, process_lock
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.common.progress import Progress, size
from ansible.module_utils.pmsops.drills import machine, server
from ansible.module_utils.pmsops.offsite import copies
from ansible.module_utils.pmsops.offsite.copies import Copy
from ansible.module_utils.pmsops.offsite.run import Sites
from ansible.module_utils.pmsops.offsite.work import Work
from ansible.module_utils.pmsops.postgresql.connection import Database
from ansible.module_utils.pmsops.repository import manifest, quarantine, sets, signing
from ansible.module_utils.pmsops.restore import requirements, room, scratch
from ansible.module_utils.pmsops.restore.request import Request
from ansible.module_utils.pmsops.restore.run import restore_set

LOCK, WORK, FETCHED = "drill.lock", "work", "fetched"
# Phases that compare; all others restore.
PROOF = ("liveness", "prove", "queries")
BROKEN = "proof.broken"  # says nothing about the set, but was a drill
# Codes that say that the copy does not restore. With any other one, there was no drill.
FAILED = (*quarantine.OF_THE_SET, BROKEN, "offsite.damaged", "offsite.differs")
FACTS = (
    *("differences", "tables", "rows", "canary", "queries", "phases", "rpo_seconds"),
    *("size_bytes", "notes", "warnings", "negative_control"),
)


@dataclass
class Elsewhere:
    """One drill. *folder* is its own; *given* is a server that is there, else *image* makes one."""

    folder: Path
    keys: Path
    source: machine.Identity
    image: str = ""
    given: Mapping[str, Any] | None = None
    trust: str | None = None
    # Of the restore: identity, jobs, queries and others of Request.
    options: Mapping[str, Any] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)  # what is known, if it fails too
    remains: list[str] = field(default_factory=list)  # what a drill could not remove

    @property
    def work_folder(self) -> Path:
        """Return the folder that has everything but the lock."""
        return self.folder / WORK

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep other drills of the folder away; leave nothing in it, of killed ones neither."""
        files.make_private_folder(self.folder)
        try:
            with process_lock.exclusive(self.folder / LOCK, "drill"):
                self.clean()
                files.make_private_folder(self.work_folder)
                try:
                    yield
                finally:
                    self.clean()
                    (self.folder / LOCK).unlink(missing_ok=True)
        finally:
            with suppress(OSError):
                self.folder.rmdir()

    def clean(self) -> None:
        """Remove what drills left: servers, client tools, databases, roles and files."""
        if self.given is None:
            server.clean()
            sidecar.remove_dead()
        elif self.work_folder.is_dir():
            self.remains += server.drop_remains(self._database(""), self.work_folder)
        if self.work_folder.is_dir():
            _end_fetches(self.work_folder)
            scratch.clean(self.work_folder)
            files.make_removable(self.work_folder)
            shutil.rmtree(self.work_folder)

    def prepare(self) -> None:
        """Find out whether this is a machine apart that has what a drill needs.

        :raises OpsError: drill.same-machine, drill.no-keys, drill.no-image
        """
        here = machine.describe()
        apart = machine.compare(self.source, here)
        machine.require_apart(apart, here["hostname"])
        self._require_keys()
        self.facts |= {
            "segregated": apart.segregated,
            "shared": list(apart.shared),
            "machine": here,
            "server": "postgresql" if self.given is not None else "container",
        }
        if self.given is None:
            self.facts["image"] = self.image
            server.require_image(self.image)

    def open(self, sites: Sites) -> Work:
        """Return the work on the one site.

        :raises OpsError: offsite.restic-missing, offsite.restic-old
        """
        try:
            return sites.works()[0]
        except OpsError as exc:
            remedy = exc.remedy.replace("offsite_restic", "restore_drill_restic")
            raise OpsError(f"On the host of the drill: {exc}", remedy, code=exc.code) from exc

    def plan(self, work: Work, wanted: str) -> tuple[Copy, dict[str, Any]]:
        """Return the copy and its signed manifest, if there is room for it.

        :raises OpsError: drill.room, offsite.*, signing.*
        """
        copy = copies.choose(work.site, work.copies(cached=False), wanted, work.database)
        self.facts |= {
            "set": copy.set,
            "taken_at": copy.taken_at,
            "manifest_sha256": copy.manifest_sha256,
            "source": {"kind": "offsite", "site": work.site, "snapshot": copy.snapshot},
            "copied_bytes": copy.set_bytes,
        }
        document = self._manifest(work, copy)
        self.facts["system_identifier"] = document["server"].get("system_identifier")
        _require_room(self.folder, copy.set_bytes, f"copy of set {copy.set}")
        return copy, document

    def run(self, work: Work, wanted: str) -> dict[str, Any]:
        """Fetch, restore, prove and drop; return the facts of the drill.

        :raises OpsError: drill.*, offsite.*, set.*, signing.*, restore.*
        """
        began = time.monotonic()
        copy, document = self.plan(work, wanted)
        planned = time.monotonic() - began
        with self._server(document) as database:
            self.facts["server_version"] = server.require_versions(database, document)
            self._require_server_room(database, document)
            began = time.monotonic()
            folder = self._fetch(work, copy)
            fetch = round(planned + time.monotonic() - began, 3)
            self.facts["fetch_seconds"] = fetch
            request = Request(
                root=self.work_folder,
                keys=self.keys,
                file=folder,
                trust=self.trust,
                create_roles=True,
                **self.options,
            )
            found = restore_set(database, request, progress=Progress(request.progress_file))
        took = found["duration_seconds"]
        proof = round(sum(found["phases"].get(name, 0) for name in PROOF), 3)
        self.facts |= {name: found.get(name) for name in FACTS} | {
            "proved": True,
            "proof_seconds": proof,
            "restore_seconds": round(took - proof, 3),
            "rto_seconds": took,
            "rto_with_fetch_seconds": round(took + fetch, 3),
        }
        return self.facts

    def _fetch(self, work: Work, copy: Copy) -> Path:
        """Bring the set alone, from the site alone; check signature and files."""
        folder = self.work_folder / FETCHED / copy.set
        folder.mkdir(mode=0o700, parents=True)
        inside = f"{copy.snapshot}:{copy.parts['set']}"
        work.restic.call(*("restore", inside, "--target", str(folder)), changes=True, cached=False)
        sets.check(sets.resolve(folder), self.keys, trust=self.trust)
        return folder

    def _manifest(self, work: Work, copy: Copy) -> dict[str, Any]:
        """Return the manifest of a copy, which is signed by a trusted key."""
        path = f"{copy.parts['set']}/{manifest.NAME}"
        answer = work.restic.call("dump", copy.snapshot, path, changes=True, binary=True)
        folder = self.work_folder / "plan"
        folder.mkdir(mode=0o700)
        (folder / manifest.NAME).write_bytes(answer.output)
        document = manifest.read(folder)
        signing.check(document, self.keys, trust=self.trust)
        return document

    @contextmanager
    def _server(self, document: Mapping[str, Any]) -> Iterator[Database]:
        name = document["database_name"]
        if self.given is not None:
            database = self._database(name)
            server.note_roles(database, self.work_folder, document)
            yield database
            return
        preloaded = requirements.TIMESCALEDB
        libraries = preloaded if preloaded in document["facts"]["extensions"] else ""
        image = server.require_image(self.image)
        with server.own(image, self.work_folder, name, libraries) as database:
            yield database

    def _database(self, name: str) -> Database:
        return Database.from_options({**(self.given or {}), "name": name})

    def _require_keys(self) -> None:
        trusted = self.keys / signing.TRUSTED
        if not self.trust and not list(trusted.glob("*.pub")):
            raise OpsError(
                f"No key is trusted on the host of the drill: {trusted} has none.",
                "Put the public keys of the source there (*.pub, from the envelope and not from the"
                " copy: who can write there could have put their own).",
                code="drill.no-keys",
            )

    def _require_server_room(self, database: Database, document: Mapping[str, Any]) -> None:
        needed = int((document["server"].get("size_bytes") or 0) * room.SPACE_SHARE)
        with database.session(name=database.maintenance_name, read_only=True) as cursor:
            free = room.free_bytes(cursor, database)
        if free is not None and free < needed:
            raise _no_room("The server of the drill", free, needed, "restored database")


def outcome(error: OpsError) -> bool:
    """Tell whether an error is the outcome of a drill: the copy, or the set in it, is not good."""
    return str(error.code).startswith(FAILED)


def _end_fetches(folder: Path) -> None:
    """End what a killed drill left fetching into *folder*: it would fill it again.

    Source: proc(5), /proc/pid/cmdline.
    """
    inside = f"{folder}/".encode()
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            words = path.read_bytes().split(b"\0")
            if b"--target" in words and any(word.startswith(inside) for word in words):
                os.kill(int(path.parent.name), signal.SIGKILL)


def _require_room(folder: Path, needed: int, what: str) -> None:
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise _no_room(str(folder), free, needed, what)


def _no_room(where: str, free: int, needed: int, what: str) -> OpsError:
    return OpsError(
        f"{where} has {size(free)} free; the {what} needs {size(needed)}.",
        "Free room there, or set restore_drill_root to a folder on a larger disk.",
        code="drill.room",
    )
