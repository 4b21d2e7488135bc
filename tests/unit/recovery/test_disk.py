# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""What may go where a disk is short, and that no more goes than is needed."""

from __future__ import annotations

import os
from contextlib import contextmanager

import pytest
from ansible.module_utils.pmsops.common import process_lock
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.common.files import usable_bytes
from ansible.module_utils.pmsops.incidents.record import Action
from ansible.module_utils.pmsops.postgresql.connection import Database
from ansible.module_utils.pmsops.recovery import disk
from ansible.module_utils.pmsops.recovery.disk import FileSystem, add_growth, file_systems
from ansible.module_utils.pmsops.recovery.disk_cleanup import (
    Freeable,
    Policy,
    free,
    freeable,
    make_room,
)
from ansible.module_utils.pmsops.repository import retention, sets, warm_note
from ansible.module_utils.pmsops.restore import former_retention, warm_copy

from tests.support.backup_sets import make_set
from tests.support.fake_server import Server
from tests.support.recorded_database import RecordedDatabase

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


def test_what_cannot_be_removed_does_not_keep_the_others():
    """A former database with a logical slot is kept and named, and cleaning goes on."""
    disk = Disk(10)
    told = []

    def refuse():
        raise OpsError("was not dropped, because of its slot cdc", "Drop it.", code="x.y")

    @contextmanager
    def noted(_text):
        action = Action()
        yield action
        told.append(action.result)

    things = [Freeable("former database a", 50, refuse, False), disk.thing("old set", 50)]
    assert disk.freed(60, things, record=noted) == ["old set"]
    assert "its slot cdc" in told[0] and "Drop it." in told[0]


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
    found = freeable(
        DATABASE, tmp_path, retention.Policy(), former_retention.Policy(), places=["backups"]
    )
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


# --- make_room ------------------------------------------------------------------------------------

MARK = 'pms-ops: {{"is": "former", "of": "fund", "since": "2026-01-0{0}T06:00:00+00:00"}}'


def server_with_formers(count):
    """Return a server with so many former databases, the oldest first."""
    databases = [
        (f"fund__before_2026010{number}060000", number, False, MARK.format(number))
        for number in range(1, count + 1)
    ]
    sizes = [(name, 1000 * number) for name, number, *_rest in databases]
    return RecordedDatabase(
        {"shobj_description": databases, "SELECT datname, pg_database_size": sizes}
    )


@pytest.fixture
def sets_of_a_week(tmp_path):
    root = tmp_path / "backups"
    for day in range(1, 8):
        make_set(root, tmp_path / "keys", f"2026-01-0{day}_0600")
    return root


def policy(root, database=DATABASE, **changes):
    options = {
        "free_percent": 50.0,
        "sets": retention.Policy(2, 0, 0, 0),
        "formers": former_retention.Policy(1, 0),
    }
    return Policy(database, root, **(options | changes))


def names(root):
    return sorted(path.name for path in root.iterdir() if path.name != ".pms-ops")


def test_with_enough_space_nothing_is_examined(sets_of_a_week):
    system = FileSystem(1, {"backups": sets_of_a_week}, 1000, 600)
    found = make_room([system], policy(sets_of_a_week), remove=True, record=record)
    assert found == ([], [])
    assert len(names(sets_of_a_week)) == 7


def test_what_may_go_is_listed_and_stays_until_it_is_removed(sets_of_a_week):
    system = FileSystem(1, {"backups": sets_of_a_week}, 10**18, 1)
    removed, removable = make_room([system], policy(sets_of_a_week), remove=False, record=record)
    assert removed == [] and len(names(sets_of_a_week)) == 7
    assert len(removable) == 5
    assert removable[0].startswith("set 2026-01-01_0600, which retention deletes (about ")
    removed, _removable = make_room([system], policy(sets_of_a_week), remove=True, record=record)
    assert len(removed) == 5
    assert names(sets_of_a_week) == ["2026-01-06_0600", "2026-01-07_0600"]


def test_no_backup_and_no_restore_runs_while_space_is_freed(sets_of_a_week):
    system = FileSystem(1, {"backups": sets_of_a_week}, 10**18, 1)
    state = sets.state_folder(sets_of_a_week)
    held = process_lock.exclusive(state / sets.BACKUP_LOCK, "backup")
    with held, pytest.raises(OpsError) as caught:
        make_room([system], policy(sets_of_a_week), remove=True, record=record)
    assert caught.value.code == "lock.held"
    assert len(names(sets_of_a_week)) == 7


@pytest.mark.parametrize("keep", [0, 1])
def test_former_databases_go_only_if_confirmed_and_never_the_newest(sets_of_a_week, keep):
    database = server_with_formers(3)
    database.access = "host"
    system = FileSystem(1, {"database": sets_of_a_week}, 10**18, 1)
    limits = policy(sets_of_a_week, database, formers=former_retention.Policy(keep, 0))
    removed, removable = make_room([system], limits, remove=True, record=record)
    assert removed == []
    assert removable == [
        "former database fund__before_20260101060000 (about 1.0 kB, only with confirm=)",
        "former database fund__before_20260102060000 (about 2.0 kB, only with confirm=)",
    ]


@pytest.fixture
def server_with_a_warm_copy(sets_of_a_week):
    """Give a server in memory with the warm copy of the oldest set."""
    server = Server("fund")
    mark = {"is": "warm", "of": "fund", "since": "2026-01-01T07:00:00Z", "set": "2026-01-01_0600"}
    server.add("fund__warm_20260101070000", 50, mark, open=False)
    warm_copy.note(server.database("fund"), sets_of_a_week)
    assert warm_note.read(sets_of_a_week)["set"] == "2026-01-01_0600"
    return server


def test_the_warm_copy_goes_before_any_set_and_needs_no_confirmation(
    sets_of_a_week, server_with_a_warm_copy
):
    server = server_with_a_warm_copy
    places = {"database": sets_of_a_week, "backups": sets_of_a_week}
    system = FileSystem(1, places, 10**18, 1)
    limits = policy(sets_of_a_week, server.database("fund"))
    removed, removable = make_room([system], limits, remove=True, record=record)
    warm = "warm copy fund__warm_20260101070000 of set 2026-01-01_0600"
    assert removed[0] == warm and removable[0] == f"{warm} (about 1.0 kB)"
    assert removed[1].startswith("set 2026-01-01_0600")
    assert list(server.databases) == ["fund"]
    assert warm_note.read(sets_of_a_week) is None


def test_a_set_on_another_disk_takes_its_warm_copy_along(sets_of_a_week, server_with_a_warm_copy):
    server = server_with_a_warm_copy
    system = FileSystem(1, {"backups": sets_of_a_week}, 10**18, 1)
    limits = policy(sets_of_a_week, server.database("fund"))
    removed, _removable = make_room([system], limits, remove=True, record=record)
    assert all(each.startswith("set ") for each in removed)
    assert list(server.databases) == ["fund"]


def test_a_server_that_is_down_has_no_former_databases(sets_of_a_week):
    found = freeable(
        DATABASE,
        sets_of_a_week,
        retention.Policy(),
        former_retention.Policy(1, 0),
        places=["database"],
    )
    assert found == []


# --- growth ---------------------------------------------------------------------------------------


def test_growth_needs_two_sets(tmp_path):
    system = FileSystem(1, {"backups": tmp_path}, 1000, 100)
    add_growth([system], tmp_path)
    assert system.growth == {} and system.basis == ["fewer than two sets: growth unknown"]


def test_growth_is_taken_from_the_sets(tmp_path):
    root = tmp_path / "backups"
    for day in range(1, 8):
        name = f"2026-01-0{day}_0600"
        make_set(root, tmp_path / "keys", name, server={"size_bytes": 100 * day})
    system = FileSystem(1, {"database": root}, 10_000, 1_000)
    add_growth([system], root)
    assert system.growth == {"databases": 100.0}
    assert system.days_left == 10.0
    assert system.basis == ["a straight line through 7 sets of 6.0 days"]


def test_the_largest_data_is_named(tmp_path):
    log = tmp_path / "0123456789abcdef" / "0123456789abcdef-json.log"
    log.parent.mkdir()
    log.write_bytes(b"x" * 3000)
    database = RecordedDatabase({"pg_database": [("fund", 2_000_000)], "pg_ls_waldir": [(5_000,)]})
    assert disk.growing(database, tmp_path) == [
        "database fund: 2.0 MB",
        "write-ahead log: 5.0 kB",
        "log of container 0123456789ab: 3.0 kB",
    ]
    lines = disk.growing(DATABASE, tmp_path / "none")
    assert lines == ["the databases cannot be asked for their size (OpsError)"]
