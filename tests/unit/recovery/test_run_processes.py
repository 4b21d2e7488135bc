# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Processes that work on after the end of their run: found, awaited, ended.

The processes are real. Dagster 1.13 was seen to leave such ones behind: with the worker of a run
killed, the run is FAILURE in seconds, and its step writes on, with PID 1 as its parent.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import docker.errors
import pytest
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.incidents.record import Action
from ansible.module_utils.pmsops.recovery import run_processes
from ansible.module_utils.pmsops.recovery.run_processes import RunProcesses
from ansible.module_utils.pmsops.services.manager import Services

HERE = Services("none", ())
# It says that it is ready, since a signal before that would find another handler.
STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
CLOSES = (
    "import os, signal; null = os.open('/dev/null', os.O_WRONLY);"
    " signal.signal(signal.SIGTERM, lambda *_: os.dup2(null, 1)); "
)
LINGERS = "; time.sleep(60)"
WORKS = "import sys, time; print('ready', flush=True); time.sleep(60)"


class Step:
    """The process of a step, which writes to the log of its run."""

    def __init__(self, folder: Any, code: str, words: tuple[str, ...] = ()) -> None:
        self.run = str(uuid.uuid4())
        log = folder / "storage" / self.run / "compute_logs" / "step.out"
        log.parent.mkdir(parents=True)
        with log.open("wb") as output:
            # A "tail" of Dagster's own has the log open, too, and writes nothing.
            command = [sys.executable, "-c", code, *words]
            self.process = subprocess.Popen(command, stdout=output)
        while not log.read_bytes():
            time.sleep(0.01)


@pytest.fixture
def step(tmp_path) -> Iterator[Any]:
    made: list[Step] = []

    def start(code: str = WORKS, *words: str) -> Step:
        made.append(Step(tmp_path, code, words))
        return made[-1]

    yield start
    for each in made:
        each.process.kill()
        each.process.wait()


def record(_text: str) -> Any:
    return nullcontext(Action())


def test_a_step_that_works_on_after_its_run_is_found_by_the_log_that_it_writes(step):
    working = step()
    (found,) = RunProcesses(HERE).found([working.run, str(uuid.uuid4())])
    assert (found.pid, found.run) == (working.process.pid, working.run)
    assert found.text == f"process {found.pid} of run {found.run} (this host)"
    assert found in RunProcesses(HERE).found(None)
    assert RunProcesses(HERE).found([]) == []


def test_what_only_reads_the_log_or_has_ended_is_no_step(step):
    assert RunProcesses(HERE).found([step(WORKS, "watch_orphans.py").run]) == []
    ended = step()
    ended.process.kill()
    time.sleep(0.1)  # a zombie: its parent, this test, has not waited for it
    assert RunProcesses(HERE).found([ended.run]) == []


def test_a_step_that_ends_by_itself_is_awaited(step):
    working = step("import time; print('ready', flush=True); time.sleep(0.5)")
    assert RunProcesses(HERE).remaining([working.run], 20.0, record) == []
    assert working.process.wait(timeout=5) == 0


@pytest.mark.parametrize(
    ("code", "signal"),
    # Dagster's own steps close their log when a signal ends them, and go on for a while.
    [(WORKS, -15), (STUBBORN + WORKS, -9), (CLOSES + WORKS + LINGERS, -9)],
)
def test_a_step_that_does_not_end_is_ended_and_no_other(step, code, signal, monkeypatch):
    monkeypatch.setattr(run_processes, "SIGNAL_SECONDS", 0.5)
    working, other = step(code), step()
    processes = RunProcesses(HERE)
    found = processes.remaining([working.run], 0.0, record)
    assert processes.end(found, record) == []
    assert working.process.wait(timeout=5) == signal
    assert other.process.poll() is None


def test_a_number_that_another_process_has_meanwhile_is_not_ended(step, monkeypatch):
    monkeypatch.setattr(run_processes, "SIGNAL_SECONDS", 0.0)
    working = step()
    (found,) = RunProcesses(HERE).found([working.run])
    former = type(found)(found.place, found.pid, found.began - 1, found.run)
    assert RunProcesses(HERE).end([former], record) != []
    assert working.process.poll() is None


@pytest.mark.parametrize("run", ["7", "", "-", "e", "8b3b2529-a34b-413c-aba7-b20b885f69a"])
def test_what_is_no_id_of_a_run_is_never_looked_for(monkeypatch, run):
    """A part of an id is in the command of many a process of the machine."""
    asked: list[str] = []
    monkeypatch.setattr(run_processes, "_here", lambda text: asked.append(text) or b"[]")
    assert RunProcesses(HERE).found([run]) == []
    assert asked == []


def test_the_script_itself_names_nothing_by_a_part_of_an_id(step):
    working = step()
    for run in (working.run[:8], working.run[:-1], "compute_logs", "python", "7"):
        asked = {"runs": [run], "known": [], "end": [], "signal": ""}
        command = [sys.executable, "-c", run_processes.SCRIPT, json.dumps(asked)]
        assert json.loads(subprocess.run(command, capture_output=True, check=True).stdout) == []


def test_a_command_that_happens_to_name_the_run_is_not_its_process(step):
    working = step()
    reader = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(30)", working.run])
    try:
        assert [each.pid for each in RunProcesses(HERE).found([working.run])] == [
            working.process.pid
        ]
    finally:
        reader.kill()
        reader.wait()


class Place:
    """A container that a test looks into: the script runs here."""

    def __init__(self, status: str = "running", answer: Any = None) -> None:
        self.status = status
        self.answer = answer

    def exec_run(self, words: list[str], *, user: str) -> SimpleNamespace:
        assert user == "0"
        if isinstance(self.answer, Exception):
            raise self.answer
        if self.answer is not None:
            return SimpleNamespace(exit_code=127, output=self.answer)
        done = subprocess.run(words, capture_output=True)
        warning = b"sitecustomize: a warning\n"
        return SimpleNamespace(exit_code=done.returncode, output=warning + done.stdout)


def inside(**made: Place) -> Any:
    parts = {"dagster": "web", "daemon": "daemon", "api": "api"}
    return SimpleNamespace(manager="compose", parts=parts, containers=lambda: list(made.items()))


def test_it_is_looked_for_in_each_container_that_may_run_code_of_dagster(step):
    working = step()
    stopped, gone = Place("exited"), Place(answer=docker.errors.APIError("not running"))
    services = inside(
        web=stopped,
        daemon=gone,
        api=Place(answer=OSError("the PMS itself runs no step")),
        code=Place(),
        other=Place(answer=b"no python"),
    )
    assert [each.place for each in RunProcesses(services).found([working.run])] == ["code"]


def test_a_dagster_that_the_inventory_does_not_name_is_not_looked_into():
    def missing() -> Any:
        raise OpsError("no container", "Correct it.", code="services.missing")

    def refused() -> Any:
        raise OpsError("no engine", "Start it.", code="clients.engine")

    services = SimpleNamespace(manager="compose", parts={}, containers=missing)
    assert RunProcesses(services).found(None) == []
    services.containers = refused
    with pytest.raises(OpsError, match="no engine"):
        RunProcesses(services).found(None)
