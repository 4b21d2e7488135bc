# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a rule's row says that its sections lack: in numbers, and no fault of the records unsaid."""

from __future__ import annotations

import pytest

from tests.support import exported
from tests.unit.export.test_head import AT, add, said
from tests.unit.export.test_set_rows import section


@pytest.fixture
def fund(tmp_path):
    """Return a fund with a fault of each kind."""
    fund = exported.busy(tmp_path)
    name = "2026-11-30_110000"
    (fund.evidence / name).mkdir(parents=True)
    (fund.evidence / name / "record.json").write_text('{"targets": {"rpo_seconds": 86400}}')
    lost = {"set": "2026-05-30_0600", "rpo_seconds": 200_000.0, "restore_seconds": 9.0}
    add(fund, "restore", lost, AT)
    add(fund, "drill", {"set": "x", "proved": False}, AT)
    decision = {"name": "Rui", "role": "portfolio manager", "decision": "no-go"}
    fund.append("signoff", decision, AT)
    return fund


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ("SOC 2, A1.2", "planned runs missed: "),
        ("SOC 2, A1.2", "planned runs failed: "),
        ("SOC 2, A1.2", "jobs without lines in the ledger: 1"),
        ("SOC 2, A1.2", "jobs of which the schedule is known only for a part of the period: 3"),
        ("SOC 2, A1.2", "sets that were not proved: "),
        ("SOC 2, A1.2", "no line says that a copy is on another site"),
        ("SOC 2, A1.2", "the newest set was as old as "),
        ("SOC 2, A1.2", "sets of which encryption is NOT MEASURED: "),
        ("SOC 2, A1.3", "drills and proofs that did not pass: "),
        ("SOC 2, A1.3", "recoveries over the target of data (RPO): 1"),
        ("SOC 2, A1.3", "restores that did not pass: 1 of 3"),
        ("SOC 2, A1.3", "deficiencies overdue: 1 of 1 open"),
        ("CVM Resolution 21", "no-go signed by a person: 1"),
        ("CVM Resolution 21", "who logged in to the host"),
    ],
)
def test_a_rule_counts_what_its_sections_lack(fund, rule, words):
    rules = section(said(fund, schedule=fund.root / "schedule" / "schedule.json"), "mapping")
    row = next(each for each in rules.split("<tr>") if rule in each)
    assert words in row and "in part" not in row
