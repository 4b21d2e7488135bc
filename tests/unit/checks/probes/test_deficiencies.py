# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The gate sees a deficiency that is open past its due date, and no other one."""

from __future__ import annotations

import pytest
from ansible.module_utils.pmsops.evidence import ledger

from tests.conftest import PROJECT
from tests.support.gates import NOW, run
from tests.support.yaml_files import read_yaml

CHECKLIST = read_yaml(PROJECT / "roles/golive/files/checklist.yml")
(CHECK,) = (each for each in CHECKLIST["checks"] if each["id"] == "evidence.deficiencies")


@pytest.mark.parametrize(
    ("due", "closed", "status"),
    [
        ("2026-11-22", False, "fail"),
        ("2026-11-22", True, "pass"),
        ("2026-11-23", False, "pass"),
        (None, False, "fail"),
    ],
)
def test_an_overdue_deficiency_is_a_finding_of_the_gate(tmp_path, due, closed, status):
    record = {"act": "opened", "id": "D-1", "title": "Redis is in no set", "owner": "Ana"}
    ledger.append(tmp_path, "deficiency", record | {"due": due}, now=NOW)
    if closed:
        ledger.append(tmp_path, "deficiency", {"act": "closed", "id": "D-1"}, now=NOW)
    check = CHECK | {"section": "first"}
    (result,) = run(check, settings={"evidence_root": str(tmp_path)})["results"]
    assert result["status"] == status, result
    if status == "fail":
        assert "deficiency D-1 (Redis is in no set) of Ana" in result["finding"]


@pytest.mark.parametrize(("lines", "status"), [(1, "pass"), (0, "fail")])
def test_a_ledger_without_one_has_no_finding_and_no_ledger_has_no_pass(tmp_path, lines, status):
    for _ in range(lines):
        ledger.append(tmp_path, "backup", {"id": "2026-11-22_0300"}, now=NOW)
    check = CHECK | {"section": "first"}
    (result,) = run(check, settings={"evidence_root": str(tmp_path)})["results"]
    assert result["status"] == status, result
