# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The logs of the runs: one private file each, the newest kept."""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path

from pmsops_cli.exit_status import COULD_NOT_RUN, Stop
from pmsops_cli.project import state_folder

KEPT = 50


def folder() -> Path:
    """Return the folder of the logs, made private where it is missing.

    :raises Stop: where it cannot be made.
    """
    path = state_folder() / "runs"
    try:
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.chmod(0o700)
    except OSError as exc:
        raise Stop(
            f"{path}, the folder of the logs, cannot be made: {exc.strerror or exc}.",
            "Set XDG_STATE_HOME to a folder that this user may write to.",
            status=COULD_NOT_RUN,
        ) from exc
    return path


def new_log(command: str, now: datetime) -> Path:
    """Make the empty log of a run, readable by its owner alone, and return it."""
    stem = f"{now:%Y-%m-%d_%H%M%S}_{command}"
    for number in range(1, 1000):
        path = folder() / (f"{stem}.log" if number == 1 else f"{stem}-{number}.log")
        try:
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        except FileExistsError:
            continue
        return path
    raise Stop(f"{folder()} is full of logs of this second.", status=COULD_NOT_RUN)


def prune(kept: int = KEPT) -> list[Path]:
    """Delete all but the newest logs; return what went."""
    logs = sorted(folder().glob("*.log"), key=lambda path: (path.stat().st_mtime, path.name))
    gone = logs[:-kept] if kept else logs
    for path in gone:
        path.unlink(missing_ok=True)
    return gone
