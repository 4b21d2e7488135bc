# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Processes that work on after Dagster has recorded the end of their run.

Where the worker of a run is killed, or a run is marked as canceled by force, Dagster reports the
end within seconds, while the process of a step goes on and writes. Dagster does not look for it.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import Any

from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.incidents.record import ActionRecorder
from ansible.module_utils.pmsops.recovery.dagster_services import DAEMON, WEBSERVER
from ansible.module_utils.pmsops.services.manager import Services

POLL_SECONDS, SIGNAL_SECONDS, LOOK_SECONDS = 1.0, 10.0, 30
# Dagster's ids. Anything shorter could be part of the command of any process of the machine.
RUN = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
# Runs where the processes are, in the Python of a container or of the host, and prints JSON. The
# step of a run writes to .../RUN/compute_logs/FILE; a worker that has a Python of its own has the
# run in the words of its command. What does neither is never named, and so never ended. What was
# named once is named until it has ended: Dagster closes the log first when a signal ends a step.
SCRIPT = r"""
import json, os, re, signal, sys
asked = json.loads(sys.argv[1])
UUID = re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
def fields(pid):
    with open("/proc/%s/stat" % pid) as file:
        parts = file.read().rpartition(")")[2].split()
    return parts[0], int(parts[19])
def run_of(pid):
    with open("/proc/%s/cmdline" % pid, "rb") as file:
        command = file.read().replace(b"\0", b" ").decode("utf-8", "replace")
    if "watch_orphans" in command or command.startswith("tail "):
        return None
    try:
        parts = os.readlink("/proc/%s/fd/1" % pid).split("/")
    except OSError:
        parts = []
    known = set()
    if len(parts) > 2 and parts[-2] == "compute_logs" and UUID.fullmatch(parts[-3]):
        known.add(parts[-3])
    if "dagster" in command and "execute_run" in command:
        known |= {each.group() for each in UUID.finditer(command)}
    if asked["runs"] is not None:
        known &= {each for each in asked["runs"] if UUID.fullmatch(each)}
    return min(known) if known else None
found = []
for pid in os.listdir("/proc"):
    try:
        if not pid.isdigit() or int(pid) in (1, os.getpid()):
            continue
        state, began = fields(pid)
        known = [each[2] for each in asked["known"] if each[:2] == [int(pid), began]]
        run = None if state in "ZX" else known[0] if known else run_of(pid)
    except (OSError, IndexError, ValueError):
        continue
    if run is None:
        continue
    if [int(pid), began] in asked["end"]:
        os.kill(int(pid), getattr(signal, asked["signal"]))
    found.append({"pid": int(pid), "began": began, "run": run})
print(json.dumps(found))
"""
# The name of Python differs from image to image.
SHELL = ("sh", "-c", 'exec "$(command -v python3 || command -v python)" -c "$0" "$1"', SCRIPT)


@dataclass(frozen=True)
class RunProcess:
    """One process of a run: where it is, its number there and its start in ticks of the clock."""

    place: str
    pid: int
    began: int
    run: str

    @property
    def text(self) -> str:
        """Return it as an operator finds it."""
        return f"process {self.pid} of run {self.run} ({self.place})"


class RunProcesses:
    """The processes of Dagster's runs, in its containers or on this host."""

    def __init__(
        self,
        services: Services,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._services = services
        self._clock = clock
        self._sleep = sleep

    def found(self, runs: Collection[str] | None) -> list[RunProcess]:
        """Return the processes that work for *runs*, or for any run where it is None."""
        known = None if runs is None else [each for each in runs if RUN.fullmatch(each)]
        return [] if known == [] else self._look(known)

    def _left(self, found: list[RunProcess]) -> list[RunProcess]:
        """Return those of *found* that have not ended, and what works for their runs meanwhile."""
        return self._look({each.run for each in found}, known=found)

    def remaining(
        self, runs: Collection[str] | None, seconds: float, record: ActionRecorder
    ) -> list[RunProcess]:
        """Wait up to *seconds* for the end of what works for *runs*; return what still works."""
        if not (found := self.found(runs)) or seconds <= 0:
            return found
        text = f"Wait for {listed(found)}: Dagster says that the run has ended, and it works on"
        with record(text if runs else f"Wait for {listed(found)}, which works") as action:
            deadline = self._clock() + seconds
            while found and self._clock() < deadline:
                self._sleep(POLL_SECONDS)
                found = self._left(found)
            action.result = f"still there: {listed(found)}" if found else "it has ended by itself"
        return found

    def end(self, found: list[RunProcess], record: ActionRecorder) -> list[RunProcess]:
        """End processes, by force where they do not end; return those that are still there."""
        runs = {each.run for each in found}
        with record(f"End {listed(found)}") as action:
            for signal in ("SIGTERM", "SIGKILL"):
                self._look(runs, known=found, end=found, signal=signal)
                deadline = self._clock() + SIGNAL_SECONDS
                while (left := self._left(found)) and self._clock() < deadline:
                    self._sleep(POLL_SECONDS)
                if not left:
                    action.result = f"ended by {signal}"
                    return []
            action.result = f"still there: {listed(left)}"
        return left

    def _look(
        self,
        runs: Collection[str] | None,
        *,
        known: Iterable[RunProcess] = (),
        end: Iterable[RunProcess] = (),
        signal: str = "",
    ) -> list[RunProcess]:
        found = []
        for place, ask in self._places():
            targets = [[each.pid, each.began] for each in end if each.place == place]
            asked = {
                "runs": runs if runs is None else sorted(runs),
                "known": [
                    [each.pid, each.began, each.run] for each in known if each.place == place
                ],
                "end": targets,
            }
            output = ask(json.dumps(asked | {"signal": signal}))
            found += [RunProcess(place, **each) for each in _read(output)]
        return found

    def _places(self) -> list[tuple[str, Callable[[str], bytes]]]:
        """Return where a run's process may be; a service of another part of the PMS has none."""
        if self._services.manager != "compose":
            return [("this host", _here)]
        parts = self._services.parts
        others = {name for part, name in parts.items() if part not in (WEBSERVER, DAEMON)}
        try:
            containers = self._services.containers()
        except OpsError as exc:
            if exc.code != "services.missing":
                raise
            return []  # a Dagster that the inventory does not name, or none at all
        return [
            (name, _inside(container))
            for name, container in containers
            if name not in others and container.status == "running"
        ]


def listed(found: list[RunProcess]) -> str:
    """Return processes as one text."""
    return ", ".join(each.text for each in found)


def _here(asked: str) -> bytes:
    command = [sys.executable, "-c", SCRIPT, asked]
    try:
        return subprocess.run(command, capture_output=True, timeout=LOOK_SECONDS).stdout
    except (OSError, subprocess.SubprocessError):
        return b""


def _inside(container: Any) -> Callable[[str], bytes]:
    def ask(asked: str) -> bytes:
        import docker.errors

        try:
            # A path to another user's log is shown to root alone.
            return bytes(container.exec_run([*SHELL, asked], user="0").output)
        except docker.errors.APIError:
            return b""  # it has stopped meanwhile

    return ask


def _read(output: bytes) -> list[dict[str, Any]]:
    """Return what the script printed; nothing where there is no Python, thus no Dagster either."""
    lines = output.splitlines()  # the last one: a container gives its errors before it
    try:
        found = json.loads(lines[-1]) if lines else []
    except ValueError:
        return []
    return found if isinstance(found, list) else []
