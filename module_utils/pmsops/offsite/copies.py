# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The copies in a repository: each is a snapshot of restic whose tags say what it holds.

A repository tells all that a new machine has to know: which set a snapshot has, whether it was
proved, who signed it, and under which path each part lies.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote, unquote

from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.common.timestamps import moment, utc_stamp
from ansible.module_utils.pmsops.offsite.restic import Restic

MARK = "pms-ops"
# Kinds. A trial is made in order to be deleted; a mark says that a new machine took over.
SET, PITR, TRIAL, REPLACED = "set", "pitr", "trial", "replaced"
PART = "part."
REFERS = "refers."  # to the set of another database, which is a part of the set
# Two clocks of honest machines differ by less.
CLOCK_SECONDS = 600
_NANOSECONDS = re.compile(r"(\.\d{6})\d+")

_NAMED = {"newest": "a set", "proved": "a proved set", PITR: "base backups and WAL"}


@dataclass(frozen=True)
class Copy:
    """One snapshot. *at* is the clock of the machine that made it; *parts* are paths in it."""

    snapshot: str
    system: str
    at: datetime
    kind: str
    set: str = ""
    database: str = ""
    manifest_sha256: str = ""
    taken_at: str = ""
    proved: bool = False
    set_bytes: int = 0
    key: str = ""
    head: str = ""
    machine: str = ""
    parts: Mapping[str, str] = field(default_factory=dict)
    refers_to: Mapping[str, str] = field(default_factory=dict)
    unread: str = ""  # the snapshot that this note is about: not all of it could be read
    read_bytes: int | None = None
    new_bytes: int | None = None

    def tags(self) -> list[str]:
        """Return the tags of a snapshot to be made."""
        texts = {
            "kind": self.kind,
            "set": self.set,
            "database": self.database,
            "manifest": self.manifest_sha256,
            "taken": self.taken_at,
            "proved": "yes" if self.proved else "no",
            "bytes": str(self.set_bytes),
            "key": self.key,
            "head": self.head,
            "machine": self.machine,
            "unread": self.unread,
        } | {PART + name: path for name, path in self.parts.items()}
        texts |= {REFERS + name: text for name, text in self.refers_to.items()}
        return [MARK, *(f"{name}={quote(text)}" for name, text in texts.items() if text)]

    def same_as(self, wanted: Copy) -> bool:
        """Tell whether this is the wanted copy: the set, its proof, and the ledger's newest line.

        Only what this machine could have written is compared; what comes back is compared by hash.
        """
        names = ("kind", "set", "database", "manifest_sha256", "proved", "head", "parts")
        return all(getattr(self, name) == getattr(wanted, name) for name in names)

    def document(self) -> dict[str, Any]:
        """Return it for people and for JSON."""
        return {
            "snapshot": self.snapshot,
            "at": utc_stamp(self.at),
            "kind": self.kind,
            "set": self.set or None,
            "database": self.database or None,
            "taken_at": self.taken_at or None,
            "proved": self.proved,
            "set_bytes": self.set_bytes,
            "new_bytes": self.new_bytes,
            "parts": sorted(self.parts),
        }


def of_snapshot(document: Mapping[str, Any]) -> Copy | None:
    """Return the copy of a snapshot as restic lists it; None if it is not the toolkit's."""
    tags = document.get("tags") or []
    if MARK not in tags:
        return None
    texts = {
        name: unquote(text)
        for name, equals, text in (each.partition("=") for each in tags)
        if equals
    }
    summary = document.get("summary") or {}
    return Copy(
        snapshot=document["id"],
        system=document.get("hostname", ""),
        at=time_of(document["time"]),
        kind=texts.get("kind", SET),
        set=texts.get("set", ""),
        database=texts.get("database", ""),
        manifest_sha256=texts.get("manifest", ""),
        taken_at=texts.get("taken", ""),
        proved=texts.get("proved") == "yes",
        set_bytes=int(texts.get("bytes") or 0),
        key=texts.get("key", ""),
        head=texts.get("head", ""),
        machine=texts.get("machine", ""),
        unread=texts.get("unread", ""),
        parts=_named(texts, PART),
        refers_to=_named(texts, REFERS),
        read_bytes=summary.get("total_bytes_processed"),
        new_bytes=summary.get("data_added_packed"),
    )


def _named(texts: Mapping[str, str], prefix: str) -> dict[str, str]:
    return {
        name.removeprefix(prefix): text for name, text in texts.items() if name.startswith(prefix)
    }


def time_of(text: str) -> datetime:
    """Return a time that restic wrote: with nanoseconds, and the zone of the machine."""
    return moment(_NANOSECONDS.sub(r"\1", text).replace("Z", "+00:00"))


def listed(restic: Restic, *, cached: bool = True) -> list[Copy]:
    """Return the toolkit's copies in the repository, oldest first.

    One of which not all could be read is no copy of its set: a note says so, and both go as trials.

    :raises OpsError: offsite.*
    """
    answer = restic.call("snapshots", cached=cached)
    made = [of_snapshot(each) for each in (answer.documents or [[]])[0] or []]
    found = [each for each in made if each]
    unread = {each.unread for each in found}
    found = [replace(each, kind=TRIAL) if each.snapshot in unread else each for each in found]
    return sorted(found, key=lambda copy: (copy.at, copy.snapshot))


def require_own(site: str, copies: Iterable[Copy], system: str) -> None:
    """Check that all copies are of this system.

    :raises OpsError: offsite.other-system
    """
    others = sorted({each.system for each in copies} - {system})
    if others:
        raise OpsError(
            f"The repository of site {site} has copies of system {', '.join(others)}; this one is"
            f" {system}.",
            "Give each system a repository and a password of its own, so that none can read"
            " another's book. If this is that system under a new name, set offsite_system to the"
            " old one.",
            code="offsite.other-system",
        )


def require_past(site: str, copies: Iterable[Copy], now: datetime) -> None:
    """Check that no copy is of the future: a clock is wrong then, and ages say nothing.

    :raises OpsError: offsite.clock
    """
    newest = max((each.at for each in copies), default=now)
    if newest > now + timedelta(seconds=CLOCK_SECONDS):
        raise OpsError(
            f"Site {site} has a copy of {utc_stamp(newest)}; this machine's clock says"
            f" {utc_stamp(now)}.",
            "Set the clock of this machine right (timedatectl). If it is right, it was ahead when"
            " that copy was made, and this goes away once that moment has passed. Copies are made"
            " meanwhile, and none is removed.",
            code="offsite.clock",
        )


def of_sets(copies: Iterable[Copy], database: str = "") -> list[Copy]:
    """Return the copies of sets of one database; an empty name is the PMS's."""
    return [each for each in copies if each.kind == SET and each.database == database]


def choose(site: str, copies: Sequence[Copy], wanted: str, database: str = "") -> Copy:
    """Return the newest copy of set *wanted*, or of ``newest``, ``proved`` or ``pitr``.

    :raises OpsError: offsite.no-copy
    """
    found = of_sets(copies, database)
    if wanted == PITR:
        found = [each for each in copies if each.kind == PITR]
    elif wanted == "proved":
        found = [each for each in found if each.proved]
    elif wanted != "newest":
        found = [each for each in found if each.set == wanted]
    if not found:
        there = list(dict.fromkeys(each.set for each in of_sets(copies, database)))
        raise OpsError(
            f"Site {site} has no copy of {_NAMED.get(wanted, 'set ' + wanted)}; its sets are"
            f" {', '.join(there[-5:]) or 'none'}.",
            "pms-ops offsite list shows the copies of each site; name one of them, or ask another"
            " site.",
            code="offsite.no-copy",
        )
    return max(found, key=lambda copy: (copy.taken_at, copy.at))
