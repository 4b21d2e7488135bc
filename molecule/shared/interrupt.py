#!/usr/bin/env python3
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Run a playbook and kill it, with every process it has begun, some time after a task begins.

Usage: interrupt.py TASK SECONDS [--instead COMMAND] -- PLAYBOOK...

With --instead those words are given to bash at that moment, and the playbook goes on to its end.
Exits 0 where the task was reached, and prints the playbook's output.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path


def children(pid: int) -> list[int]:
    """Return all processes below one, the near ones first."""
    found = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            near = [int(word) for word in task.read_text().split()]
        except OSError:
            continue
        for child in near:
            found += [child, *children(child)]
    return found


def kill(pid: int) -> None:
    """Kill a process and all below it; stopped first, so that none begins another."""
    os.kill(pid, signal.SIGSTOP)
    doomed = [pid]
    for _ in range(3):  # one that began another before it was stopped is found the next time
        doomed = [pid, *children(pid)]
        send(doomed, signal.SIGSTOP)
    send(doomed, signal.SIGKILL)


def send(pids: list[int], name: signal.Signals) -> None:
    """Send a signal to those processes that are still there."""
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, name)


def main() -> int:
    """Run the playbook and strike; return the exit status."""
    parser = argparse.ArgumentParser()
    parser.add_argument("task")
    parser.add_argument("seconds", type=float)
    parser.add_argument("--instead")
    parser.add_argument("playbook", nargs="+")
    given = parser.parse_args()
    process = subprocess.Popen(
        ["ansible-playbook", *given.playbook],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    reached = False
    for line in process.stdout:
        sys.stdout.write(line)
        if not reached and line.startswith("TASK") and given.task in line:
            reached = True
            time.sleep(given.seconds)
            if given.instead:
                subprocess.run(["bash", "-c", given.instead], check=True)
            else:
                kill(process.pid)
                break
    process.wait()
    return 0 if reached else 3


if __name__ == "__main__":
    sys.exit(main())
