# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""A disk that is short of room: which base backups go before their time, and which never."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from ansible.module_utils.pmsops.pitr import archive_room, engine
from ansible.module_utils.pmsops.pitr.archive_room import Policy

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)
GB = 1 << 30
POLICY = Policy(free_percent=10, floor_days=7, full_backups=2)


def base(days: int, kind: str = engine.FULL, gb: int = 5, wal_gb: int = 1) -> engine.BaseBackup:
    name = f"{'F' if kind == engine.FULL else 'I'}{days:02d}"
    at = NOW - timedelta(days=days)
    return engine.BaseBackup(name, kind, engine.DONE, at, gb * GB, wal_bytes=wal_gb * GB)


def held(*backups: engine.BaseBackup, free_gb: int = 4, disk_gb: int = 100) -> engine.Info:
    return engine.Info(
        backups, (), None, receiving=True, free_bytes=free_gb * GB, disk_bytes=disk_gb * GB
    )


WEEKS = (base(22), base(21, engine.INCREMENTAL, 1), base(15), base(8), base(1))


class Archive:
    """An archive from which chains go."""

    def __init__(self, info: engine.Info) -> None:
        self.info = info
        self.gone: list[str] = []

    def let_go(self, backup: str) -> None:
        chain = next(each for each in archive_room.chains(self.info) if each.full.id == backup)
        self.gone += chain.ids
        left = tuple(each for each in self.info.backups if each.id not in chain.ids)
        free = (self.info.free_bytes or 0) + chain.size_bytes
        self.info = replace(self.info, backups=left, free_bytes=free)

    def make_room(self, proved: str | None = None, **options: object) -> Sequence[str]:
        given = {"check": False} | options
        return archive_room.make(lambda: self.info, self.let_go, POLICY, proved, NOW, **given)


def test_nothing_goes_while_there_is_room():
    archive = Archive(held(*WEEKS, free_gb=10))
    assert archive.make_room() == [] and archive.gone == []


def test_the_oldest_goes_with_its_increments_and_it_is_said_what_cannot_be_had_then():
    archive = Archive(held(*WEEKS, free_gb=4))
    (step,) = archive.make_room()
    assert archive.gone == ["F22", "I21"]  # 6 + 2 GB: enough
    assert "F22 with 1 increment go" in step and "No moment before 2026-11-14T12:00:00Z" in step


def test_a_check_says_the_same_and_changes_nothing():
    archive = Archive(held(*WEEKS, free_gb=1, disk_gb=100))
    would = archive.make_room(check=True)
    assert archive.gone == [] and len(would) == 2
    assert len(archive.make_room()) == 2 and archive.gone == ["F22", "I21", "F15"]


def test_the_promised_days_and_the_last_full_backups_stay_however_full_the_disk():
    archive = Archive(held(*WEEKS, free_gb=0, disk_gb=1000))
    archive.make_room()
    assert archive.gone == ["F22", "I21", "F15"]  # F08 leads to all of the last 7 days
    said = archive_room.problem(archive.info, POLICY, None, NOW)
    assert said and "2 full base backups are left, and 2 stay" in said
    young = held(base(9), base(6), base(1), free_gb=0)
    assert archive_room.oldest_to_go(young, POLICY, None, NOW) == (
        None,
        "the window would be shorter than 7 days",
    )


@pytest.mark.parametrize("proved", ["F22", "I21"])
def test_the_last_proved_base_backup_stays(proved):
    archive = Archive(held(*WEEKS, free_gb=0))
    assert archive.make_room(proved) == [] and archive.gone == []
    assert proved in (archive_room.problem(archive.info, POLICY, proved, NOW) or "")


def test_a_base_backup_that_is_not_complete_takes_no_place():
    waiting = replace(base(8), status=engine.WAITING)
    archive = Archive(held(base(22), waiting, base(1), free_gb=0))
    assert archive.make_room() == []


def test_the_room_of_the_next_base_backup_is_made_too():
    archive = Archive(held(*WEEKS, free_gb=11))
    assert archive.make_room(needed=15 * GB)
    assert archive.gone == ["F22", "I21"]


def test_without_a_share_nothing_goes_before_its_time():
    info = held(*WEEKS, free_gb=0)
    assert not archive_room.short(info, Policy(free_percent=0), needed=GB)
    assert archive_room.problem(info, Policy(free_percent=0), None, NOW) is None


def test_what_the_next_run_lets_go_is_no_problem():
    assert archive_room.problem(held(*WEEKS, free_gb=1), POLICY, None, NOW) is None


def test_a_disk_of_unknown_room_is_not_short():
    assert not archive_room.short(replace(held(*WEEKS), free_bytes=None), POLICY)


def test_the_last_proved_base_backup_is_that_of_the_newest_good_proof():
    def line(proved: bool, backup: str | None) -> dict[str, object]:
        return {"kind": "proof", "record": {"proved": proved, "base_backup": backup}}

    entries = [line(True, "a"), line(True, "b"), line(True, None), line(False, "c")]
    assert archive_room.last_proved(entries) == "b"
    assert archive_room.last_proved([]) is None
