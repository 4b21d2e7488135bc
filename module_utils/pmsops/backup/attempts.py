# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Dump again, under a new snapshot, if another session changed a table at the wrong moment.

pg_dump's workers lock each table when they reach it, without waiting: a session that changes one
of them meanwhile ends the dump. One process locks all tables in its first moments, so only these
count: later attempts have it started before they take their snapshot. A lost attempt frees the
other session, so the next one follows at once: it has the most time before that session's next
change.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import psycopg2
from ansible.module_utils.pmsops.common import files
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.postgresql import table_locks

READERS = 2  # connections that fingerprint beside pg_dump's workers
ATTEMPTS = 12
AS_ASKED = 2  # attempts with the processes that the settings ask for

Made = TypeVar("Made")


@dataclass(frozen=True)
class Attempt:
    """One attempt at a dump."""

    number: int
    # Processes of pg_dump, and connections that read beside them.
    jobs: int
    readers: int

    @property
    def quick(self) -> bool:
        """Tell whether pg_dump is started before the snapshot is taken."""
        return self.number > AS_ASKED


def plan(jobs: int) -> list[Attempt]:
    """Return the attempts, in order: as asked, then with one process and one reader."""
    return [
        Attempt(number, jobs if number <= AS_ASKED else 1, READERS if number <= AS_ASKED else 1)
        for number in range(1, ATTEMPTS + 1)
    ]


def until_won(
    jobs: int, folder: Path, dump: Callable[[Attempt], Made], warnings: list[str]
) -> Made:
    """Return what *dump* makes in *folder*, which is emptied before each further attempt.

    :raises OpsError: database.locked if the last attempt lost its race too; others at once.
    """
    cause = ""
    for attempt in plan(jobs):
        try:
            made = dump(attempt)
        except (OpsError, psycopg2.Error) as exc:
            if not table_locks.is_lost(exc):
                raise
            cause = " ".join(str(exc).split())
            empty(folder)
            continue
        if cause:
            warnings.append(
                f"Attempt {attempt.number} made the dump, with {attempt.jobs} processes: another"
                f" session changes tables meanwhile ({cause})"
            )
        return made
    raise OpsError(
        f"{ATTEMPTS} attempts at a dump lost a race for locks; the last one: {cause}",
        table_locks.REMEDY,
        code="database.locked",
    )


def empty(folder: Path) -> None:
    """Delete what is in *folder*."""
    for path in folder.iterdir():
        files.make_removable(path)
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
