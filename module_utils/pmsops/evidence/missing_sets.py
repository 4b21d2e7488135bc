# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Backup sets that the ledger knows, the disk no longer has, and nothing here removed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible.module_utils.pmsops.evidence import ledger
from ansible.module_utils.pmsops.repository import retention, sets
from ansible.module_utils.pmsops.repository.manifest import NAME

ACCEPT = "ansible-playbook playbooks/forget.yml -e file={name} -e reason="
SHOWN = 3


@dataclass(frozen=True)
class MissingSet:
    """A set that somebody or something else removed, and when the ledger recorded it."""

    name: str
    recorded_at: str
    what: str

    def text(self) -> str:
        """Return the finding as a line for people."""
        return (
            f"set {self.name} of {self.recorded_at[:16]} {self.what}, and nothing here removed it"
        )


def find(backup_root: Path, entries: Iterable[dict[str, Any]]) -> list[MissingSet]:
    """Return the sets of the ledger's *entries* that are missing, newest first.

    Retention and quarantine note what they take away: that is not missing. A folder without a
    manifest is no set, so it is.
    """
    recorded: dict[str, tuple[str, Path]] = {}
    for entry in ledger.of_kind(entries, "backup", database=sets.other_database(backup_root)):
        record = entry["record"]
        for name in record.get("removed") or ():
            recorded.pop(str(name), None)
        if record.get("set"):
            root = Path(str(record.get("root") or backup_root))
            recorded[str(record["set"])] = entry["at"], root
    removed = retention.removals(backup_root)
    there = {folder.name for folder in sets.listed(backup_root)}
    found = []
    for name, (at, root) in recorded.items():
        if name in there or removed.get(name, "") >= at[:19] or (root / name / NAME).is_file():
            continue
        folder = backup_root / name
        what = f"has no {NAME}" if folder.is_dir() else f"is not in {backup_root}"
        found.append(MissingSet(name, at, what))
    return sorted(found, key=lambda each: each.recorded_at, reverse=True)


def of_roots(backup_root: Path, evidence_root: Path) -> list[MissingSet]:
    """Return the missing sets by the ledger in *evidence_root*."""
    return find(backup_root, ledger.records(evidence_root))


def summary(missing: list[MissingSet]) -> str:
    """Return the newest of them as one line."""
    more = f"; and {len(missing) - SHOWN} more" if len(missing) > SHOWN else ""
    return "; ".join(each.text() for each in missing[:SHOWN]) + more
