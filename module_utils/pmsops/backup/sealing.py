# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Seal a set: checksums, links to files of earlier sets, sync, manifest with signature."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

from ansible.module_utils.pmsops.common import files, in_parallel
from ansible.module_utils.pmsops.common.pairs import together
from ansible.module_utils.pmsops.common.progress import Progress
from ansible.module_utils.pmsops.common.timestamps import utc_stamp
from ansible.module_utils.pmsops.repository import deduplication, manifest, shrinkage

READERS = 2  # files read at once
WRITERS = 8  # files flushed to the disk at once
SHOWN = 5
EARLIER_SETS = 3  # the newest sets whose files may be shared


def seal(
    partial: Path,
    document: dict[str, Any],
    earlier: list[Path],
    *,
    keys: Path,
    progress: Progress,
    now: Callable[[], datetime],
    max_shared: int = 0,
    warnings: list[str] | None = None,
) -> int:
    """Complete *document*, the manifest of the set in *partial*, and write it last.

    Returns the bytes saved by links to files of *earlier* sets. The set before is held if this one
    has lost rows or tables.
    """
    names = files.walk(partial)
    with progress.phase("checksums", total=len(names), unit="files"):
        recorded = {}
        read = in_parallel.each(lambda n: _record(partial / n), names, READERS)
        for done, (name, entry) in enumerate(together(names, read)):
            recorded[name] = entry
            progress.update(done + 1)
    with progress.phase("deduplicate"):
        damaged: list[Path] = []
        known = deduplication.known_contents(earlier[-EARLIER_SETS:])
        saved = deduplication.link(partial, recorded, known, max_shared=max_shared, damaged=damaged)
        if damaged and warnings is not None:
            warnings.append(_damage(partial, damaged))
    with progress.phase("sync"):
        # A journal writes what waits for it at once, so many threads take the time of few writes.
        for _ in in_parallel.each(lambda n: _keep(partial / n), names, WRITERS):
            pass
        for folder in [partial, *(p for p in partial.rglob("*") if p.is_dir())]:
            files.sync_folder(folder)
    document["files"] = recorded
    document["finished_at"] = utc_stamp(now())
    document["phases"] = dict(progress.seconds)
    document["totals"] = {
        "rows": manifest.rows(document),
        "tables": len(document["contents"]),
        "files": len(recorded),
        "bytes": sum(entry["size_bytes"] for entry in recorded.values()),
        "saved_bytes": saved,
        "database_bytes": document["server"]["size_bytes"],
    }
    document[shrinkage.FLAG] = shrinkage.record(
        partial.parent, document, bytes_after=document["totals"]["bytes"]
    )
    with progress.phase("manifest"):
        manifest.write(partial, document, keys)
    return saved


def _damage(partial: Path, damaged: list[Path]) -> str:
    """Return what an operator has to know of files of earlier sets that this backup has sound."""
    root = partial.parent
    sets_of = sorted({path.relative_to(root).parts[0] for path in damaged})
    sharing = max((path.lstat().st_nlink - 1 for path in damaged if path.is_file()), default=0)
    shared = f" and up to {sharing} more sets that share a file with them" if sharing > 0 else ""
    return (
        f"Damaged in {', '.join(sets_of)}{shared}: {', '.join(map(str, damaged[:SHOWN]))}"
        + (f" and {len(damaged) - SHOWN} more" if len(damaged) > SHOWN else "")
        + ". This set has the content once more: playbooks/dr_bad_backup.yml mends them from it."
        " Look for errors of the disk (dmesg, smartctl)."
    )


def _record(path: Path) -> dict[str, Any]:
    return {"size_bytes": path.stat().st_size, "sha256": files.sha256(path)}


def _keep(path: Path) -> None:
    files.set_mode(path, 0o400)
    files.sync_file(path)
