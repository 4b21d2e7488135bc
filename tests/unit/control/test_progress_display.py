# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from types import SimpleNamespace

import pytest
from ansible.module_utils.pmsops.common.progress import Progress
from ansible.module_utils.pmsops.common.progress_text import describe
from ansible.module_utils.pmsops.control.progress_action import ProgressAction
from ansible.module_utils.pmsops.control.progress_display import ProgressDisplay
from ansible.plugins.action import ActionBase

from tests.conftest import PROJECT


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


# As Ansible does it: what an action prints itself leads nowhere.
WORKER = f"""
import os, sys
import ansible.module_utils
ansible.module_utils.__path__.append({str(PROJECT / "module_utils")!r})
from ansible.module_utils.pmsops.control.progress_action import on_terminal
if os.fork():
    os.wait()
else:
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    print(on_terminal(), file=sys.stderr)
"""


def watched(tmp_path, *, terminal):
    clock, shown = Clock(), []
    path = tmp_path / "backup.progress"

    def read():
        return path.read_bytes() if path.exists() else b""

    display = ProgressDisplay(
        read, lambda text, newline: shown.append((text, newline)), terminal=terminal, now=clock
    )
    return clock, shown, Progress(path, now=clock), display


def test_a_log_gets_a_line_for_each_phase_and_one_every_thirty_seconds(tmp_path):
    clock, shown, progress, display = watched(tmp_path, terminal=False)
    display.poll()
    assert shown == []
    with progress.phase("dump", total=1000):
        for second in range(61):
            clock.now = 100.0 + second
            progress.update(10 * second)
            display.poll()
    assert [text.split(",")[0] for text, _ in shown] == ["  dump"] * 3
    assert "600 B of about 1.0 kB, 10 B/s, about 40 s left, 60 s so far" in shown[-1][0]
    with progress.phase("checksums", total=3, unit="files"):
        display.poll()
    assert shown[-1] == ("  checksums, 0 of 3 files, 60 s so far", True)


def test_the_whole_is_told_where_it_is_known_how_long_it_takes(tmp_path):
    clock, shown, progress, display = watched(tmp_path, terminal=True)
    progress.expect(60)
    with progress.phase("data", total=1000):
        clock.now += 20
        progress.update(500)
        display.poll()
        assert shown[-1][0].endswith("25 B/s, 20 s so far, about 40 s left until all is done")
        clock.now += 45
        progress.update(900)
        display.poll()
        assert shown[-1][0].endswith("65 s so far, more than the 60 s that it was expected to take")


def test_a_phase_that_says_nothing_still_shows_that_time_passes(tmp_path):
    clock, shown, progress, display = watched(tmp_path, terminal=True)
    with progress.phase("post-data"):
        for _ in range(3):
            display.poll()
            clock.now += 10
    assert [text.split(", ")[1] for text, _ in shown] == [
        "0 s so far", "10 s so far", "20 s so far",
    ]  # fmt: skip


@pytest.mark.long
def test_a_worker_sees_whether_ansible_has_a_terminal():
    def told(output):
        done = subprocess.run(
            [sys.executable, "-c", WORKER], stdout=output, stderr=subprocess.PIPE, check=True
        )
        return done.stderr.decode().splitlines()[-1]

    ours, theirs = pty.openpty()
    try:
        assert told(theirs) == "True"
    finally:
        os.close(ours)
        os.close(theirs)
    assert told(subprocess.PIPE) == "False"
    assert told(subprocess.DEVNULL) == "False"


def test_a_terminal_gets_one_line_redrawn_and_wiped(tmp_path):
    clock, shown, progress, display = watched(tmp_path, terminal=True)
    with progress.phase("dump", total=1000):
        for second in range(3):
            clock.now += second
            display.poll()
    display.close()
    assert len(shown) == 4
    assert all(text.startswith("\r\x1b[K") and not newline for text, newline in shown)
    assert shown[-1] == ("\r\x1b[K", False)


def test_a_phase_that_runs_twice_adds_its_times(tmp_path):
    clock, _, progress, _ = watched(tmp_path, terminal=False)
    for _ in range(2):
        with progress.phase("sync"):
            clock.now += 1.5
    assert progress.seconds == {"sync": 3.0}


def test_the_file_is_gone_when_nothing_runs(tmp_path):
    _, _, progress, _ = watched(tmp_path, terminal=False)
    with progress.phase("sync"):
        assert (tmp_path / "backup.progress").exists()
    progress.close()
    assert not (tmp_path / "backup.progress").exists()


def test_an_unknown_total_is_not_guessed():
    state = {
        "phase": "dump", "done": 0, "total": 0, "unit": "bytes", "phase_seconds": 1,
        "elapsed_seconds": 1,
    }  # fmt: skip
    assert describe(state) == "dump, 1 s so far"
    assert json.dumps(state)


@pytest.mark.parametrize(("systems", "seconds"), [(0, 1), (1, 1), (2, 1), (12, 6)])
def test_many_remote_systems_are_asked_less_often_how_far_they_are(monkeypatch, systems, seconds):
    pauses = []
    monkeypatch.setattr(ProgressAction, "_watch", lambda _self, _ended, pause: pauses.append(pause))
    monkeypatch.setattr(ActionBase, "run", lambda *_given: {})
    for transport in ("ssh", "local"):
        action = object.__new__(type("Action", (ProgressAction,), {"progress_name": "x"}))
        action._task = SimpleNamespace(async_val=0, check_mode=False, args={"root": "/x"})
        action._connection = SimpleNamespace(transport=transport)
        action._execute_module = lambda **_given: {}
        action.run(None, {"ansible_play_hosts_all": ["host"] * systems})
    assert pauses == [seconds, 1]
