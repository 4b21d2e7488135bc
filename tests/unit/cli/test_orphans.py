# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""A playbook that is killed: what goes on by itself is waited for, and told."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pmsops_cli import orphans, project, runner
from pmsops_cli.exit_status import COULD_NOT_RUN, FAILED, INTERRUPTED
from pmsops_cli.hosts import System
from pmsops_cli.run_summary import RunSummary

project.enter()

from ansible.module_utils.pmsops.common import process_lock  # noqa: E402
from ansible.module_utils.pmsops.evidence import ledger  # noqa: E402


@pytest.fixture
def system(tmp_path, monkeypatch):
    """A system on this machine, with empty folders."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return System("here", True, "pms", tmp_path / "backups", tmp_path / "evidence")


@pytest.fixture
def killed():
    """The summary of a run that was killed in the task of a swap."""
    return RunSummary(task="Swap the staging database with the live one", killed=True)


@pytest.fixture
def goes_on(killed):
    """Give a function that starts a process of the killed run, which ends after some seconds."""
    started = []

    def start(seconds):
        command = [sys.executable, "-c", f"import time; time.sleep({seconds})", "x/pms_swap.py"]
        env = os.environ | {orphans.MARK: killed.token}
        # Started by a shell that is gone: nobody waits for it.
        shell = subprocess.Popen(command, env=env)
        started.append(shell)
        threading.Thread(target=shell.wait, daemon=True).start()
        return shell.pid

    yield start
    for each in started:
        each.kill()


def settled(summary, systems, **options):
    said = []
    status = orphans.settle(
        summary, systems, said.append, status_command="pms-ops status", **options
    )
    return status, said, " ".join(summary.errors)


def test_a_module_that_goes_on_is_waited_for_and_what_it_did_is_told(
    killed, system, goes_on, monkeypatch
):
    monkeypatch.setattr(orphans, "TELL_SECONDS", 0.3)
    pid = goes_on(1.5)
    record = {"set": "2026-11-22_0600", "former": "pms__before_1"}
    ledger.append(system.evidence_root, "restore", record, now=datetime.now(UTC))
    status, said, errors = settled(killed, [system])
    assert status == FAILED
    assert f"pms_swap (process {pid}) goes on by itself" in said[0]
    assert "pms-ops status" in said[1]
    assert any("Still at work" in line for line in said)
    assert "was killed in the task 'Swap the staging database" in errors
    assert "restore (set 2026-11-22_0600, former pms__before_1)" in errors
    assert "Run the command again" in errors


def test_work_with_another_user_s_rights_is_known_by_its_lock(killed, system, monkeypatch):
    lock = system.backup_root / ".pms-ops" / "restore.lock"
    with process_lock.exclusive(lock, "swap"):
        (found,) = orphans.at_work(killed.token, [system])
        assert (found.pid, found.what) == (os.getpid(), "a restore or swap")
        status, _, errors = settled(killed, [system], seconds=0)
        assert status == FAILED
        assert "still goes on after" in errors
    assert orphans.at_work(killed.token, [system]) == []


def test_who_does_not_want_to_wait_is_told_how_to_follow(killed, system, goes_on, monkeypatch):
    goes_on(30)

    def interrupt(_seconds):
        raise KeyboardInterrupt

    monkeypatch.setattr(orphans.time, "sleep", interrupt)
    status, _, errors = settled(killed, [system])
    assert status == INTERRUPTED
    assert "nobody waits for it" in errors and "pms-ops status shows how far it is" in errors


def test_a_run_of_which_nothing_is_left_could_not_run_unless_it_had_changed_something(
    killed, system
):
    status, said, errors = settled(killed, [system])
    assert (status, said) == (COULD_NOT_RUN, [])
    assert "Nothing of it is at work any more" in errors
    killed.changed.append({"host": "here", "task": "t"})
    assert settled(killed, [system])[0] == FAILED


def test_what_was_started_on_another_host_is_followed_by_status(killed, system):
    remote = System("far", False, "pms", Path("/b"), Path("/e"))
    status, _, errors = settled(killed, [remote])
    assert status == FAILED
    assert "may go on there: pms-ops status shows" in errors


@pytest.mark.long
def test_a_playbook_that_is_killed_leaves_its_module_and_the_front_door_waits(tmp_path, system):
    """As in the field: kill -9 of ansible-playbook while a task works that does not end with it."""
    ready, done = tmp_path / "ready", tmp_path / "done"
    playbook = tmp_path / "play.yml"
    tasks = [{"name": "Take long", "shell": f"trap '' TERM; touch {ready}; sleep 4; touch {done}"}]
    play = {"hosts": "localhost", "connection": "local", "gather_facts": False, "tasks": tasks}
    play["vars"] = {"ansible_python_interpreter": sys.executable}
    playbook.write_text(json.dumps([play]))

    def kill():
        while not ready.exists():
            time.sleep(0.05)
        for pid in runner.children():
            os.kill(pid, signal.SIGKILL)

    thread = threading.Thread(target=kill)
    thread.start()
    request = runner.Request(name="restore", playbook=playbook, inventories=["localhost,"])
    summary, _log = runner.run(request, lambda _summary: None)
    thread.join(timeout=20)
    assert summary.killed
    assert not done.exists()
    status, said, errors = settled(summary, [system])
    assert done.exists()
    assert status == FAILED
    assert "goes on by itself" in said[0]
    assert "in the task 'Take long'" in errors and "ended after" in errors
