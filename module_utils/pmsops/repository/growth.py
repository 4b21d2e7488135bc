# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""How fast backup sets fill the disk."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from ansible.module_utils.pmsops.common import files
from ansible.module_utils.pmsops.repository import sets

DAY_SECONDS = 86400.0


def growth_bytes_per_day(root: Path) -> float:
    """Return the average bytes per day that new sets added; shared files count once."""
    found = sets.listed(root)
    if not found:
        return 0.0
    seen: set[tuple[int, int]] = set()
    added = []
    for folder in found:
        # What lies on the disk counts: a file may be larger than its manifest says.
        added.append((_taken(folder), _measured(folder, seen)))
    if len(added) == 1:
        return float(added[0][1])  # one set: assume that each day adds one
    days = max((added[-1][0] - added[0][0]).total_seconds() / DAY_SECONDS, 1.0)
    return sum(new for _, new in added[1:]) / days


def _measured(folder: Path, seen: set[tuple[int, int]]) -> int:
    """Return the bytes of the files of a set that are not *seen* yet; they are from then on."""
    new = 0
    for name in files.walk(folder):
        status = (folder / name).stat()
        if (status.st_dev, status.st_ino) not in seen:
            seen.add((status.st_dev, status.st_ino))
            new += status.st_size
    return new


def _taken(folder: Path) -> datetime:
    return datetime.strptime(folder.name[:15], "%Y-%m-%d_%H%M")
