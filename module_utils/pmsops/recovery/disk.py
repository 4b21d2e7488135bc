# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The file systems that this system lives on: their room, what grows on them, what may go.

What may go is ours and replaceable: litter of runs that died, sets that the retention policy lets
go, and, only where that is confirmed, databases that restores have put aside. The newest set, the
newest verified one and everybody else's files are never among it.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from ansible.module_utils.pmsops.client_tools import sidecar
from ansible.module_utils.pmsops.common import files
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.common.files import usable_bytes
from ansible.module_utils.pmsops.common.progress import size as human
from ansible.module_utils.pmsops.incidents.record import Action, ActionRecorder
from ansible.module_utils.pmsops.postgresql.connection import Database
from ansible.module_utils.pmsops.repository import deduplication, manifest, retention, sets
from ansible.module_utils.pmsops.repository.growth import growth_bytes_per_day
from ansible.module_utils.pmsops.restore import former_retention as former
from ansible.module_utils.pmsops.restore import registry as beside
from ansible.module_utils.pmsops.restore import scratch
from ansible.module_utils.pmsops.restore import staging_database as side

DAY_SECONDS = 86400.0
BACKUPS, DATABASE = "backups", "database"


@dataclass
class FileSystem:
    """A file system: its number, what of ours is on it, and its room in bytes."""

    device: int
    places: dict[str, Path]
    total_bytes: int
    free_bytes: int
    inodes_free_percent: float = 100.0
    # What each thing on it grows by in a day, and where that is taken from.
    growth: dict[str, float] = field(default_factory=dict)
    basis: list[str] = field(default_factory=list)

    @property
    def free_percent(self) -> float:
        """Return the share that is free, in percent."""
        return round(100 * self.free_bytes / self.total_bytes, 1) if self.total_bytes else 0.0

    @property
    def days_left(self) -> float | None:
        """Return when it is full at today's growth, None where nothing is known to grow."""
        growing = sum(self.growth.values())
        return round(self.free_bytes / growing, 1) if growing > 0 else None

    def text(self) -> str:
        """Return all of it in a line."""
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


@dataclass(frozen=True)
class Freeable:
    """Something that may go: what it is, why, about how much, and what removes it."""

    text: str
    size_bytes: int
    remove: Callable[[], None]
    confirm: bool = False


def file_systems(places: dict[str, Path]) -> list[FileSystem]:
    """Return the file systems of *places*, each once; what is to be made counts already."""
    found: dict[int, FileSystem] = {}
    for name, wanted in places.items():
        path = next((each for each in (wanted, *wanted.parents) if each.exists()), None)
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
        found[device].places[name] = wanted
    return list(found.values())


def add_growth(found: list[FileSystem], backup_root: Path) -> None:
    """Say of each file system what grows on it: the sets, and the database as the sets saw it."""
    documents = []
    for folder in sets.listed(backup_root):
        try:
            documents.append(manifest.read(folder))
        except OpsError:
            continue
    taken = [datetime.fromisoformat(each["snapshot_at"]) for each in documents]
    days = (taken[-1] - taken[0]).total_seconds() / DAY_SECONDS if len(taken) > 1 else 0.0
    for each in found:
        if len(taken) < 2:
            if {BACKUPS, DATABASE} & set(each.places):
                each.basis.append("fewer than two sets: nothing says how fast it fills")
            continue
        basis = f"a straight line through {len(taken)} sets of {days:.1f} days"
        if BACKUPS in each.places:
            each.growth["sets"] = growth_bytes_per_day(backup_root)
        if DATABASE in each.places:
            sizes = [document["server"]["size_bytes"] for document in documents]
            each.growth["databases"] = max(sizes[-1] - sizes[0], 0) / max(days, 1.0)
        if each.growth:
            each.basis.append(basis)


def growing(database: Database, log_root: Path) -> list[str]:
    """Return the largest things on the database's file system, as far as they can be seen."""
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
            lines.append(f"write-ahead log: {human(int(cursor.fetchone()[0]))}")
    except Exception as exc:  # noqa: BLE001 -- it only adds to what is said
        lines.append(f"the databases cannot be asked for their size ({type(exc).__name__})")
    logs = []
    for path in log_root.glob("*/*-json.log"):
        try:
            logs.append((path.stat().st_size, path.parent.name[:12]))
        except OSError:
            continue
    lines += [f"log of container {name}: {human(size)}" for size, name in sorted(logs)[-3:][::-1]]
    return lines


def freeable(
    database: Database,
    backup_root: Path,
    policy: retention.Policy,
    formers: former.Policy,
    *,
    places: Iterable[str],
) -> list[Freeable]:
    """Return what may go from a file system that holds *places*, the safest first.

    Whoever calls holds the locks of backups and restores, or litter may be a run that lives.
    """
    found: list[Freeable] = []
    if BACKUPS in places:
        found += [
            Freeable(f"litter of a backup that died: {path.name}", _bytes(path), _remover(path))
            for path in sorted(backup_root.glob(f"{sets.PARTIAL}*"))
        ]
        found += [
            Freeable(f"litter of a restore that died: {path.name}", _bytes(path), _remover(path))
            for path in scratch.left(backup_root)
            if backup_root in path.parents
        ]
        found += [
            Freeable(
                f"set {folder.name}, which the retention policy lets go",
                deduplication.own_bytes(folder),
                _set_remover(folder),
            )
            for folder in retention.expired(backup_root, policy)
        ]
    if DATABASE in places:
        if database.access == "container":
            found.append(Freeable("sidecars of runs that died", 0, _sidecars))
        found += _formers(database, formers)
    return found


def free(
    place: Path,
    wanted_bytes: int,
    found: list[Freeable],
    *,
    confirmed: bool,
    record: ActionRecorder,
    room: Callable[[Path], int] = lambda path: shutil.disk_usage(path).free,
) -> list[str]:
    """Remove what may go until *wanted_bytes* are free at *place*, no more; return what went."""
    gone = []
    for each in found:
        before = room(place)
        if before >= wanted_bytes:
            break
        if each.confirm and not confirmed:
            continue
        with _noted(record, f"Remove {each.text}") as action:
            each.remove()
            action.result = f"{human(max(room(place) - before, 0))} freed"
        gone.append(each.text)
    return gone


@contextmanager
def _noted(record: ActionRecorder, text: str) -> Iterator[Action]:
    """Write an action down, unless there is no room for that: it is here to make some."""
    with ExitStack() as stack:
        try:
            action = stack.enter_context(record(text))
        except OpsError as exc:
            if exc.code != "incident.unwritable":
                raise
            action = Action()
        yield action


def _formers(database: Database, policy: former.Policy) -> list[Freeable]:
    """Return the databases put aside that may go, oldest first: never the newest of them.

    A server that is down has none to name.
    """
    policy = former.Policy(max(policy.count, 1), policy.days)
    try:
        found = beside.of(beside.present(database), database.name, beside.FORMER, beside.UNDONE)
        with database.session(name=database.maintenance_name, read_only=True) as cursor:
            cursor.execute("SELECT datname, pg_database_size(oid) FROM pg_database")
            sizes = dict(cursor.fetchall())
    except Exception:  # noqa: BLE001 -- the scenario database is about that
        return []
    gone = former.expired(found, policy, datetime.now(UTC))

    def remover(name: str) -> Callable[[], None]:
        return lambda: side.drop(database, name)

    return [
        Freeable(
            f"database {name}, put aside by a restore",
            int(sizes.get(name, 0)),
            remover(name),
            confirm=True,
        )
        for name in gone
    ]


def _remover(path: Path) -> Callable[[], None]:
    def work() -> None:
        files.make_removable(path)
        shutil.rmtree(path)

    return work


def _set_remover(folder: Path) -> Callable[[], None]:
    def work() -> None:
        files.make_removable(folder)
        retention.remove(folder)

    return work


def _sidecars() -> None:
    sidecar.remove_dead()


def _bytes(path: Path) -> int:
    """Return what a folder's own files take: those that others link to stay."""
    return sum(
        each.lstat().st_size
        for each in path.rglob("*")
        if each.is_file() and not each.is_symlink() and each.lstat().st_nlink == 1
    )
