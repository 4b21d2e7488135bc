# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""A playbook that was killed: what of it goes on by itself, and what became of that.

A module does not notice that ansible-playbook is gone. One that swaps databases goes on, and what
it did is to be told: "could not run" would be untrue.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from pmsops_cli.exit_status import COULD_NOT_RUN, FAILED, INTERRUPTED
from pmsops_cli.hosts import System
from pmsops_cli.run_summary import RunSummary

# In the environment of each process that belongs to a run.
MARK = "PMS_OPS_RUN"
POLL_SECONDS = 0.5
TELL_SECONDS = 30
WAIT_SECONDS = 7200
# Connections that stay open for the next task, and do nothing by themselves.
IDLE = ("ssh", "ssh-agent", "gpg-agent")
# Locks of a backup_root, and what holds them.
LOCKS = {"restore.lock": "a restore or swap", "backup.lock": "a backup"}
_MODULE = re.compile(r"AnsiballZ_(\w+)\.py|(?:^|/)(pms_\w+)\.py")


@dataclass(frozen=True)
class Work:
    """A process that goes on, and what it does."""

    pid: int
    what: str

    def text(self) -> str:
        """Return it for people."""
        return f"{self.what} (process {self.pid})"


def at_work(token: str, systems: Iterable[System] = ()) -> list[Work]:
    """Return what goes on of the run *token*: its processes, and who holds locks of *systems*.

    A module with the rights of another user shows no environment; its lock does show.
    """
    from ansible.module_utils.pmsops.common import process_lock

    wanted = f"{MARK}={token}".encode()
    found = {}
    for path in Path("/proc").glob("[0-9]*"):
        pid = int(path.name)
        try:
            if wanted not in (path / "environ").read_bytes().split(b"\0"):
                continue
            command = (path / "cmdline").read_bytes().decode(errors="replace").split("\0")
            name = (path / "comm").read_text().strip()
            state = (path / "stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            continue  # it has ended, or belongs to somebody else
        if pid != os.getpid() and state not in "ZX" and name not in IDLE:
            module = _MODULE.search(" ".join(command))
            found[pid] = (module[1] or module[2]) if module else name
    for system in systems:
        for lock, what in LOCKS.items():
            holder = process_lock.holder_of(system.backup_root / ".pms-ops" / lock)
            if holder is not None:
                found[holder] = what
    return [Work(pid, what) for pid, what in sorted(found.items(), key=_modules_first)]


def settle(
    summary: RunSummary,
    systems: list[System],
    say: Callable[[str], None],
    *,
    status_command: str,
    seconds: float = WAIT_SECONDS,
) -> int:
    """Wait for what goes on of a killed run; add to *summary* what became of it.

    Return the exit status: COULD_NOT_RUN if nothing was at work.
    """
    local = [each for each in systems if each.local]
    left = at_work(summary.token, local)
    summary.errors.append(
        "ansible-playbook was killed" + (f" in the task '{summary.task}'." if summary.task else ".")
    )
    remote = [each.host for each in systems if not each.local]
    if remote and summary.task:
        summary.errors.append(
            f"What it had started on {', '.join(remote)} may go on there: {status_command} shows"
            " what runs. Wait until nothing does, then run the command again."
        )
        return FAILED
    if not left:
        summary.errors.append(
            "Nothing of it is at work any more. Run the command again: it finishes what was begun,"
            " or cleans up."
        )
        return FAILED if summary.changed else COULD_NOT_RUN
    first = left[0].text()
    say(f"ansible-playbook was killed; {first} goes on by itself. Waiting for it.")
    say(f"Ctrl-C ends the waiting, not the work; {status_command} shows how far it is.")
    began = time.monotonic()
    try:
        left = _wait(summary.token, local, say, seconds)
    except KeyboardInterrupt:
        summary.errors.append(
            f"{first} still goes on; nobody waits for it. {status_command} shows how far it is, and"
            " the ledger what it did. Then run the command again."
        )
        return INTERRUPTED
    waited = time.monotonic() - began
    if left:
        summary.errors.append(
            f"{left[0].text()} still goes on after {waited:.0f} s. {status_command} shows it."
        )
        return FAILED
    summary.errors.append(f"{first} went on by itself and ended after {waited:.0f} s.")
    summary.errors.extend(recorded_since(summary.began, local))
    summary.errors.append(
        "Run the command again: it finishes or records what was begun, and does the rest."
    )
    return FAILED


def recorded_since(began: datetime, systems: Iterable[System]) -> list[str]:
    """Return what the ledgers of *systems* say was done since a run began, a line each."""
    from ansible.module_utils.pmsops.common.timestamps import moment
    from ansible.module_utils.pmsops.evidence import ledger

    lines = []
    for system in systems:
        for entry in ledger.records(system.evidence_root):
            if moment(entry["at"]) >= began:
                lines.append(f"Since then in the ledger: {entry['kind']}{_named(entry['record'])}.")
    return lines


def _named(record: dict[str, Any]) -> str:
    names = ("set", "brought_back", "former", "undone")
    told = [f"{name.replace('_', ' ')} {record[name]}" for name in names if record.get(name)]
    return f" ({', '.join(told)})" if told else ""


def _wait(
    token: str, systems: list[System], say: Callable[[str], None], seconds: float
) -> list[Work]:
    """Return what is still at work after *seconds*."""
    began = told = time.monotonic()
    while left := at_work(token, systems):
        now = time.monotonic()
        if now - began > seconds:
            return left
        if now - told > TELL_SECONDS:
            told = now
            say(f"Still at work after {now - began:.0f} s: {left[0].text()}")
        time.sleep(POLL_SECONDS)
    return []


def _modules_first(item: tuple[int, str]) -> tuple[bool, int]:
    return (not item[1].startswith(("pms_", "a ")), item[0])
