# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The probe of other sites, and what the status says of them."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest
from ansible.module_utils.pmsops.checks import probes
from ansible.module_utils.pmsops.checks.probes import Deadline, NotGiven, Unanswerable
from ansible.module_utils.pmsops.checks.probes.context import Context, Settings
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.evidence import ledger, status
from ansible.module_utils.pmsops.repository import site_notes

from tests.conftest import PROJECT
from tests.support.backup_sets import make_set

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
SITES = ["vault", "second"]
SET = "2026-11-22_0600"


@pytest.fixture
def places(tmp_path):
    """Two sites on which all is well."""
    root, evidence = tmp_path / "backups", tmp_path / "evidence"
    make_set(root, tmp_path / "keys", SET)
    for site in SITES:
        site_notes.done(root, site, "upload", {"set": SET, "proved": False, "signs": []}, NOW)
        site_notes.done(root, site, "check", {"part": 1, "parts": 7}, NOW)
        site_notes.done(root, site, "immutable", {"refused": True}, NOW)
        prove(evidence, site, True)
    return root, evidence


def prove(evidence, site, proved, **more):
    record = {"act": "proof", "site": site, "set": SET, "proved": proved} | more
    ledger.append(evidence, "offsite", record, now=NOW)


def ask(about, places, sites=SITES):
    settings = Settings(
        now=NOW,
        facts={"offsite": {"sites": sites}},
        backup_root=str(places[0]),
        evidence_root=str(places[1]),
    )
    return probes.function("offsite")({"about": about}, Context(settings), Deadline.after(1))


def due(places):
    found = status.collect(*places, now=NOW, sites=SITES)
    return [each["what"] for each in found["due"] if each["what"].startswith("site ")]


def error(code):
    return OpsError("Because.", "Do it.", code=code)


def test_good_sites_are_none_of_all_that_may_be_wrong(places):
    at = "2026-11-23T12:00:00Z"
    assert ask("current", places) == {
        "behind": "none", "signs": "none", "wrong": "none", "checked": at
    }  # fmt: skip
    assert ask("immutable", places) == {"deletes": "none", "untried": "none", "at": at}
    assert ask("sites", places) == {"sites": 2, "current": 2, "behind": "none"}
    assert ask("proved", places)["unproved"] == "none"
    assert due(places) == []


def test_a_system_without_other_sites_is_not_asked(places):
    for about in ("current", "proved", "immutable", "sites"):
        with pytest.raises(NotGiven, match="offsite_repositories"):
            ask(about, places, [])


def test_a_misspelt_question_is_unknown(places):
    with pytest.raises(Unanswerable, match="not one of current"):
        ask("curent", places)


def test_a_site_that_nobody_uploaded_to_is_behind(places):
    found = ask("current", places, [*SITES, "third"])
    assert (
        found["behind"] == "third: this machine uploaded no set of the database yet"
        and found["checked"] is None
    )
    assert ask("sites", places, [*SITES, "third"])["current"] == 2
    assert ask("immutable", places, ["third"])["untried"] == "third"
    assert ask("proved", places, ["third"])["at"] is None


def test_a_site_without_the_newest_set_is_behind_and_says_why(places):
    make_set(places[0], places[0].parent / "keys", "2026-11-23_0600")
    site_notes.failed(places[0], "second", "upload", error("offsite.full"), NOW)
    found = ask("current", places)["behind"]
    assert "vault: it has set 2026-11-22_0600, the newest is 2026-11-23_0600;" in found
    assert "(offsite.full: Because.)" in found
    assert ask("sites", places)["current"] == 0
    assert len(due(places)) == 2


def test_an_upload_that_failed_for_a_set_that_is_there_already_leaves_the_site_current(places):
    site_notes.failed(places[0], "second", "upload", error("offsite.unreachable"), NOW)
    assert ask("sites", places)["current"] == 2


def test_a_failed_check_and_a_wrong_clock_are_named_until_they_are_good(places):
    for act in ("check", "clock"):
        site_notes.failed(places[0], "vault", act, error(f"offsite.{act}"), NOW)
    assert ask("current", places)["wrong"] == (
        "vault: check: offsite.check: Because.; vault: clock: offsite.clock: Because."
    )
    assert any("check failed (offsite.check)" in each for each in due(places))
    for act in ("check", "clock"):
        site_notes.done(places[0], "vault", act, {}, NOW)
    assert ask("current", places)["wrong"] == "none"


def test_signs_of_ransomware_are_named(places):
    facts = {"set": SET, "proved": False, "signs": ["everything changed"]}
    site_notes.done(places[0], "second", "upload", facts, NOW)
    assert ask("current", places)["signs"] == "second: everything changed"
    assert due(places)[0] == "site second, a sign of ransomware: everything changed"


def test_a_site_that_deletes_is_named(places):
    site_notes.done(places[0], "second", "immutable", {"refused": False}, NOW)
    assert ask("immutable", places)["deletes"].startswith("second: ")
    assert any("can delete" in each for each in due(places))
    found = status.collect(*places, now=NOW, sites=SITES)
    (remedy,) = {each["next"] for each in found["due"] if "can delete" in each["what"]}
    section = re.search(r'OFFSITE.md, "(.*)":', remedy)[1]
    assert f"\n## {section}\n" in (PROJECT / "docs" / "OFFSITE.md").read_text("utf-8")


def test_the_newest_proof_of_each_site_counts(places):
    prove(places[1], "second", False, code="set.damaged", why="a.csv differs")
    assert ask("proved", places)["unproved"] == "second: set.damaged: a.csv differs"
    assert any("the last proof failed" in each for each in due(places))
    prove(places[1], "second", True)
    assert ask("proved", places)["unproved"] == "none"


def test_what_nobody_did_for_days_is_due(places):
    later = status.collect(*places, now=NOW + timedelta(days=9), sites=SITES)
    found = [each["what"] for each in later["due"]]
    for site in SITES:
        assert f"site {site}: its data was not checked for days" in found
        assert f"site {site}: the last proof is old" in found


def test_the_status_has_a_line_for_each_site(places):
    lines = []
    found = status.collect(*places, now=NOW, sites=[*SITES, "third"])
    status.describe(found, lambda name, text: lines.append(f"{name}: {text}"))
    assert f"site: vault: set {SET}, 0 s ago; checked 0 s ago; proved 0 s ago" in lines
    assert "site: third: this machine uploaded no set of the database yet" in lines


def test_a_damaged_note_is_as_none(places):
    (places[0] / ".pms-ops" / "offsite.json").write_text("{")
    assert ask("sites", places)["current"] == 0
