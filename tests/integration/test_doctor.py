# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Doctor names what an inventory of an older version lacks, from the inventory alone.

tests/fixtures/inventory_before_0.1.0 is the example as it first was, before versions had numbers.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from ansible.module_utils.pmsops.common.version import VERSION

from pmsops_cli import init
from tests.conftest import PROJECT

OLD = PROJECT / "tests" / "fixtures" / "inventory_before_0.1.0"
NEWER = yaml.safe_load((PROJECT / "roles/doctor/files/inventory.yml").read_text())["variables"]
# This machine in place of the example's host, and ports at which nobody answers.
HERE = {
    "ansible_connection": "local",
    "ansible_python_interpreter": sys.executable,
    "pms_db_port": 9,
    "pms_db_container": "pms-test-no-such-container",
    "pms_redis_port": 9,
    "pms_api_url": "http://127.0.0.1:9",
    "pms_dagster_url": "",
    "pms_grafana_url": "",
    "vault_pms_db_password": "long enough",
    "vault_pms_redis_password": "long enough",
    "vault_pms_api_password": "2026112922",
    "vault_pms_grafana_password": "seven77",
}


def doctor(inventory: Path, tmp_path: Path, **more: object) -> str:
    """Return the table of a run of doctor, its wrapped lines joined."""
    folders = {name: str(tmp_path / name) for name in ("backup_root", "evidence_root")}
    done = subprocess.run(
        [
            *(Path(sys.executable).with_name("ansible-playbook"), "playbooks/doctor.yml"),
            *("-i", inventory, "-e", json.dumps(HERE | folders | more)),
        ],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, "ANSIBLE_NOCOLOR": "1", "COLUMNS": "400"},
    )
    assert done.returncode == 2, done.stdout + done.stderr  # there is no database
    # Wrapped by the table, and each of its lines once more by YAML.
    return re.sub(r"'?\n +(?:- )?'? *", " ", done.stdout)


def keys(text: str) -> set[str]:
    """Return the variables that an inventory's file sets."""
    return set(yaml.safe_load(text))


def version(text: str) -> tuple[int, ...]:
    return tuple(map(int, text.removesuffix("-dev").split(".")))


def test_the_data_names_every_variable_that_init_writes_and_the_oldest_inventory_lacks():
    written = keys(init._variables({}))
    before = keys((OLD / init.VARIABLES).read_text())
    assert {each["name"] for each in NEWER} == written - before


@pytest.mark.parametrize("each", NEWER, ids=lambda each: each["name"])
def test_each_names_a_version_that_exists_and_what_to_set(each):
    assert re.fullmatch(r"\d+\.\d+\.\d+", each["since"])
    assert version(each["since"]) <= version(VERSION)
    assert each["set"].strip()


def test_an_older_inventory_is_told_what_it_lacks_and_since_when(tmp_path):
    table = doctor(OLD, tmp_path)
    for each in NEWER:
        assert f"{each['name']} (since {each['since']}): {' '.join(each['set'].split())}" in table
    short = ("pms_api", "pms_grafana", "vault_pms_api", "vault_pms_grafana")
    assert f"digits alone: {', '.join(f'{each}_password' for each in short)}" in table
    assert "2026112922" not in table
    # A warning: it stands in the way of nothing.
    assert "inventory.current" not in table.rpartition("because of")[2]


def test_an_inventory_that_names_them_is_told_nothing(tmp_path):
    named = {"golive_services": {"database": "timescaledb"}, "notify_details": False}
    named |= {"pms_environment": "staging", "backup_other_databases": []}
    table = doctor(OLD, tmp_path, **named)
    assert "(since" not in table and "it lacks no variable" in table


def test_the_example_and_the_lab_lack_nothing():
    for folder in ("example", "lab"):
        text = (PROJECT / "inventory" / folder / init.VARIABLES).read_text()
        assert {each["name"] for each in NEWER} <= keys(text), folder


# What a backup would say of its versions, here what it is given as the URL of the API: doctor's own
# reading of it is tested. One playbook for all, since its start takes two seconds of a processor.
PLANNED = """#!/usr/bin/python
import json
from ansible.module_utils.basic import AnsibleModule
module = AnsibleModule({name: {"type": "raw"} for name in %r}, supports_check_mode=True)
versions = json.loads(module.params["api_url"])
module.exit_json(changed=True, size_bytes=1000, versions=versions)
"""
ASKED = ("database", "root", "keys", "tables", "api_url")
PLAY = """
- hosts: localhost
  gather_facts: false
  vars:
    {__doctor_steps: [], __doctor_answer: {now: 0}, __doctor_asked: 0, __doctor_told: 0,
     pms_database: {}, backup_root: /b, pms_keys_dir: /k, pms_db_tables: [],
     pms_api_url: "{{ versions | to_json }}"}
  tasks:
    - ansible.builtin.include_role: {name: doctor, tasks_from: backup.yml}
      loop: %s
      loop_control: {loop_var: versions}
    - ansible.builtin.copy:
        dest: "{{ found }}"
        content: "{{ __doctor_steps | selectattr('id', 'eq', 'database.tools') | to_json }}"
"""
VERSIONS = [
    ({"server": "17.12", "pg_dump": "17.10"}, "fail"),
    ({"server": "17.12", "pg_dump": "17.12"}, "pass"),
    # 9 is less than 12, though "9" comes after "12".
    ({"server": "17.12", "pg_dump": "17.9"}, "fail"),
    ({"server": "17.9", "pg_dump": "17.12"}, "pass"),
    # A newer major is as bad: its dump restores on no other version of the server's major.
    ({"server": "17.12", "pg_dump": "18.1"}, "fail"),
    ({"server": "17.12", "pg_dump": "19rc1"}, "fail"),
    ({"server": "19rc1", "pg_dump": "18.6"}, "fail"),
    ({"server": "19rc1", "pg_dump": "19rc1"}, "pass"),
    ({}, "unknown"),
]


def test_tools_older_than_the_server_in_the_minor_are_a_warning(tmp_path):
    (tmp_path / "pms_backup.py").write_text(PLANNED % (ASKED,))
    (tmp_path / "play.yml").write_text(PLAY % json.dumps([versions for versions, _ in VERSIONS]))
    done = subprocess.run(
        [Path(sys.executable).with_name("ansible-playbook"), "-i", "localhost,", "-c", "local",
         "-e", f"ansible_python_interpreter={sys.executable}", "-e", f"found={tmp_path}/found",
         tmp_path / "play.yml"],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, "ANSIBLE_NOCOLOR": "1", "ANSIBLE_LIBRARY": str(tmp_path),
             "ANSIBLE_ROLES_PATH": str(PROJECT / "roles")},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    steps = json.loads((tmp_path / "found").read_text())
    assert [each["status"] for each in steps] == [status for _, status in VERSIONS]
    checklist = yaml.safe_load((PROJECT / "roles/doctor/files/checklist.yml").read_text())
    (check,) = [each for each in checklist["checks"] if each["id"] == "database.tools"]
    assert check["severity"] == "warning"


# A Python in which the package of time stamps cannot be found.
WITHOUT_STAMPS = """#!/bin/sh
PYTHONPATH={folder} exec {python} "$@"
"""


def test_a_missing_package_of_time_stamps_is_named_where_an_anchor_needs_it(tmp_path):
    """It came out at the first anchor, as a warning at the end of a nightly backup."""
    hidden = "import sys\nsys.modules['rfc3161_client'] = None\n"
    (tmp_path / "sitecustomize.py").write_text(hidden)
    python = tmp_path / "python"
    python.write_text(WITHOUT_STAMPS.format(folder=tmp_path, python=sys.executable))
    python.chmod(0o755)
    tsa = {"name": "tsa", "type": "rfc3161", "url": "http://127.0.0.1:9", "ca_file": "/x"}
    table = doctor(OLD, tmp_path, ansible_python_interpreter=str(python), evidence_anchors=[tsa])
    assert "missing: rfc3161-client, for tsa" in table
    assert "missing: " not in table.replace("missing: rfc3161-client", "")  # the host is usable
