# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The scheduled jobs of copies on other sites: each unit's own command, against a real repository.

A test runs what systemd would: the lines of the unit file, with the environment that it names.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.module_utils.pmsops.evidence import ledger
from ansible.module_utils.pmsops.repository import site_notes

from tests.conftest import PROJECT
from tests.support import sites
from tests.support.backup_sets import make_set
from tests.support.server import free_port

pytestmark = pytest.mark.nightly
JOBS = {
    each["name"]: each
    for each in yaml.safe_load((PROJECT / "roles/schedule/vars/main.yml").read_text("utf-8"))[
        "schedule_offsite_jobs"
    ]
}
SET, LATER = "2026-11-22_0600", "2026-11-23_0600"


@dataclass
class Control:
    """A control node: the project as it is, a system without a database, and a site of it."""

    root: Path
    password: Path

    def unit(self, job: str) -> tuple[dict[str, str], str, str]:
        """Return the environment of a job's unit, its command, and what records its end."""
        lines = (self.root / "units" / f"pms-ops-{job}.service").read_text().splitlines()
        plain = [line.replace("%%", "%") for line in lines]
        environment = dict(
            shlex.split(line.removeprefix("Environment="))[0].split("=", 1)
            for line in plain
            if line.startswith("Environment=")
        )
        (start,) = (line for line in plain if line.startswith("ExecStart="))
        (end,) = (line for line in plain if line.startswith("ExecStopPost=-"))
        return environment, start.partition("=")[2], end.partition("=-")[2]

    def run(self, job: str) -> tuple[int, str]:
        """Run a job as systemd does a week later; return its exit status and output."""
        self._was_a_week_ago(job)
        named, start, end = self.unit(job)
        environment = {"PATH": os.environ["PATH"], "HOME": str(self.root)} | named
        environment |= {"INVOCATION_ID": f"of-{job}"}
        place = self.root / "project"
        done = subprocess.run(
            shlex.split(start.replace("$$", "$")), env=environment, cwd=place,
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300,
        )  # fmt: skip
        result = {"SERVICE_RESULT": "exit-code" if done.returncode else "success"}
        environment |= result | {"EXIT_STATUS": str(done.returncode)}
        subprocess.run(
            shlex.split(end.replace("$$", "$")), env=environment, cwd=place, check=True, timeout=60
        )
        return done.returncode, done.stdout + done.stderr

    def _was_a_week_ago(self, job: str) -> None:
        path = self.root / "state" / "status.json"
        document = json.loads(path.read_text())
        (record,) = (each for each in document["jobs"] if each["name"] == job)
        for name in ("registered_at", "started_at"):
            if record.get(name):
                earlier = datetime.fromisoformat(record[name]) - timedelta(days=8)
                record[name] = earlier.isoformat()
        path.write_text(json.dumps(document))

    def record(self, job: str) -> dict[str, Any]:
        """Return what the schedule recorded of a job."""
        found = json.loads((self.root / "state" / "status.json").read_text())["jobs"]
        return next(each for each in found if each["name"] == job)

    def last_line(self) -> dict[str, Any]:
        """Return the last line of the ledger."""
        return ledger.records(self.root / "evidence")[-1]

    def note(self) -> dict[str, Any]:
        """Return what is noted of the site."""
        return site_notes.assess(self.root / "backups", ["vault"])[0]


@pytest.fixture(scope="module")
def control(tmp_path_factory):
    root = tmp_path_factory.mktemp("jobs")
    project = root / "project"
    project.mkdir()
    for path in PROJECT.iterdir():
        if path.name not in (".venv", ".git", ".cache"):
            (project / path.name).symlink_to(path)
    (project / ".venv").symlink_to(Path(sys.executable).parents[1])
    (root / "units").mkdir()
    site = sites.Address(str(root / "repository")).option("vault", root) | {"deletes": True}
    for name in (SET, LATER):
        make_set(root / "backups", root / "keys", name)
    ledger.append(root / "evidence", "backup", {"set": SET}, now=datetime.now(UTC))
    variables = {
        "ansible_connection": "local",
        "ansible_python_interpreter": sys.executable,
        "backup_root": str(root / "backups"),
        "evidence_root": str(root / "evidence"),
        "pms_keys_dir": str(root / "keys"),
        "pms_db_access": "host",
        "pms_db_host": "127.0.0.1",
        "pms_db_port": free_port(),
        "pms_services_manager": "none",
        "offsite_repositories": [site],
        "offsite_restic": str(sites.restic(root)),
        "offsite_keep_last": 1,
        **{f"offsite_keep_{each}": 0 for each in ("daily", "weekly", "monthly")},
        "schedule_project": str(project),
        "schedule_unit_dir": str(root / "units"),
        "schedule_config_dir": str(root / "etc"),
        "schedule_state_dir": str(root / "state"),
        "schedule_without_timers": True,
        "schedule_inventories": [str(root / "inventory.yml")],
    }
    (root / "inventory.yml").write_text(yaml.safe_dump({"pms": {"hosts": {"prod": variables}}}))
    found = Control(root, Path(site["password_file"]))
    for words in (["schedule.yml"], ["offsite.yml", "-e", "offsite_action=init"]):
        done = subprocess.run(
            [Path(sys.executable).with_name("ansible-playbook"), "-i", root / "inventory.yml",
             project / "playbooks" / words[0], *words[1:]],
            cwd=project, env=os.environ | {"ANSIBLE_CONFIG": str(project / "ansible.cfg")},
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
    return found


def test_each_timer_starts_the_command_that_its_job_names(control):
    known = json.loads((control.root / "etc" / "schedule.json").read_text())["jobs"]
    commands = {each["name"]: each["command"] for each in known}
    planned = {each["name"]: each["at"] for each in known}
    assert planned["offsite_upload"] == ["04:45"]  # hourly with continuous protection
    assert JOBS.keys() <= commands.keys()
    for name, job in JOBS.items():
        timer = (control.root / "units" / f"pms-ops-{name}.timer").read_text()
        assert planned[name] and all(f"{moment}:00" in timer for moment in planned[name])
        assert not re.search(r"^Unit=", timer, re.M)  # so it starts the service of its name
        _, start, end = control.unit(name)
        assert shlex.split(start)[-2:] == ["run", name] and shlex.split(end)[-2:] == ["end", name]
        program, *words = commands[name]
        assert Path(program).name == "ansible-playbook" and Path(program).exists()
        assert words[-len(job["arguments"]) :] == job["arguments"]
        assert job["playbook"] in words and (control.root / "project" / job["playbook"]).exists()


def test_the_jobs_end_with_status_0_and_record_what_they_did(control):
    """In the order of a week; the sets are no dumps, so nothing proves them."""
    done = {}
    for name in ("offsite_upload", "offsite_check", "offsite_try", "offsite_prune"):
        status, said = control.run(name)
        assert status == 0, said
        record = control.record(name)
        assert (record["result"], record["exit_status"]) == ("success", 0)
        done[name] = said
    note = control.note()
    assert note["current"] and note["upload"]["set"] == LATER and note["errors"] == {}
    assert note["check"]["part"] == 1 and note["immutable"]["refused"] is False
    assert (
        "CAN DELETE" in done["offsite_try"] and "read back and is equal" in done["offsite_upload"]
    )
    lines = [each["record"] for each in ledger.records(control.root / "evidence", "offsite")]
    assert [each["act"] for each in lines] == ["try", "prune"]
    assert lines[0]["deletable"] == ["vault"] and lines[1]["failed"] == []


def test_a_proof_that_fails_ends_with_another_status_and_is_in_the_ledger(control):
    """There is no database to restore into: the set came, and nothing proved it."""
    assert control.run("offsite_upload")[0] == 0
    status, said = control.run("offsite_proof")
    assert status == 2, said
    assert control.record("offsite_proof")["exit_status"] == 2
    found = control.last_line()
    assert found["kind"] == "offsite" and found["record"]["act"] == "proof"
    assert (found["record"]["proved"], found["record"]["set"]) == (False, LATER)
    assert not (control.root / "backups" / ".pms-ops" / "fetched").exists()


@pytest.mark.parametrize("name", [each for each in JOBS if each != "offsite_proof"])
def test_a_job_whose_site_refuses_it_fails_by_its_status_and_says_why(control, name):
    real = control.password.read_text()
    control.password.write_text("of another fund")
    try:
        status, said = control.run(name)
    finally:
        control.password.write_text(real)
    assert status == 2 and "offsite.wrong-password" in said, said
    record = control.record(name)
    assert (record["result"], record["exit_status"]) == ("exit-code", 2)
    assert record["failing_since"]
    assert real not in said
