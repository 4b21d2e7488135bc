# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""A deficiency from its playbook, and what the lines of real runs say to auditors."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema

from tests.conftest import PROJECT
from tests.integration.test_doctor import HERE, OLD

SCHEMA = json.loads((PROJECT / "docs" / "schemas" / "record.schema.json").read_bytes())
BLOCK = jsonschema.Draft202012Validator({"$ref": "#/$defs/audit", "$defs": SCHEMA["$defs"]})


def play(root: Path, playbook: str, *, status: int = 0, **given: Any) -> str:
    folders = {"backup_root": f"{root}/backups", "evidence_root": f"{root}/evidence"}
    folders |= {"pms_keys_dir": f"{root}/keys", "pms_environment": "staging"}
    done = subprocess.run(
        [
            *(Path(sys.executable).with_name("ansible-playbook"), f"playbooks/{playbook}.yml"),
            *("-i", OLD, "-e", json.dumps(HERE | folders | given)),
        ],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, "ANSIBLE_NOCOLOR": "1", "COLUMNS": "400"},
    )
    assert done.returncode == status, done.stdout + done.stderr
    return " ".join(done.stdout.split())  # wrapped by YAML


def test_a_deficiency_is_opened_by_order_and_closed_by_a_later_record(tmp_path):
    wanted = {"title": "Redis is in no set", "owner": "Maria Silva", "due": "2999-12-15"}
    said = play(tmp_path, "deficiency", **wanted, name="Ana", ticket="CHG-7")
    assert "Deficiency D-2 (Redis is in no set) of Maria Silva, due 2999-12-15: open." in said
    said = play(tmp_path, "deficiency", status=2, deficiency="D-2", record=2)
    assert "deficiency.record" in said
    # What a person attests is a record, too; it needs no database.
    ledger = tmp_path / "evidence" / "ledger.jsonl"
    play(tmp_path, "forget", file="2026-01-01_0600", reason="lost", ticket="CHG-8")
    said = play(tmp_path, "deficiency", status=2, deficiency="D-2", record=3)
    assert "line 3 (backup) did not pass" in said
    lines = [json.loads(each) for each in ledger.read_text().splitlines()]
    assert [each["kind"] for each in lines] == ["signing", "deficiency", "backup"]
    for line, ticket, name in zip(
        lines[1:], ("CHG-7", "CHG-8"), ("deficiency", "forget"), strict=True
    ):
        block = line["record"]["audit"]
        assert [error.message for error in BLOCK.iter_errors(block)] == []
        assert block["ordered_by"]["ticket"] == ticket
        assert block["environment"] == "staging"
        assert block["playbook"]["name"] == name
        assert "NOT MEASURED" not in (block["started_at"], block["playbook"]["sha256"])
        assert (
            "NOT MEASURED" in (block["code"]["commit"], block["code"]["sha256"])
            or block["code"]["dirty"]
        )
