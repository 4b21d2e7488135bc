# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""playbooks/signoff.yml: who signs what, and what cannot be signed."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml
from ansible.module_utils.pmsops.evidence import ledger, run_record

from tests.conftest import PROJECT
from tests.support.gates import broken, item, run

PLAYBOOK = Path(sys.executable).with_name("ansible-playbook")
SIGNER = ("-e", 'role="risk officer"', "-e", 'name="Maria Silva"')


@pytest.fixture
def root(tmp_path):
    return tmp_path / "evidence"


def gate(root: Path, *checks: dict) -> Path:
    """Leave the evidence of a gate; return its record."""
    written = run_record.write(run(*checks), run_record.Options(root), now=datetime.now(UTC))
    return Path(written["record"])


def sign(root: Path, *words: str) -> tuple[int, str]:
    """Run the playbook; return its exit status and what it said, in one line."""
    host = {
        "ansible_connection": "local",
        "ansible_python_interpreter": sys.executable,
        "backup_root": str(root.parent / "backups"),
        "evidence_root": str(root),
        "pms_db_access": "host",
        "pms_db_password": "unused",
    }
    hosts = root.parent / "hosts.yml"
    hosts.write_text(yaml.safe_dump({"pms": {"hosts": {"here": host}}}))
    done = subprocess.run(
        [PLAYBOOK, "-i", hosts, "playbooks/signoff.yml", *words],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return done.returncode, " ".join((done.stdout + done.stderr).split())


def signatures(root: Path) -> list[dict]:
    return [entry["record"] for entry in ledger.records(root, "signoff")]


def test_a_go_is_signed_by_name_and_by_the_hash_of_its_record(root):
    record = gate(root, item("a"))
    status, said = sign(root, *SIGNER)
    assert status == 0, said
    (signed,) = signatures(root)
    gates = ledger.records(root, "gate")
    assert signed["record_sha256"] == gates[0]["record"]["record_sha256"]
    assert (signed["run"], signed["decision"]) == (record.parent.name, "go")
    assert (signed["name"], signed["role"]) == ("Maria Silva", "risk officer")
    assert ledger.verify(root) == []


def test_nobody_signs_without_a_name(root):
    gate(root, item("a"))
    status, said = sign(root, "-e", 'role="risk officer"')
    assert (status, "No name was given" in said) == (2, True), said
    assert signatures(root) == []


def test_a_no_go_is_signed_as_such_and_never_as_a_go(root):
    gate(root, broken("a"))
    status, said = sign(root, *SIGNER)
    assert (status, "is a no-go, and cannot be signed as a go" in said) == (2, True), said
    assert signatures(root) == []
    status, said = sign(root, *SIGNER, "-e", "decision=no-go")
    assert status == 0, said
    assert [each["decision"] for each in signatures(root)] == ["no-go"]


def test_a_record_that_was_altered_is_not_signed(root):
    record = gate(root, broken("a"))
    document = json.loads(record.read_bytes())
    record.write_text(json.dumps(document | {"verdict": "go"}))
    status, said = sign(root, *SIGNER)
    assert (status, "was altered after the run" in said) == (2, True), said
    assert signatures(root) == []
