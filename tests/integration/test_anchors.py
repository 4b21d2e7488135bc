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


def run(playbook: Path, folder: Path, more: dict[str, object]) -> subprocess.CompletedProcess[str]:
    """Run a playbook with evidence and one anchor, a file, in *folder*."""
    given = HERE | {
        "backup_root": str(folder / "backups"),
        "evidence_root": str(folder / "evidence"),
        "pms_keys_dir": str(folder / "keys"),
        "evidence_anchors": [
            {"name": "vault", "type": "file", "path": str(folder / "vault.jsonl")}
        ],
    }
    return subprocess.run(
        [
            *(Path(sys.executable).with_name("ansible-playbook"), playbook),
            *("-i", OLD, "-e", json.dumps(given | more)),
        ],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_head_of_a_run_that_failed_stayed_on_the_machine(tmp_path):
    (tmp_path / "play.yml").write_text(PLAY)
    vault = tmp_path / "vault.jsonl"
    done = run(tmp_path / "play.yml", tmp_path, {"file": "2026-01-01_0600", "reason": "lost"})
    assert done.returncode == 2, done.stdout + done.stderr
    ledger = (tmp_path / "evidence" / "ledger.jsonl").read_text().splitlines()
    assert vault.exists(), done.stdout + done.stderr
    assert json.loads(vault.read_text().splitlines()[-1])["lines"] == len(ledger)


def test_who_asks_to_anchor_hears_why_nothing_was(tmp_path):
    """`pms-ops ledger anchor` of a new system ended with status 0, and said nothing."""
    anchor = PROJECT / "playbooks" / "anchor.yml"
    done = run(anchor, tmp_path, {"anchor_force": True})
    said = " ".join(done.stdout.split())
    assert done.returncode == 0, said
    assert f"Nothing was anchored: the ledger in {tmp_path}/evidence has no line yet." in said
    done = run(anchor, tmp_path, {"anchor_force": True, "evidence_anchors": []})
    assert "Nothing was anchored: evidence_anchors is empty" in done.stdout, done.stdout
