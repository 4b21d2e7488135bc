# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Playbooks that fail, and the messages about them; channels alone are in tests/unit/notify."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.conftest import PROJECT
from tests.support.web import SECRET, Web, answers, web_channel

PLAYS = {
    "backup.yml": """
- hosts: pms
  gather_facts: false
  tasks:
    - name: Rescue what is not in the way
      block: [{ansible.builtin.fail: {msg: rescued}}]
      rescue: [{ansible.builtin.meta: noop}]
    - name: Fail with a price
      ansible.builtin.fail: {msg: "USDBRL at 5.43, {{ pms_db_password }}"}
      when: broken | bool
""",
    "verify.yml": """
- hosts: pms
  gather_facts: false
  tasks: [{ansible.builtin.ping: {}}]
""",
    "other.yml": """
- hosts: pms
  gather_facts: false
  tasks: [{ansible.builtin.fail: {msg: no matter}}]
""",
}
# A connection to a host that nobody answers at.
NOWHERE = """
from ansible.errors import AnsibleConnectionFailure
from ansible.plugins.connection import ConnectionBase
DOCUMENTATION = "name: nowhere\\nshort_description: x\\ndescription: x\\noptions: {}"


class Connection(ConnectionBase):
    transport = "nowhere"

    def _connect(self):
        raise AnsibleConnectionFailure("nobody answers")

    exec_command = put_file = fetch_file = close = lambda self, *a, **k: self._connect()
"""


@pytest.fixture
def project(tmp_path):
    """Playbooks and an inventory, run with the project's own configuration."""
    for name, text in PLAYS.items():
        (tmp_path / name).write_text(text)

    def play(
        name,
        channels=(),
        host=None,
        environment=None,
        hosts=None,
        state=tmp_path / "n",
        **variables,
    ):
        known = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
        known |= {"notify_channels": list(channels)}
        known |= {"notify_state_dir": str(state)} if state else {}
        known |= {"pms_db_password": "hunter2", "broken": True} | variables | (host or {})
        inventory = tmp_path / "inventory.yml"
        systems = {name: known | own for name, own in (hosts or {"prod": {}}).items()}
        inventory.write_text(yaml.safe_dump({"pms": {"hosts": systems}}))
        done = subprocess.run(
            [Path(sys.executable).with_name("ansible-playbook"), "-i", inventory, tmp_path / name],
            cwd=PROJECT,
            env={**os.environ, "ANSIBLE_NOCOLOR": "1", **(environment or {})},
            capture_output=True,
            text=True,
            timeout=120,
        )
        return done.returncode, done.stdout + done.stderr

    return play


def test_a_failed_playbook_tells_and_so_does_the_next_good_one(project):
    with Web(answers(200)) as web:
        channel = web_channel(web.url)
        failed = project("backup.yml", [channel])
        good = project("backup.yml", [channel], broken=False)
        other = project("other.yml", [channel])
    assert [code for code, _ in (failed, good, other)] == [2, 0, 2]
    documents = [document for _, _, document in web.got]
    assert [document["kind"] for document in documents] == ["failure", "recovery"]
    assert documents[0]["facts"]["task"].endswith("backup.yml:8")
    assert "5.43" not in json.dumps(documents)
    assert SECRET not in failed[1] + good[1] and "pms_notify: failure of backup" in failed[1]


def test_an_unreachable_host_and_an_unreachable_channel(project, tmp_path):
    (tmp_path / "nowhere.py").write_text(NOWHERE)
    nowhere = {"ansible_connection": "nowhere"}
    plugins = {"ANSIBLE_CONNECTION_PLUGINS": str(tmp_path)}
    with Web(answers(200)) as web:
        dead = {"name": "dead", "type": "webhook", "url": f"http://127.0.0.1:1/{SECRET}"}
        options = {"notify_details": True, "notify_attempts": 1}
        channels = [web_channel(web.url), dead]
        code, output = project("verify.yml", channels, nowhere, plugins, **options)
    assert code == 4, output
    assert web.got[0][2]["code"] == "ansible.unreachable"
    assert "dead: it could not be connected to" in output and SECRET not in output


def test_details_go_out_where_asked_for_with_passwords_blanked(project):
    with Web(answers(200)) as web:
        project("backup.yml", [web_channel(web.url)], notify_details=True)
    assert "USDBRL at 5.43, ********" in web.got[0][2]["text"]


def test_within_a_scheduled_job_the_playbook_only_leaves_a_note(project, tmp_path):
    job = {"name": "nightly", "command": ["true"], "days": "daily", "at": ["22:15"]}
    document = {"state_dir": str(tmp_path), "metrics_dir": str(tmp_path)}
    (tmp_path / "s.json").write_text(json.dumps(document | {"jobs": [job | {"window_minutes": 9}]}))
    unit = {"PMS_OPS_JOB": "nightly", "PMS_OPS_SCHEDULE": str(tmp_path / "s.json")}
    with Web(answers(200)) as web:
        project("backup.yml", [web_channel(web.url)], environment=unit)
    assert web.got == []
    failure = json.loads((tmp_path / "status.json").read_text())["jobs"][0]["failure"]
    assert (failure["code"], failure["playbook"]) == ("ansible.task", "backup")
    assert failure["details"] == []
    project("backup.yml", [web_channel(web.url)], environment=unit, notify_details=True)
    failure = json.loads((tmp_path / "status.json").read_text())["jobs"][0]["failure"]
    assert "USDBRL at 5.43, ********" in failure["details"][0]


def test_each_system_hears_of_its_own_failures_alone(project, tmp_path):
    with Web(answers(200)) as good, Web(answers(200)) as bad:
        systems = {
            "alpha": {"notify_channels": [web_channel(good.url)], "broken": False},
            "beta": {"notify_channels": [web_channel(bad.url)], "pms_compose_project": "fund b"},
        }
        home = {"HOME": str(tmp_path)}
        code, output = project("backup.yml", hosts=systems, state=None, environment=home)
        assert code == 2, output
        assert [document["system"] for _, _, document in bad.got] == ["fund b"]
        assert good.got == []
    kept = sorted(each.name for each in (tmp_path / ".local/state/pms-ops").iterdir())
    assert kept == ["alpha", "fund_b"]
