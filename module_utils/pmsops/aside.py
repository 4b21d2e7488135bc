# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""A restore run up to the proved copy, and a drill of it."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg2
from ansible.module_utils.pmsops import (
    canary,
    clients,
    compare,
    encryption,
    files,
    liveness,
    locks,
    manifest,
    preflight,
    restore,
    sets,
    swap,
)
from ansible.module_utils.pmsops.database import Database
from ansible.module_utils.pmsops.errors import OpsError
from ansible.module_utils.pmsops.progress import Progress

JOURNAL = "restore.json"
LOCK = "restore.lock"
MEMORY = Path("/dev/shm")  # noqa: S108  # folders made below it are private


@dataclass(frozen=True)
class Request:
    """What an operator asks for."""

    root: Path
    keys: Path
    file: Path | None = None
    jobs: int = 2
    trust: str | None = None
    identity: Path | None = None
    force_name: bool = False
    create_roles: bool = False
    keep: bool = False
    shown: int = compare.SHOWN_PER_KIND

    @property
    def progress_file(self) -> Path:
        """Where a running restore says how far it is."""
        return self.root / sets.STATE / "restore.progress"

    def chosen(self) -> sets.BackupSet:
        """Return the set that is meant: the one named, else the newest."""
        return sets.resolve(self.file or sets.newest(self.root))


def plan(database: Database, request: Request) -> dict[str, Any]:
    """Return what a restore would find and do; nothing is changed."""
    chosen = request.chosen()
    known = _preflight(database, chosen, request)
    return {
        "set": str(chosen.folder or chosen.dump),
        "id": chosen.id,
        "side": None,
        "verified": known["verified"],
        "former": swap.former(database),
        "size_bytes": (chosen.manifest or {}).get("server", {}).get("size_bytes"),
        "expected_seconds": _expected(chosen),
        "snapshot_at": (chosen.manifest or {}).get("snapshot_at"),
    }


def run(database: Database, request: Request, *, progress: Progress) -> dict[str, Any]:
    """Restore the set aside and prove it; keep the copy where asked, else drop it.

    :raises OpsError: lock.held, restore.*, set.*, signing.*, and restore.different where the copy
        is not what the manifest says; the copy is dropped then.
    """
    began = datetime.now(UTC)
    state = sets.state_folder(request.root)
    with locks.exclusive(state / LOCK, "restore"):
        chosen = request.chosen()
        run_id = began.strftime("%Y%m%d%H%M%S")
        side = restore.beside(database.name, "restore", run_id)
        with progress.phase("preflight"):
            known = _preflight(database, chosen, request)
        clean(database, state)
        journal = swap.Journal.open(state / JOURNAL)
        if journal.state:
            raise OpsError(
                f"A restore before this one did not finish (step {journal.state['step']!r}).",
                "Run dr_restore.yml again: its first step finishes or cleans up that one.",
                code="restore.unfinished",
            )
        with tempfile.TemporaryDirectory(
            prefix=_scratch_prefix(state), dir=_scratch_root(chosen, state)
        ) as scratch:
            aside = restore.Aside(
                database,
                chosen,
                side,
                tools=clients.client_tools(database),
                progress=progress,
                scratch=Path(scratch),
                jobs=request.jobs,
            )
            journal.record("aside", live=database.name, side=side, set=str(chosen.dump))
            try:
                if chosen.manifest and chosen.manifest["dump"]["encrypted"]:
                    with progress.phase("decrypt"):
                        aside.plain = _decrypted(chosen, request, Path(scratch))
                if known.get("missing_roles"):
                    aside.create_roles(known["missing_roles"])
                result = _restored(aside, request, known, progress)
            except BaseException as exc:
                aside.drop()
                journal.close()
                if isinstance(exc, psycopg2.Error):
                    raise database.explained(exc) from exc
                raise
            if not request.keep:
                with progress.phase("drop"):
                    aside.drop()
        if request.keep:
            journal.record("proved")
        else:
            journal.close()
    progress.close()
    ended = datetime.now(UTC)
    document = chosen.manifest or {}
    snapshot = document.get("snapshot_at")
    return result | {
        "set": str(chosen.folder or chosen.dump),
        "id": chosen.id,
        "side": side if request.keep else None,
        "run": run_id,
        "verified": known["verified"],
        "phases": progress.seconds,
        "duration_seconds": round((ended - began).total_seconds(), 3),
        "snapshot_at": snapshot,
        "rpo_seconds": round((began - datetime.fromisoformat(snapshot)).total_seconds(), 3)
        if snapshot
        else None,
        "system_identifier": document.get("server", {}).get("system_identifier"),
        "manifest_sha256": files.sha256(chosen.folder / manifest.NAME) if chosen.folder else None,
        "size_bytes": document.get("server", {}).get("size_bytes"),
        "warnings": aside.warnings,
    }


def clean(database: Database, state: Path) -> None:
    """Remove what dead runs left: sidecars, scratch folders, and what they hold in the clear.

    Whoever calls holds the lock, so all of it is dead.
    """
    if database.access == "container":
        clients.remove_dead_sidecars()
    for root in (state, MEMORY):
        for litter in root.glob(f"{_scratch_prefix(state)}*"):
            shutil.rmtree(litter, ignore_errors=True)


def _scratch_prefix(state: Path) -> str:
    """Return what the names of scratch folders for these sets begin with."""
    return f".pms-ops-restore-{hashlib.sha256(str(state).encode()).hexdigest()[:12]}-"


def _restored(
    aside: restore.Aside, request: Request, known: dict[str, Any], progress: Progress
) -> dict[str, Any]:
    aside.create(f"{swap.MARK} copy being restored, not proved")
    aside.restore()
    with progress.phase("liveness"):
        refused = liveness.writable(aside.side)
    if refused:
        raise OpsError(
            "The copy does not take rows: " + "; ".join(refused[:5]),
            "Restore another set; the live database was not touched.",
            code="restore.not-writable",
        )
    found = aside.prove()
    if found:
        raise OpsError(
            f"The copy differs from the manifest in {len(found)} points: "
            + "; ".join(compare.lines(found, shown=request.shown)),
            "The live database was not touched and the copy was dropped. Take another set, and"
            " keep this one for whoever finds out why.",
            code="restore.different",
        )
    document = aside.set.manifest
    seen = None
    if document and document.get("canary"):
        with aside.side.session(read_only=True) as cursor:
            seen = canary.seen(cursor, document["canary"])
        if not seen:
            raise OpsError(
                f"The copy lacks the canary row {document['canary']} written before the backup.",
                "What was restored is not this backup. Take another set.",
                code="restore.canary",
            )
    if document:
        known["verified"] = "signature, every file, every object and every row"
        sets.mark_verified(
            aside.set.folder,
            {"canary": seen, "rows": manifest.rows(document), "tables": len(document["contents"])},
        )
    return {
        "differences": 0,
        "canary": seen,
        "tables": len(document["contents"]) if document else None,
        "rows": manifest.rows(document) if document else None,
    }


def _preflight(database: Database, chosen: sets.BackupSet, request: Request) -> dict[str, Any]:
    return preflight.check(
        database,
        chosen,
        clients.client_tools(database),
        keys=request.keys,
        trust=request.trust,
        force_name=request.force_name,
        create_roles=request.create_roles,
        data_folder=preflight.data_folder(database),
    )


def _expected(chosen: sets.BackupSet) -> float | None:
    """Return about how long a restore takes: what dumping took, and reading it back."""
    phases = (chosen.manifest or {}).get("phases", {})
    spent = phases.get("dump and fingerprint")
    return round(3 * spent, 1) if spent else None


def _scratch_root(chosen: sets.BackupSet, state: Path) -> Path:
    """Return where a plain copy of an encrypted dump is least exposed: in memory, if it fits."""
    encrypted = bool(chosen.manifest and chosen.manifest["dump"]["encrypted"])
    if encrypted and MEMORY.is_dir():
        needed = 2 * chosen.dump.stat().st_size
        if shutil.disk_usage(MEMORY).free > needed:
            return MEMORY
    return state


def _decrypted(chosen: sets.BackupSet, request: Request, scratch: Path) -> Path:
    """Return a private plain copy of an encrypted dump, gone with *scratch*."""
    if request.identity is None:
        raise OpsError(
            f"{chosen.dump} is encrypted.",
            "Give the identity file of one of its recipients: -e restore_identity_file=...",
            code="encryption.no-identity",
        )
    target = scratch / chosen.dump.name.removesuffix(encryption.SUFFIX)
    with encryption.decrypted(chosen.dump, request.identity) as source, target.open("xb") as out:
        target.chmod(0o600)
        shutil.copyfileobj(source, out, files.BLOCK_BYTES)
    return target
