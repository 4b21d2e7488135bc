# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""What killed backups left behind: parts of sets, sidecars, postponed jobs, scratch databases."""

from __future__ import annotations

import shutil
from pathlib import Path

from ansible.module_utils.pmsops.backup import trial
from ansible.module_utils.pmsops.client_tools import sidecar
from ansible.module_utils.pmsops.common import files
from ansible.module_utils.pmsops.postgresql import timescaledb_postponed_jobs as jobs
from ansible.module_utils.pmsops.postgresql.connection import Database
from ansible.module_utils.pmsops.repository import sets


def clean(root: Path, database: Database, *, copy: bool = False) -> list[str]:
    """Remove what dead runs left behind; whoever calls holds the lock, so all of it is dead.

    A *copy* of the server, at a moment, is thrown away with all that a run changed in it.
    """
    if copy:
        return _parts_of_sets(root)
    cleaned = sidecar.remove_dead() if database.access == "container" else []
    cleaned += _parts_of_sets(root)
    journal = sets.state_folder(root) / jobs.JOURNAL
    cleaned += [f"job {job} put back" for job in jobs.undo(jobs.TimescaleJobs(database), journal)]
    return cleaned + trial.clean(database, root)


def _parts_of_sets(root: Path) -> list[str]:
    cleaned = []
    for leftover in sorted(root.glob(f"{sets.PARTIAL}*")):
        try:
            files.make_removable(leftover)
            shutil.rmtree(leftover)
        except OSError as exc:  # it takes room, and blocks nothing
            cleaned.append(f"{leftover.name} stays: {exc.strerror or exc}")
        else:
            cleaned.append(leftover.name)
    return cleaned
