# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Two systems in one inventory: what becomes of one says nothing about the other."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.conftest import PROJECT

PLAYBOOKS = sorted((PROJECT / "playbooks").glob("*.yml"))


@pytest.mark.parametrize("path", PLAYBOOKS, ids=lambda path: path.stem)
def test_no_failure_of_one_system_ends_the_run_of_another(path):
    # Under any_errors_fatal, ansible-core 2.19 to 2.21 also runs the rescue of healthy hosts, which
    # records a failure that was none of theirs.
    plays = [play for play in yaml.safe_load(path.read_text()) if play.get("hosts") == "pms"]
    assert not any(play.get("any_errors_fatal") for play in plays)


def test_no_task_of_a_role_is_run_once():
    # One that fails in a block with a rescue drops every other host from the run. A new machine is
    # one host: its playbook installs the timers of the control node by a role that is run once.
    alone = PROJECT / "roles" / "host" / "tasks" / "protect.yml"
    roles = (path for path in (PROJECT / "roles").rglob("*.yml") if path != alone)
    assert [str(path) for path in roles if "run_once:" in path.read_text()] == []


@pytest.mark.nightly
def test_a_system_is_looked_at_while_its_neighbour_cannot_be_reached(tmp_path):
    known = {
        "ansible_connection": "local",
        "ansible_python_interpreter": sys.executable,
        "backup_root": str(tmp_path / "{{ inventory_hostname }}" / "backups"),
        "evidence_root": str(tmp_path / "{{ inventory_hostname }}" / "evidence"),
        "pms_compose_project": "x",
        "pms_services_manager": "none",
        "pms_db_access": "host",
        **dict.fromkeys(("pms_db_password", "pms_redis_password", "pms_jwt_secret"), "x"),
    }
    gone = {"ansible_connection": "ssh", "ansible_host": "127.0.0.1", "ansible_port": 9}
    systems = {"alpha": gone, "beta": {}}
    (tmp_path / "hosts.yml").write_text(yaml.safe_dump({"pms": {"hosts": systems, "vars": known}}))
    (tmp_path / "beta" / "backups").mkdir(parents=True)
    done = subprocess.run(
        [
            Path(sys.executable).with_name("ansible-playbook"),
            *("-i", tmp_path / "hosts.yml", "playbooks/dr_disk.yml"),
        ],
        cwd=PROJECT,
        env={**os.environ, "ANSIBLE_NOCOLOR": "1", "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    alpha, beta = done.stdout.split("PLAY RECAP")[1].strip().splitlines()[1:3]
    assert "unreachable=1" in alpha, done.stdout
    assert "failed=0" in beta and "rescued=0" in beta, done.stdout
    assert "Healthy" in done.stdout
    assert done.returncode == 4
