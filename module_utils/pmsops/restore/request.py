# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""What an operator asks a restore for, and the one place where the set is looked up."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.evidence import missing_sets
from ansible.module_utils.pmsops.postgresql.connection import Database, fetch_value
from ansible.module_utils.pmsops.repository import sets, signing
from ansible.module_utils.pmsops.restore import left_out, slot_handover
from ansible.module_utils.pmsops.verify import differences, queries

PROGRESS = "restore.progress"
# A restore takes about three times as long as the dump of the same data with its fingerprints.
SHARE_OF_DUMP = 3


@dataclass(frozen=True)
class Request:
    """The options of a restore; *file* is None for the newest set."""

    root: Path
    keys: Path
    file: Path | None = None
    jobs: int = 2
    trust: str | None = None
    # The folder of the ledger, which knows sets that are no longer there.
    evidence: Path | None = None
    identity: Path | None = None
    force_name: bool = False
    create_roles: bool = False
    # Extensions that the server, or a second database of it, cannot have.
    without_extensions: tuple[str, ...] = ()
    role_passwords: Mapping[str, str] = field(default_factory=dict, repr=False)
    keep: bool = False
    # Keep the copy of a drill, where there is room, for the next restore of this set.
    warm: bool = False
    # Load the set from its files, whatever database of the server equals it.
    fresh: bool = False
    # What becomes of the live database's logical slots at the swap: see slot_handover.
    slots: str = slot_handover.REFUSE
    shown: int = differences.SHOWN_PER_KIND
    queries: tuple[queries.Query, ...] = ()
    # Refuses the restore while nobody has approved it, if somebody has to.
    require_consent: Callable[[], object] = lambda: None

    @cached_property
    def backup_set(self) -> sets.BackupSet:
        """Return the set to restore, looked up once: a backup may finish meanwhile.

        :raises OpsError: set.*
        """
        return sets.resolve(self.file or sets.newest(self.root))

    def document(self) -> dict[str, Any]:
        """Return the manifest, without the extensions that are left out; of a bare dump nothing."""
        return left_out.manifest_without(self.backup_set.manifest or {}, self.without_extensions)

    def left_out_notes(self) -> list[str]:
        """Return what the run has to say about the extensions that it leaves out."""
        return left_out.notes(self.backup_set.manifest or {}, self.without_extensions)

    def left_out_members(self) -> set[str]:
        """Return the objects of these extensions."""
        if not self.without_extensions:
            return set()
        return left_out.members(self.backup_set.manifest or {}, self.without_extensions)

    def notes(self) -> list[str]:
        """Return what a run has to say before it begins, of a set whose files are checked."""
        return [*self.missing_sets(), *self.left_out_notes(), *self._key_notes()]

    def _key_notes(self) -> list[str]:
        document = self.backup_set.manifest
        signer = signing.not_pinned(document, self.keys) if document else None
        if signer is None:
            return []
        return [
            f"Key {signer}, which signed the set, was accepted for this run only. To accept it for"
            f" good, set pms_trusted_key: {signer} in the inventory, or copy {signer}.pub of the"
            f" other machine into {self.keys / signing.TRUSTED}."
        ]

    def missing_sets(self) -> list[str]:
        """Return the sets that the ledger knows and the disk has not, a line each, newest first."""
        if self.evidence is None:
            return []
        found = missing_sets.of_roots(self.root, self.evidence)
        return [f"Missing: {each.text()}." for each in found[: missing_sets.SHOWN]]

    def identity_for(self, path: Path) -> Path:
        """Return the identity file with which the encrypted *path* is read.

        :raises OpsError: encryption.no-identity
        """
        if self.identity is None:
            raise OpsError(
                f"{path} is encrypted.",
                "Give the identity file of one of its recipients: -e restore_identity_file=...",
                code="encryption.no-identity",
            )
        return self.identity

    @property
    def progress_file(self) -> Path:
        """Return the file in which a running restore reports its progress."""
        return progress_file(self.root)

    def expected_seconds(self) -> float | None:
        """Estimate the duration: the last proof's, scaled by size, else from the dump's."""
        document = self.backup_set.manifest or {}
        size = document.get("server", {}).get("size_bytes")
        for folder in reversed(sets.listed(self.root)):
            record = sets.verification(folder) or {}
            if size and record.get("duration_seconds") and record.get("size_bytes"):
                return float(round(record["duration_seconds"] * size / record["size_bytes"], 1))
        spent = document.get("phases", {}).get("dump and fingerprint")
        return float(round(SHARE_OF_DUMP * spent, 1)) if spent else None


def progress_file(root: Path) -> Path:
    """Return the progress file of the restores and swaps of one backup_root."""
    return root / sets.STATE / PROGRESS


def seconds_today(database: Database, duration: float, size: int | None) -> float | None:
    """Return the duration scaled to the size that the live database has today."""
    if not size:
        return None
    with database.session(name=database.maintenance_name, read_only=True) as cursor:
        now = fetch_value(
            cursor,
            "SELECT pg_database_size(oid) FROM pg_database WHERE datname = %s",
            (database.name,),
        )
    return float(round(duration * now / size, 3)) if now else None
