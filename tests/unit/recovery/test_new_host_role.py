# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The arguments of dr_host.yml: none of them reaches a role that it calls."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import PROJECT


def test_the_set_is_not_named_by_an_argument_that_the_restore_reads_too():
    """-e beats what a task passes: -e file=newest made the restore look for a set of that name."""
    texts = [path.read_text() for path in (PROJECT / "roles" / "host").rglob("*.yml")]
    texts.append((PROJECT / "playbooks" / "dr_host.yml").read_text())
    assert not [text for text in texts if "-e file=" in text or "{{ file |" in text]


@pytest.mark.nightly
def test_a_moment_that_fails_inside_the_whole_server_falls_back_and_goes_on_no_further(tmp_path):
    """A rescue around a role is passed over where the role depends on one that is being played."""
    note = tmp_path / "backups" / ".pms-ops" / "host.json"
    note.parent.mkdir(parents=True)
    archive = {"snapshot": "s", "received_at": "2026-11-29T01:20:31Z", "data_directory": "/x"}
    done = {"site": "vault", "set": "x", "moment": archive, "steps": {"archived": 1}}
    note.write_text(json.dumps(done))
    site = {"name": "vault", "url": str(tmp_path), "password_file": str(tmp_path / "none")}
    known = {
        "ansible_connection": "local",
        "ansible_python_interpreter": sys.executable,
        **{f"vault_pms_{name}_password": "x" for name in ("db", "redis", "api", "grafana")},
        "notify_channels": [],
        "backup_root": str(tmp_path / "backups"),
        "evidence_root": str(tmp_path / "evidence"),
        "pms_keys_dir": str(tmp_path / "keys"),
        "pitr_enabled": True,
        "pitr_container": "pms-test-no-such-engine",
        "pitr_image": "pms-test/none:1",
        "pms_db_container": "pms-test-no-such-server",
        "offsite_repositories": [site],
        "__host_plan": {"moment": archive, "done": [], "fell_back": None},
    }
    role = {"ansible.builtin.include_role": {"name": "host", "tasks_from": "moment"}}
    after = {"ansible.builtin.debug": {"msg": "went on"}}
    play = {"hosts": "pms", "gather_facts": False, "vars": known, "tasks": [role, after]}
    (tmp_path / "play.yml").write_text(json.dumps([play]))
    ran = subprocess.run(
        [
            Path(sys.executable).with_name("ansible-playbook"),
            *("-i", PROJECT / "inventory" / "example", tmp_path / "play.yml"),
        ],
        cwd=PROJECT,
        env=os.environ | {"ANSIBLE_NOCOLOR": "1"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    said = " ".join(ran.stdout.split())
    assert "THE SET INSTEAD OF THE NEWEST MOMENT" in said, said[-3000:]
    assert json.loads(note.read_text())["fell_back"]["code"] == "pitr.no-image"
    assert "clients.container" in said  # there is no server whose volume could be emptied
    assert "went on" not in said
