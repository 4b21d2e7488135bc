# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""One drill at a time on a host: between processes, users and systems."""

from __future__ import annotations

import os
import signal
import uuid

import pytest
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.drills import host_lock


@pytest.fixture(autouse=True)
def apart(monkeypatch):
    """Use names of this test's own: drills of other tests run on this machine, too."""
    name = f"pms-test-{uuid.uuid4().hex[:8]}"
    monkeypatch.setattr(host_lock, "NAME", name)
    monkeypatch.setattr(host_lock, "HOLDER", f"{name} of ")


def hold(system: str) -> int:
    """Hold the lock in another process, until it is killed; return its number."""
    ready, told = os.pipe()
    pid = os.fork()
    if pid == 0:
        with host_lock.alone(system, minutes=0):
            os.write(told, b"x")
            signal.pause()
        os._exit(0)
    os.read(ready, 1)
    for each in (ready, told):
        os.close(each)
    return pid


def end(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


def test_a_second_drill_names_the_one_that_runs():
    pid = hold("fund2")
    try:
        with pytest.raises(OpsError) as refused, host_lock.alone("fund3", minutes=0):
            pytest.fail("two drills at once")
    finally:
        end(pid)
    assert refused.value.code == "drill.busy"
    assert f"fund2, process {pid} since 20" in str(refused.value)
    assert "restore_drill_wait_minutes" in refused.value.remedy


def test_it_waits_for_the_end_of_the_other_one_even_if_that_is_killed():
    pid = hold("fund2")
    slept = []

    def sleep(seconds):
        slept.append(seconds)
        if len(slept) == 2:
            end(pid)

    with host_lock.alone("fund3", minutes=1, sleep=sleep):
        assert host_lock.holder().startswith(f"fund3, process {os.getpid()}")
    assert len(slept) == 2
    assert host_lock.holder() == "one that has just begun"


def test_it_waits_no_longer_than_it_was_told_to():
    pid = hold("fund2")
    clock = iter(range(0, 1000, 25))
    slept = []
    try:
        with (
            pytest.raises(OpsError, match="waited for 1 minutes"),
            host_lock.alone("fund3", minutes=1, sleep=slept.append, clock=lambda: next(clock)),
        ):
            pytest.fail("two drills at once")
    finally:
        end(pid)
    assert len(slept) == 2


def test_a_name_of_any_length_can_hold_it():
    with host_lock.alone("ü" * 200, minutes=0):
        assert host_lock.holder().startswith("ü" * 10)
