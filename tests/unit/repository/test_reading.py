# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Sets that are being read: retention and quarantine leave them where they are."""

from __future__ import annotations

import errno
import fcntl
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.repository import quarantine, reading, retention, sets

from tests.support.backup_sets import make_set


@pytest.fixture
def two(tmp_path):
    """The folders of two sets."""
    keys = tmp_path / "keys"
    return [make_set(tmp_path, keys, f"2026-11-{day}_0600") for day in (21, 22)]


def test_retention_deletes_no_set_that_a_restore_reads(two):
    old, new = two
    with reading.held(old), reading.held(old):
        removed, stay = retention.prune(two)
    assert removed == [new.name]
    assert len(stay) == 1 and f"Set {old.name} stays for now" in stay[0]
    sets.check(sets.resolve(old), old.parent / "keys")
    assert retention.prune([old]) == ([old.name], [])
    assert {each.name for each in old.parent.iterdir()} == {"keys", sets.STATE}


def test_a_set_that_is_copied_by_another_program_stays(two):
    """As docs/BACKUPS.md says: ``flock -s SET/manifest.json COMMAND``."""
    manifest = two[0] / "manifest.json"
    command = ["flock", "-s", manifest, "sh", "-c", "echo copying; read line"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as copy:
        copy.stdout.readline()
        with pytest.raises(OpsError, match="is being read") as caught:
            retention.remove(two[0])
        assert caught.value.code == "set.in-use"
        copy.communicate("\n", timeout=20)
    retention.remove(two[0])


def test_a_reader_that_was_killed_holds_nothing(two):
    command = ["flock", "-s", two[0] / "manifest.json", "sh", "-c", "echo reading; kill -9 $$"]
    subprocess.run(command, timeout=20, capture_output=True, check=False)
    retention.remove(two[0])


def test_quarantine_renames_no_set_that_is_being_read(two):
    with reading.held(two[0]), pytest.raises(OpsError) as caught:
        quarantine.set_aside(two[0], "it is damaged", now=datetime(2026, 11, 22, tzinfo=UTC))
    assert caught.value.code == "set.in-use"
    assert two[0].is_dir()
    place = quarantine.set_aside(two[0], "it is damaged", now=datetime(2026, 11, 22, tzinfo=UTC))
    assert place.is_dir() and not two[0].exists()


@pytest.mark.parametrize("made_again", [False, True], ids=["gone", "another of its name"])
def test_a_set_that_goes_while_a_reader_waits_for_it_is_told(two, monkeypatch, made_again):
    real = fcntl.flock

    def flock(descriptor, kind):
        if kind == fcntl.LOCK_SH:
            shutil.rmtree(two[0])
            if made_again:
                make_set(two[0].parent, two[0].parent / "keys", two[0].name)
        real(descriptor, kind)

    monkeypatch.setattr(reading.fcntl, "flock", flock)
    with pytest.raises(OpsError) as caught, reading.held(two[0]):
        pytest.fail("it was read")
    assert caught.value.code == "set.removed"


def test_a_set_that_is_gone_and_a_bare_dump_are_no_errors_of_python(two):
    with pytest.raises(OpsError) as caught, reading.held(Path("/nowhere/2026-11-20_0600")):
        pytest.fail("it was read")
    assert caught.value.code == "set.removed"
    with reading.held(None):
        pass


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EBADF, errno.ENOSYS])
def test_a_file_system_without_locks_reads_and_removes_as_before(two, monkeypatch, number):
    def flock(_descriptor, _kind):
        raise OSError(number, "no locks here")

    monkeypatch.setattr(reading.fcntl, "flock", flock)
    with reading.held(two[0]):
        pass
    retention.remove(two[0])
    assert not two[0].exists()


def test_a_set_is_held_until_its_reader_ends(two):
    with (two[0] / "manifest.json").open() as other:
        with reading.held(two[0]), pytest.raises(BlockingIOError):
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
