# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""No playbook of the schedule works on a machine that another one replaced."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import PROJECT
from tests.support.yaml_files import read_yaml
from tests.unit.offsite.conftest import Fund, fund, program
from tests.unit.recovery.test_new_host import step

__all__ = ["fund", "program"]

JOBS = read_yaml(PROJECT / "roles" / "schedule" / "vars" / "main.yml")
LISTS = tuple(name for name in JOBS if name.startswith("schedule_") and name.endswith("_jobs"))
# Each with what sets it apart: pitr.yml is four jobs.
OF_PLAYBOOKS = {
    f"{name}-{job['name']}": [job["playbook"], *job.get("arguments", [])]
    for name in LISTS
    for job in JOBS[name]
    if "playbook" in job
}


def roles_of(playbook: str) -> set[str]:
    """Return the roles that a playbook names."""
    found = set()
    for play in read_yaml(PROJECT / playbook):
        found |= {each["role"] for each in play.get("roles", ())}
        for task in play.get("tasks", ()):
            found |= {task["ansible.builtin.include_role"]["name"]}
    return found


@pytest.mark.parametrize("playbook", sorted({words[0] for words in OF_PLAYBOOKS.values()}))
def test_each_role_of_a_scheduled_playbook_comes_by_the_question(playbook):
    """A drill and a brief went on, on a machine that another one had replaced."""
    for role in roles_of(playbook):
        meta = read_yaml(PROJECT / "roles" / role / "meta" / "main.yml")
        assert {"role": "pms"} in meta["dependencies"]
    assert "owner.yml" in (PROJECT / "roles" / "pms" / "tasks" / "main.yml").read_text()


@pytest.fixture
def replaced(fund, tmp_path):
    """A machine with a schedule, whose system another one took over."""
    assert fund.call("present")["changed"]
    assert fund.site("uploaded")["ok"]
    new = Fund(tmp_path / "new", fund.capsys, fund.program)
    shutil.copytree(fund.folder / "keys" / "trusted", new.folder / "keys" / "trusted")
    assert step(fund, new, "fetched", set="newest")["changed"]
    document = {"state_dir": str(tmp_path), "metrics_dir": str(tmp_path), "jobs": []}
    (tmp_path / "schedule.json").write_text(json.dumps(document))
    options = fund.options()
    known = {
        "ansible_connection": "local",
        "ansible_python_interpreter": sys.executable,
        "ansible_vault_password_file": "",
        **{f"vault_pms_{name}_password": "x" for name in ("db", "redis", "api", "grafana")},
        "notify_channels": [],
        "schedule_drill_host": "elsewhere",
        "offsite_repositories": options["repositories"],
        "offsite_restic": options["restic"],
        "offsite_system": options["system"],
        "backup_root": options["root"],
        "evidence_root": options["evidence_root"],
        "pms_keys_dir": options["keys"],
    }
    (tmp_path / "vars.json").write_text(json.dumps(known))
    return tmp_path


@pytest.mark.nightly
@pytest.mark.parametrize("job", OF_PLAYBOOKS)
def test_a_scheduled_job_of_a_machine_that_was_replaced_is_refused_by_name(replaced, job):
    program = Path(sys.executable).with_name("ansible-playbook")
    inventory = PROJECT / "inventory" / "example"
    done = subprocess.run(
        [program, "-i", inventory, "-e", f"@{replaced}/vars.json", *OF_PLAYBOOKS[job]],
        cwd=PROJECT,
        env=os.environ
        | {"PMS_OPS_SCHEDULE": str(replaced / "schedule.json"), "ANSIBLE_NOCOLOR": "1"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 2, done.stdout[-2000:]
    assert "system.replaced" in done.stdout, done.stdout[-3000:]
    assert "system.replaced" in (replaced / "replaced").read_text()
