"""The evidence: a record that its schema accepts, and pages that say what the record says."""

from __future__ import annotations

import json
import re
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import jsonschema
import pms_evidence
import pms_ledger
import pytest
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.evidence import history, ledger, run_record, status
from ansible.module_utils.pmsops.reports import charts, html, root_causes
from ansible.module_utils.testing import patch_module_args

from tests.conftest import PROJECT
from tests.support import old_release as frozen
from tests.support.backup_sets import make_set
from tests.support.gates import NOW, broken, item, mixed, run

SCHEMAS = PROJECT / "docs" / "schemas"
RECORD = jsonschema.Draft202012Validator(json.loads((SCHEMAS / "record.schema.json").read_bytes()))


@pytest.fixture(scope="module")
def junit():
    """JUnit's schema; not made at the top, since each worker collects this file."""
    import xmlschema

    return xmlschema.XMLSchema(str(SCHEMAS / "junit.xsd"))


def write(root: Path, gate: dict[str, Any] | None = None, minutes: int = 0, **options: Any) -> Any:
    gate = gate or mixed()
    where = run_record.Options(root, **options)
    return run_record.write(gate, where, now=NOW + timedelta(minutes=minutes))


def record_of(written: dict[str, Any]) -> dict[str, Any]:
    return json.loads(Path(written["record"]).read_bytes())


@pytest.mark.parametrize("gate", [mixed, lambda: run(item("a"))], ids=["no-go", "go"])
def test_the_record_is_what_its_schema_says(tmp_path, gate):
    for minutes in range(2):
        record = record_of(write(tmp_path, gate(), minutes))
        assert [error.message for error in RECORD.iter_errors(record)] == []


def test_the_schema_refuses_a_record_that_is_not_true_to_itself(tmp_path):
    record = record_of(write(tmp_path))
    # Records of older releases have no negative control, and those of schema 1 no audit block.
    wrong = {"negative_control": record["negative_control"] | {"outcome": "maybe"}}
    assert list(RECORD.iter_errors(record | wrong))
    for name in set(record) - set(wrong):
        assert list(RECORD.iter_errors({k: v for k, v in record.items() if k != name})), name
    assert list(RECORD.iter_errors(record | {"schema_version": 1}))
    old = {key: record[key] for key in set(record) - {"audit", "deficiencies"}}
    assert list(RECORD.iter_errors(old | {"schema_version": 1})) == []
    record["results"][0]["status"] = "waived"
    assert list(RECORD.iter_errors(record))


def test_the_report_has_what_auditors_ask_for_and_the_open_deficiencies(tmp_path):
    opened = {"act": "opened", "title": "Redis <is> in no set", "owner": "Ana", "finding": ""}
    opened |= {"opened_by": ""}
    ledger.append(tmp_path, "deficiency", opened | {"id": "D-1", "due": "2026-11-01"}, now=NOW)
    ledger.append(tmp_path, "deficiency", opened | {"id": "D-2", "due": "2026-12-15"}, now=NOW)
    given = {
        "ordered_by": {"ticket": "CHG-7 <b>", "by": "ops"},
        "environment": "production",
        "started_at": "2026-11-23T11:58:00Z",
        "started_local": "2026-11-23T08:58:00-03:00",
        "not_covered": ["grafana: not part of this system"],
    }
    written = write(tmp_path, audit=given)
    record = record_of(written)
    assert [error.message for error in RECORD.iter_errors(record)] == []
    assert [(each["id"], each["overdue"]) for each in record["deficiencies"]] == [
        ("D-1", True),
        ("D-2", False),
    ]
    assert record["audit"]["verdict"] == "FAIL"
    text = Path(written["report"]).read_text()
    assert "Redis &lt;is&gt; in no set" in text and "ticket CHG-7 &lt;b&gt;" in text
    assert text.count('<span class="tag bad">overdue</span>') == 1
    section = text[text.index('id="audit"') :]
    for words in ("production", "2026-11-23T08:58:00-03:00", "grafana: not part of this system"):
        assert words in section
    assert "detect NOT MEASURED" in section
    assert ledger.records(tmp_path, "gate")[-1]["record"]["audit"] == record["audit"]


def test_a_report_of_schema_1_is_rendered_as_before():
    """Without an audit block and deficiencies."""
    record = frozen.read("evidence", "latest", "record.json")
    page = html.page(record, "0" * 64)
    assert 'id="audit"' not in page and 'id="deficiencies"' not in page


def test_junit_is_what_its_schema_says_and_counts_right(junit, tmp_path):
    written = write(tmp_path)
    junit.validate(written["junit"])
    found = junit.to_dict(written["junit"])
    suites = {suite["@name"]: suite for suite in found["testsuite"]}
    first = suites["first"]
    assert (first["@tests"], first["@failures"], first["@errors"], first["@skipped"]) == (
        6,
        1,
        2,
        1,
    )
    assert suites["second"]["@failures"] == 1


def test_junit_s_schema_refuses_what_is_no_junit(junit, tmp_path):
    from xmlschema import XMLSchemaException

    text = Path(write(tmp_path)["junit"]).read_text()
    for right, wrong in (
        ("skipped message", "skipped note"),
        (' tests="', ' tests="-'),
        ("time=", "took="),
    ):
        with pytest.raises(XMLSchemaException):
            junit.validate(text.replace(right, wrong, 1))


def test_latest_points_at_the_newest_run(tmp_path):
    first, second = write(tmp_path), write(tmp_path)
    assert first["run"] != second["run"]
    assert (tmp_path / "latest").resolve().name == second["run"]
    names = {path.name for path in (tmp_path / "latest").iterdir()}
    assert names == {"record.json", "report.html", "checklist.md", "junit.xml", "golive.prom"}
    assert [path.name for path in tmp_path.glob(".*")] == [run_record.LOCK]


def test_runs_that_end_together_each_leave_all_their_evidence(tmp_path):
    gate = mixed()
    with ThreadPoolExecutor(4) as pool:
        written = list(pool.map(lambda _: write(tmp_path, gate), range(12)))
    assert len({each["run"] for each in written}) == 12
    assert {each["ledger_line"] for each in written} == set(range(2, 14))  # after one waiver
    assert all(Path(each["report"]).exists() for each in written)
    assert ledger.verify(tmp_path) == []


def test_every_run_and_every_new_waiver_is_in_the_ledger(tmp_path):
    for minutes in range(3):
        written = write(tmp_path, minutes=minutes)
    kinds = [entry["kind"] for entry in ledger.records(tmp_path)]
    assert kinds == ["waiver", "gate", "gate", "gate"]
    last = ledger.records(tmp_path)[-1]["record"]
    assert last["record_sha256"] == written["record_sha256"]
    assert (last["verdict"], last["blocking"]) == ("no-go", ["root", "leaf", "hostile"])
    assert ledger.verify(tmp_path) == []


def test_the_run_before_stands_beside_this_one(tmp_path):
    write(tmp_path, run(item("a"), broken("b"), item("old")))
    found = write(tmp_path, run(broken("a"), item("b"), item("new")), minutes=1)["previous"]
    assert [entry["id"] for entry in found["worse"]] == ["a"]
    assert [entry["id"] for entry in found["better"]] == ["b"]
    assert (found["added"], found["removed"]) == (["new"], ["old"])


def test_a_run_of_single_checks_hides_no_whole_run(tmp_path):
    whole = write(tmp_path, run(broken("a"), item("b")))
    part = write(tmp_path, run(item("a"), item("b"), checks=["a"]), minutes=1)
    assert "<h1>Partial run passed (no go-live verdict)</h1>" in Path(part["report"]).read_text()
    assert history.previous(tmp_path, whole=False)["run"] == part["run"]
    assert history.previous(tmp_path, whole=True)["run"] == whole["run"]
    now = NOW + timedelta(minutes=2)
    found = status.collect(tmp_path / "sets", tmp_path, now=now)
    assert found["gate"]["run"] == whole["run"]
    assert any("was a no-go" in each["what"] for each in found["due"])
    assert write(tmp_path, run(item("a"), item("b")), minutes=3)["previous"]["run"] == whole["run"]


def test_an_unreadable_earlier_record_is_passed_over(tmp_path):
    write(tmp_path)
    damaged = write(tmp_path, minutes=1)
    Path(damaged["record"]).write_text("{")
    assert write(tmp_path, minutes=2)["previous"]["run"] != damaged["run"]


def test_boxes_are_ticked_by_fact(tmp_path):
    text = Path(write(tmp_path)["checklist"]).read_text()
    boxes = dict(re.findall(r"- \[(.)\] Title of (\w+)", text)[i][::-1] for i in range(7))
    assert {name for name, box in boxes.items() if box == "x"} == {"fine", "person"}
    assert len(boxes) == 7
    for role in ("Portfolio manager", "Administrator", "Risk officer"):
        assert f"| {role} |" in text


def test_the_gauges_are_valid_and_say_the_verdict(tmp_path):
    text = Path(write(tmp_path)["prometheus"]).read_text()
    line = re.compile(r'[a-z_]+(\{([a-z_]+="([^"\\\n]|\\.)*",?)+\})? [0-9.e+-]+')
    for entry in text.splitlines():
        assert entry.startswith("# ") or line.fullmatch(entry), entry
    assert "pms_golive_verdict 0\n" in text
    write(tmp_path, run(item("a")), minutes=1)
    assert "pms_golive_verdict 1\n" in (tmp_path / "golive.prom").read_text()


class Page(HTMLParser):
    """Collects what matters of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "br", "img", "link", "input"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def page_of(root: Path, gate: dict[str, Any] | None = None) -> str:
    entry = {"set": "2026-11-22_0600", "proved": True, "rto_seconds": 50.0, "rpo_seconds": 4000.0}
    for day in range(3):
        ledger.append(root, "drill", entry, now=NOW - timedelta(days=3 - day))
    return Path(write(root, gate, targets={"rto_seconds": 120.0})["report"]).read_text()


def test_the_report_is_one_well_formed_page_that_fetches_and_runs_nothing(tmp_path):
    text = page_of(tmp_path)
    page = Page(text)
    assert page.open == []
    names = {tag for tag, _ in page.tags}
    assert not names & {"script", "img", "link", "iframe", "object", "form", "input"}
    for tag, attributes in page.tags:
        assert not any(name.startswith("on") for name in attributes), (tag, attributes)
        for name in ("src", "href", "xlink:href"):
            assert attributes.get(name, "#").startswith("#"), (tag, attributes)
    assert "@import" not in text
    assert "url(" not in text


def test_nothing_that_a_system_says_becomes_markup(tmp_path):
    text = page_of(tmp_path)
    assert "<img" not in text
    assert "<script" not in text
    assert "Ana &lt;script&gt;" in text
    assert "First &lt;section&gt;" in text


def test_every_link_of_the_report_leads_somewhere_and_every_id_is_there_once(tmp_path):
    page = Page(page_of(tmp_path))
    ids = [attributes["id"] for _, attributes in page.tags if attributes.get("id")]
    assert len(ids) == len(set(ids))
    targets = {attributes["href"][1:] for tag, attributes in page.tags if tag == "a"}
    assert targets <= set(ids)
    labels = [a["aria-labelledby"] for _, a in page.tags if "aria-labelledby" in a]
    assert set(labels) <= set(ids)


def test_the_report_begins_with_the_verdict_and_what_to_do_first(tmp_path):
    text = page_of(tmp_path)
    assert text.index("<h1>NO-GO</h1>") < text.index("What to do first") < text.index("At a glance")
    assert text.index("Blockers that were waived") < text.index("At a glance")
    go = Path(write(tmp_path / "go", run(item("a")))["report"]).read_text()
    assert "<h1>GO</h1>" in go
    assert "What to do first" not in go


def test_somebody_new_is_told_what_the_verdict_means_and_what_comes_next(tmp_path):
    """A title is the expected state, so each failure is marked as one."""
    no_go = page_of(tmp_path)
    assert "<strong>Do not go live.</strong>" in no_go
    first = no_go[no_go.index("What to do first") : no_go.index("Blockers that were waived")]
    assert first.count("Failed</span>") == first.count("<h3>") > 0
    go = Path(write(tmp_path / "go", run(item("a")))["report"]).read_text()
    assert "1 of 1 checks passed, and no blocker is open" in go
    assert "playbooks/signoff.yml -e run=2026-11-23_1200" in go
    some = Path(write(tmp_path / "some", run(item("a"), sections=["first"]))["report"]).read_text()
    assert "this run gives no go-live verdict" in some
    assert "Run the whole checklist" in some and "signoff.yml" not in some


def test_a_waived_blocker_stands_in_red_with_who_why_and_until_when(tmp_path):
    text = page_of(tmp_path)
    red = text[text.index('<div class="notes red">') :]
    red = red[: red.index("</div>")]
    assert "Title of waived" in red
    assert "Ana &lt;script&gt;" in red and "<strong>2026-12-01</strong>" in red
    assert "Planned &amp; agreed for Thursday" in red
    assert '<span class="tag bad">waived until 2026-12-01</span>' in text


def test_causes_come_before_consequences_and_the_widest_first():
    results = run(
        broken("small"),
        broken("wide"),
        item("x", needs=["wide"]),
        item("y", needs=["x"]),
        broken("hint", severity="info"),
        broken("base", severity="info"),
        item("z", needs=["base"]),
    )["results"]
    first = [(each["id"], each["blocks"]) for each in root_causes.blockers_by_impact(results)]
    assert first == [("wide", 2), ("base", 1), ("small", 0)]


def test_charts_keep_to_round_values_and_units_people_know():
    assert charts.duration(83.44) == "83.4 seconds"
    assert charts.duration(7200) == "2 hours"
    assert charts.duration(None) == "unknown"
    assert charts.size(47_000_000) == "44.8 MB"
    assert charts.size(12) == "12 bytes"
    for highest in (0.0, 0.3, 1.0, 7.0, 99.0, 100.0, 12345.0):
        ticks = charts._ticks(highest)
        assert ticks[0] == 0 and ticks[-1] >= highest and 2 <= len(ticks) <= 7
    assert charts.of_backups([]) == []
    assert charts.of_drills([], {}) == []


def test_equal_records_make_equal_pages(tmp_path):
    record = record_of(write(tmp_path))
    assert html.page(record, "x") == html.page(record, "x")


def test_something_else_than_a_gate_s_result_is_refused(tmp_path):
    with pytest.raises(OpsError) as caught:
        write(tmp_path, {"verdict": "go"})
    assert caught.value.code == "evidence.gate"
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_written_is_an_error_with_a_remedy(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OpsError) as caught:
        write(tmp_path / "file" / "evidence")
    assert caught.value.code == "evidence.unwritable"


def test_a_run_that_breaks_off_leaves_nothing_that_looks_like_one(tmp_path, monkeypatch):
    monkeypatch.setattr(html, "page", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        write(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [run_record.LOCK]


def test_backups_and_drills_come_out_of_their_own_records(tmp_path):
    found = history.drills([{"kind": "drill", "at": "x", "record": {"set": "s", "proved": True}}])
    assert found[0]["rto_seconds"] is None
    assert history.backups(tmp_path / "nowhere") == []
    assert history.seconds_between("2026-11-23T10:00:00Z", "2026-11-23T10:00:02.5Z") == 2.5
    assert history.seconds_between(None, "2026-11-23T10:00:02.5Z") is None


def test_the_history_has_each_set_and_names_one_that_cannot_be_read(tmp_path):
    make_set(tmp_path, tmp_path / "keys", "2026-11-22_0600")
    (tmp_path / "2026-11-23_0600").mkdir()
    (tmp_path / "2026-11-23_0600" / "manifest.json").write_text("{")
    first, second = history.backups(tmp_path)
    assert (first["id"], first["verified_at"]) == ("2026-11-22_0600", None)
    assert second["id"] == "2026-11-23_0600" and "manifest" in second["problem"]


def module(main: Any, capsys: pytest.CaptureFixture[str], **arguments: Any) -> dict[str, Any]:
    with patch_module_args(arguments), pytest.raises(SystemExit):
        main()
    return json.loads(capsys.readouterr().out)


def test_the_evidence_module_writes_only_outside_check_mode(tmp_path, capsys):
    arguments = {"evidence_root": str(tmp_path), "gate": mixed() | {"failed": False}}
    checked = module(pms_evidence.main, capsys, **arguments, _ansible_check_mode=True)
    assert (checked["changed"], checked["run"]) == (True, None)
    assert not list(tmp_path.iterdir())
    done = module(pms_evidence.main, capsys, **arguments)
    assert Path(done["report"]).is_file()
    assert done["table"][-1] == f"Report: {done['report']}"
    assert set(checked) == set(done)
    # Ansible would send the whole gate back for each host.
    assert done["invocation"]["module_args"]["gate"] == "not repeated here"
    assert done["invocation"]["module_args"]["evidence_root"] == str(tmp_path)


def test_the_ledger_module_adds_checks_and_refuses(tmp_path, capsys):
    arguments = {"evidence_root": str(tmp_path), "kind": "drill", "record": {"proved": True}}
    checked = module(pms_ledger.main, capsys, **arguments, _ansible_check_mode=True)
    assert (checked["changed"], checked["line"], checked["lines"]) == (True, None, 0)
    done = module(pms_ledger.main, capsys, **arguments)
    assert (done["changed"], done["line"], done["lines"], done["problems"]) == (True, 1, 1, [])
    looked = module(pms_ledger.main, capsys, evidence_root=str(tmp_path))
    assert (looked["changed"], looked["sha256"]) == (False, done["sha256"])
    wrong = module(pms_ledger.main, capsys, evidence_root=str(tmp_path), head="0" * 12, strict=True)
    assert (wrong["failed"], wrong["code"]) == (True, "ledger.broken")
