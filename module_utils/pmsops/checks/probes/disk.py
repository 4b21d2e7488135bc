# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Measure the free space of a file system on the managed host."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from ansible.module_utils.pmsops.checks.probes import Deadline, Failed, Unanswerable
from ansible.module_utils.pmsops.checks.probes.context import Context, one_line
from ansible.module_utils.pmsops.common.files import usable_bytes
from ansible.module_utils.pmsops.repository import warm_note
from ansible.module_utils.pmsops.services import docker_engine


def ask(params: dict[str, Any], context: Context, deadline: Deadline) -> dict[str, Any]:
    """Return free and total space of the file system that holds the path.

    The warm copies of the sets in *warm_of* count as free: they go first when room is short.
    """
    path = Path(params["path"]).expanduser()
    ours = (context.settings.backup_root, context.settings.evidence_root)
    if (address := docker_engine.elsewhere()) and params["path"] not in ours:
        raise Unanswerable(f"{path} is a folder of {address}, not of this machine")
    if params.get("nearest"):  # for a folder that does not exist yet
        path = next((each for each in (path, *path.parents) if each.exists()), path)
    try:
        found = os.statvfs(path)
    except OSError as exc:
        raise Failed(one_line(exc)) from exc
    free, total = found.f_bavail * found.f_frsize, usable_bytes(found)
    warm = warm_note.read_all(Path(params["warm_of"])) if params.get("warm_of") else []
    kept = sum(int(each["size_bytes"]) for each in warm)
    free = min(free + kept, total)
    return {
        "free_bytes": free,
        "warm_bytes": kept,
        "total_bytes": total,
        "free_percent": round(100 * free / total, 1) if total else 0.0,
        # Some file systems count no inodes, and never run out of them.
        "inodes_free_percent": round(100 * found.f_favail / found.f_files, 1)
        if found.f_files
        else 100.0,
    }
