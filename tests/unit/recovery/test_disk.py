# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""What may go where a disk is short, and that no more goes than is needed."""

from __future__ import annotations

import os
from contextlib import contextmanager

import pytest
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.common.files import usable_bytes
from ansible.module_utils.pmsops.incidents.record import Action
from ansible.module_utils.pmsops.postgresql.connection import Database
from ansible.module_utils.pmsops.recovery.disk import FileSystem, file_systems
from ansible.module_utils.pmsops.recovery.disk_cleanup import Freeable, free, freeable
from ansible.module_utils.pmsops.repository import retention
from ansible.module_utils.pmsops.restore import former_retention as former

DATABASE = Database("127.0.0.1", 1, "fund", "pms_ops", access="host")


@contextmanager
def record(_text):
    yield Action()


class Disk:
    """A disk by the number of its free bytes; removing a thing gives its own back."""

    def __init__(self, free):
        self.free = free

    def thing(self, name, size, *, confirm=False):
        def remove():
            self.free += size

        return Freeable(name, size, remove, confirm)

    def freed(self, wanted, things, **options):
        options = {"confirmed": False, "record": record} | options
        return free("place", wanted, things, room=lambda _path: self.free, **options)


def test_no_more_goes_than_is_needed():
    disk = Disk(10)
    things = [disk.thing("litter", 20), disk.thing("old set", 50), disk.thing("older set", 50)]
    assert disk.freed(60, things) == ["litter", "old set"]


def test_with_room_nothing_goes():
    disk = Disk(100)
    assert disk.freed(60, [disk.thing("litter", 20)]) == []


def test_a_former_database_goes_only_where_that_is_confirmed():
    disk = Disk(0)
    things = [disk.thing("fund__before_1", 99, confirm=True)]
    assert disk.freed(60, things) == []
    assert disk.freed(60, things, confirmed=True) == ["fund__before_1"]


def test_what_cannot_be_noted_for_want_of_room_goes_all_the_same():
    @contextmanager
    def full(_text):
        raise OpsError("no room", "free some", code="incident.unwritable")
        yield

    disk = Disk(0)
    assert disk.freed(60, [disk.thing("litter", 99)], record=full) == ["litter"]


def test_another_error_of_the_notes_is_no_reason_to_go_on():
    @contextmanager
    def broken(_text):
        raise OpsError("it is not there", "make it", code="incident.unreadable")
        yield

    disk = Disk(0)
    with pytest.raises(OpsError):
        disk.freed(60, [disk.thing("litter", 99)], record=broken)
    assert disk.free == 0


def test_litter_of_ours_may_go_and_nobody_elses_files(tmp_path):
    (tmp_path / ".partial-2026-01-01_0600").mkdir()
    (tmp_path / ".partial-2026-01-01_0600" / "toc.dat").write_bytes(b"x" * 100)
    (tmp_path / "somebody.tar").write_bytes(b"x" * 100)
    (tmp_path / "2026-01-02_0600.damaged").mkdir()
    found = freeable(DATABASE, tmp_path, retention.Policy(), former.Policy(), places=["backups"])
    assert [(each.text, each.size_bytes) for each in found] == [
        ("leftovers of a killed backup: .partial-2026-01-01_0600", 100)
    ]
    found[0].remove()
    assert sorted(path.name for path in tmp_path.iterdir() if path.name != ".pms-ops") == [
        "2026-01-02_0600.damaged",
        "somebody.tar",
    ]


def test_places_on_one_file_system_are_one(tmp_path):
    (found,) = file_systems({"backups": tmp_path, "evidence": tmp_path / "not" / "yet"})
    assert set(found.places) == {"backups", "evidence"}


def test_a_share_is_of_what_is_there_for_all_but_root_as_df_counts():
    # 252 blocks, 103 of them not used, 26 of these reserved: 77 free of 226.
    found = os.statvfs_result((4096, 1, 252, 103, 77, 10, 5, 5, 0, 255))
    assert usable_bytes(found) == 226


def test_it_says_when_a_disk_is_full_and_by_what():
    system = FileSystem(1, {}, 1000, 100, growth={"sets": 10.0, "databases": 40.0})
    system.basis.append("a straight line")
    assert system.days_left == 2.0
    assert system.free_percent == 10.0
    assert "full in 2.0 days" in system.describe() and "a straight line" in system.describe()


def test_without_growth_nothing_is_foretold():
    assert FileSystem(1, {}, 1000, 100).days_left is None
