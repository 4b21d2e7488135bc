# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Hosts as they are found: without a network, with an old Python, with users of fewer rights."""

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
import yaml

from tests.conftest import PROJECT
from tests.support import managed_host, ssh_host
from tests.support.managed_host import DOCKER, SUDO
from tests.support.remote_fleet import READ_ONLY
from tests.support.server import Server

pytestmark = pytest.mark.nightly
SECONDS = 600
PYTHON = "/opt/pms-ops/venv/bin/python"
# By the import names of requirements/managed.in
LIBRARIES = (
    *("cryptography", "docker", "holidays", "jinja2", "jsonschema", "psycopg2", "pygal"),
    *("pyrage", "yaml", "redis", "requests"),
)


class Operator:
    """The front door, with a home of its own and an inventory of one system."""

    def __init__(self, home: Path, variables: dict[str, Any]) -> None:
        self.home = home
        self.inventory = home / "one.yml"
        self.inventory.write_text(json.dumps({"pms": {"hosts": {"one": variables}}}))

    def run(self, *words: str, status: int = 0) -> dict[str, Any]:
        """Run a command to its end; return its document."""
        done = subprocess.run(
            [
                *(sys.executable, "-P", "-m", "pmsops_cli", "-i", str(self.inventory)),
                *(*words, "--json"),
            ],
            cwd=self.home,
            env={
                **os.environ,
                "HOME": str(self.home),
                "XDG_STATE_HOME": str(self.home / "state"),
                "XDG_CONFIG_HOME": str(self.home / "config"),
                "PYTHONPATH": os.pathsep.join((str(PROJECT), os.environ["PYTHONPATH"])),
            },
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=SECONDS,
        )
        assert done.returncode == status, done.stdout[-4000:] + done.stderr[-2000:]
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    def said(self) -> str:
        """Return the log of the newest run, in one line."""
        logs = sorted((self.home / "state/pms-ops/runs").glob("*.log"))
        return " ".join(logs[-1].read_text().split())


@pytest.fixture
def home() -> Iterator[Path]:
    """A home near the root: below it lie sockets of SSH, whose paths may have 107 bytes."""
    with tempfile.TemporaryDirectory(prefix="pms-", dir="/var/tmp") as folder:
        yield Path(folder)


@pytest.fixture(scope="module")
def fund(server: Server) -> Iterator[str]:
    name = f"fund_{uuid.uuid4().hex[:8]}"
    server.create(name, timescaledb=False)
    server.psql("SET ROLE macro_user; CREATE TABLE holdings AS SELECT 1 AS id;", name)
    yield name
    server.drop(name)


def folders(root: Path | str) -> dict[str, Any]:
    """Return the variables of a system whose files are below *root*, with nothing else."""
    return {
        "pms_api_url": "",
        "pms_services_manager": "none",
        "pms_keys_dir": f"{root}/keys",
        "backup_root": f"{root}/backups",
        "evidence_root": f"{root}/evidence",
    }


def database(server: Server, name: str) -> dict[str, Any]:
    """Return the variables of a database of the test server."""
    return {
        "pms_db_port": server.port,
        "pms_db_name": name,
        "pms_db_user": "pms_ops",
        "pms_db_password": server.password,
        "pms_db_container": server.container.name,
        "pms_db_tables": ["holdings"],
    }


NOWHERE = {
    "pms_db_port": 1,
    "pms_db_name": "fund",
    "pms_db_user": "u",
    "pms_db_password": "no-such-password",
    "pms_db_access": "host",
    "pms_db_host": "127.0.0.1",
}


@pytest.mark.parametrize(
    ("release", "version"),
    [("bullseye", "3.9"), ("bookworm", "3.11"), ("trixie", "3.13")],
    ids=["debian11", "debian12", "debian13"],
)
def test_a_host_without_any_network_is_prepared_and_works(release, version, home):
    with managed_host.running(home, release) as host:
        assert host.run("ls", "/sys/class/net").split() == ["lo"]
        operator = Operator(
            home,
            host.variables()
            | {"ansible_python_interpreter": PYTHON}
            | NOWHERE
            | folders("/var/lib/pms"),
        )
        missing = operator.run("doctor", status=1)
        assert missing["facts"]["blocking"][0] == "host.python"
        assert operator.run("prepare")["changed"]
        assert f"Python {version}." in host.run(PYTHON, "--version")
        host.run(PYTHON, "-c", "; ".join(f"import {each}" for each in LIBRARIES))
        # A module of ours runs there, and says what is due.
        state = operator.run("status", status=1)["hosts"]["one"]
        assert "no backup set" in str(state["due"])
        assert operator.run("prepare")["changed"] == []
        assert host.left(home) == []


def test_a_python_that_is_too_old_is_named_in_one_sentence(home):
    with managed_host.running(home, "bullseye") as host:
        host.make_python_too_old()
        operator = Operator(
            home,
            host.variables()
            | {"ansible_python_interpreter": "/usr/bin/python3"}
            | NOWHERE
            | folders("/var/lib/pms"),
        )
        before = host.run("find", "/opt", "/var/lib/pms", status=None)
        operator.run("prepare", status=1)
        assert "one has no Python 3.9 or newer among python3.14," in operator.said()
        assert (
            "it has 3.8.10 at /usr/bin/python3.9, 3.8.10 at /usr/bin/python3. Nothing was changed."
            in operator.said()
        )
        missing = operator.run("doctor", status=1)
        assert missing["facts"]["blocking"][0] == "host.python"
        assert "3.8.10 at /usr/bin/python3" in operator.said()
        # Whoever does neither is told by the module.
        operator.run("backup", status=1)
        assert "pms-ops needs Python 3.9 or newer on a managed host" in operator.said()
        assert "/usr/bin/python3 is 3.8.10. Run `pms-ops prepare`" in operator.said()
        assert host.run("find", "/opt", "/var/lib/pms", status=None) == before
        assert host.left(home) == []


def test_a_newer_python_beside_the_old_one_is_named_and_used(home):
    """As on RHEL 8: `python3` is too old, and somebody has installed 3.11."""
    with managed_host.running(home, two_pythons=True) as host:
        host.make_python_too_old()
        operator = Operator(
            home,
            host.variables()
            | {"ansible_python_interpreter": "/usr/bin/python3"}
            | NOWHERE
            | folders("/var/lib/pms"),
        )
        missing = operator.run("doctor", status=1)
        assert missing["facts"]["blocking"][0] == "host.python"
        assert "3.8.10 at /usr/bin/python3; beside it is /usr/bin/python3.11" in operator.said()
        operator.run("backup", status=1)
        assert "prepare`, which makes an environment from /usr/bin/python3.11 (" in operator.said()
        prepared = operator.run("prepare")
        assert "The inventory names /usr/bin/python3 for one. Put this line" in str(prepared)
        line = f"ansible_python_interpreter: {PYTHON}"
        assert line in str(prepared)
        assert "Python 3.11." in host.run(PYTHON, "--version")
        operator = Operator(
            home, host.variables() | yaml.safe_load(line) | NOWHERE | folders("/var/lib/pms")
        )
        state = operator.run("status", status=1)["hosts"]["one"]
        assert "no backup set" in str(state["due"])
        assert "Put this line" not in str(operator.run("prepare"))
        assert host.left(home) == []


def test_a_python_that_cannot_make_environments_is_named(home):
    """Ubuntu keeps a part of the module venv in a package of its own."""
    with managed_host.running(home) as host:
        host.run("sh", "-c", "rm -r /usr/lib/python3.13/venv")
        operator = Operator(home, host.variables() | NOWHERE | folders("/var/lib/pms"))
        operator.run("prepare", status=1)
        assert "3.13.5 at /usr/bin/python3.13, without the module venv" in operator.said()


def test_doctor_reads_past_what_sudo_says(home):
    """Over a terminal, the answer of the host's Python comes behind the warnings of sudo."""
    with managed_host.running(home) as host:
        host.run("sh", "-c", "echo 127.0.0.1 localhost >/etc/hosts")
        warned = host.run("runuser", "-u", SUDO, "--", "sh", "-c", "sudo true 2>&1")
        assert "unable to resolve host" in warned
        operator = Operator(
            home,
            host.variables(SUDO)
            | {"ansible_become": True, "ansible_python_interpreter": "/usr/bin/python3"}
            | NOWHERE
            | folders("/var/lib/pms"),
        )
        missing = operator.run("doctor", status=1)
        assert missing["facts"]["blocking"][0] == "host.libraries"


@pytest.mark.parametrize(
    ("release", "user", "become", "owner"),
    [
        ("trixie", SUDO, True, "root:root"),
        ("trixie", DOCKER, False, f"{DOCKER}:{DOCKER}"),
        ("bullseye", SUDO, True, "root:root"),
    ],
    ids=["sudo", "group docker, no sudo", "Python 3.9"],
)
def test_a_user_that_is_not_root_checks_backs_up_and_drills(
    release, user, become, owner, server, fund, home
):
    shared = home / "shared"
    shared.mkdir()
    with managed_host.running(home, release, options=managed_host.with_engine(shared)) as host:
        host.run("chown", owner, str(shared))
        operator = Operator(
            home,
            host.variables(user)
            | {
                "ansible_become": become,
                "ansible_python_interpreter": f"{shared}/pms-ops/venv/bin/python",
                "remote_dir": f"{shared}/pms-ops",
            }
            | database(server, fund)
            | folders(shared),
        )
        operator.run("prepare")
        judged = operator.run("golive", *READ_ONLY, status=1)
        assert judged["facts"]["verdict"] == "no-go"
        record = json.loads(host.run("cat", f"{shared}/evidence/latest/record.json"))
        passed = {each["id"] for each in record["results"] if each["status"] == "pass"}
        assert len(passed) > 5 and "infra.database.reachable" in passed, passed
        assert not host.run("find", str(shared / "backups"), "-name", "20*", status=None)
        operator.run("backup")
        operator.run("drill")
        assert "manifest.json" in host.run("find", str(shared / "backups"))
        assert host.owners(shared) == {owner}
        mine = host.run("find", "/home", "-not", "-user", user, "-path", f"/home/{user}/*")
        assert mine == ""
        assert host.left(home) == []


CONFIG = """\
Host gate
    HostName 127.0.0.1
    Port {gate.port}
    User root
    IdentityFile {gate.keys}/client
    IdentitiesOnly yes
    UserKnownHostsFile {gate.keys}/known_hosts
Host inside.invalid
    ProxyJump gate
"""
THROUGH = (
    "ssh -i {gate.keys}/client -o IdentitiesOnly=yes -o UserKnownHostsFile={gate.keys}/known_hosts"
    " -p {gate.port} -W [%h]:%p root@127.0.0.1"
)


@pytest.mark.parametrize("way", ["ssh config", "common args"])
def test_a_host_behind_a_jump_host_is_checked_and_backed_up(way, server, fund, home):
    """Only the jump host knows the name of the other one."""
    shared = home / "shared"
    for name in ("gate", "inside", "shared"):
        (home / name).mkdir()
    names = ("--add-host", "inside.invalid:127.0.0.1")
    with (
        ssh_host.running(home / "gate", shared, options=names) as gate,
        ssh_host.running(home / "inside", shared) as host,
    ):
        known = host.keys / "known_hosts"
        known.write_text(known.read_text().replace("127.0.0.1", "inside.invalid"))
        (home / "config").write_text(CONFIG.format(gate=gate))
        jump = (
            f"-F {home}/config"
            if way == "ssh config"
            else f"-o ProxyCommand='{THROUGH.format(gate=gate)}'"
        )
        operator = Operator(
            home,
            {
                "ansible_host": "inside.invalid",
                "ansible_port": host.port,
                "ansible_user": "root",
                "ansible_ssh_private_key_file": f"{host.keys}/client",
                "ansible_ssh_common_args": f"{jump} -o UserKnownHostsFile={known}"
                " -o IdentitiesOnly=yes",
                "ansible_python_interpreter": f"{shared}/pms-ops/venv/bin/python",
                "remote_dir": f"{shared}/pms-ops",
            }
            | database(server, fund)
            | folders(shared),
        )
        operator.run("prepare")
        judged = operator.run("golive", *READ_ONLY, status=1)
        assert judged["facts"]["verdict"] == "no-go"
        operator.run("backup")
        (made,) = (shared / "backups").glob("20*/manifest.json")
        assert json.loads(made.read_text())["database_name"] == fund
        logged = subprocess.run(
            ["docker", "logs", gate.container], capture_output=True, text=True, check=True
        )
        assert "Accepted publickey for root" in logged.stderr
