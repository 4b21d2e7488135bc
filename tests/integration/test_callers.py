# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""A module of a real playbook ends with its caller, on this host and by SSH.

tests/unit/modules/test_callers.py shows the same of each module of pms-ops, without Ansible.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ansible_runner
import pytest
from ansible.module_utils.pmsops.common.process_lock import ProcessId
from ansible.module_utils.pmsops.common.process_lock import process as process_of

from tests.conftest import PROJECT
from tests.support import ssh_host
from tests.support.tiers import deep_but

SECONDS = 120
ANSIBLE = Path(sys.executable).parent / "ansible-playbook"


class Here:
    """The folder of a module on this host."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.variables = {
            "ansible_connection": "local",
            "ansible_python_interpreter": sys.executable,
        }

    def read(self, name: str) -> str | None:
        path = self.folder / name
        return path.read_text() if path.exists() else None


class There:
    """The folder of a module on another host."""

    def __init__(self, host: ssh_host.SshHost, folder: Path, *, pipelining: bool) -> None:
        self.host, self.folder = host, folder
        host.run("mkdir", "-p", str(folder))
        options = f"-o UserKnownHostsFile={host.keys}/known_hosts -o IdentitiesOnly=yes"
        self.variables = {
            "ansible_host": "127.0.0.1",
            "ansible_port": host.port,
            "ansible_user": "root",
            "ansible_ssh_private_key_file": f"{host.keys}/client",
            "ansible_ssh_common_args": options,
            "ansible_pipelining": pipelining,
            "ansible_python_interpreter": "/usr/bin/python3",
        }

    def read(self, name: str) -> str | None:
        try:
            return self.host.run("cat", str(self.folder / name))
        except subprocess.CalledProcessError:
            return None


def text_of(place: Here | There, name: str) -> str:
    """Return a file's text as soon as the module has written it."""
    last = time.monotonic() + SECONDS
    while (text := place.read(name)) is None:
        assert time.monotonic() < last, f"the module wrote no file {name}"
        time.sleep(0.2)
    return text


def prepared(place: Here | There, tmp_path: Path, **task: object) -> tuple[Path, dict[str, str]]:
    """Write a playbook with one task of the module, and return it with its environment."""
    tasks = [{"name": "Wait", "waits": {"folder": str(place.folder)}} | task]
    play = {"hosts": "all", "gather_facts": False, "vars": place.variables, "tasks": tasks}
    playbook = tmp_path / "play.yml"
    playbook.write_text(json.dumps([play]))
    environment = os.environ | {
        "ANSIBLE_CONFIG": str(PROJECT / "ansible.cfg"),
        "ANSIBLE_LIBRARY": str(PROJECT / "tests" / "support" / "library"),
        "ANSIBLE_SSH_CONTROL_PATH_DIR": str(tmp_path / "cp"),
    }
    return playbook, environment


def start(place: Here | There, tmp_path: Path, *first: str, **task: object) -> subprocess.Popen:
    """Start the playbook, with a command in front of it if there is one."""
    playbook, environment = prepared(place, tmp_path, **task)
    command = [*first, sys.executable, str(ANSIBLE), "-i", "system,", str(playbook)]
    with (tmp_path / "log").open("wb") as log:
        return subprocess.Popen(
            command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )


def worker_of(playbook: int) -> ProcessId:
    """Return the worker of a playbook with one host: its child that leads a session."""
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        pid = path.parent.name
        if (fields[1], fields[3]) == (str(playbook), pid):
            return process_of(int(pid))
    raise AssertionError("the playbook has no worker")


def end(playbook: subprocess.Popen, who: str, number: signal.Signals) -> None:
    """Signal ansible-playbook or its worker."""
    pid = playbook.pid if who == "playbook" else worker_of(playbook.pid).pid
    os.kill(pid, number)


@pytest.fixture(scope="module")
def host(tmp_path_factory) -> Iterator[ssh_host.SshHost]:
    """Give a host that only SSH reaches."""
    folder = tmp_path_factory.mktemp("ssh")
    with ssh_host.running(folder, folder) as found:
        yield found


# "by SSH" is the same with a terminal, whose end sends SIGHUP; each is by itself a way to learn it.
PIPELINING = pytest.param("by SSH, pipelining", marks=pytest.mark.nightly)


@pytest.fixture(params=["here", "by SSH", PIPELINING])
def place(request, tmp_path):
    """Give the folder of the module."""
    if request.param == "here":
        return Here(tmp_path)
    host = request.getfixturevalue("host")
    return There(host, tmp_path, pipelining="pipelining" in request.param)


WAYS = {
    "the terminal closes": ("playbook", signal.SIGHUP),
    "SIGTERM": ("playbook", signal.SIGTERM),
    "SIGINT": ("playbook", signal.SIGINT),
    "ansible-playbook is killed": ("playbook", signal.SIGKILL),
    "the worker is killed": ("worker", signal.SIGKILL),
}


UNIT = "tests/unit/modules/test_callers.py::test_a_module_ends_with_its_caller_and_says_so"
HERE = (
    "tests/integration/test_callers.py"
    "::test_a_module_ends_with_ansible_playbook_and_with_its_worker"
)
DEEP_WAY = pytest.mark.deep(by=(UNIT, f"{HERE}[here-the terminal closes]"))
STAY = (("here", "the terminal closes"), ("by SSH", "the worker is killed"))


def cases() -> list[Any]:
    """Return each place with each way; one of each stays in `make test`."""
    found = []
    for where in ("here", "by SSH", PIPELINING):
        for way in WAYS:
            marks = () if (where, way) in STAY else (DEEP_WAY,)
            if where is PIPELINING:
                marks = (*marks, *PIPELINING.marks)
            name = where if isinstance(where, str) else where.values[0]
            found.append(pytest.param(name, way, marks=marks))
    return found


@pytest.mark.parametrize(("place", "way"), cases(), indirect=["place"])
def test_a_module_ends_with_ansible_playbook_and_with_its_worker(way, place, tmp_path):
    playbook = start(place, tmp_path)
    try:
        text_of(place, "began")
        end(playbook, *WAYS[way])
        assert text_of(place, "ended").startswith("Ended by ")
        assert playbook.wait(SECONDS) != 0
    finally:
        playbook.kill()
        playbook.wait()


@pytest.mark.parametrize(
    "place",
    [
        "here",
        pytest.param(
            "by SSH",
            marks=pytest.mark.deep(
                by=(
                    "tests/integration/test_callers.py"
                    "::test_a_module_ends_with_its_task_whose_time_is_up[here]",
                    "tests/integration/test_callers.py"
                    "::test_a_module_ends_with_ansible_playbook_and_with_its_worker"
                    "[by SSH-the worker is killed]",
                )
            ),
        ),
        PIPELINING,
    ],
    indirect=True,
)
def test_a_module_ends_with_its_task_whose_time_is_up(place, tmp_path):
    playbook = start(place, tmp_path, timeout=20)
    try:
        text_of(place, "began")
        assert text_of(place, "ended").startswith("Ended by ")
        assert playbook.wait(SECONDS) != 0
    finally:
        playbook.kill()
        playbook.wait()


@pytest.mark.parametrize(
    "way",
    deep_but(
        ["canceled", "timeout"],
        stay=("canceled",),
        by="tests/integration/test_callers.py"
        "::test_a_module_ends_with_a_job_that_ansible_runner_ends[canceled]",
    ),
)
def test_a_module_ends_with_a_job_that_ansible_runner_ends(way, tmp_path):
    place = Here(tmp_path)
    playbook, environment = prepared(place, tmp_path)
    private = tmp_path / "runner"
    private.mkdir()
    done = ansible_runner.run(
        private_data_dir=str(private),
        project_dir=str(PROJECT),
        playbook=str(playbook),
        inventory="system,",
        envvars=environment,
        settings={"pexpect_timeout": 1},
        quiet=True,
        timeout=20 if way == "timeout" else None,
        cancel_callback=lambda: way == "canceled" and (tmp_path / "began").exists(),
    )
    assert done.status == way
    assert text_of(place, "ended").startswith("Ended by ")


@pytest.mark.parametrize(
    "way",
    deep_but(
        ["the terminal closes", "ansible-playbook is killed", "the worker is killed"],
        stay=("ansible-playbook is killed",),
        by="tests/integration/test_callers.py"
        "::test_without_the_plugin_a_module_of_this_host_ends_too[ansible-playbook is killed]",
    ),
)
def test_without_the_plugin_a_module_of_this_host_ends_too(way, tmp_path, monkeypatch):
    monkeypatch.setenv("ANSIBLE_CALLBACKS_ENABLED", "pms_systems")
    place = Here(tmp_path)
    playbook = start(place, tmp_path)
    try:
        text_of(place, "began")
        end(playbook, *WAYS[way])
        assert text_of(place, "ended").startswith("Ended by the end of its caller")
    finally:
        playbook.kill()
        playbook.wait()


def test_a_run_that_nohup_started_goes_on_without_its_terminal(tmp_path):
    place = Here(tmp_path)
    playbook = start(place, tmp_path, "nohup")
    try:
        text_of(place, "began")
        end(playbook, "playbook", signal.SIGHUP)
        time.sleep(2)  # longer than a module takes to look for its caller
        (tmp_path / "go").touch()
        assert text_of(place, "ended") == "Nobody ended it."
        assert playbook.wait(SECONDS) == 0
    finally:
        playbook.kill()
        playbook.wait()
