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
    "vault_pms_db_password": "x",
    "vault_pms_redis_password": "x",
    "vault_pms_api_password": "x",
    "vault_pms_grafana_password": "x",
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
    # A warning: it stands in the way of nothing.
    assert "inventory.current" not in table.rpartition("because of")[2]


def test_an_inventory_that_names_them_is_told_nothing(tmp_path):
    table = doctor(OLD, tmp_path, golive_services={"database": "timescaledb"}, notify_details=False)
    assert "(since" not in table and "it lacks no variable" in table


def test_the_example_and_the_lab_lack_nothing():
    for folder in ("example", "lab"):
        text = (PROJECT / "inventory" / folder / init.VARIABLES).read_text()
        assert {each["name"] for each in NEWER} <= keys(text), folder
