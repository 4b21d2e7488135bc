# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""A Docker Engine on an empty Debian 13, by the role's tasks and the distribution's packages.

The machine is a container: networks of the engine, its firewall rules and its usual storage driver
are not shown (tests/support/empty_machine.py). All else is: packages, units, group, socket.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import PROJECT
from tests.support import empty_machine

pytestmark = pytest.mark.nightly  # minutes, and packages of Debian's mirror
INSTALL_SECONDS = 1500


@pytest.fixture(scope="module")
def machine(tmp_path_factory):
    with empty_machine.running(tmp_path_factory.mktemp("machine")) as made:
        yield made


def installed(machine, folder, *more):
    """Run the tasks that a new machine has its engine by; return what they said."""
    known = {
        **machine.variables(),
        **{f"vault_pms_{name}_password": "x" for name in ("db", "redis", "api", "grafana")},
        "notify_channels": [],
        "backup_root": "/var/lib/pms-ops/backups",
        "evidence_root": "/var/lib/pms-ops/evidence",
        "pms_keys_dir": "/root/keys",
        "offsite_repositories": [{"name": "vault", "url": "/srv/r", "password_file": "/root/p"}],
    }
    role = {"ansible.builtin.include_role": {"name": "host", "tasks_from": "docker"}}
    play = {"hosts": "pms", "gather_facts": False, "vars": known, "tasks": [role]}
    (folder / "play.yml").write_text(json.dumps([play]))
    ran = subprocess.run(
        [
            Path(sys.executable).with_name("ansible-playbook"),
            *("-i", PROJECT / "inventory" / "example", folder / "play.yml", *more),
        ],
        cwd=PROJECT,
        env=os.environ | {"ANSIBLE_NOCOLOR": "1"},
        capture_output=True,
        text=True,
        timeout=INSTALL_SECONDS,
    )
    assert ran.returncode == 0, ran.stdout[-4000:] + ran.stderr[-2000:]
    return ran.stdout


def test_an_engine_is_installed_and_runs_and_the_second_time_nothing_changes(machine, tmp_path):
    """The installation was planned by unit tests and had never been run: issue 20."""
    assert machine.run("sh", "-c", "command -v dockerd || true") == ""
    machine.run("apt-get", "update", "--quiet")
    planned = " ".join(installed(machine, tmp_path, "--check").split())
    assert "Would install docker.io, docker-cli, docker-compose." in planned
    assert machine.run("sh", "-c", "command -v dockerd || true") == ""

    installed(machine, tmp_path)
    shown = ["dpkg-query", "--show", "--showformat", "${Package}=${Status}\n"]
    found = machine.run(*shown, "docker.io", "docker-cli", "docker-compose")
    assert found.count("=install ok installed") == 3, found
    assert machine.run("systemctl", "is-enabled", "docker").strip() == "enabled"
    assert machine.run("systemctl", "is-active", "docker").strip() == "active"
    assert machine.run("getent", "group", "docker").startswith("docker:")
    assert "srw-rw----" in machine.run("ls", "-l", "/run/docker.sock")
    assert re.match(r"\d+\.", machine.run("docker", "version", "--format", "{{.Server.Version}}"))
    # As a plugin of the client, which is how the role calls it.
    assert re.search(r"version v?2\.", machine.run("docker", "compose", "version"))

    again = installed(machine, tmp_path)
    assert re.search(r"changed=0 .*failed=0", again), again[-500:]


def test_an_engine_that_was_stopped_is_named_and_not_installed_over(machine, tmp_path):
    machine.run("systemctl", "stop", "docker.socket", "docker")
    with pytest.raises(AssertionError, match=r"host\.docker-down|does not run"):
        installed(machine, tmp_path)
