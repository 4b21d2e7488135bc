# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The head of the report: which system, which environment, since when, and who says so."""

from __future__ import annotations

import zipfile
from datetime import UTC, datetime, timedelta

import pytest
from ansible.module_utils.pmsops.evidence import audit
from ansible.module_utils.pmsops.export import bundle
from ansible.module_utils.pmsops.export.period import Period

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
    assert "Nada registrado desde 30/11/2026" in text


def test_a_ledger_that_began_before_the_period_says_none_in_this_period(fund):
    add(fund, "backup", {"set": "a"}, AT - timedelta(days=60))
    add(fund, "backup", {"set": "b"})
    text = said(fund, Period.parse("2026-11-01", "2026-11-30"))
    assert "The ledger begins" not in text and "None in this period" in text
