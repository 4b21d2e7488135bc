# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from ansible.module_utils.pmsops.common import process_lock
from ansible.module_utils.pmsops.common.errors import OpsError

HOLD = """
import fcntl, os, sys
f = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT)
fcntl.flock(f, fcntl.LOCK_EX)
print("held", flush=True)
sys.stdin.read()
"""


def test_a_second_run_fails_at_once_and_says_who_holds_the_lock(tmp_path):
    path = tmp_path / "backup.lock"
    with (
        process_lock.exclusive(path, "backup"),
        pytest.raises(OpsError, match=rf"backup, process {os.getpid()} on ") as caught,
        process_lock.exclusive(path, "restore"),
    ):
        pass
    assert caught.value.code == "lock.held"


def test_the_lock_is_free_again_afterwards_even_after_an_error(tmp_path):
    path = tmp_path / "backup.lock"
    with pytest.raises(RuntimeError), process_lock.exclusive(path, "backup"):
        raise RuntimeError
    with process_lock.exclusive(path, "backup"):
        pass


def test_a_killed_holders_lock_is_free(tmp_path):
    path = tmp_path / "backup.lock"
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert holder.stdout.readline() == b"held\n"
    with pytest.raises(OpsError), process_lock.exclusive(path, "backup"):
        pass
    holder.kill()
    holder.communicate()
    with process_lock.exclusive(path, "backup"):
        pass


def test_a_process_is_told_from_a_later_one_with_its_number():
    here = process_lock.this_process()
    assert process_lock.ProcessId.parse(here.text()) == here
    # In a container with the machine's own name no process of the machine can be seen.
    assert here.host.endswith(f"/{Path('/proc/self/ns/pid').stat().st_ino}")
    assert here.alive()
    assert not replace(here, started_ticks=here.started_ticks + 1).alive()
    assert not replace(here, boot="another").alive()
    assert not replace(here, pid=2**22 + 1).alive()
    assert replace(here, host="elsewhere").alive()


@pytest.mark.parametrize("text", ["", "a b c d", "host 1 2", "host x 2 boot"])
def test_another_text_is_no_process(text):
    assert process_lock.ProcessId.parse(text) is None


def test_the_holder_of_a_lock_is_known_without_touching_it(tmp_path):
    path = tmp_path / "restore.lock"
    assert process_lock.holder_of(path) is None
    with process_lock.exclusive(path, "restore"):
        assert process_lock.holder_of(path) == os.getpid()
    assert process_lock.holder_of(path) is None
