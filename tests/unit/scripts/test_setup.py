"""scripts/setup.sh: what it refuses, and that a refusal changes nothing.

The script runs in a copy of the project, with a PATH that holds nothing but stubs and a few
real programs; a stub that would change the machine writes its name into a file instead.
"""

from __future__ import annotations

import http.server
import importlib
import shutil
import socketserver
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import PROJECT

pytestmark = pytest.mark.long
REAL_PROGRAMS = [
    "bash",
    "cat",
    "cmp",
    "cp",
    "dirname",
    "flock",
    "grep",
    "mkdir",
    "mktemp",
    "rm",
    "sha256sum",
    "sleep",
    "tail",
]
NODE_PACKAGES = ("tests/support/pglite", "tests/support/axe")
CHANGES_THE_MACHINE = ["apt-get", "setsid", "systemctl", "dpkg-deb"]


class Engine(http.server.BaseHTTPRequestHandler):
    """A Docker Engine that answers a ping and has the images below its server's ``images``."""

    def do_GET(self):
        known = self.path == "/_ping" or self.path in self.server.images
        self.send_response(200 if known else 404)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_args):
        pass


class EngineServer(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
    images: frozenset[str] = frozenset()


@dataclass
class Machine:
    """A made-up machine: what its PATH has, who runs the script, which system it is."""

    root: Path

    @property
    def bin(self) -> Path:
        return self.root / "bin"

    @property
    def changes(self) -> list[str]:
        log = self.root / "changes"
        return log.read_text().splitlines() if log.exists() else []

    def stub(self, name: str, script: str) -> None:
        path = self.bin / name
        path.unlink(missing_ok=True)
        path.write_text(f"#!/bin/bash\n{script}\n")
        path.chmod(0o755)

    def system(self, name: str) -> None:
        (self.root / "os-release").write_text(f"ID={name}\n")

    def user(self, uid: int) -> None:
        self.stub("id", f"echo {uid}")

    def run(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        env = {
            "PATH": str(self.bin),
            "PMS_OS_RELEASE": str(self.root / "os-release"),
            "DOCKER_HOST": "",
            **environment,
        }
        return subprocess.run(
            ["/bin/bash", str(self.root / "project/scripts/setup.sh"), *arguments],
            env=env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )


@pytest.fixture
def machine(tmp_path):
    """A Debian machine of an ordinary user, with Python and without Docker or its client."""
    project = tmp_path / "project"
    (project / "scripts").mkdir(parents=True)
    for name in ("setup.sh", "engine_ping.py"):
        shutil.copy(PROJECT / "scripts" / name, project / "scripts" / name)
    # No engine of the machine that runs this test: the made-up one has its own socket.
    ping = project / "scripts/engine_ping.py"
    ping.write_text(ping.read_text().replace("/var/run/docker.sock", str(tmp_path / "sock")))
    shutil.copytree(PROJECT / "requirements", project / "requirements")
    made_up = Machine(tmp_path)
    made_up.bin.mkdir()
    for name in REAL_PROGRAMS:
        (made_up.bin / name).symlink_to(shutil.which(name))
    made_up.stub("python3", f'exec "{sys.executable}" "$@"')
    for name in CHANGES_THE_MACHINE:
        made_up.stub(name, f'echo {name} "$@" >>"{tmp_path}/changes"')
    made_up.user(1000)
    made_up.system("debian")
    return made_up


@pytest.fixture
def engine(machine):
    """An engine that answers on the made-up machine's socket, without any image."""
    server = EngineServer(str(machine.root / "sock"), Engine)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


def assert_refused(machine, result):
    """It exits 2, says that nothing was changed, and that is so."""
    assert result.returncode == 2, result.stderr
    assert "Nothing was changed." in result.stderr
    assert machine.changes == []
    assert not (machine.root / "project/.venv").exists()
    assert not (machine.root / "project/.cache").exists()


def test_an_ordinary_user_without_docker_is_told_what_to_install(machine):
    result = machine.run()
    assert_refused(machine, result)
    assert "you are not root" in result.stderr
    assert "docker.io" in result.stderr
    assert "mmdebstrap" in result.stderr


def test_a_client_without_an_engine_proves_nothing(machine):
    machine.stub("docker", "echo Docker version 28")
    result = machine.run()
    assert_refused(machine, result)
    assert "docker.io" in result.stderr


def test_root_on_another_system_is_told_what_to_install(machine):
    machine.user(0)
    machine.system("fedora")
    result = machine.run()
    assert_refused(machine, result)
    assert "neither Debian nor Ubuntu" in result.stderr


def test_an_engine_that_is_off_is_not_started_by_an_ordinary_user(machine):
    machine.stub("dockerd", f'echo dockerd >>"{machine.root}/changes"')
    result = machine.run()
    assert_refused(machine, result)
    assert "does not answer" in result.stderr
    assert "sudo systemctl start docker" in result.stderr


@pytest.mark.skipif(Path("/run/systemd/system").exists(), reason="systemd would start it")
def test_an_engine_that_ends_at_once_is_told_with_the_end_of_its_log(machine):
    machine.user(0)
    machine.stub("mmdebstrap", "exit 0")
    machine.stub("dockerd", "exit 0")
    machine.stub("setsid", "echo no space left on device; exit 1")
    script = machine.root / "project/scripts/setup.sh"
    script.write_text(script.read_text().replace("/var/log", str(machine.root)))
    result = machine.run()
    assert result.returncode == 1
    assert "does not answer" in result.stderr
    assert "no space left on device" in result.stderr


def test_an_engine_elsewhere_that_does_not_answer_is_named(machine):
    result = machine.run(DOCKER_HOST="tcp://127.0.0.1:1")
    assert_refused(machine, result)
    assert "DOCKER_HOST=tcp://127.0.0.1:1" in result.stderr


def test_a_socket_that_this_user_may_not_use_is_said_so(machine):
    ping = machine.root / "project/scripts/engine_ping.py"
    ping.write_text("import sys; sys.exit(3)")
    result = machine.run()
    assert_refused(machine, result)
    assert "group docker" in result.stderr


def test_a_socket_that_may_not_be_opened_is_told_from_an_engine_that_is_off(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(str(PROJECT / "scripts"))
    engine_ping = importlib.import_module("engine_ping")
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/sock")
    assert engine_ping.main([]) == 1

    def denied(_self):
        raise PermissionError

    monkeypatch.setattr(engine_ping.UnixConnection, "connect", denied)
    assert engine_ping.main([]) == 3


def test_an_old_python_is_refused(machine):
    machine.stub("python3", "exit 1")
    result = machine.run()
    assert_refused(machine, result)
    assert "Python 3.11" in result.stderr


def test_an_unknown_argument_is_refused(machine):
    result = machine.run("--prod")
    assert_refused(machine, result)
    assert "--prod" in result.stderr


def test_with_docker_another_system_without_mmdebstrap_is_told_of_the_other_images(machine, engine):
    machine.system("fedora")
    result = machine.run()
    assert_refused(machine, result)
    assert "LAB_IMAGES=upstream" in result.stderr


def test_with_docker_and_the_images_mmdebstrap_is_not_asked_for(machine, engine):
    names = ("timescaledb:17", "redis:8", "api:1", "dagster:1")
    engine.images = frozenset(f"/images/pms-lab/{name}/json" for name in names)
    ready(machine)
    result = machine.run()
    assert (result.returncode, result.stderr) == (0, "")
    assert machine.changes == []


def test_a_second_run_says_and_changes_nothing(machine, engine):
    machine.stub("mmdebstrap", "exit 0")
    ready(machine)
    result = machine.run()
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    assert machine.changes == []


def test_a_changed_lock_file_makes_the_virtual_environment_stale(machine, engine):
    machine.stub("mmdebstrap", "exit 0")
    ready(machine)
    python = machine.root / "project/.venv/bin/python"
    with (machine.root / "project/requirements/control.txt").open("a") as lock:
        lock.write("# changed\n")
    machine.stub("python3", f'[[ $* == *--clear* ]] && exit 7; exec "{sys.executable}" "$@"')
    result = machine.run()
    assert result.returncode == 7  # it went on to make a new one, with `python3 -m venv --clear`
    assert python.exists()


def test_the_linters_need_no_engine(machine):
    ready(machine, "dev")
    result = machine.run("--lint")
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    assert machine.run("--dev").returncode == 2  # the tests do
    assert machine.changes == []


def test_for_the_linters_an_ordinary_user_without_docker_gets_the_packages(machine):
    machine.stub("python3", f'[[ $* == *--clear* ]] && exit 7; exec "{sys.executable}" "$@"')
    result = machine.run("--lint")
    assert result.returncode == 7, result.stderr  # that far: it makes .venv
    assert machine.changes == []


def ready_for_node_packages(machine):
    ready(machine, "dev")
    project = machine.root / "project"
    script = "scripts/install_node_packages.sh"
    shutil.copy(PROJECT / script, project / script)
    for each in NODE_PACKAGES:
        shutil.copytree(PROJECT / each, project / each)
    machine.stub("mmdebstrap", "exit 0")
    machine.stub("node", "echo v20.1.0")
    return project


def test_only_the_tests_get_packages_of_npm(machine, engine):
    ready_for_node_packages(machine)
    machine.stub("npm", f'echo npm "$1" >>"{machine.root}/changes"')
    assert machine.run("--lint").returncode == machine.run().returncode == 0
    assert machine.run("--dev", PMS_TEST_WITHOUT_PGLITE="1").returncode == 0
    assert machine.changes == []
    assert machine.run("--dev").returncode == machine.run("--dev").returncode == 0
    assert machine.changes == ["npm ci"] * len(NODE_PACKAGES)


def test_packages_of_npm_that_cannot_be_had_stop_the_set_up_with_the_way_out(machine, engine):
    project = ready_for_node_packages(machine)
    machine.stub("npm", "echo no such host; exit 1")
    result = machine.run("--dev")
    assert result.returncode == 1
    assert "no such host" in result.stderr
    assert "PMS_TEST_WITHOUT_PGLITE=1" in result.stderr
    assert not (project / ".cache/pglite/installed.json").exists()


def ready(machine, name="control"):
    """Pretend that .venv was made from the present lock file."""
    project = machine.root / "project"
    (project / ".venv/bin").mkdir(parents=True)
    (project / ".venv/bin/python").symlink_to(sys.executable)
    (project / ".venv/bin/docker-compose").symlink_to("/nonexistent")
    lock = project / f"requirements/{name}.txt"
    listed = subprocess.run(["sha256sum", lock], capture_output=True, text=True, check=True).stdout
    (project / f".venv/{name}.stamp").write_text(f"{listed}{project}\n")


def test_the_schedule_s_script_finds_the_project_s_python_by_itself(tmp_path):
    (tmp_path / "schedule.json").write_text("{}")
    done = subprocess.run(
        ["/usr/bin/env", "-i", "PATH=/usr/bin:/bin", f"PMS_OPS_SCHEDULE={tmp_path}/none.json",
         PROJECT / "scripts" / "scheduled.py", "status"],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert "ModuleNotFoundError" not in done.stderr
    assert done.returncode == 1 and "none.json" in done.stderr
