# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Systems side by side: none waits for another one."""

from __future__ import annotations

import configparser
from pathlib import Path

import pytest

from tests.conftest import PROJECT
from tests.support.yaml_files import read_yaml

PLAYBOOKS = sorted((PROJECT / "playbooks").glob("*.yml"))


def of_systems(path: Path) -> list[dict]:
    plays = read_yaml(path)
    return [play for play in plays if "pms" in str(play.get("hosts", ""))]


@pytest.mark.parametrize("path", PLAYBOOKS, ids=lambda path: path.stem)
def test_no_system_waits_at_a_task_for_another_one(path):
    # With linear, Ansible's own, each host waits at each task for the slowest one. It stays for one
    # system: with other strategies a task's name is printed only when the task has ended.
    wanted = "{{ 'host_pinned' if ansible_play_hosts_all | length > 1 else 'linear' }}"
    assert {play.get("strategy") for play in of_systems(path)} <= {wanted}


def test_a_host_that_hangs_is_given_up_and_the_table_is_shown():
    settings = configparser.ConfigParser()
    settings.read(PROJECT / "ansible.cfg")
    assert "ServerAliveInterval=10" in settings["ssh_connection"]["ssh_args"]
    assert settings["defaults"].getint("forks") >= 12
    assert "pms_systems" in settings["defaults"]["callbacks_enabled"]
