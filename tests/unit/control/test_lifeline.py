# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""What workers that were killed have left is ended, and found by one look at the processes."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

from ansible.module_utils.pmsops.control import lifeline

# Leads a session, leaves a process in it that prints its number, and ends.
LEAVES = "import os, subprocess; os.setsid(); print(subprocess.Popen(['sleep', '60']).pid)"


class Ended:
    """A worker of Ansible that has ended."""

    def __init__(self, pid: int) -> None:
        self.pid = pid

    def is_alive(self) -> bool:
        return False


def left_by_a_worker() -> tuple[Ended, int]:
    with subprocess.Popen([sys.executable, "-c", LEAVES], stdout=subprocess.PIPE) as worker:
        assert worker.stdout
        left = int(worker.stdout.readline())
        worker.wait()
    return Ended(worker.pid), left


def test_what_all_ended_workers_left_is_found_by_one_look(monkeypatch):
    found = [left_by_a_worker() for _ in range(3)]
    looks = []
    processes = lifeline._processes
    monkeypatch.setattr(lifeline, "_processes", lambda: looks.append(1) or processes())
    tied = lifeline.Lifeline()
    tied._tasks = SimpleNamespace(_workers=[*(worker for worker, _ in found), None])
    tied._end_killed_workers()
    assert len(looks) == 1
    for _, pid in found:
        assert ended(pid), f"{pid} goes on"


def ended(pid: int) -> bool:
    """Tell whether a process ends within a second; whoever adopts it may not have waited for it."""
    for _ in range(100):
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except OSError:
            return True
        time.sleep(0.01)
    return False
