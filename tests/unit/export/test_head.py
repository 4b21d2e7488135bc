# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The head of the report: which system, which environment, since when, and who says so."""

from __future__ import annotations

import zipfile
from datetime import UTC, datetime, timedelta

import pytest
from ansible.module_utils.pmsops.evidence import audit
from ansible.module_utils.pmsops.export import bundle
from ansible.module_utils.pmsops.export.period import Period
from ansible.module_utils.pmsops.incidents import record as incidents

from tests.support import exported
from tests.support.exported import NOW, YEAR

AT = datetime(2026, 11, 30, 12, 0, tzinfo=UTC)


def said(fund, period=YEAR, **more):
    """Return the report, its white space made one."""
    path = bundle.write(fund.request(period, **more), now=NOW)["path"]
    with zipfile.ZipFile(path) as archive:
        return " ".join(archive.read("report.html").decode().split())


def add(fund, kind, record, at=AT, **facts):
    """Add a line with the block of audit."""
    with audit.given(facts):
        fund.append(kind, record, at)


@pytest.fixture
def fund(tmp_path):
    return exported.Fund(tmp_path)


def test_the_head_names_the_environment_that_the_records_name(fund):
    add(fund, "backup", {"set": "a"}, environment="lab")
    assert "Environment: <strong>lab</strong> ·" in said(fund)
    assert "Ambiente: <strong>lab</strong> ·" in said(fund, language="pt")


def test_the_head_says_in_words_what_an_environment_is(fund):
    add(fund, "backup", {"set": "a"}, environment="lab")
    text = said(fund)
    assert "The records name their environment: lab. That is not production:" in text
    assert "encadeado: lab. Não é produção:" in said(fund, language="pt")
    add(fund, "backup", {"set": "b"}, AT + timedelta(hours=1), environment="production")
    assert "environment: production. That is production." in said(fund)
    add(fund, "backup", {"set": "c"}, AT + timedelta(hours=2))
    assert "NOT MEASURED for 1 lines: their records name no environment" in said(fund)


def test_several_environments_are_each_named_and_one_that_is_not_said_too(fund):
    add(fund, "backup", {"set": "a"}, environment="lab")
    add(fund, "backup", {"set": "b"}, AT + timedelta(hours=1), environment="production")
    add(fund, "backup", {"set": "c"}, AT + timedelta(hours=2))
    text = said(fund)
    assert "<strong>lab</strong> (lines: 1), <strong>production</strong> (lines: 1)" in text
    assert "<strong>NOT MEASURED</strong> (lines: 1)" in text


def test_a_ledger_that_begins_inside_the_period_says_that_there_is_nothing_before(fund):
    add(fund, "backup", {"set": "a"})
    text = said(fund)
    assert "The ledger begins on 2026-11-30; before it there is no record." in text
    assert "None on record since 2026-11-30" in text and "None in this period" not in text
    text = said(fund, language="pt")
    assert "O registro encadeado começa em 30/11/2026" in text
    assert "Nada consta desde 30/11/2026" in text


def test_a_ledger_that_began_before_the_period_says_none_in_this_period(fund):
    add(fund, "backup", {"set": "a"}, AT - timedelta(days=60))
    add(fund, "backup", {"set": "b"})
    text = said(fund, Period.parse("2026-11-01", "2026-11-30"))
    assert "The ledger begins" not in text and "None in this period" in text


def test_the_head_names_clock_and_code_and_says_where_nobody_measured_them(fund):
    code = {"name": "pms-ops", "version": "1.2", "sha256": "ab" * 32}
    add(fund, "backup", {"set": "a"}, code=code)
    add(fund, "backup", {"set": "b"}, AT + timedelta(hours=1))
    text = said(fund)
    assert "Clock: NOT MEASURED · Code: <code>1.2 abababababababab</code> (lines: 1)" in text
    assert "NOT MEASURED (lines: 1)</p>" in text


def test_the_largest_offset_of_the_clock_is_told_with_its_source(fund, monkeypatch):
    clock = {"source": "chrony", "server": "ntp.invalid", "stratum": 2, "offset_seconds": -0.25}
    monkeypatch.setattr(audit.host_clock, "measure", lambda: clock)
    add(fund, "backup", {"set": "a"})
    assert "Clock: chrony (ntp.invalid), at most 0.25 s off ·" in said(fund)


def test_a_whole_ledger_is_the_claim_of_the_host_and_stands_beside_the_anchors(fund):
    add(fund, "backup", {"set": "a"})
    text = said(fund)
    claim = text[text.index("The ledger is whole: ") :]
    claim = claim[: claim.index("</p>")]
    assert "which made this export, checked" in claim and "2027-01-10 09:00" in claim
    assert "NOT MEASURED: the export has no time stamp of the ledger" in claim


def test_the_head_says_that_the_zip_is_confidential(fund):
    add(fund, "backup", {"set": "a"})
    assert "positions, prices and P&amp;L of the fund" in said(fund)
    assert "posições, preços e lucros e perdas do fundo" in said(fund, language="pt")


def test_counts_are_of_their_totals_and_one_is_singular(fund):
    add(fund, "backup", {"set": "a"})
    add(fund, "backup", {"set": "b"}, AT + timedelta(hours=1))
    add(fund, "drill", {"set": "b", "proved": True}, AT + timedelta(hours=2))
    incidents.begin(fund.evidence, "disk", title="Disk", symptoms=[], began_at=AT)
    text = said(fund)
    assert "<strong>1 of 2</strong><span>sets proved" in text
    assert "<strong>1</strong><span>incident</span>" in text
    assert "2026-11-30 09:00:00" in text  # an incident has seconds


def test_terms_are_explained_once_and_no_hold_is_no_contradiction(fund):
    add(fund, "backup", {"set": "a"})
    text = said(fund)
    glossary = text[text.index('aria-labelledby="glossary"') :]
    assert glossary.count("<tr><td>") == 21 and "planted on purpose" in glossary
    holds = text[text.index("Holds at the export</h3>") : text.index("Deletions</h3>")]
    assert "No set that is on the disk is held" in holds and "None" not in holds


def test_a_set_of_another_database_is_named_with_it(fund):
    add(fund, "backup", {"removed": ["x1"], "other_database": "dagster"})
    assert "x1 of database dagster" in said(fund)


def test_each_rule_says_what_its_sections_lack(fund):
    drill = {"set": "a", "proved": True, "rto_seconds": 9.0, "rpo_seconds": 9.0}
    add(fund, "drill", drill | {"restore_seconds": 9.0})
    text = said(fund)
    rules = text[text.index('<section aria-labelledby="mapping"') :]
    rules = rules[: rules.index("</section>")]
    row = next(each for each in rules.split("<tr>") if "A1.3" in each)
    assert "recoveries with phases that were not measured: 1 of 1" in row
    assert "drills that were not segregated: 1 of 1" in row and "in part" not in rules
    row = next(each for each in rules.split("<tr>") if "A1.2" in each)
    assert "missed: NOT MEASURED;" in row and "proved: no rows" in row
