# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""`DOCKER_HOST=ssh://`: a host that has a Docker Engine and SSH, and no Python.

The engine is this machine's, behind an sshd in a container that has nothing but its socket.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import PROJECT
from tests.support import client_tools, ssh_host
from tests.support.remote_fleet import READ_ONLY
from tests.support.server import IMAGE, Server

pytestmark = pytest.mark.nightly
SECONDS = 300


class Operator:
    """The front door of a control node, with an engine that only SSH reaches."""

    def __init__(self, home: Path, host: ssh_host.SshHost, server: Server, fund: str) -> None:
        self.home, self.host = home, host
        # ssh takes the home of the user from the system, whatever HOME is; so it is given a file.
        program = home / "bin/ssh"
        program.parent.mkdir()
        program.write_text(f'#!/bin/sh\nexec /usr/bin/ssh -F {home}/config "$@"\n')
        program.chmod(0o755)
        (home / "config").write_text(
            f"Host *\n    IdentityFile {host.keys}/client\n    IdentitiesOnly yes\n"
            f"    UserKnownHostsFile {host.keys}/known_hosts\n"
        )
        self.variables = {
            "ansible_connection": "local",
            "ansible_python_interpreter": sys.executable,
            "pms_db_port": server.port,
            "pms_db_name": fund,
            "pms_db_user": "pms_ops",
            "pms_db_password": server.password,
            "pms_db_container": server.container.name,
            "pms_db_tables": ["holdings"],
            "pms_api_url": "",
            "pms_services_manager": "none",
            "pms_keys_dir": f"{home}/keys",
            "backup_root": f"{home}/backups",
            "evidence_root": f"{home}/evidence",
        }

    def run(self, *words: str, engine: str = "", **changed: Any) -> dict[str, Any]:
        """Run a command; return its document, and its exit status as ``rc``."""
        inventory = self.home / "one.yml"
        hosts = {"pms": {"hosts": {"one": self.variables | changed}}}
        inventory.write_text(json.dumps(hosts))
        done = subprocess.run(
            [
                *(sys.executable, "-P", "-m", "pmsops_cli", "-i", str(inventory)),
                *(*words, "--json"),
            ],
            cwd=self.home,
            env={
                **os.environ,
                "PATH": f"{self.home}/bin:{os.environ['PATH']}",
                "DOCKER_HOST": engine or f"ssh://root@127.0.0.1:{self.host.port}",
                "HOME": str(self.home),
                "TMPDIR": str(self.home),
                "XDG_STATE_HOME": str(self.home / "state"),
                "XDG_CONFIG_HOME": str(self.home / "config.d"),
                "PYTHONPATH": os.pathsep.join((str(PROJECT), os.environ["PYTHONPATH"])),
            },
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=SECONDS,
        )
        assert done.stdout.startswith("{"), done.stdout + done.stderr
        return json.loads(done.stdout) | {"rc": done.returncode}

    def said(self) -> str:
        """Return the log of the newest run, in one line."""
        logs = sorted((self.home / "state/pms-ops/runs").glob("*.log"))
        return " ".join(logs[-1].read_text().split())

    def logins(self) -> int:
        """Return how often somebody has logged in."""
        logged = subprocess.run(
            ["docker", "logs", self.host.container], capture_output=True, text=True, check=True
        )
        return logged.stderr.count("Accepted publickey")

    def left(self) -> list[str]:
        """Return what the runs left: their sockets, and the ssh that forwarded them."""
        found = [str(path) for path in self.home.glob("pms-engine-*")]
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                words = path.read_bytes().replace(b"\0", b" ").decode()
            except OSError:
                continue
            if f"{self.home}/pms-engine-" in words:
                found.append(words)
        return found


@pytest.fixture(scope="module")
def operator(server: Server) -> Iterator[Operator]:
    name = f"fund_{uuid.uuid4().hex[:8]}"
    server.create(name, timescaledb=False)
    server.psql("SET ROLE macro_user; CREATE TABLE holdings AS SELECT 1 AS id;", name)
    with tempfile.TemporaryDirectory(prefix="pms-", dir="/var/tmp") as folder:
        home = Path(folder)
        (home / "nothing").mkdir()
        with ssh_host.running(home, home / "nothing") as host:
            yield Operator(home, host, server, name)
    server.drop(name)


def test_the_checks_of_containers_pass_through_one_connection(operator: Operator):
    before = operator.logins()
    judged = operator.run("golive", *READ_ONLY, pms_services_manager="compose")
    assert judged["facts"]["verdict"] == "no-go", judged
    assert operator.logins() == before + 1
    record = json.loads((operator.home / "evidence/latest/record.json").read_text())
    results = {each["id"]: each for each in record["results"]}
    assert results["infra.database.reachable"]["status"] == "pass"
    assert results["config.ports.timescaledb"]["status"] == "pass"  # what the engine says
    # The disk of the database is that of the other machine, and this one's is not told instead.
    disk = results["infra.database.disk"]
    assert disk["status"] == "unknown" and "ssh://root@127.0.0.1" in json.dumps(disk), disk
    assert operator.left() == []


def test_a_backup_by_a_container_is_refused_and_changes_nothing(operator: Operator):
    done = operator.run("backup")
    assert done["rc"] == 1
    assert "clients.engine-elsewhere" in operator.said()
    assert f"is that of ssh://root@127.0.0.1:{operator.host.port}" in operator.said()
    assert not list((operator.home / "backups").glob("20*"))
    # Nothing was made on the other machine either: no folder of ours, no container.
    operator.host.run("test", "!", "-e", str(operator.home / "backups"))
    assert operator.left() == []


def test_a_backup_and_a_drill_by_tools_of_this_machine_work(operator: Operator):
    here = {
        "pms_db_access": "host",
        "pms_db_host": "127.0.0.1",
        "pms_db_bin_dir": str(client_tools.of_image(IMAGE)),
    }
    assert operator.run("backup", **here)["rc"] == 0
    assert operator.run("drill", **here)["rc"] == 0
    assert operator.left() == []


def test_a_host_that_refuses_is_named_with_the_reason(operator: Operator):
    done = operator.run("backup", engine=f"ssh://nobody@127.0.0.1:{operator.host.port}")
    assert done["rc"] == 1
    assert "is not reached: " in operator.said() and "Permission denied" in operator.said()
    assert "clients.engine" in operator.said()
    assert operator.left() == []
