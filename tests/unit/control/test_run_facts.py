"""What the control node knows of a run: its code, playbook, ticket, user and start."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from ansible.module_utils.pmsops.control import run_facts

from tests.conftest import PROJECT

NOT_MEASURED = "NOT MEASURED"
FILE = "module_utils/pmsops/__init__.py"


def git(folder: Path, *words: str) -> None:
    who = ["-c", "user.name=a", "-c", "user.email=a@example.com"]
    subprocess.run(["git", "-C", str(folder), *who, *words], check=True, capture_output=True)


@pytest.fixture
def toolkit(tmp_path):
    """A folder as the toolkit's, in no repository."""
    folder = tmp_path / "toolkit"
    for name in (FILE, "golive.yml", "roles/pms/tasks/main.yml", "plugins/filter/size.py"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(f"# {name}\n")
    return folder


def committed(folder: Path) -> Path:
    git(folder, "init", "-q")
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "all")
    return folder


def test_a_clean_checkout_is_its_commit(toolkit):
    found = run_facts.code(committed(toolkit))
    assert len(found["commit"]) == 40
    assert (found["dirty"], found["sha256"]) == (False, NOT_MEASURED)


@pytest.mark.parametrize("what", ["changed", "new", "deleted"])
def test_a_commit_with_other_files_is_dirty_and_has_a_digest(toolkit, what):
    committed(toolkit)
    if what == "changed":
        (toolkit / "golive.yml").write_text("- hosts: all\n")
    elif what == "new":
        (toolkit / "library").mkdir()
        (toolkit / "library" / "pms_odd.py").write_text("pass\n")
    else:
        (toolkit / "golive.yml").unlink()
    found = run_facts.code(toolkit)
    assert (found["dirty"], len(found["commit"]), len(found["sha256"])) == (True, 40, 64)


def test_evidence_beside_the_toolkit_makes_no_checkout_dirty(toolkit):
    committed(toolkit)
    (toolkit / "evidence").mkdir()
    (toolkit / "evidence" / "ledger.jsonl").write_text("{}\n")
    assert run_facts.code(toolkit)["dirty"] is False


def test_a_repository_that_ignores_the_toolkit_does_not_name_it(tmp_path, toolkit):
    """The commit of somebody's own repository would say nothing about this code."""
    (tmp_path / ".gitignore").write_text("toolkit\n")
    committed(tmp_path)
    found = run_facts.code(toolkit)
    assert (found["commit"], found["dirty"]) == (NOT_MEASURED, NOT_MEASURED)
    assert len(found["sha256"]) == 64


def test_a_hook_s_variables_do_not_lead_to_another_repository(toolkit, tmp_path, monkeypatch):
    other = tmp_path / "other"
    shutil.copytree(toolkit, other)
    (other / "golive.yml").write_text("other\n")
    committed(other)
    mine = run_facts.code(committed(toolkit))["commit"]
    monkeypatch.setenv("GIT_DIR", str(other / ".git"))
    assert run_facts.code(toolkit)["commit"] == mine


def test_the_digest_is_the_same_wherever_the_folder_lies(toolkit, tmp_path):
    other = tmp_path / "elsewhere" / "deep"
    shutil.copytree(toolkit, other)
    (other / "roles" / "__pycache__").mkdir()
    (other / "roles" / "__pycache__" / "a.pyc").write_bytes(b"1")
    assert run_facts.digest(other) == run_facts.digest(toolkit)


@pytest.mark.parametrize("what", ["content", "name", "gone"])
def test_the_digest_sees_each_file(toolkit, what):
    before = run_facts.digest(toolkit)
    path = toolkit / "roles/pms/tasks/main.yml"
    if what == "content":
        path.write_text("# other\n")
    elif what == "name":
        path.rename(path.with_name("other.yml"))
    else:
        path.unlink()
    assert run_facts.digest(toolkit) != before


def test_the_project_s_own_files_are_among_those_that_count():
    assert all((PROJECT / name).exists() for name in run_facts.TOOLKIT)


def test_the_playbook_is_named_and_its_file_has_a_digest(tmp_path):
    path = tmp_path / "dr_redis.yml"
    path.write_text("")
    found = run_facts.playbook([str(path)])
    assert found["name"] == "dr_redis"
    assert found["sha256"].startswith("e3b0c442")
    one = {"name": "pmsops.pms.drill", "sha256": NOT_MEASURED}
    assert run_facts.playbook(["pmsops.pms.drill"])["sha256"] == one["sha256"]
    assert run_facts.playbook([])["name"] == NOT_MEASURED
    assert run_facts.playbook(["a.yml", "b.yml"]) == {"name": "a, b", "sha256": NOT_MEASURED}


@pytest.mark.parametrize(
    ("ticket", "recorded"), [("CHG-7", "CHG-7"), ("", None), (None, None), (7, "7"), ("  ", None)]
)
def test_the_ticket_is_who_ordered_it(ticket, recorded):
    found = run_facts.collect(PROJECT, {"ticket": ticket, "environment": "lab"}, ["golive.yml"])
    assert found["ordered_by"]["ticket"] == recorded
    assert found["environment"] == "lab"


def test_a_job_of_the_schedule_is_ordered_by_it(monkeypatch):
    monkeypatch.setenv("PMS_OPS_SCHEDULE", "/etc/pms-ops/schedule.json")
    found = run_facts.collect(PROJECT, {"without": ["grafana"]}, [])
    assert found["ordered_by"]["by"] == "schedule"
    assert found["environment"] == NOT_MEASURED
    assert found["not_covered"] == ["grafana: not part of this system"]


def test_the_run_started_when_its_process_did():
    script = (
        "import sys, time; sys.path[:0] = sys.argv[1:]; time.sleep(1.2)\n"
        "from pathlib import Path\n"
        "import ansible.module_utils\n"
        "ansible.module_utils.__path__.append(sys.argv[1])\n"
        "from ansible.module_utils.pmsops.control import run_facts\n"
        "import multiprocessing\n"
        "found = multiprocessing.get_context('fork').Pool(1).apply(run_facts._start)\n"
        "print(found.isoformat())\n"
    )
    before = datetime.now(UTC)
    done = subprocess.run(
        [sys.executable, "-c", script, str(PROJECT / "module_utils")],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        env={**os.environ},
    )
    started = datetime.fromisoformat(done.stdout.strip())
    assert abs(started - before) < timedelta(seconds=1)
    assert started < datetime.now(UTC) - timedelta(seconds=1.1)


def test_both_times_are_the_same_moment():
    found = run_facts.collect(PROJECT, {}, [])
    utc = datetime.fromisoformat(found["started_at"])
    local = datetime.fromisoformat(found["started_local"])
    assert abs(utc - local) <= timedelta(seconds=1)
    assert found["started_local"].endswith("-03:00")
