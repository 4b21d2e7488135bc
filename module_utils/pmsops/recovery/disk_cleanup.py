# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""What may be removed from a full disk, safest first, and the removal.

Only replaceable data of this toolkit may be removed: leftovers of killed runs, the warm copy,
backup sets that retention deletes, and, only if confirmed, former databases. The newest set, the
newest verified set and files of other programs always stay.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from ansible.module_utils.pmsops.client_tools import sidecar
from ansible.module_utils.pmsops.common import files, process_lock
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.common.progress import size as human
from ansible.module_utils.pmsops.common.timestamps import UTC
from ansible.module_utils.pmsops.incidents.record import Action, ActionRecorder
from ansible.module_utils.pmsops.postgresql.connection import Database
from ansible.module_utils.pmsops.recovery.disk import BACKUPS, DATABASE, FileSystem
from ansible.module_utils.pmsops.repository import deduplication, retention, sets
from ansible.module_utils.pmsops.restore import (
    database_lock,
    former_retention,
    registry,
    scratch,
    staging_database,
    warm_copy,
    warm_rule,
)

PURPOSE = "freeing of space"


@dataclass(frozen=True)
class Policy:
    """How much space must be free, and what may be removed for it."""

    database: Database
    backup_root: Path
    free_percent: float
    sets: retention.Policy
    formers: former_retention.Policy
    # Whether former databases may be removed too.
    confirmed: bool = False


@dataclass(frozen=True)
class Freeable:
    """Something that may be removed: its text, about its size, and the function that removes it."""

    text: str
    size_bytes: int
    remove: Callable[[], None]
    confirm: bool = False

    def describe(self) -> str:
        """Return the text with its size, and whether it needs a confirmation."""
        note = ", only with confirm=" if self.confirm else ""
        return f"{self.text} (about {human(self.size_bytes)}{note})"


def make_room(
    found: Iterable[FileSystem], policy: Policy, *, remove: bool, record: ActionRecorder
) -> tuple[list[str], list[str]]:
    """Free each file system that is short of space; return what was removed, and what may be.

    Without *remove* only the second list is filled. Holds the locks of backups and restores.

    :raises OpsError: lock.held, incident.*, database.*.
    """
    short = [each for each in found if each.free_percent < policy.free_percent]
    removed: list[str] = []
    removable: list[str] = []
    if not short or not policy.backup_root.is_dir():
        return removed, removable
    state = sets.state_folder(policy.backup_root)
    with (
        process_lock.exclusive(state / sets.BACKUP_LOCK, PURPOSE),
        process_lock.exclusive(state / database_lock.LOCK, PURPOSE),
    ):
        for system in short:
            things = freeable(
                policy.database,
                policy.backup_root,
                policy.sets,
                policy.formers,
                places=system.places,
            )
            removable += [each.describe() for each in things]
            if remove:
                removed += free(
                    next(iter(system.places.values())),
                    int(system.total_bytes * policy.free_percent / 100) + 1,
                    things,
                    confirmed=policy.confirmed,
                    record=record,
                )
    return removed, removable


def freeable(
    database: Database,
    backup_root: Path,
    policy: retention.Policy,
    formers: former_retention.Policy,
    *,
    places: Iterable[str],
) -> list[Freeable]:
    """Return what may be removed from a file system that holds *places*, safest first.

    The caller holds the locks of backups and restores: without them, leftovers may belong to a
    running backup or restore.
    """
    found: list[Freeable] = []
    if BACKUPS in places:
        found += [
            Freeable(f"leftovers of a killed backup: {path.name}", _bytes(path), _remover(path))
            for path in sorted(backup_root.glob(f"{sets.PARTIAL}*"))
        ]
        found += [
            Freeable(f"leftovers of a killed restore: {path.name}", _bytes(path), _remover(path))
            for path in scratch.leftovers(backup_root)
            if backup_root in path.parents
        ]
    if DATABASE in places:
        if database.access == "container":
            found.append(Freeable("sidecars of killed runs", 0, _sidecars))
        found += _warm_copies(database, backup_root)
    if BACKUPS in places:
        found += [
            Freeable(
                f"set {folder.name}, which retention deletes",
                deduplication.own_bytes(folder),
                _set_remover(database, folder),
            )
            for folder in retention.expired(backup_root, policy)
        ]
    if DATABASE in places:
        found += _formers(database, formers)
    return found


def free(
    place: Path,
    target_bytes: int,
    found: list[Freeable],
    *,
    confirmed: bool,
    record: ActionRecorder,
    room: Callable[[Path], int] = lambda path: shutil.disk_usage(path).free,
) -> list[str]:
    """Remove as little of *found* as frees *target_bytes* at *place*; return what was removed."""
    removed = []
    for each in found:
        before = room(place)
        if before >= target_bytes:
            break
        if each.confirm and not confirmed:
            continue
        with _recorded(record, f"Remove {each.text}") as action:
            try:
                each.remove()
            except OpsError as exc:  # it is needed: the next one may not be
                action.result = f"it stays: {exc} {exc.remedy}"
                continue
            action.result = f"{human(max(room(place) - before, 0))} freed"
        removed.append(each.text)
    return removed


@contextmanager
def _recorded(record: ActionRecorder, text: str) -> Iterator[Action]:
    """Record an action, or just do it if the disk is too full to record it."""
    with ExitStack() as stack:
        try:
            action = stack.enter_context(record(text))
        except OpsError as exc:
            if exc.code != "incident.unwritable":
                raise
            action = Action()
        yield action


def _formers(database: Database, policy: former_retention.Policy) -> list[Freeable]:
    """Return the former databases that may be removed, oldest first, never the newest.

    A server that is down has none.
    """
    policy = former_retention.Policy(max(policy.count, 1), policy.days)
    try:
        found = registry.select(
            registry.read_from(database), database.name, registry.FORMER, registry.UNDONE
        )
        with database.session(name=database.maintenance_name, read_only=True) as cursor:
            cursor.execute("SELECT datname, pg_database_size(oid) FROM pg_database")
            sizes = dict(cursor.fetchall())
    except Exception:  # noqa: BLE001 -- the scenario for that is dr_database
        return []
    expired = former_retention.expired(found, policy, datetime.now(UTC))

    def remover(name: str) -> Callable[[], None]:
        return lambda: staging_database.drop(database, name)

    return [
        Freeable(
            f"former database {name}",
            int(sizes.get(name, 0)),
            remover(name),
            confirm=True,
        )
        for name in expired
    ]


def _warm_copies(database: Database, backup_root: Path) -> list[Freeable]:
    """Return the warm copies, a checkpoint's last: its set stays. A server that is down has none.

    The next drill makes a new one.
    """

    def remover(name: str) -> Callable[[], None]:
        def work() -> None:
            staging_database.drop(database, name)
            warm_copy.note(database, backup_root)

        return work

    try:
        copies = warm_copy.listed(database)
        kept = warm_rule.of_checkpoint(copies, backup_root)
        return [
            Freeable(
                f"warm copy {each.name} of {'checkpoint ' if each is kept else ''}set"
                f" {each.mark.get('set')}",
                warm_copy.size_bytes(database, [each]),
                remover(each.name),
            )
            for each in sorted(copies, key=lambda each: each is kept)
        ]
    except Exception:  # noqa: BLE001 -- the scenario for that is dr_database
        return []


def _remover(path: Path) -> Callable[[], None]:
    def work() -> None:
        files.make_removable(path)
        shutil.rmtree(path)

    return work


def _set_remover(database: Database, folder: Path) -> Callable[[], None]:
    def work() -> None:
        retention.remove(folder)
        warm_copy.drop_without_set(database, folder.parent, [folder.name])

    return work


def _sidecars() -> None:
    sidecar.remove_dead()


def _bytes(path: Path) -> int:
    """Return the size of a folder's files without those that other sets link to."""
    return sum(
        each.lstat().st_size
        for each in path.rglob("*")
        if each.is_file() and not each.is_symlink() and each.lstat().st_nlink == 1
    )
