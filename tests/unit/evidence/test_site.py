# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The page over all runs: what it shows, names and links, whatever the files hold."""

from __future__ import annotations

import json
import re
import shutil
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import pytest
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.evidence import ledger, set_list, site, site_facts
from ansible.module_utils.pmsops.incidents import lifecycle
from ansible.module_utils.pmsops.incidents import record as incidents
from ansible.module_utils.pmsops.reports import site as rendering
from ansible.module_utils.pmsops.repository import sets

from tests.support import old_release as frozen
from tests.support.backup_sets import make_set
from tests.support.gates import NOW
from tests.support.year_of_evidence import HOSTILE, write_run

DRILL = {"set": "2026-11-22_0600", "proved": True, "rto_seconds": 41.0, "rpo_seconds": 60.0}


class Page(HTMLParser):
    """A page as a browser reads it: its elements, links, rows and texts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text = text
        self.tags: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.rows: list[str] = []
        self.words: list[str] = []
        self.attributes: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        given = dict(attrs)
        self.attributes |= set(given)
        self.ids += [given["id"]] if "id" in given else []
        self.links += [given["href"]] if "href" in given else []
        if tag == "tr":
            self.rows.append("")

    def handle_data(self, data):
        self.words.append(data)
        if self.rows:
            self.rows[-1] += data

    def row(self, text: str) -> str:
        """Return the first row with this text."""
        return next(row for row in self.rows if text in row)


@pytest.fixture
def roots(tmp_path):
    """The folders of evidence and sets, empty."""
    for name in ("evidence", "sets"):
        (tmp_path / name).mkdir()
    return tmp_path / "evidence", tmp_path / "sets"


def written(roots, **more) -> dict:
    return site.write(site_facts.Sources(*roots, **more), now=NOW)


def page(roots, **more) -> Page:
    return Page(Path(written(roots, **more)["path"]).read_text())


def targets(found: Page, folder: Path) -> list[Path]:
    return [folder / unquote(each) for each in found.links if not each.startswith("#")]


def test_it_lists_runs_sets_drills_and_incidents_and_each_link_leads_to_a_file(roots, tmp_path):
    evidence, backups = roots
    folder = make_set(backups, tmp_path / "keys", "2026-11-22_0600", totals={"bytes": 3 << 20})
    sets.mark_verified(folder, {"rows": 1})
    (folder / "hold.json").write_text('{"reason": "annual audit"}')
    write_run(evidence, "2026-11-23_060000", at=NOW)
    ledger.append(evidence, "drill", DRILL, now=NOW)
    incident, _ = incidents.begin(evidence, "redis", title="Redis", symptoms=[], began_at=NOW)
    (incident.folder / "incident.md").write_text("# Incident\n")
    found = page(roots, system="fund")
    assert "NO-GO" in found.row("2026-11-23_060000") and "backup" in found.row("2026-11-23_060000")
    assert "3 MB" in found.row("2026-11-22_0600")
    assert "annual audit" in found.text and "41 seconds" in found.text
    assert "open" in found.row(incident.id)
    linked = targets(found, evidence / "site")
    assert {each.resolve() for each in linked} == {
        *(evidence / "2026-11-23_060000" / name for name in ("record.json", "report.html")),
        *(incident.folder / name for name in ("incident.json", "incident.md")),
        folder / "manifest.json",
    }
    inside = [each.removeprefix("#") for each in found.links if each.startswith("#")]
    assert set(inside) <= set(found.ids) and len(found.ids) == len(set(found.ids))
    assert "line-2" in inside and "set-0" in inside


def test_a_second_run_changes_nothing_and_a_new_line_does(roots):
    ledger.append(roots[0], "drill", DRILL, now=NOW)
    first = written(roots)
    path = Path(first["path"])
    assert first["changed"] and path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    later = site.write(site_facts.Sources(*roots), now=NOW + timedelta(days=40))
    assert not later["changed"]
    ledger.append(roots[0], "drill", DRILL, now=NOW)
    before = path.read_bytes()
    assert site.write(site_facts.Sources(*roots), now=NOW, check=True)["changed"]
    assert path.read_bytes() == before
    assert written(roots)["changed"]


def test_an_empty_folder_and_a_missing_one_give_a_page(roots, tmp_path):
    for evidence, backups in (roots, (tmp_path / "none", tmp_path / "no_sets")):
        found = page((evidence, backups))
        assert "No run yet." in found.text and "No set yet." in found.text
        assert "No line yet." in found.text and "cannot be trusted" not in found.text
    checked = site.write(site_facts.Sources(tmp_path / "third"), now=NOW, check=True)
    assert checked["changed"] and not (tmp_path / "third").exists()


def test_hostile_text_in_every_field_is_text_on_the_page(roots, tmp_path):
    evidence, backups = roots
    plain = page(roots)
    write_run(evidence, "2026-11-23_060000", at=NOW, text=HOSTILE)
    odd = evidence / '2026"><script>alert(4)'
    odd.mkdir()
    (odd / "record.json").write_text("{}")
    drill = dict.fromkeys(DRILL | {"drill_host": 1, "why": 1, "other_database": 1}, HOSTILE)
    ledger.append(evidence, "drill", drill, now=NOW)
    ledger.append(evidence, "drill", {HOSTILE: HOSTILE, "set": HOSTILE}, now=NOW)
    incident, _ = incidents.begin(evidence, "redis", title=HOSTILE, symptoms=[], began_at=NOW)
    incidents.end(
        incident.folder,
        "recovered",
        facts={"cause": HOSTILE, "data_loss": HOSTILE},
        checks=[],
        verified_at=NOW,
        now=NOW,
    )
    folder = make_set(backups, tmp_path / "keys", database_name=HOSTILE)
    (folder / "hold.json").write_text(json.dumps({"reason": HOSTILE}))
    found = page(roots, system=HOSTILE)
    assert found.text.count("alert(1)") > 10
    assert found.tags.count("script") == plain.tags.count("script") == 1
    assert "img" not in found.tags and "onerror" not in found.attributes
    assert not [each for each in found.links if not each.startswith(("#", "../"))]
    assert all(each.is_file() for each in targets(found, evidence / "site"))
    assert set(re.findall(r"script-src 'sha256-[^']*'", found.text)) == set(
        re.findall(r"script-src 'sha256-[^']*'", plain.text)
    )


def test_nothing_comes_from_a_network(roots):
    write_run(roots[0], "2026-11-23_060000", at=NOW)
    found = page(roots)
    assert not {"link", "img", "iframe", "object"} & set(found.tags)
    assert not {"src", "action", "srcset"} & found.attributes
    assert "default-src 'none'" in found.text and "://" not in found.text


@pytest.mark.parametrize("content", [b"{", b"[]", b"\xff", b'"x"', None, b"[" * 100_000])
def test_a_damaged_record_is_named_and_hides_no_other_run(roots, content):
    for day in (22, 23):
        write_run(roots[0], f"2026-11-{day}_060000", at=NOW)
    path = roots[0] / "2026-11-22_060000" / "record.json"
    path.write_bytes(content) if content is not None else path.unlink()
    (problem,) = written(roots)["problems"]
    assert problem.startswith("Run 2026-11-22_060000: ") and "record.json" in problem
    found = page(roots)
    assert "What cannot be trusted" in found.text
    assert "NO-GO" in found.row("2026-11-22_060000")  # as the ledger has it
    assert "problem" not in found.row("2026-11-23_060000")


def test_a_record_that_was_altered_is_named_and_so_are_runs_that_only_one_side_knows(roots):
    for day in (21, 22, 23):
        write_run(roots[0], f"2026-11-{day}_060000", at=NOW, recorded=day != 23)
    path = roots[0] / "2026-11-22_060000" / "record.json"
    path.write_text(path.read_text().replace('"no-go"', '"go"'))
    (roots[0] / "2026-11-21_060000").rename(roots[0] / ".gone")
    assert written(roots)["problems"] == [
        "Run 2026-11-23_060000: the ledger has no line about this run",
        "Run 2026-11-22_060000: record.json was altered after the run: the ledger has another"
        " SHA-256",
        "Run 2026-11-21_060000: the ledger has this run, and its folder is gone",
    ]


@pytest.mark.parametrize(
    "line",
    [
        b"no json",
        b'{"at": 5, "kind": [], "previous": {}, "record": "x", "seq": "<b>"}',
        b'{"at": null, "kind": "drill", "previous": 1, "record": [], "seq": null}',
        b'{"at": "9999-99-99", "kind": "gate", "previous": 1, "record": {"run": {}}, "seq": 2}',
        b'{"at": "0001-01-01T00:00:00Z", "kind": "drill", "previous": 1, "seq": 2, "record":'
        b' {"rto_seconds": NaN, "rpo_seconds": 1e999, "set": [], "negative_control": {"outcome":'
        b" {}}}}",
    ],
)
def test_a_damaged_ledger_is_named_and_the_other_lines_are_shown(roots, line):
    ledger.append(roots[0], "drill", DRILL, now=NOW)
    with (roots[0] / ledger.NAME).open("ab") as stream:
        stream.write(line + b"\n")
    found = written(roots)
    assert "The ledger is damaged: line " in " ".join(found["problems"])
    shown = Page(Path(found["path"]).read_text())
    assert "DAMAGED" in shown.text and "41 seconds" in shown.text
    assert not re.search(r">(nan|inf) ", shown.text)


def test_a_damaged_set_is_listed_by_the_page_and_by_the_list(roots, tmp_path):
    damage = (
        {"snapshot_at": "yesterday"},
        {"snapshot_at": 5},
        {"totals": "x"},
        {"totals": {"bytes": "x"}},
    )
    for number, facts in enumerate(damage):
        make_set(roots[1], tmp_path / "keys", f"2026-11-2{number}_0600", **facts)
    make_set(roots[1], tmp_path / "keys", "2026-11-25_0600")
    (roots[1] / "2026-11-25_0600" / "manifest.json").unlink()
    make_set(roots[1], tmp_path / "keys", "2026-11-26_0600")
    (roots[1] / "2026-11-26_0600").rename(roots[1] / "2026-11-26_0600.damaged")
    listed = set_list.collect(roots[1], now=NOW)
    assert [bool(each["problem"]) for each in listed] == [True] * len(listed)
    assert len(set_list.table(listed)) == 6
    assert len(written(roots)["problems"]) == 5
    assert "quarantined" in page(roots).row("2026-11-26_0600.damaged")


def test_a_damaged_incident_is_named_and_counts_as_open(roots):
    folder = roots[0] / "incidents" / "2026-11-22_060000_redis_ab12"
    folder.mkdir(parents=True)
    (folder / "incident.json").write_text("{")
    (roots[0] / "incidents" / "requests").mkdir()
    found = written(roots)
    assert found["incidents"] == 1 and "incident.json cannot be read" in found["problems"][0]
    assert "1 open" in page(roots).text


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda folder: None, None),
        (lambda folder: alter(folder / "incident.json"), "altered after the incident was closed"),
        (lambda folder: shutil.rmtree(folder), "its folder is gone"),
    ],
    ids=["as it was", "altered", "removed"],
)
def test_an_altered_incident_was_shown_as_if_it_were_the_recorded_one(roots, change, named):
    evidence, _ = roots
    incident, _ = incidents.begin(evidence, "redis", title="Redis", symptoms=[], began_at=NOW)

    def end(outcome):
        ended = incidents.end(
            incident.folder, outcome, facts={}, checks=[], verified_at=NOW, now=NOW
        )
        ledger.append(evidence, "incident", lifecycle.ledger_content(ended), now=NOW)

    end("not_recovered")
    incidents.record_action(incident.folder, "recover", "restart Redis", finished=True)
    assert written(roots)["problems"] == []  # it is still open
    end("recovered")
    change(incident.folder)
    problems = written(roots)["problems"]
    assert [named in each for each in problems] == ([True] if named else [])
    assert named is None or named in page(roots).row(incident.id)


def test_an_incident_that_was_closed_without_a_line_is_named(roots):
    incident, _ = incidents.begin(roots[0], "redis", title="Redis", symptoms=[], began_at=NOW)
    incidents.end(incident.folder, "recovered", facts={}, checks=[], verified_at=NOW, now=NOW)
    assert "no line about the end" in written(roots)["problems"][0]


def alter(path):
    document = json.loads(path.read_text())
    path.write_text(json.dumps(document | {"recovery_seconds": 1.0}))


def test_the_evidence_of_the_first_release_is_shown(tmp_path):
    for name in ("backups", "evidence"):
        frozen.copy(name, tmp_path / name)
    found = page((tmp_path / "evidence", tmp_path / "backups"))
    assert "NO-GO" in found.row("2026-11-29_032221")
    assert "recovered" in found.row("About redis") and "open" in found.row("About position")
    assert "proved" in found.row("41.2 seconds")
    assert all(each.is_file() for each in targets(found, tmp_path / "evidence" / "site"))


def test_columns_of_drills_elsewhere_and_controls_show_where_there_are_some(roots):
    ledger.append(roots[0], "drill", DRILL, now=NOW)
    assert "With the fetch" not in page(roots).text
    elsewhere = {
        **(DRILL | {"drill_host": "drill1", "segregated": True, "rto_target_seconds": 30}),
        "rto_with_fetch_seconds": 80.0,
        "negative_control": {"outcome": "found", "table": "public.book"},
    }
    ledger.append(roots[0], "drill", elsewhere, now=NOW)
    found = page(roots)
    row = found.row("drill1, segregated")
    assert "80 seconds" in row and "found (public.book)" in row and "target 30 seconds" in row
    broken = DRILL | {"proved": False, "broken": True}
    ledger.append(roots[0], "drill", broken, now=NOW)
    assert "broken proof" in page(roots).text


def test_deficiencies_are_listed_with_owner_and_day_and_what_shows_the_remedy(roots):
    """Whether one is overdue the browser tells: the page does not depend on the day."""
    opened = {"act": "opened", "title": "Redis is in no set", "owner": HOSTILE, "finding": "drill"}
    for name, due in (("D-1", "2026-11-30"), ("D-2", "2026-12-15"), ("D-3", None)):
        ledger.append(roots[0], "deficiency", opened | {"id": name, "due": due}, now=NOW)
    shown = {"line": 7, "kind": "drill", "at": "2026-11-23T12:00:00Z", "sha256": "0" * 64}
    closed = {"act": "closed", "id": "D-1", "closed_by": "Ana", "record": shown, "note": ""}
    ledger.append(roots[0], "deficiency", closed, now=NOW)
    found = page(roots)
    assert "shown by line 7" in found.row("D-1")
    assert "2026-12-15" in found.row("D-2") and found.row("D-2").rstrip().endswith("open")
    assert found.text.count('data-ends="') == 1
    assert 'data-ends="2026-12-15T23:59:59-03:00"' in found.text
    assert HOSTILE not in found.text
    later = site.write(site_facts.Sources(*roots), now=NOW + timedelta(days=90))
    assert not later["changed"]


def test_a_page_that_cannot_be_written_says_so(roots):
    (roots[0] / "site").write_text("")
    with pytest.raises(OpsError, match="cannot be written") as caught:
        written(roots)
    assert caught.value.code == "site.unwritable"


def test_signatures_are_checked_where_the_keys_are_known(roots, tmp_path):
    ledger.append(roots[0], "drill", DRILL, now=NOW, keys=tmp_path / "keys")
    assert "signatures checked" in page(roots, keys=tmp_path / "keys").text
    path = roots[0] / ledger.NAME
    path.write_bytes(path.read_bytes().replace(b'"proved":true', b'"proved":null'))
    assert any("signature" in each for each in written(roots, keys=tmp_path / "keys")["problems"])


def test_each_file_is_read_once_and_no_file_for_each_line(roots, monkeypatch):
    """The work grows with the evidence, not with its square: counted, not timed."""

    def reads(runs: int) -> int:
        count = 0
        whole = Path.read_bytes

        def counted(path):
            nonlocal count
            count += 1
            return whole(path)

        for number in range(runs):
            name = f"2026-{runs % 12 + 1:02}-{number % 28 + 1:02}_{number // 28:02}0000"
            if not (roots[0] / name).exists():
                write_run(roots[0], name, at=datetime(2026, 1, 1, tzinfo=UTC))
        with monkeypatch.context() as patch:
            patch.setattr(Path, "read_bytes", counted)
            found = written(roots)
        assert not found["problems"]
        return count - found["runs"]

    assert reads(3) == reads(30)


def test_the_text_of_a_record_is_short_and_leaves_hashes_out():
    record = {"set": "a", "manifest_sha256": "f" * 64, "why": "x" * 500, "ok": True, "n": None}
    text = rendering._text(record)
    assert text.startswith("set: a; why: xxx") and text.endswith("ok: yes") and len(text) < 200
