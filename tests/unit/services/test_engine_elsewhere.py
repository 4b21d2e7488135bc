# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""An engine of another machine: its containers get that machine's folders, and none of ours.

tests/integration/test_engine_by_ssh.py reaches one for real.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from ansible.module_utils.pmsops.checks.probes import Deadline, Unanswerable, command, disk
from ansible.module_utils.pmsops.checks.probes.context import Context, Settings
from ansible.module_utils.pmsops.client_tools import factory
from ansible.module_utils.pmsops.client_tools.host import HostTools
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.control import engine_tunnel
from ansible.module_utils.pmsops.postgresql.connection import Database
from ansible.module_utils.pmsops.services import docker_engine

ADDRESS = "ssh://ops@fund3:2222"
OPTIONS = {"name": "fund", "user": "u", "container": "db", "host": "127.0.0.1", "port": 5432}
SSH = """#!/bin/sh
echo "$@" >"$FAKE_SSH_WORDS"
[ -z "$FAKE_SSH_REFUSES" ] || { echo "$FAKE_SSH_REFUSES" >&2; exit 255; }
echo ready
exec cat >/dev/null
"""


@pytest.fixture
def elsewhere(monkeypatch) -> None:
    monkeypatch.setenv(docker_engine.ENGINE_OF, ADDRESS)
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")


@pytest.fixture
def ssh(tmp_path: Path, monkeypatch) -> Path:
    """Put a stand-in for ssh first; return the file with the words that it was given."""
    program = tmp_path / "bin" / "ssh"
    program.parent.mkdir()
    program.write_text(SSH)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    monkeypatch.setenv("FAKE_SSH_WORDS", str(tmp_path / "words"))
    return tmp_path / "words"


def test_a_backup_and_a_restore_are_refused_before_anything_is_done(elsewhere):
    with pytest.raises(OpsError, match=ADDRESS) as error:
        factory.for_database(Database.from_options(OPTIONS | {"access": "container"}))
    assert error.value.code == "clients.engine-elsewhere"
    assert "pms_db_access" in error.value.remedy


def test_tools_of_this_machine_need_no_folder_of_an_engine(elsewhere):
    tools = factory.for_database(Database.from_options(OPTIONS | {"access": "host"}))
    assert isinstance(tools, HostTools)


def context(**folders: str) -> Context:
    return Context(Settings(now=datetime.now(UTC), **folders))


def test_no_check_passes_about_the_disk_of_the_wrong_machine(elsewhere, tmp_path):
    asked = context(backup_root=str(tmp_path))
    found = disk.ask({"path": str(tmp_path)}, asked, Deadline.after(5))
    assert found["total_bytes"] > 0  # the sets are here
    with pytest.raises(Unanswerable, match=ADDRESS):
        disk.ask({"path": "/"}, asked, Deadline.after(5))


def test_no_program_of_the_other_machine_is_run_here(elsewhere):
    with pytest.raises(Unanswerable, match=ADDRESS):
        command.ask({"argv": ["true"]}, context(), Deadline.after(5))


def test_without_the_callback_the_reason_is_said(monkeypatch):
    monkeypatch.setenv("DOCKER_HOST", ADDRESS)
    with pytest.raises(OpsError, match="does not enable the callback pms_engine"):
        docker_engine.engine()
    with pytest.raises(Unanswerable, match="pms_engine"):
        context().docker(Deadline.after(5))


def test_the_socket_is_forwarded_for_the_time_of_the_run(ssh):
    environment = {"DOCKER_HOST": "ssh://ops@fund3:2222/run/user/7/docker.sock"}
    running = engine_tunnel.forward(environment)
    assert running is not None and running.stdin is not None
    try:
        socket = environment["DOCKER_HOST"].removeprefix("unix://")
        assert environment[docker_engine.ENGINE_OF].startswith("ssh://ops@fund3")
        words = ssh.read_text().split()
        assert f"{socket}:/run/user/7/docker.sock" in words
        assert words[words.index("-l") + 1] == "ops" and words[words.index("-p") + 1] == "2222"
        assert "BatchMode=yes" in words and "fund3" in words
        assert running.poll() is None
        running.stdin.close()  # as when the run is killed
        assert running.wait(10) == 0
    finally:
        running.kill()
        running.wait()


@pytest.mark.parametrize(
    ("address", "refuses", "reason"),
    [
        (ADDRESS, "Permission denied (publickey).", "Permission denied"),
        ("ssh://", "", "it names no host"),
        ("ssh://fund3:door", "", "door"),
    ],
)
def test_a_host_that_is_not_reached_is_named_by_the_modules(
    address, refuses, reason, ssh, monkeypatch
):
    monkeypatch.setenv("FAKE_SSH_REFUSES", refuses)
    environment = {"DOCKER_HOST": address}
    assert engine_tunnel.forward(environment) is None
    assert environment["DOCKER_HOST"] == address
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(OpsError, match=reason) as error:
        docker_engine.engine()
    assert error.value.code == "clients.engine"


@pytest.mark.parametrize("address", ["", "unix:///var/run/docker.sock", "tcp://127.0.0.1:2375"])
def test_other_addresses_are_left_alone(address):
    environment = {"DOCKER_HOST": address}
    assert engine_tunnel.forward(environment) is None
    assert environment == {"DOCKER_HOST": address}
