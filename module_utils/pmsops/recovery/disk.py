# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The file systems of the system: free space, and how fast they fill."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.common.files import usable_bytes
from ansible.module_utils.pmsops.common.progress import size as human
from ansible.module_utils.pmsops.common.timestamps import from_iso
from ansible.module_utils.pmsops.postgresql.connection import Database
from ansible.module_utils.pmsops.repository import sets
from ansible.module_utils.pmsops.repository.growth import growth_bytes_per_day
from ansible.module_utils.pmsops.repository.moments import Moments

DAY_SECONDS = 86400.0
BACKUPS, DATABASE = "backups", "database"


@dataclass
class FileSystem:
    """A file system: device number, our folders on it, and its space in bytes."""

    device: int
    places: dict[str, Path]
    total_bytes: int
    free_bytes: int
    inodes_free_percent: float = 100.0
    # Growth in bytes a day of each kind of data on it, and how it was estimated.
    growth: dict[str, float] = field(default_factory=dict)
    basis: list[str] = field(default_factory=list)

    @property
    def free_percent(self) -> float:
        """Return the free share in percent."""
        return round(100 * self.free_bytes / self.total_bytes, 1) if self.total_bytes else 0.0

    @property
    def days_left(self) -> float | None:
        """Return the days until it is full at today's growth; None without known growth."""
        growing = sum(self.growth.values())
        return round(self.free_bytes / growing, 1) if growing > 0 else None

    def describe(self) -> str:
        """Return space and growth as one line."""
        line = (
            f"{', '.join(f'{name} ({path})' for name, path in self.places.items())}:"
            f" {human(self.free_bytes)} of {human(self.total_bytes)} free ({self.free_percent} %),"
            f" {self.inodes_free_percent} % of its inodes"
        )
        for name, rate in self.growth.items():
            line += f"; {name} grow by {human(rate)} a day"
        if self.days_left is not None:
            line += f"; full in {self.days_left} days at that rate"
        return line + "".join(f"; {text}" for text in self.basis)


def file_systems(places: dict[str, Path]) -> list[FileSystem]:
    """Return the file systems of *places*, each once; a missing folder counts with its parent."""
    found: dict[int, FileSystem] = {}
    for name, place in places.items():
        path = next((each for each in (place, *place.parents) if each.exists()), None)
        if path is None:
            continue
        device = path.stat().st_dev
        if device not in found:
            room = os.statvfs(path)
            found[device] = FileSystem(
                device,
                {},
                usable_bytes(room),
                room.f_bavail * room.f_frsize,
                round(100 * room.f_favail / room.f_files, 1) if room.f_files else 100.0,
            )
        found[device].places[name] = place
    return list(found.values())


def add_growth(found: list[FileSystem], backup_root: Path) -> None:
    """Add the growth of sets and databases, as the backup sets show it, to each file system."""
    known = []
    moments = Moments(backup_root)
    for folder in sets.listed(backup_root):
        try:
            known.append(moments.facts(folder))
        except OpsError:
            continue
    taken = [from_iso(each["at"]) for each in known]
    days = (taken[-1] - taken[0]).total_seconds() / DAY_SECONDS if len(taken) > 1 else 0.0
    for each in found:
        if len(taken) < 2:
            if {BACKUPS, DATABASE} & set(each.places):
                each.basis.append("fewer than two sets: growth unknown")
            continue
        basis = f"a straight line through {len(taken)} sets of {days:.1f} days"
        if BACKUPS in each.places:
            each.growth["sets"] = growth_bytes_per_day(backup_root)
        if DATABASE in each.places:
            sizes = [each["database_bytes"] for each in known]
            each.growth["databases"] = max(sizes[-1] - sizes[0], 0) / max(days, 1.0)
        if each.growth:
            each.basis.append(basis)


def growing(database: Database, log_root: Path) -> list[str]:
    """Return the largest databases, container logs and the write-ahead log, as far as readable."""
    lines = []
    try:
        with database.session(name=database.maintenance_name, read_only=True, seconds=5) as cursor:
            cursor.execute(
                "SELECT datname, pg_database_size(oid) FROM pg_database"
                " WHERE datallowconn OR datname LIKE %s ORDER BY 2 DESC LIMIT 5",
                (database.name + "%",),
            )
            lines += [f"database {name}: {human(size)}" for name, size in cursor.fetchall()]
            cursor.execute("SELECT coalesce(sum(size), 0) FROM pg_ls_waldir()")
            (size,) = cursor.fetchone() or (0,)
            lines.append(f"write-ahead log: {human(int(size))}")
    except Exception as exc:  # noqa: BLE001 -- it only adds to the report
        lines.append(f"the databases cannot be asked for their size ({type(exc).__name__})")
    logs = []
    for path in log_root.glob("*/*-json.log"):
        try:
            logs.append((path.stat().st_size, path.parent.name[:12]))
        except OSError:
            continue
    lines += [f"log of container {name}: {human(size)}" for size, name in sorted(logs)[-3:][::-1]]
    return lines
