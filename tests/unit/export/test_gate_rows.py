# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Runs of the gate in the report: unanswered blockers, attestations, and missing sign-offs."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime

import pytest
from ansible.module_utils.pmsops.export import attestations

from tests.support import exported
from tests.unit.export.test_head import said

RUN = "2026-11-30_110000"
AT = datetime(2026, 11, 30, 11, 0, tzinfo=UTC)
ATTESTED = {
    "check": "limits", "who": "Carla Dias", "role": "risk officer", "when": "2026-11-28",
    "until": None, "why": "Reviewed the limits",
}  # fmt: skip


def record(verdict="go"):
    def check(name, status, severity="blocker", **more):
        return {"id": name, "status": status, "severity": severity, "title": name} | more

    results = [
        check("db.up", "pass"),
        check("api.up", "unknown", finding="not in the inventory"),
        check("mail.up", "unknown", severity="warning"),
        check("limits", "attested", attestation=ATTESTED),
    ]
    return {
        "run": RUN, "verdict": verdict, "partial": False, "blocking": [], "results": results,
        "counts": {"pass": 1, "fail": 0, "attested": 1, "waived": 0, "unknown": 2},
    }  # fmt: skip


def write(fund, document, name=RUN, at=AT):
    content = json.dumps(document | {"run": name}).encode()
    (fund.evidence / name).mkdir(parents=True)
    (fund.evidence / name / "record.json").write_bytes(content)
    line = {each: document[each] for each in ("verdict", "partial", "blocking", "counts")}
    line |= {"run": name, "record_sha256": hashlib.sha256(content).hexdigest()}
    fund.append("gate", line, at)


@pytest.fixture
def fund(tmp_path):
    fund = exported.Fund(tmp_path)
    fund.append("backup", {"set": "x"}, datetime(2026, 11, 29, tzinfo=UTC))
    write(fund, record())
    return fund


def test_a_passed_run_names_the_blockers_that_were_not_measured(fund):
    text = said(fund)
    assert "Blockers not measured, 1: api.up" in text
    assert "<strong>1</strong><span>passed run has blockers" in text
    assert "Impeditivas não medidas, 1: api.up" in said(fund, language="pt")


@pytest.mark.parametrize(
    ("verdict", "result", "shown"),
    [("go", "WARNED", "passed, with warnings"), ("no-go", "FAILED", ">failed</span>")],
)
def test_the_row_of_a_run_and_its_signed_statement_say_the_same(tmp_path, verdict, result, shown):
    assert attestations.predicate_of(record(verdict))["result"] == result
    fund = exported.Fund(tmp_path)
    fund.append("backup", {"set": "x"}, datetime(2026, 11, 29, tzinfo=UTC))
    write(fund, record(verdict))
    text = said(fund)
    runs = text[text.index('aria-labelledby="runs"') : text.index('aria-labelledby="sets"')]
    assert shown in runs and '<span class="tag good">' not in runs


def test_a_check_that_a_waiver_let_through_is_named(tmp_path):
    document = record()
    document["results"].append({"id": "site.kept", "status": "waived", "severity": "blocker"})
    fund = exported.Fund(tmp_path)
    write(fund, document)
    assert "<strong>Did not pass, and a waiver let them through</strong>: site.kept." in said(fund)


def test_passed_checks_and_attested_ones_are_counted_apart(fund):
    assert "1 of 4<br>and 1 attested by a person" in said(fund)


def test_an_attestation_in_a_record_stands_with_what_persons_signed(fund):
    write(fund, record(), "2026-11-30_130000", AT.replace(hour=13))
    text = said(fund)
    persons = text[text.index("What persons signed or attested</h3>") :]
    persons = persons[: persons.index("</section>")]
    assert persons.count("Carla Dias") == 1  # the same statement of two runs
    assert "risk officer" in persons and "2026-11-28" in persons
    assert "Reviewed the limits" in persons and RUN in persons


def test_a_missing_sign_off_of_a_role_is_said(fund):
    signed = {"run": RUN, "role": "Risk Officer", "name": "Maria", "decision": "go"}
    fund.append("signoff", signed, AT.replace(hour=12))
    text = said(fund)
    assert "No sign-off of the portfolio manager: 1 of 1 whole go-live run." in text
    assert "No sign-off of the administrator" in text
    assert "No sign-off of the risk officer" not in text


def test_a_version_of_the_checklist_to_which_nothing_was_added_says_so(fund):
    document = record() | {"checklist_sha256": "ab" * 32}
    write(fund, document, "2026-11-30_120000", AT.replace(hour=12))
    text = said(fund)
    table = text[text.index('<h2 id="checklists"') : text.index('<h2 id="not_covered"')]
    assert table.count("first version of the period") == 2
    assert '<td class="long"></td>' not in table
