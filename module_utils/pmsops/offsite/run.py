# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""One act on every site: what each gave or why it failed, noted beside the sets.

A site that fails hinders no other one. Whoever calls decides whether it ends the run.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from ansible.module_utils.pmsops.approvals.consent import Consent
from ansible.module_utils.pmsops.common import process_lock
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.common.timestamps import UTC, utc_stamp
from ansible.module_utils.pmsops.offsite import clock, copies, fence, fetch_folder, letting_go
from ansible.module_utils.pmsops.offsite.contents import Places
from ansible.module_utils.pmsops.offsite.copies import Copy
from ansible.module_utils.pmsops.offsite.restic import Restic, version
from ansible.module_utils.pmsops.offsite.site import Site
from ansible.module_utils.pmsops.offsite.work import Work
from ansible.module_utils.pmsops.repository import sets, site_metrics, site_notes
from ansible.module_utils.pmsops.repository.retention import Policy

CACHE = "offsite-cache"  # in the folder of the state: restic's, of metadata alone
NOTE_LOCK, NOTE_SECONDS = "offsite.lock", 30
# Acts under which is noted what hinders no copy of a set
CLOCK, ARCHIVE = "clock", "archive"
Given = dict[str, Any]


@dataclass(frozen=True)
class Settings:
    """What an operator sets. *database* is that of another application; empty: the PMS's."""

    system: str
    sites: tuple[Site, ...]
    places: Places
    database: str = ""
    program: str = "restic"
    hours: float = 12
    archive_error: OpsError | None = None  # why base backups and WAL cannot be copied
    consent: Consent = field(default_factory=Consent)  # of a second person, to remove copies


class Sites:
    """The acts, on all sites that are asked for."""

    def __init__(self, settings: Settings, *, check: bool) -> None:
        self.settings = settings
        self._check = check
        self._known_program = False

    def init(self) -> list[Given]:
        """Make the repositories that are missing."""
        return self._each(None, lambda it: {"changed": it.init(check=self._check)})

    def upload(self, folder: Path | None, known_seconds: float = 0) -> list[Given]:
        """Copy the set in *folder*, by default the newest.

        A site that answered at most *known_seconds* ago is not asked again for its copies.
        """
        chosen = folder or sets.newest(self.settings.places.root)
        accepted = site_notes.read(self.settings.places.root)["accepted"]

        def act(it: Work) -> Given:
            facts, there = it.upload(
                chosen, accepted, check=self._check, known_seconds=known_seconds
            )
            warnings = [self._clock(it, there), self._archive(it)]
            return facts | {"warning": " ".join(filter(None, warnings)) or None}

        return self._each("upload", act)

    def check(self, parts: int) -> list[Given]:
        """Check each repository, and read the next part of its data."""
        note = site_notes.read(self.settings.places.root)["sites"]

        def act(it: Work) -> Given:
            part = _next_part(note.get(it.site, {}).get("check"), parts)
            if self._check:
                return {"part": part, "parts": parts, "changed": False}
            return it.check(part, parts) | {"changed": False}

        return self._each("check", act)

    def fetch(self, wanted: str, into: Path) -> list[Given]:
        """Bring a copy from the first of the sites that are asked for."""
        fetch_folder.require_empty(into)

        def act(it: Work) -> Given:
            if self._check:
                found = copies.choose(it.site, it.copies(), wanted, self.settings.database)
                return found.document() | {"changed": True, "folder": str(into / found.set)}
            return it.fetch(wanted, into) | {"changed": True}

        return self._each("fetch", act, self.settings.sites[:1])

    def try_to_delete(self) -> list[Given]:
        """Try on each site whether a copy can be deleted."""
        if self._check:
            return []
        return self._each(
            "immutable",
            lambda it: letting_go.try_to_delete(it, datetime.now(UTC)) | {"changed": True},
        )

    def prune(self, policy: Policy) -> list[Given]:
        """Let old copies go on the sites where this machine is meant to do that."""
        accepted = site_notes.read(self.settings.places.root)["accepted"]

        def act(it: Work) -> Given:
            found = letting_go.prune(
                it, policy, accepted, check=self._check, consent=self.settings.consent
            )
            return found | {"changed": bool(found["snapshots"])}

        return self._each("prune", act, [each for each in self.settings.sites if each.deletes])

    def works(self) -> list[Work]:
        """Return the work on each site, for whoever needs more than one act.

        :raises OpsError: offsite.restic-missing, offsite.restic-old
        """
        self._require_program()
        return [self._work(site) for site in self.settings.sites]

    def copies(self) -> list[Given]:
        """Return the copies of each site, and whether it says that another machine took over."""

        def act(it: Work) -> Given:
            there = it.copies()
            shown = [each.document() for each in there]
            taken: Given = {"replaced": None}
            try:
                fence.require_current(it.site, there, self.settings.places.root)
            except OpsError as exc:
                taken = {"replaced": f"{exc} {exc.remedy}"}
            return {"changed": False, "copies": shown} | taken

        return self._each(None, act)

    def proved(self, facts: Given) -> list[Given]:
        """Note that a set that came from a site alone was proved."""
        return self._each("proof", lambda _: facts | {"changed": True}, self.settings.sites[:1])

    def accept(self, reason: str) -> Given:
        """Accept the signs of the newest set, and this machine's clock; retention goes on."""
        newest = sets.newest(self.settings.places.root).name
        if not self._check:
            with self._noting():
                note = site_notes.read(self.settings.places.root)
                note["accepted"][newest] = {"at": utc_stamp(datetime.now(UTC)), "reason": reason}
                for entry in note["sites"].values():
                    if "upload" in entry:
                        entry["upload"]["signs"] = []
                site_notes.write(self.settings.places.root, note)
            clock.keep(fence.system_root(self.settings.places.root), sure=True)
        return {"set": newest, "reason": reason}

    def assessed(self) -> list[Given]:
        """Return what is known of each site, without asking it."""
        return site_notes.assess(
            self.settings.places.root, [each.name for each in self.settings.sites]
        )

    def publish(
        self, folder: Path, database: str, *, system: str, other_database: str | None = None
    ) -> None:
        """Write the gauges. A folder that cannot be written hinders nobody."""
        with suppress(OSError):
            site_metrics.publish(
                folder, database, self.assessed(), system=system, other_database=other_database
            )

    def _each(
        self,
        act: str | None,
        do: Callable[[Work], Given],
        sites: Sequence[Site] | None = None,
    ) -> list[Given]:
        """Do it on each site; return ``{site, ok, changed, ...}`` or the error of each."""
        found = []
        for site in self.settings.sites if sites is None else sites:
            try:
                self._require_program()
                facts = do(self._work(site))
            except OpsError as exc:
                self._note(act, site, exc)
                known = {"code": exc.code, "why": str(exc), "remedy": exc.remedy}
                found.append({"site": site.name, "ok": False, "changed": False} | known)
            else:
                self._note(act, site, facts)
                found.append({"site": site.name, "ok": True} | facts)
        return found

    def _require_program(self) -> None:
        """Check that restic is there and new enough; once, as no run replaces it.

        :raises OpsError: offsite.restic-missing, offsite.restic-old
        """
        if not self._known_program:
            version(self.settings.program)
            self._known_program = True

    def _clock(self, it: Work, there: Sequence[Copy]) -> str | None:
        """Note whether a copy is of the future, and return that; it hinders no upload."""
        try:
            copies.require_past(it.site, there, datetime.now(UTC))
        except OpsError as exc:
            self._note(CLOCK, it.restic.site, exc)
            return f"{exc} {exc.remedy}"
        self._note(CLOCK, it.restic.site, {})
        return None

    def _archive(self, it: Work) -> str | None:
        """Note whether base backups and WAL could not be copied, and return why."""
        error = self.settings.archive_error
        self._note(ARCHIVE, it.restic.site, error or {})
        return f"{error} {error.remedy}" if error else None

    def _work(self, site: Site) -> Work:
        cache = sets.state_folder(fence.system_root(self.settings.places.root)) / CACHE
        restic = Restic(site, cache, program=self.settings.program, hours=self.settings.hours)
        return Work(restic, self.settings.system, self.settings.places, self.settings.database)

    def _note(self, act: str | None, site: Site, outcome: Given | OpsError) -> None:
        if act is None or self._check:
            return
        root, now = self.settings.places.root, datetime.now(UTC)
        with self._noting():
            if isinstance(outcome, OpsError):
                site_notes.failed(root, site.name, act, outcome, now)
            else:
                facts = {name: each for name, each in outcome.items() if name != "changed"}
                facts = {
                    "copied_at" if name == "at" else name: each for name, each in facts.items()
                }
                site_notes.done(root, site.name, act, facts, now)

    def _noting(self) -> Any:
        lock = sets.state_folder(self.settings.places.root) / NOTE_LOCK
        return process_lock.awaited(lock, "note of the sites", seconds=NOTE_SECONDS)


def _next_part(last: dict[str, Any] | None, parts: int) -> int:
    """Return the part of the data to read next: from 1 to *parts*, in turn."""
    number = last.get("part") if last and last.get("parts") == parts else None
    return number % parts + 1 if isinstance(number, int) else 1
