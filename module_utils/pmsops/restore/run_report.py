# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The result of a restore or a drill, and the note in its set that it was verified."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from ansible.module_utils.pmsops.common.timestamps import from_iso
from ansible.module_utils.pmsops.restore import proof
from ansible.module_utils.pmsops.restore.request import seconds_today

if TYPE_CHECKING:
    from ansible.module_utils.pmsops.restore.run import StagedRestore


def of(
    restore: StagedRestore, began: datetime, duration: float, proved: proof.Proof
) -> dict[str, Any]:
    """Return the facts of the run, and note in the set that it was verified."""
    copies = restore.copies
    snapshot = restore.document.get("snapshot_at")
    size = restore.required.size_bytes
    warnings = [*restore.warnings, *copies.warnings, *proved.warnings]
    # A warm copy says nothing of how long the next restore from the files takes.
    there = copies.used or copies.former
    measured = None if there else duration
    warnings += proof.noted(restore.backup_set, proved, measured, restore.request)
    return {
        "set": str(restore.backup_set.path),
        "id": restore.backup_set.id,
        "side": restore.staging if restore.kept else None,
        "warm_used": there,
        "warm_kept": copies.kept,
        "phases": restore.progress.seconds,
        "duration_seconds": round(duration, 3),
        "duration_today_seconds": seconds_today(restore.database, duration, size),
        "snapshot_at": snapshot,
        "rpo_seconds": round((began - from_iso(snapshot)).total_seconds(), 3) if snapshot else None,
        "system_identifier": restore.document.get("server", {}).get("system_identifier"),
        "manifest_sha256": restore.backup_set.manifest_sha256,
        "size_bytes": size,
        "notes": [*restore.server.notes, *copies.notes],
        "warnings": warnings,
    }
