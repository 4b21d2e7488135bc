# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""What an auditor asked of the report: which checks, how long, since when, by whom, how late."""

from __future__ import annotations

import json
import re
from datetime import timedelta

import pytest
from ansible.module_utils.pmsops.evidence import deficiencies
from ansible.module_utils.pmsops.export.language import Language
from ansible.module_utils.pmsops.export.period import Period
from ansible.module_utils.pmsops.incidents import lifecycle
from ansible.module_utils.pmsops.incidents import record as incidents

from tests.support import exported
from tests.unit.export.test_gate_rows import record, write
from tests.unit.export.test_head import AT, add, said
from tests.unit.export.test_set_rows import RESTORED, section

BLANK = re.compile(r"<td[^>]*>\s*(?:<span[^>]*>|<code>)?\s*(?:</span>|</code>)?\s*</td>")


@pytest.fixture
def fund(tmp_path):
    fund = exported.Fund(tmp_path)
    add(fund, "backup", {"set": "2026-11-30_0900"}, AT - timedelta(days=1))
    return fund


# --- go-live runs


def test_each_run_names_its_failed_and_its_flaky_checks(fund):
    document = record("no-go")
    document["results"] += [
        {"id": "redis.up", "status": "fail", "severity": "warning", "flaky": False},
        {"id": "disk.free", "status": "fail", "severity": "blocker", "flaky": False},
        {"id": "api.fast", "status": "pass", "severity": "blocker", "flaky": True},
    ]
    write(fund, document)
    text = section(said(fund), "runs")
    assert "<strong>Failed checks</strong>: disk.free, redis.up." in text
    assert "at a later attempt (flaky)</strong>: api.fast</td>" in text
    assert "(instáveis)</strong>: api.fast</td>" in said(fund, language="pt")


def test_a_run_without_any_says_none_and_one_without_a_record_that_nobody_knows(fund):
    write(fund, record())
    text = section(said(fund), "runs")
    assert "<strong>Failed checks</strong>: none." in text and "(flaky)</strong>: none</td>" in text
    fund.append("gate", {"run": "2026-11-30_140000", "verdict": "go"}, AT)
    assert "<strong>Failed checks</strong>: not on record</td>" in section(said(fund), "runs")


# --- times


def test_the_time_from_the_start_stands_beside_the_phases(fund):
    drill = {"set": "x", "proved": True, "rto_seconds": 300.0} | RESTORED
    add(fund, "drill", drill, started_at=(AT - timedelta(minutes=9)).isoformat())
    text = section(said(fund), "times")
    assert "restore 4.17 min, verify 50 s<br>" in text
    assert "From the start of the run to its record: 9 min" in text
    add(fund, "restore", {"set": "x"} | RESTORED)  # of a release without a start
    text = section(said(fund), "restores")
    assert "From the start of the run to its record: NOT MEASURED" in text


@pytest.mark.parametrize("lost", ["", "none: no row differs"])
def test_an_incident_has_its_phases_and_says_from_when_they_count(fund, lost):
    begun, _known = incidents.begin(
        fund.evidence, "redis", title="Redis is unavailable", symptoms=[], began_at=AT
    )
    with incidents.editing(begun.folder) as document:
        document["actions"] = [
            {
                "movement": "recover",
                "action": "start it",
                "began_at": incidents.stamp(AT + timedelta(seconds=20)),
                "ended_at": incidents.stamp(AT + timedelta(seconds=50)),
            }
        ]
    incidents.end(
        begun.folder,
        "recovered",
        facts={"cause": "a full disk", "data_loss": lost},
        checks=[],
        verified_at=AT + timedelta(minutes=5),
        now=AT + timedelta(minutes=6),
    )
    content = lifecycle.ledger_content(incidents.read(begun.folder))
    add(fund, "incident", content, AT + timedelta(minutes=6), started_at=AT.isoformat())
    text = section(said(fund), "restores")
    assert "when the playbook that recovered it was started. When the failure itself began" in text
    assert "detect 20 s, restore 30 s, verify 4.17 min<br>" in text
    assert "From the start of the run to its record: 6 min" in text
    assert (
        lost or "NOT MEASURED: the playbook noted no loss, and did not compare each row"
    ) in text
    # The clock of a phase is explained where phases are.
    assert "the time before somebody started it is not in it" in Language("en").text("means_phases")


# --- deficiencies


def open_one(fund, due, by="Maria Silva", title="A disk is small"):
    request = deficiencies.Request(title, "Ana", due, "80 % full", by)
    new, _known = deficiencies.open_new(fund.evidence, request, now=AT, keys=fund.keys)
    return new["id"]


def tile(text):
    return re.search(r"<strong>(\d+)</strong><span>deficiencies overdue</span>", text)[1]


def test_an_overdue_deficiency_says_for_how_many_days_and_who_opened_it(fund):
    open_one(fund, "2026-12-21")
    open_one(fund, "2026-12-30", by="", title="Another")
    text = said(fund)
    rows = section(text, "deficiencies")
    assert "overdue</span> for 10 days" in rows and "overdue</span> for 1 day<" in rows
    assert "<td>Maria Silva</td>" in rows and "<td>not on record</td>" in rows
    assert tile(text) == "2"
    assert "vencida</span> há 10 dias" in said(fund, language="pt")


def test_one_that_is_due_after_the_export_is_not_overdue_yet(fund):
    """The period ends in 2027: what is due until then was called overdue in the middle of it."""
    open_one(fund, "2027-05-01")
    text = said(fund, Period.parse("2026-11-01", "2027-10-31"))
    assert tile(text) == "0" and ">open</span>" in section(text, "deficiencies")


def test_one_that_was_closed_late_says_so(fund):
    name = open_one(fund, "2026-12-01")
    shown = AT + timedelta(days=4)
    add(fund, "backup", {"set": "2026-12-04_0900"}, shown)
    options = {"by": "Ana", "keys": fund.keys, "now": shown}
    deficiencies.close(fund.evidence, name, "2026-12-04_0900", **options)
    text = said(fund)
    assert "; 3 days after it was due" in section(text, "deficiencies") and tile(text) == "0"


# --- what nobody wrote down


def test_no_cell_of_the_report_is_blank(fund):
    run = "2026-11-30_140000"
    for kind, what in (
        *(("waiver", {"until": "2026-12-31"}), ("hold", {"set": "x"}), ("restore", {})),
        *(("deficiency", {"act": "opened", "id": "D-9"}), ("approval", {}), ("signoff", {})),
        ("gate", {"run": run}),
        *(("backup", {"removed": ["x"]}), ("host", {}), ("attestation", {"check": "limits"})),
    ):
        fund.append(kind, what, AT)
    (fund.evidence / "incidents" / "2026-11-30_140000_redis").mkdir(parents=True)
    about = {"began_at": AT.isoformat(), "closed_at": None}
    path = fund.evidence / "incidents" / "2026-11-30_140000_redis" / "incident.json"
    path.write_text(json.dumps(about))
    for language in ("en", "pt"):
        text = said(fund, language=language)
        assert BLANK.findall(text) == []
        assert text.count(Language(language).text("not_on_record")) > 15


def test_the_readme_says_what_the_root_of_an_authority_and_a_persons_key_are_for():
    for language, root in (("en", "root.pem"), ("pt", "raiz.pem")):
        text = Language(language).text("readme", system="x", since="a", until="b")
        assert f"--tsa-ca {root}\n" in text and "--approver " in text
        assert max(map(len, text.splitlines())) <= 100
