# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Seal a set: checksums, links to files of earlier sets, sync, manifest with signature."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Any

from ansible.module_utils.pmsops.common import files
from ansible.module_utils.pmsops.common.progress import Progress
from ansible.module_utils.pmsops.common.timestamps import utc_stamp
from ansible.module_utils.pmsops.repository import deduplication, manifest, sets, shrinkage

READERS = 2  # files read at once
EARLIER_SETS = 3  # the newest sets whose files may be shared


def seal(
    partial: Path,
    document: dict[str, Any],
    earlier: list[Path],
    *,
    keys: Path,
    progress: Progress,
    now: Callable[[], datetime],
) -> int:
    """Complete *document*, the manifest of the set in *partial*, and write it last.

    Returns the bytes saved by links to files of *earlier* sets. The set before is held if this one
    has lost rows or tables.
    """
    names = sets.walk(partial)
    with (
        progress.phase("checksums", total=len(names), unit="files"),
        ThreadPoolExecutor(max_workers=READERS) as pool,
    ):
        recorded = {}
        read = pool.map(lambda n: _record(partial / n), names)
        for done, (name, entry) in enumerate(zip(names, read, strict=True)):
            recorded[name] = entry
            progress.update(done + 1)
    with progress.phase("deduplicate"):
        saved = deduplication.link(
            partial, recorded, deduplication.known_contents(earlier[-EARLIER_SETS:])
        )
    with progress.phase("sync"):
        for name in names:
            path = partial / name
            path.chmod(0o400)
            files.sync_file(path)
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


def _record(path: Path) -> dict[str, Any]:
    return {"size_bytes": path.stat().st_size, "sha256": files.sha256(path)}
