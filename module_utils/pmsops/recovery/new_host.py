# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""A new machine from nothing: what a site has for it, what cannot come back, and the steps.

Each finished step is noted beside the sets, so that a run that was killed goes on. The note is also
what tells a machine that this made from one on which a system has been all along.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from ansible.module_utils.pmsops.common import files
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.common.timestamps import UTC, utc_stamp
from ansible.module_utils.pmsops.evidence import key_changes, ledger, missing_sets
from ansible.module_utils.pmsops.offsite import copies, fence, surroundings
from ansible.module_utils.pmsops.offsite.copies import Copy
from ansible.module_utils.pmsops.offsite.run import Sites
from ansible.module_utils.pmsops.offsite.work import Work
from ansible.module_utils.pmsops.recovery import new_host_archive, new_host_files
from ansible.module_utils.pmsops.repository import manifest, set_parts, sets, signing

JOURNAL, FETCHED = "host.json", "host-fetched"  # in the folder of the state
KEY_LOST = "the key was on a machine that is lost; this one took over"
PROJECT = "com.docker.compose.project"


@dataclass
class NewHost:
    """The steps on one machine, for one system."""

    sites: Sites
    project: str
    engine: Any  # Docker's client; None on a host without containers
    seen: dict[str, list[Copy]] = field(default_factory=dict)  # by site, once a copy was chosen

    @property
    def root(self) -> Path:
        """Return the folder of the sets."""
        return self.sites.settings.places.root

    def journal(self) -> dict[str, Any]:
        """Return the note of an earlier run; empty without one."""
        try:
            found = json.loads((self.root / sets.STATE / JOURNAL).read_bytes())
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def note(self, **facts: Any) -> dict[str, Any]:
        """Add facts to the note, on the disk."""
        document = self.journal() | facts
        path = sets.state_folder(self.root) / JOURNAL
        files.replace(path, json.dumps(document, indent=1, sort_keys=True).encode())
        return document

    def require_empty(self, protection: str = "") -> None:
        """Check that there is no system on this machine yet.

        *protection* is the container of continuous protection.

        :raises OpsError: host.occupied
        """
        if self.journal():
            return
        found = [f"set {each.name} in {self.root}" for each in sets.listed(self.root)[-1:]]
        evidence = self.sites.settings.places.evidence_root
        if lines := ledger.inspect(evidence).lines:
            found.append(f"a ledger of {lines} lines in {evidence}")
        if self.engine and self.project:
            label = {"label": f"{PROJECT}={self.project}"}
            names = [each.name for each in self.engine.containers.list(all=True, filters=label)]
            names += [each.name for each in self.engine.volumes.list(filters=label)]
            if names:
                found.append(f"of Compose project {self.project}: {', '.join(sorted(names)[:4])}")
        if self.engine and protection:
            found += new_host_archive.there_is(protection)
        if found:
            raise OpsError(
                f"A system is on this machine already: {'; '.join(found)}.",
                "dr_host.yml makes a new machine, and overwrites none. To recover what is here,"
                " run playbooks/dr_triage.yml. If it is the remains of another attempt, remove"
                " them yourself (docker compose down --volumes; the sets; the evidence).",
                code="host.occupied",
            )

    def require_keys(self) -> None:
        """Check that keys are trusted here: without one, any set could be an intruder's.

        :raises OpsError: host.no-keys
        """
        folder = self.sites.settings.places.keys / signing.TRUSTED
        if not list(folder.glob("*.pub")):
            raise OpsError(
                f"No key is trusted on this machine: {folder} has none.",
                "Put the public keys there that lie in the envelope (*.pub). The keys in the copy"
                " do not count: who can write there could have put their own.",
                code="host.no-keys",
            )

    def choose(self, wanted: str) -> tuple[Work, Copy, list[str]]:
        """Return the site and the copy to restore, and why other sites were passed over.

        The copy of an earlier run is taken again.

        :raises OpsError: offsite.no-copy, or that of the only site
        """
        known = self.journal()
        errors: list[OpsError] = []
        found: list[tuple[Work, Copy]] = []
        for work in self.sites.works():
            if known and known["site"] != work.site:
                continue
            try:
                there = self.seen[work.site] = work.copies(cached=False)
                if known:
                    chosen = next(each for each in there if each.snapshot == known["snapshot"])
                else:
                    chosen = copies.choose(work.site, there, wanted)
            except OpsError as exc:
                errors.append(exc)
            except StopIteration:
                errors.append(_gone(known))
            else:
                found.append((work, chosen))
        if not found:
            raise errors[0] if errors else _gone(known)
        # The first site wins where several have the set.
        best = max(found, key=lambda each: (each[1].taken_at, -found.index(each)))
        return (*best, [f"{each} {each.remedy}" for each in errors])

    def surroundings(self, work: Work, copy: Copy) -> dict[str, Any]:
        """Return the signed note of what surrounds the database; empty if the copy has none.

        :raises OpsError: signing.*, offsite.*
        """
        if "system" not in copy.parts:
            return {}
        path = f"{copy.parts['system']}/{surroundings.NOTE}"
        given = work.restic.call("dump", copy.snapshot, path, changes=True, binary=True).output
        document: dict[str, Any] = json.loads(given)
        signing.check(document, self.sites.settings.places.keys)
        return document

    def parts(self, work: Work, copy: Copy) -> dict[str, dict[str, Any]]:
        """Return the parts of the copy's set; a set of an older release has none.

        :raises OpsError: signing.*, offsite.*
        """
        path = f"{copy.parts['set']}/{manifest.NAME}"
        given = work.restic.call("dump", copy.snapshot, path, changes=True, binary=True).output
        document: dict[str, Any] = json.loads(given)
        signing.check(document, self.sites.settings.places.keys)
        return set_parts.of(document)

    def others(self, work: Work, copy: Copy, names: Sequence[str]) -> dict[str, Copy | None]:
        """Return the copy of each other database: the one that the set refers to, else the newest.

        None stands for a database of which the site has no copy.
        """
        there = work.copies()
        found = {}
        for name in names:
            mine = copies.of_sets(there, name)
            meant = [each for each in mine if each.set == copy.refers_to.get(name)]
            best = max(meant or mine, key=lambda each: (each.taken_at, each.at), default=None)
            found[name] = best
        return found

    def fetch(self, work: Work, copy: Copy, others: Mapping[str, Copy | None]) -> dict[str, Any]:
        """Bring sets, evidence and surroundings here; a half fetch of a killed run goes first.

        :raises OpsError: offsite.*, set.*, signing.*
        """
        fetched = sets.state_folder(self.root) / FETCHED
        if fetched.exists():
            files.make_removable(fetched)
            shutil.rmtree(fetched)
        facts = work.fetch(copy.set, fetched / "pms", snapshot=copy.snapshot)
        _put(fetched / "pms" / copy.set, self.root / copy.set)
        evidence = self.sites.settings.places.evidence_root
        if (fetched / "pms" / "evidence").is_dir():
            files.make_private_folder(evidence)
            shutil.copytree(fetched / "pms" / "evidence", evidence, dirs_exist_ok=True)
            keys = self.sites.settings.places.keys
            key_changes.replace_if_lost(evidence, keys, KEY_LOST, now=datetime.now(UTC))
        for name, other in others.items():
            if other is None:
                continue
            target = self.root / sets.OTHERS / name
            files.make_private_folder(target)
            its = replace(work, database=name)
            its.fetch(other.set, fetched / "other", snapshot=other.snapshot)
            _put(fetched / "other" / other.set, target / other.set)
            files.make_removable(fetched / "other")
            shutil.rmtree(fetched / "other")
        return facts

    def take_over(self, chosen: Copy) -> list[str]:
        """Leave this machine's mark on each site; return the sites that could not take it."""
        machine = fence.machine_id(self.root, create=True)
        failed = []
        for work in self.sites.works():
            try:
                work.take_over(machine, chosen, datetime.now(UTC))
            except OpsError as exc:
                failed.append(f"{work.site}: {exc}")
        return failed

    def place(self, identity: Path | None) -> list[str]:
        """Put the files of the copy where they were; return those that were written.

        They are the set's parts, and what lies beside the set: what no part of it holds, or what
        changed after it. Copies of an older release have all of them beside the set.

        :raises OpsError: host.file-differs, host.file-damaged, encryption.*, signing.*, parts.*
        """
        folder = sets.state_folder(self.root) / FETCHED / "pms" / "system"
        document: dict[str, Any] = {"files": []}
        if (folder / surroundings.NOTE).is_file():
            document = json.loads((folder / surroundings.NOTE).read_bytes())
            signing.check(document, self.sites.settings.places.keys)
        backup_set = self.root / self.journal()["set"]
        recorded = manifest.read(backup_set)
        signing.check(recorded, self.sites.settings.places.keys)
        files_of = set_parts.files(set_parts.of(recorded))
        parts = new_host_files.Parts(backup_set, recorded, files_of)
        return new_host_files.place(folder, document, parts, identity)

    def finish(self) -> None:
        """Record in the ledger that this machine took over, and what went with the old one.

        A run that was killed after the line does not write it again.

        :raises OpsError: ledger.*
        """
        known = self.journal()
        evidence = self.sites.settings.places.evidence_root
        now = datetime.now(UTC)
        if lost := [each.name for each in missing_sets.of_roots(self.root, evidence)]:
            why = f"lost with the machine that {fence.machine_id(self.root, create=True)} replaced"
            ledger.append(evidence, "backup", {"removed": lost, "reason": why}, now=now)
        for folder in sorted((self.root / sets.OTHERS).glob("*")):
            gone = [each.name for each in missing_sets.of_roots(folder, evidence)]
            if gone:
                record = {"removed": gone, ledger.OTHER: folder.name, "reason": "lost likewise"}
                ledger.append(evidence, "backup", record, now=now)
        machine = fence.machine_id(self.root, create=True)
        taken: dict[str, Any] = {
            "set": known["set"],
            "site": known["site"],
            "snapshot": known["snapshot"],
            "taken_at": known["taken_at"],
            "machine": machine,
            "steps": known.get("steps", {}),
            # Of the other steps only the moment is noted, and a zero would be no measurement.
            "fetch_seconds": known.get("steps", {}).get("fetched") or None,
            "head_before": known.get("head", ""),
            "moment": known.get("moment_at"),
            "fell_back": known.get("fell_back"),
        }
        before = ledger.records(evidence, "host")
        if not any(each["record"].get("machine") == machine for each in before):
            ledger.append(evidence, "host", taken, now=now)
        shutil.rmtree(sets.state_folder(self.root) / FETCHED, ignore_errors=True)
        self.note(finished=utc_stamp(now))


def _put(source: Path, target: Path) -> None:
    """Move a set to its place; what a killed run had put there goes first."""
    if target.exists():
        files.make_removable(target)
        shutil.rmtree(target)
    source.rename(target)


def _gone(known: Mapping[str, Any]) -> OpsError:
    return OpsError(
        f"The copy that an earlier run began with, {known.get('snapshot', '')[:8]} of site"
        f" {known.get('site')}, is not there any more.",
        f"Remove {sets.STATE}/{JOURNAL} beside the sets and what that run made, then begin anew.",
        code="host.copy-gone",
    )
