# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The head leaves the machine at the end of a play that added lines, also of one that failed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests.conftest import PROJECT
from tests.integration.test_doctor import HERE, OLD

# A role that adds a line, then a failure in the same play.
PLAY = """
- name: Add a line and fail
  hosts: pms
  gather_facts: false
  force_handlers: true
  tasks:
    - name: Record that a set is meant to be gone
      ansible.builtin.include_role: {name: backup, tasks_from: forget}
    - name: Fail after the line
      ansible.builtin.fail: {msg: it failed}
"""


def test_the_head_of_a_run_that_failed_stayed_on_the_machine(tmp_path):
    (tmp_path / "play.yml").write_text(PLAY)
    vault = tmp_path / "vault.jsonl"
    given = HERE | {
        "backup_root": str(tmp_path / "backups"),
        "evidence_root": str(tmp_path / "evidence"),
        "pms_keys_dir": str(tmp_path / "keys"),
        "evidence_anchors": [{"name": "vault", "type": "file", "path": str(vault)}],
        "file": "2026-01-01_0600",
        "reason": "lost",
    }
    done = subprocess.run(
        [
            *(Path(sys.executable).with_name("ansible-playbook"), tmp_path / "play.yml"),
            *("-i", OLD, "-e", json.dumps(given)),
        ],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2, done.stdout + done.stderr
    ledger = (tmp_path / "evidence" / "ledger.jsonl").read_text().splitlines()
    assert vault.exists(), done.stdout + done.stderr
    assert json.loads(vault.read_text().splitlines()[-1])["lines"] == len(ledger)
