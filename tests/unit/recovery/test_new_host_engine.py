# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The Docker Engine of an empty machine: of the distribution, or a named error."""

from __future__ import annotations

import socket

import pytest
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.recovery import new_host_engine

# As apt-cache policy prints it on each.
DEBIAN_13 = """docker.io:
  Installed: (none)
  Candidate: 26.1.5+dfsg1-9+deb13u1
  Version table:
     26.1.5+dfsg1-9+deb13u1 500
docker-cli:
  Installed: (none)
  Candidate: 26.1.5+dfsg1-9+deb13u1
docker-compose:
  Installed: (none)
  Candidate: 2.26.1-4
"""
DEBIAN_12 = """docker.io:
  Installed: (none)
  Candidate: 20.10.24+dfsg1-1
docker-compose:
  Installed: (none)
  Candidate: 1.29.2-3
"""
UBUNTU = """docker.io:
  Installed: (none)
  Candidate: 27.5.1-0ubuntu3
docker-compose-v2:
  Installed: (none)
  Candidate: 2.33.0+ds1-0ubuntu1
docker-compose:
  Installed: (none)
  Candidate: 1.29.2-6ubuntu1
"""
NONE = """docker.io:
  Installed: (none)
  Candidate: (none)
  Version table:
docker-compose:
  Installed: (none)
  Candidate: 2.26.1-4
"""


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A machine without an engine, whose apt-cache prints what is given."""
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    monkeypatch.setattr(new_host_engine, "SOCKET", tmp_path / "docker.sock")
    monkeypatch.setattr(new_host_engine, "DAEMON", (str(tmp_path / "dockerd"),))
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    write(tmp_path, NONE)
    return tmp_path


def write(folder, text):
    program = folder / "apt-cache"
    program.write_text(f"#!/bin/sh\ncat <<'EOF'\n{text}EOF\n")
    program.chmod(0o755)


@pytest.mark.parametrize(
    ("printed", "packages"),
    [
        (DEBIAN_13, ["docker.io", "docker-cli", "docker-compose"]),
        (DEBIAN_12, ["docker.io"]),
        (UBUNTU, ["docker.io", "docker-compose-v2"]),
    ],
    ids=["debian-13", "debian-12", "ubuntu"],
)
def test_an_empty_machine_gets_the_engine_of_its_distribution(machine, printed, packages):
    """A new machine had to have an engine, and none of the pages said which package."""
    write(machine, printed)
    assert new_host_engine.missing(compose=True) == packages


def test_no_plugin_is_installed_where_compose_is_not_used(machine):
    write(machine, UBUNTU)
    assert new_host_engine.missing(compose=False) == ["docker.io"]


def test_an_engine_that_is_here_needs_nothing(machine):
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(machine / "docker.sock"))
        server.listen()
        assert new_host_engine.missing(compose=True) == []


def test_the_socket_of_an_engine_that_is_gone_is_no_engine(machine):
    """On a machine whose engine had died, the plan asked it, and ended there."""
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(machine / "docker.sock"))
    write(machine, DEBIAN_12)
    assert new_host_engine.missing(compose=True) == ["docker.io"]


def refused():
    with pytest.raises(OpsError) as caught:
        new_host_engine.missing(compose=True)
    return caught.value


def test_a_machine_whose_sources_have_no_engine_is_an_error_of_its_own(machine):
    assert refused().code == "host.no-docker-package"
    assert "its sources have none" in str(refused())


def test_another_system_than_debian_is_named(machine, monkeypatch):
    (machine / "apt-cache").unlink()
    monkeypatch.setenv("PATH", str(machine))
    assert "no Debian and no Ubuntu" in str(refused())


def test_an_engine_that_is_stopped_is_not_installed_again(machine):
    (machine / "dockerd").write_text("#!/bin/sh\n")
    (machine / "dockerd").chmod(0o755)
    assert refused().code == "host.docker-down"
