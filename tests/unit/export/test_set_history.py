# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""A set that was proved and damaged later, what restores cost, and how old the newest set was."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest

from tests.support import exported
from tests.unit.export.test_head import AT, add, said
from tests.unit.export.test_report import Page, page_of, row
from tests.unit.export.test_set_rows import section

DAMAGED = {"proved": False, "broken": False, "code": "set.damaged", "set": None}
BEGAN = AT - timedelta(days=300)  # 3 February


@pytest.fixture
def fund(tmp_path):
    """Return a fund whose newest set was proved, and found damaged by a later drill."""
    fund = exported.Fund(tmp_path)
    add(fund, "backup", {"set": "old"}, BEGAN)
    add(fund, "drill", {"set": "old", "proved": True}, BEGAN + timedelta(hours=1))
    add(fund, "backup", {"set": "new"}, BEGAN + timedelta(days=30))
    add(fund, "drill", {"set": "new", "proved": True}, BEGAN + timedelta(days=31))
    return fund


def find_damage(fund, why="Set /srv/sets/new is damaged: toc.dat has 7 bytes, not 14."):
    add(fund, "drill", DAMAGED | {"why": why}, BEGAN + timedelta(days=60))


def test_a_set_that_was_found_damaged_later_is_not_shown_as_proved(fund):
    find_damage(fund)
    text = said(fund)
    sets = section(text, "sets")
    assert '<span class="tag warn">proved 2026-03-06</span> (line 5); ' in sets
    assert '<span class="tag bad">found damaged 2026-04-04</span> (line 6)' in sets
    assert '<span class="tag good">proved 2026-02-03</span> (line 3)' in sets
    assert "<strong>2 of 2</strong><span>sets once proved</span>" in text
    assert "<strong>1</strong><span>of them was found damaged later" in text
    assert "sets proved</span>" not in text


def test_the_newest_set_that_is_good_at_the_end_is_named_with_its_age(fund):
    newest = "at the end of the period, or at the export where that came first: <strong>"
    assert newest + "new</strong> (line 4), 302 d old then" in said(fund)
    find_damage(fund)
    assert newest + "old</strong> (line 2), 332 d old then" in said(fund)
    text = said(fund, language="pt")
    assert "se anterior: <strong>old</strong> (linha 2), com 332 dias de idade" in text


def test_no_set_that_is_good_is_said(fund):
    add(fund, "backup", {"removed": ["old", "new"]}, BEGAN + timedelta(days=61))
    assert "none of the sets that were made in the period" in section(said(fund), "sets")


def test_a_set_that_only_the_text_of_an_error_names_is_said_to_be_so(fund):
    find_damage(fund)
    times = section(said(fund), "times")
    assert '<td class="name">new<br>named only in the text of the error</td>' in times


def test_a_failed_drill_that_names_no_set_says_so_and_harms_none(fund):
    find_damage(fund, "The disk is full.")
    text = said(fund)
    assert '<td class="name">the line names no set</td>' in section(text, "times")
    assert "found damaged 2026" not in text
    assert "<strong>2 of 2</strong><span>sets proved</span>" in text


def test_on_the_disk_is_said_to_mean_only_present(fund):
    assert "Present on the disk means only that the folder of the set is there" in said(fund)


RESTORE = {"set": "new", "restore_seconds": 200.0, "rpo_seconds": 6_349_113.0}
CONTROL = {"rpo_target_seconds": 86400, "negative_control": {"outcome": "found"}}


def test_a_restore_tells_what_it_lost_and_what_it_did_not_cover(fund):
    add(fund, "restore", RESTORE | CONTROL, BEGAN + timedelta(days=62))
    text = said(fund)
    restores = section(text, "restores")
    assert '73.5 d<br><span class="tag bad">over the target (24 h)</span>' in restores
    assert "<strong>Negative control</strong>: found." in restores
    assert "<strong>The restore did not cover</strong>:" in restores
    assert "Redis: not restored" in restores
    assert "<strong>73.5 d</strong><span>largest recovery point (RPO)" in text
    assert "a restore, over the target</span>" in text
    assert "<strong>1 of 1</strong><span>restores, swaps and rollbacks passed" in text


def test_the_curve_of_recovery_points_has_the_restores(fund):
    add(fund, "restore", RESTORE | CONTROL, BEGAN + timedelta(days=62))
    curve = section(said(fund), "times")
    assert "Recovery point (RPO) of drills, proofs and restores, d" in curve


def test_the_greatest_age_of_the_newest_set_is_told_by_month(fund):
    add(fund, "gate", {"run": "first"}, BEGAN - timedelta(days=40))
    name = "2026-11-30_110000"
    (fund.evidence / name).mkdir(parents=True)
    (fund.evidence / name / "record.json").write_text('{"targets": {"rpo_seconds": 86400}}')
    times = section(said(fund), "times")
    cells = '<tr><td>{}</td><td class="number">{}</td><td>{}'
    assert cells.format("2026-01", 0, "NOT MEASURED: this export knows of no set") in times
    assert cells.format("2026-02", 1, "25.6 d<br>") in times  # to the end of February
    assert cells.format("2026-03", 1, "30 d<br>") in times  # until the next one was made
    last = cells.format("2026-12", 0, '302 d<br><span class="tag bad">over the target (24 h)')
    assert last in times
    assert "2027-01</td>" not in times


def test_drills_are_counted_against_those_that_were_planned(tmp_path):
    fund = exported.busy(tmp_path)
    text = page_of(fund)
    # Of the 35 Saturdays since 1 May, four weeks have a drill that passed, the fifth a broken one.
    assert "The drill drill on Saturdays, 05:30 35" in row(Page(text), "plan", "The drill")
    passed = re.search(r"<strong>(\d+) of 35</strong><span>planned drills passed", text)
    assert passed and int(passed[1]) == 4
