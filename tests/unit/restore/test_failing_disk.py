# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""A disk that is full, read-only or broken, from each write of a restore or swap on."""

from __future__ import annotations

import errno
import os

import pytest
from ansible.module_utils.pmsops.common import file_system, files
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.restore import journal as journal_module
from ansible.module_utils.pmsops.restore.journal import Journal

from tests.unit.restore.conftest import FORMER_OID, LIVE, LIVE_OID, SERVICES, STAGING, STAGING_OID
from tests.unit.restore.test_killed_swaps import nothing_is_left, works

CODES = {
    errno.ENOSPC: "disk.full",
    errno.EDQUOT: "disk.full",
    errno.EROFS: "disk.read-only",
    errno.EIO: "disk.error",
}
ERRORS = pytest.mark.parametrize("number", CODES, ids=errno.errorcode.get)


class Disk:
    """Counts the writes of a run, and refuses them from one on."""

    def __init__(self, monkeypatch):
        self.number = errno.EIO
        self.good = None
        self.writes = 0
        # Writes in place need no room: a full disk refuses only those that make a file.
        for name in ("replace", "overwrite"):
            monkeypatch.setattr(files, name, self._failing(getattr(files, name), name))
        monkeypatch.setattr(Journal, "close", self._closing(Journal.close))

    def _failing(self, real, name):
        def work(path, content, **options):
            if not (name == "overwrite" and self.number in file_system.FULL):
                self._write(path)
            return real(path, content, **options)

        return work

    def _closing(self, real):
        def work(journal):
            if self.refuses() and self.number not in file_system.FULL:
                journal.problems.append("cannot be removed")
                journal.state = {}
            else:
                real(journal)

        return work

    def refuses(self):
        return self.good is not None and self.writes >= self.good

    def _write(self, path):
        if self.refuses():
            raise OSError(self.number, os.strerror(self.number), str(path))
        self.writes += 1

    def fails_from(self, good, number):
        self.good, self.number, self.writes = good, number, 0

    def mended(self):
        self.good, self.writes = None, 0


@pytest.fixture
def disk(scene_of, monkeypatch):
    """The disk of the backup sets, after scene_of has put its own points to die at."""
    return Disk(monkeypatch)


def ended(scene, state, incoming):
    """Run; return the code of its error, None without one."""
    try:
        scene.run(state, incoming)
    except OpsError as exc:
        return exc.code
    return None


def alive(scene, oid):
    """See that the PMS works on database *oid*, whatever the next run has to clean up."""
    live = scene.server.databases[LIVE]
    assert (live.oid, live.open, live.read_only, live.scheduler) == (oid, True, None, True)
    assert scene.up == set(SERVICES)


@ERRORS
@pytest.mark.parametrize(
    ("state", "incoming", "problems", "new"),
    [
        ("swapped", STAGING, [], STAGING_OID),
        ("swapped", STAGING, ["the PMS does not answer"], STAGING_OID),
        ("rolled_back", None, [], FORMER_OID),
    ],
    ids=["swap", "swap that goes back", "rollback"],
)
def test_a_failing_disk_never_leaves_the_pms_down(
    scene_of, disk, number, state, incoming, problems, new
):
    codes = set()
    for good in range(30):
        scene = scene_of(staged=state == "swapped", former=state == "rolled_back")
        scene.problems += problems
        disk.fails_from(good, number)
        code = ended(scene, state, incoming)
        codes.add(code)
        alive(scene, LIVE_OID if code else new)
        finished = not disk.refuses()
        disk.mended()
        scene.problems.clear()
        scene.recover()
        works(scene, LIVE_OID if code else new)
        nothing_is_left(scene)
        if finished:
            break
    else:
        pytest.fail("the run writes more often than this test counts")
    # The swap of a staging database has its room since the restore began.
    refused = set() if number in file_system.FULL and state == "swapped" else {CODES[number]}
    assert codes == refused | {"restore.probe" if problems else None}


@pytest.mark.parametrize("state", ["swapped", "rolled_back"])
def test_a_disk_that_fills_up_after_the_room_was_taken_stops_no_swap(scene_of, disk, state):
    scene = scene_of(staged=state == "swapped", former=state == "rolled_back")
    scene.journal().reserve()
    disk.fails_from(0, errno.ENOSPC)
    assert scene.run(state, STAGING if state == "swapped" else None)["changed"]
    nothing_is_left(scene)


def test_what_the_journal_lacks_after_a_good_swap_is_a_warning(scene_of, disk, monkeypatch):
    scene = scene_of(staged=True)
    record = Journal.record

    def broken_later(journal, step, **facts):
        if step == "open":
            disk.fails_from(0, errno.EIO)
        record(journal, step, **facts)

    monkeypatch.setattr(Journal, "record", broken_later)
    done = scene.run("swapped", STAGING)
    assert done["changed"]
    assert "Step 'open' is not in the journal" in done["warnings"][0]


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        ConnectionError("the engine's socket is gone"),
        RuntimeError("docker.errors.APIError"),
        KeyboardInterrupt(),
    ],
    ids=lambda each: type(each).__name__,
)
@pytest.mark.parametrize("step", ["stop worker", "rename"])
def test_whatever_is_raised_in_a_swap_the_services_run_again(scene_of, step, error):
    scene = scene_of(staged=True)
    if step == "rename":

        def broken(statement):
            if "RENAME" in statement:
                scene.server.before = lambda _statement: None
                raise error

        scene.server.before = broken
    else:
        scene.broken[step] = error
    with pytest.raises((OpsError, type(error))):
        scene.run("swapped", STAGING)
    alive(scene, LIVE_OID)
    scene.broken.clear()
    scene.recover()
    works(scene, LIVE_OID)
    nothing_is_left(scene)


def test_a_service_that_fails_in_an_unknown_way_does_not_keep_the_next_step_away(scene_of):
    """The workers could not be asked for: the services are started all the same."""
    scene = scene_of(staged=True)
    failures = [ConnectionError("reset")]

    def broken(statement):
        if "NOT datallowconn" in statement and failures:
            raise failures.pop()

    scene.server.before = broken
    scene.problems.append("not yet")
    with pytest.raises(OpsError, match="open: ConnectionError: reset") as caught:
        scene.run("swapped", STAGING)
    assert caught.value.code == "restore.probe"
    works(scene, LIVE_OID)


def test_the_room_is_larger_than_any_journal_of_a_swap(scene_of):
    scene = scene_of(staged=True)
    scene.server.databases[LIVE].comment = "c" * 2000
    scene.run("swapped", STAGING)
    room = scene.journal_file.with_name(journal_module.ROOM)
    assert room.stat().st_size == 2 * journal_module.SLOT_BYTES
    assert max(len(line.strip()) for line in room.read_text().splitlines()) < 12_000
