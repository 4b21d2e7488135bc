# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The report for a period: what was missed, proved, in force and not measured, in two languages."""

from __future__ import annotations

import json
import re
import string
import time
import zipfile
from dataclasses import replace
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path

import pytest
from ansible.module_utils.pmsops.evidence import audit, ledger
from ansible.module_utils.pmsops.export import bundle, pdf, plan, report_template, segment
from ansible.module_utils.pmsops.export import facts as report_facts
from ansible.module_utils.pmsops.export.language import CATALOGUES, Language
from ansible.module_utils.pmsops.export.period import Period
from ansible.module_utils.pmsops.schedule.calendar import DAYS

from tests.support import exported
from tests.support.backup_sets import make_set
from tests.support.exported import NOW, YEAR

EMPTY = Period.parse("2026-08-01", "2026-08-31")


class Page(HTMLParser):
    """The texts of each section, its rows, and what the page would load or run."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.sections: dict[str, str] = {}
        self.rows: dict[str, list[str]] = {}
        self.ids: list[str] = []
        self.links: list[str] = []
        self.tags: set[str] = set()
        self.section = "head"
        self.quiet = False
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        self.tags.add(tag)
        self.quiet = tag in ("style", "title") or (self.quiet and tag != "body")
        if tag == "section":
            self.section = given["aria-labelledby"]
        if "id" in given:
            self.ids.append(given["id"])
        if tag == "tr":
            self.rows.setdefault(self.section, []).append("")
        self.links += [given[name] for name in ("href", "src", "action") if name in given]
        assert not [name for name in given if name.startswith("on")]

    def handle_data(self, data):
        self.sections[self.section] = self.sections.get(self.section, "") + data
        if self.rows.get(self.section):
            self.rows[self.section][-1] += data + " "


@pytest.fixture(scope="module")
def fund(tmp_path_factory):
    return exported.busy(tmp_path_factory.mktemp("busy"))


def page_of(fund, period=YEAR, **more):
    request = exported.busy_request(fund, period=period, **more)
    path = bundle.write(request, now=NOW)["path"]
    with zipfile.ZipFile(path) as archive:
        return archive.read("report.html").decode()


@pytest.fixture(scope="module")
def text(fund):
    return page_of(fund)


@pytest.fixture(scope="module")
def page(text):
    return Page(text)


def row(page, section, words):
    """Return the one row of a section that has these words."""
    found = [each for each in page.rows[section] if words in each]
    assert len(found) == 1, (words, page.rows[section])
    return " ".join(found[0].split())


def test_it_loads_nothing_and_runs_nothing(text, page):
    assert "script" not in page.tags
    inside = [link for link in page.links if link.startswith("#")]
    assert {link[1:] for link in inside} <= set(page.ids) and len(inside) > 20
    others = set(page.links) - set(inside)
    assert all(
        re.fullmatch(r"(records|incidents)/[\w/-]+\.(json|html|md)", link) for link in others
    )
    assert len(page.ids) == len(set(page.ids))
    assert "default-src 'none'" in text and "&lt;script&gt;alert(1)" in text


def test_every_section_that_an_auditor_asks_for_is_there(page):
    assert set(page.sections) >= {
        *("plan", "runs", "sets", "times", "waivers", "holds", "restores", "deficiencies"),
        *("access", "checklists", "not_covered", "mapping", "proof"),
    }


def test_what_the_schedule_planned_and_the_ledger_lacks_was_missed(page):
    backup = row(page, "plan", "The backup")
    # Planned from 1 May, when the schedule is first known, to the end of the year.
    assert backup.startswith("The backup backup daily, 05:30 245 27 0 218 0")
    assert "2026-05-04 05:30" in page.sections["plan"]
    assert "NOT MEASURED before 2026-05-01 00:00: the schedule was not known" in page.sections[
        "plan"
    ].replace("\n", " ")


def test_every_moment_that_was_missed_is_in_the_export(fund):
    path = bundle.write(exported.busy_request(fund), now=NOW)["path"]
    with zipfile.ZipFile(path) as archive:
        backup = json.loads(archive.read("plan.json"))[0]
    assert len(backup["missed_at"]) == backup["counts"]["missed"] == 218 > plan.SHOWN


def test_a_job_without_lines_in_the_ledger_was_not_measured_and_not_missed(page):
    assert "NOT MEASURED: the ledger has no lines of this job" in row(page, "plan", "The verify")


def test_a_go_live_is_counted_though_its_playbook_lies_in_no_folder(fund):
    """The year of a lab: NOT MEASURED, in place of a missed month and a no-go."""
    known = plan.read(fund.root / "schedule" / "schedule.json")
    job = replace(known.jobs[0][0], command=("p/ansible-playbook", "-i", "prod", "golive.yml"))
    lines = segment.cut((fund.evidence / ledger.NAME).read_bytes(), YEAR).inside
    (found,) = plan.compare(plan.Plan(((job, known.jobs[0][1]),)), lines, YEAR, NOW)
    assert found["counts"]["done"] + found["counts"]["failed"] > 0
    assert sum(found["counts"].values()) == found["planned"]


def test_a_planned_run_that_failed_before_it_passed_is_named(tmp_path):
    """An auditor read "failed 0" of the drills of a year in which one had failed."""
    fund = exported.Fund(tmp_path)
    fund.append("backup", {"set": "a"}, datetime(2026, 5, 1, 12, tzinfo=UTC))
    exported.schedule(fund)
    drill = {"set": "a", "broken": False}
    fund.append("drill", drill | {"proved": False}, datetime(2026, 5, 2, 9, tzinfo=UTC))
    fund.append("drill", drill | {"proved": True}, datetime(2026, 5, 7, 9, tzinfo=UTC))
    known = plan.read(fund.root / "schedule" / "schedule.json")
    lines = segment.cut((fund.evidence / ledger.NAME).read_bytes(), YEAR).inside
    found = next(e for e in plan.compare(known, lines, YEAR, NOW) if e["name"] == "drill")
    assert (found["counts"]["done"], found["counts"]["failed"]) == (1, 0)
    assert found["failed_before"] == ["2026-05-02T08:30:00Z"]
    text = page_of(fund)
    assert "a run of it had failed before; due at</strong>: 2026-05-02 05:30" in text


def test_a_proof_that_was_broken_is_not_measured_and_neither_done_nor_failed(fund):
    lines = segment.cut((fund.evidence / ledger.NAME).read_bytes(), YEAR)
    known = plan.read(fund.root / "schedule" / "schedule.json")
    drill = next(e for e in plan.compare(known, lines.inside, YEAR, NOW) if e["name"] == "drill")
    assert drill["counts"]["not_measured"] == 1
    assert sum(drill["counts"].values()) == drill["planned"]


def test_a_run_whose_time_is_not_over_is_neither_planned_nor_missed(fund):
    known = plan.read(fund.root / "schedule" / "schedule.json")
    now = datetime(2026, 5, 3, 9, 0, tzinfo=UTC)  # half an hour after the third
    found = next(e for e in plan.compare(known, [], YEAR, now) if e["name"] == "backup")
    assert (found["planned"], found["counts"]["missed"]) == (2, 2)


def test_without_a_schedule_nobody_can_tell_what_was_planned(fund):
    page = Page(_without_schedule(fund))
    assert "NOT MEASURED: this host has no schedule" in page.sections["plan"]
    assert "NOT MEASURED" in page.sections["glance"]


def _without_schedule(fund):
    path = bundle.write(fund.request(backup_root=fund.root / "sets"), now=NOW)["path"]
    with zipfile.ZipFile(path) as archive:
        return archive.read("report.html").decode()


def test_each_set_says_which_line_proved_it_and_where_it_is(page):
    assert "proved 2026-05-01 (line 4) " in row(page, "sets", "2026-05-01_0600")
    assert "not proved" in row(page, "sets", "2026-05-02_0600")
    assert "removed" in row(page, "sets", "2026-05-02_0600")
    assert "proof failed" in row(page, "sets", "2026-05-10_0600")
    assert row(page, "sets", "2026-05-29_0600").endswith("held NOT MEASURED")
    assert row(page, "sets", "2026-05-28_0600").endswith("on the disk NOT MEASURED")
    assert "NOT MEASURED: it is not on the disk" in row(page, "sets", "2026-05-20_0600")


def test_times_are_compared_with_their_targets_and_drawn(text, page):
    assert "within the target (7 min)" in row(page, "times", "2026-05-01_0600")
    assert "over the target (7 min)" in row(page, "times", "2026-05-28_0600")
    assert text.count("<svg ") == 2
    assert "restore 4.17 min, verify 50 s" in row(page, "times", "2026-05-01_0600")
    broken = next(each for each in page.rows["times"] if " x" in each and "NOT" in each)
    assert "NOT MEASURED" in broken and "passed" not in broken


def test_waivers_holds_restores_incidents_deficiencies_keys_and_persons_have_their_rows(page):
    assert "2026-12-31" in row(page, "waivers", "infra.disk")
    assert "annual audit" in row(page, "holds", "2026-05-29_0600")
    assert "by retention" in row(page, "holds", "2026-05-02_0600")
    assert "41.5 s" in row(page, "restores", "2026-05-30_0600")
    assert "full disk" in row(page, "restores", "restore failed")
    assert "5 min" in row(page, "restores", "_redis_")
    assert "open" in row(page, "restores", "Disk")
    assert "overdue" in row(page, "deficiencies", "A disk is small")
    assert "both keys signed" in page.sections["access"]
    assert "risk officer" in row(page, "access", "Maria Silva")


def test_what_the_ledger_cannot_tell_says_so(page):
    # Held by an older release, which wrote no line of it.
    assert "NOT MEASURED annual audit" in row(page, "holds", "2026-05-29_0600")
    assert "NOT MEASURED: who logged in" in page.sections["access"]


def test_the_table_of_rules_names_headings_and_sends_the_reader_to_counsel(page):
    said = " ".join(page.sections["mapping"].split())
    assert "Counsel has to confirm" in said
    for rule in ("DORA, Article 12", "CVM Resolution 21", "ANBIMA", "A1.2", "A1.3", "A.8.13"):
        assert rule in said


def test_an_empty_period_says_that_it_is_empty(fund):
    page = Page(page_of(fund, EMPTY))
    assert "This period is empty: the ledger has no line of it" in page.sections["head"]
    assert "None in this period" in page.sections["runs"]
    assert "NOT MEASURED: no drill of this period" in page.sections["times"]
    assert row(page, "plan", "The backup").startswith("The backup backup daily, 05:30 31 0 0 31 0")


def test_a_ledger_cut_off_stands_at_the_head(tmp_path):
    fund = exported.busy(tmp_path)
    path = fund.evidence / ledger.NAME
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-2]))
    page = Page(page_of(fund))
    assert "the ledger is damaged: line 47 is missing" in page.sections["problems"]
    assert "The ledger is whole" not in str(page.sections)


def test_a_period_that_is_not_over_says_so(fund):
    page = Page(page_of(fund, Period.parse("2027-01-01", "2027-12-31")))
    assert "The period is not over" in page.sections["head"]


def test_a_version_of_the_checklist_is_a_file_with_its_checks():
    def record(digest, *ids, partial=False):
        results = [{"id": each, "severity": "blocker"} for each in ids]
        return {"checklist_sha256": digest, "partial": partial, "results": results}

    found = report_facts.checklists(
        {
            "1": record("a", "x", "y"),
            "2": record("a", "x", "y"),
            "3": record("b", "y", "z"),
            "4": record("c", "y", partial=True),
            "5": {"checklist_sha256": 7},
        }
    )
    first, second = found
    assert (first["first"], first["last"], first["runs"], first["blockers"]) == ("1", "2", 2, 2)
    assert (first["added"], first["removed"]) == ([], [])
    assert (second["added"], second["removed"]) == (["z"], ["x"])


# --- languages


def test_both_languages_have_the_same_keys_and_the_same_parts():
    assert set(CATALOGUES["en"]) == set(CATALOGUES["pt"])

    def parts(text):
        return {
            name for _text, name, _format, _conversion in string.Formatter().parse(text) if name
        }

    for key, english in CATALOGUES["en"].items():
        assert parts(english) == parts(CATALOGUES["pt"][key]), key


# The same in both languages.
SAME = {"term_pms", "term_tsa", "term_vault"}


def test_no_text_was_left_in_english():
    same = {key for key, text in CATALOGUES["en"].items() if text == CATALOGUES["pt"][key]}
    assert same <= SAME


def test_each_text_of_the_template_is_in_the_catalogue():
    used = set(re.findall(r'\bt\("(\w+)"', report_template.TEMPLATE))
    used |= set(re.findall(r'head\("(\w+)"', report_template.TEMPLATE))
    used |= {
        key
        for columns in re.findall(r"open\(\"\w+\", \[(.*?)\]", report_template.TEMPLATE, re.DOTALL)
        for key in re.findall(r'"(\w+)"', columns)
    }
    assert len(used) > 100
    starts = ("by_", "kind_", "event_", "role_", "term_", "means_", "tile_", "plan_", "hold_")
    assert used <= set(CATALOGUES["en"]) | set(starts)
    # What the code chooses: rules, tiles, days, phases, states, captions.
    sources = "".join(
        path.read_text()
        for path in Path(report_template.__file__).parent.glob("*.py")
        if not path.name.startswith(("words_", "findings"))
    )
    chosen = set(re.findall(r'"(\w+)"', sources)) | {*DAYS, *audit.PHASES}
    chosen |= set(re.findall(r"\b(gap_\w+)=", sources))
    unused = set(CATALOGUES["en"]) - used - chosen
    assert {key for key in unused if not key.startswith(starts)} == set()


def test_the_portuguese_report_has_no_english_but_what_records_say(fund):
    page = Page(page_of(fund, language="pt"))
    said = " ".join(" ".join(page.sections.values()).split())
    assert "Evidências da operação" in said and "01/01/2026 a 31/12/2026" in said
    assert "NÃO MEDIDO" in said and "NOT MEASURED" not in said
    assert "não é um parecer jurídico" in said
    assert "1.234.567" in said and "4,17 min" in said
    for english in (" passed", "Missed", "Waivers", "Negative control", "Counsel", "None in"):
        assert english not in said, english


def test_the_portuguese_export_has_its_own_name_and_its_own_readme(fund):
    path = bundle.write(exported.busy_request(fund, language="pt"), now=NOW)["path"]
    assert path.endswith("2026-01-01_2026-12-31_pt.zip")
    with zipfile.ZipFile(path) as archive:
        assert "O relatório está em report.html" in archive.read("README.txt").decode()


@pytest.mark.parametrize(
    ("value", "en", "pt"),
    [
        (None, "NOT MEASURED", "NÃO MEDIDO"),
        (0.0, "0 s", "0 s"),
        (41.52, "41.5 s", "41,5 s"),
        (90, "1.5 min", "1,5 min"),
        (3 * 86400, "3 d", "3 dias"),
        (1.6 * 86400, "1.6 d", "1,6 dia"),
    ],
)
def test_durations_are_written_as_people_of_each_language_do(value, en, pt):
    assert Language("en").duration(value) == en
    assert Language("pt").duration(value) == pt


def test_a_moment_is_of_sao_paulo():
    assert Language("en").when("2026-01-01T02:30:00Z") == "2025-12-31 23:30"
    assert Language("pt").when("2026-01-01T02:30:00Z") == "31/12/2025 23:30"
    assert Language("pt").when("yesterday") == "yesterday"


# --- print


def test_without_chromium_the_export_says_why_it_has_no_pdf(fund, monkeypatch):
    monkeypatch.setattr(pdf, "PROGRAMS", ("no-such-browser",))
    found = bundle.write(exported.busy_request(fund, pdf=True), now=NOW)
    assert found["pdf"] == "this host has no no-such-browser"
    assert exported.manifest_of(found["path"])["pdf"] == found["pdf"]


def test_a_browser_that_prints_nothing_costs_only_the_pdf(tmp_path, monkeypatch):
    program = tmp_path / "chromium"
    program.write_text("#!/bin/sh\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    content, why = pdf.printed("<p>")
    assert content is None and why == "chromium printed nothing (FileNotFoundError)"


@pytest.mark.nightly
def test_3000_lines_are_exported_in_seconds_of_the_processor(tmp_path):
    fund = exported.busy(tmp_path)
    exported.add_lines(fund, 3000)
    began = time.process_time()
    found = bundle.write(exported.busy_request(fund), now=NOW)
    took = time.process_time() - began
    print(f"{took:.1f} s of the processor")
    assert took < 10
    assert (found["lines"], found["problems"]) == (3048, [])


def test_each_use_of_a_second_persons_approval_is_there_in_both_languages(tmp_path):
    fund = exported.Fund(tmp_path)
    at = datetime(2026, 3, 16, 22, 0, tzinfo=UTC)
    plan_of = {"operation": "swap", "database": "macro_trading", "set": "2026-03-02_0731"}
    said = {
        "ordered_by": "Carla Souza",
        "approved_by": "Ana Lima",
        "approved_at": "2026-03-16T21:58:00Z",
        "decide_seconds": 420.0,
        "plan": plan_of,
    }
    fund.append("approval", said, at)
    # Of a release that did not measure it, and damaged ones.
    fund.append("approval", {"plan": {"operation": "magic", "site": 7}, "ordered_by": 3}, at)
    fund.append("approval", {"plan": ["no", "object"], "decide_seconds": -4}, at)
    shown = Page(page_of(fund))
    assert row(shown, "access", "Ana Lima") == (
        "2 2026-03-16 19:00 restore 2026-03-02_0731 Carla Souza Ana Lima 2026-03-16 18:58 7 min"
        " not in this export"
    )
    nothing = "not on record not on record not on record NOT MEASURED NOT MEASURED"
    assert row(shown, "access", "magic") == (
        f"3 2026-03-16 19:00 magic {nothing} not in this export"
    )
    assert row(shown, "access", "4 2026-03-16").startswith(
        f"4 2026-03-16 19:00 not on record {nothing}"
    )
    portuguese = Page(page_of(fund, language="pt"))
    assert "restauração" in row(portuguese, "access", "Ana Lima")


def test_a_hold_has_its_beginning_and_its_end(tmp_path):
    fund = exported.Fund(tmp_path)
    march, may = (datetime(2026, month, 2, 15, 0, tzinfo=UTC) for month in (3, 5))

    def act(what, name, at, reason=""):
        record = {"act": what, "set": name, "reason": reason, "by": "maria", "ticket": "CHG-9"}
        fund.append("hold", record, at)

    year = datetime(2025, 2, 2, 15, 0, tzinfo=UTC)
    act("held", "2025-01-01_0600", year, "over before the year")
    act("lifted", "2025-01-01_0600", year.replace(month=3))
    act("held", "2025-06-01_0600", year.replace(month=6), "since the year before")
    act("held", "2026-03-01_0600", march, "annual audit")
    act("lifted", "2026-03-01_0600", may)
    act("held", "2026-05-01_0600", may, "a lawsuit")
    folder = make_set(tmp_path / "sets", tmp_path / "setkeys", "2026-05-01_0600")
    (folder / "hold.json").write_text('{"reason": "a lawsuit"}')
    shown = Page(page_of(fund))
    assert "over before the year" not in shown.sections["holds"]
    assert "2025-01-01_0600" not in shown.sections["holds"]
    assert row(shown, "holds", "since the year before").startswith(
        "4 2025-06-02 12:00 held 2025-06-01"
    )
    ended = next(each for each in shown.rows["holds"] if "hold lifted" in each)
    assert " ".join(ended.split()) == (
        "6 2026-05-02 12:00 hold lifted 2026-03-01_0600 not on record maria CHG-9"
    )
    # A rule's row says what is missing; of these holds nothing is.
    soc = row(shown, "mapping", "SOC 2, A1.2")
    assert "Holds and deletions: NOT MEASURED" not in soc and "Holds and deletions" in soc
    now = next(each for each in shown.rows["holds"] if "a lawsuit" in each and "held" not in each)
    assert "2026-05-02 12:00 a lawsuit" in " ".join(now.split())


def test_a_curve_of_one_point_names_no_line_that_nobody_can_see(tmp_path):
    fund = exported.Fund(tmp_path)
    at = datetime(2026, 3, 2, 15, 0, tzinfo=UTC)
    drill = {"set": "a", "proved": True, "rto_seconds": 200.0, "rto_target_seconds": 3600}
    fund.append("drill", drill, at)
    assert "The line without dots" not in page_of(fund)
    fund.append("drill", drill, at.replace(month=4))
    assert "The line without dots" in page_of(fund)
