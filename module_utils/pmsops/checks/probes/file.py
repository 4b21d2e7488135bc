# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Inspect a file or a folder on the managed host."""

from __future__ import annotations

import glob
import json
import pwd
import stat
from datetime import datetime
from pathlib import Path
from typing import Any

from ansible.module_utils.pmsops.checks.probes import Deadline, Failed, Unanswerable
from ansible.module_utils.pmsops.checks.probes.context import Context, one_line
from ansible.module_utils.pmsops.common.timestamps import UTC

MAX_BYTES = 1 << 20


def ask(params: dict[str, Any], context: Context, deadline: Deadline) -> dict[str, Any]:
    """Return the state of the path, or of the newest match of the pattern."""
    path = _path(params)
    try:
        status = path.stat()
    except FileNotFoundError:
        return {"exists": False, "path": str(path)}
    except OSError as exc:
        raise Failed(f"{path}: {one_line(exc)}") from exc
    answer = {
        "exists": True,
        "path": str(path),
        "kind": "folder" if stat.S_ISDIR(status.st_mode) else "file",
        "mode": f"{stat.S_IMODE(status.st_mode):04o}",
        "owner": _owner(status.st_uid),
        "size_bytes": status.st_size,
        "age_seconds": round(context.settings.now.timestamp() - status.st_mtime, 1),
        "modified_at": datetime.fromtimestamp(status.st_mtime, UTC).isoformat(),
    }
    try:
        if answer["kind"] == "folder":
            answer["entries"] = sum(1 for _ in path.iterdir())
        elif (read := params.get("read", "none")) != "none":
            answer |= _content(path, read)
    except OSError as exc:
        raise Failed(f"{path} cannot be read: {one_line(exc)}") from exc
    return answer


def _path(params: dict[str, Any]) -> Path:
    if params.get("path"):
        return Path(params["path"]).expanduser()
    pattern = str(Path(params["glob"]).expanduser())
    matches = [Path(name) for name in glob.glob(pattern)]  # noqa: PTH207 -- it may be absolute
    if not matches:
        return Path(params["glob"])
    return max(matches, key=lambda match: match.lstat().st_mtime)


def _content(path: Path, read: str) -> dict[str, Any]:
    if read not in ("text", "json"):
        raise Unanswerable(f"read: {read} is not one of none, text, json")
    with path.open("rb") as stream:
        text = stream.read(MAX_BYTES + 1)
    if len(text) > MAX_BYTES:
        raise Failed(f"{path} is longer than {MAX_BYTES >> 20} MB")
    if read == "text":
        return {"text": text.decode("utf-8", errors="replace")}
    try:
        return {"json": json.loads(text)}
    except ValueError as exc:
        raise Failed(f"{path} is no valid JSON: {one_line(exc)}") from exc


def _owner(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)
