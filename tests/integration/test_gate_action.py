# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The gate as a task: it shows how far it is, and can be left in the background."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import yaml

from tests.conftest import PROJECT
from tests.support.gates import TRUE, document, item

PLAYBOOK = Path(sys.executable).with_name("ansible-playbook")


def play(folder: Path, *, seconds: float, **task: object) -> str:
    """Run a play whose gate asks a check that takes so long; return the output."""
    slow = item("slow", params={"argv": ["sleep", str(seconds)]}, expect=[TRUE], timeout=30)
    gate = {
        "name": "Run the checks",
        "pms_gate": {
            "checklist": document(item("quick"), slow),
            "database": {"name": "asked_by_no_check", "user": "nobody", "container": "none"},
            "evidence_root": str(folder),
        },
        "register": "ran",
    } | task
    waits = {
        "name": "Wait for its end",
        "ansible.builtin.async_status": {"jid": "{{ ran.ansible_job_id }}"},
        "register": "ended",
        "until": "ended is finished",
        "retries": 60,
        "delay": 1,
        "when": "ran.ansible_job_id is defined",
    }
    says = {
        "name": "Say how it ended",
        "ansible.builtin.debug": {"msg": "verdict: {{ ended.verdict | default(ran.verdict) }}"},
    }
    plays = [{"hosts": "localhost", "gather_facts": False, "tasks": [gate, waits, says]}]
    (folder / "play.yml").write_text(yaml.safe_dump(plays))
    done = subprocess.run(
        [PLAYBOOK, "-i", "localhost,", "-c", "local", folder / "play.yml"],
        cwd=PROJECT,
        env=os.environ
        | {"ANSIBLE_PYTHON_INTERPRETER": sys.executable, "ANSIBLE_ASYNC_DIR": str(folder)},
        capture_output=True,
        text=True,
        timeout=180,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_it_says_meanwhile_how_many_checks_are_done(tmp_path):
    said = play(tmp_path, seconds=4)
    assert "checks, " in said and " of 2 done" in said
    assert "verdict: go" in said
    assert not (tmp_path / ".gate.progress").exists()


def test_it_can_run_in_the_background(tmp_path):
    said = play(tmp_path, seconds=0.1, **{"async": 60, "poll": 0})
    assert "verdict: go" in said
