# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Sets and recoveries in the report: what a proof covers, what was left out, who ran it."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from tests.support import exported
from tests.support.backup_sets import make_set
from tests.unit.export.test_head import AT, add, said

PARTS = ["redis: NOT TAKEN, no Redis is named", "compose: 3 files of x, without .env: no leave"]
RESTORED = {"restore_seconds": 250.0, "proof_seconds": 50.0}


@pytest.fixture
def fund(tmp_path):
    fund = exported.Fund(tmp_path)
    add(fund, "backup", {"set": "2026-11-30_0900", "parts": PARTS}, ordered_by={"by": "ana"})
    return fund


def section(text, name):
    text = text[text.index(f'aria-labelledby="{name}"') :]
    return text[: text.index("</section>")]


def test_a_proved_set_says_what_its_proof_did_not_cover(fund):
    add(fund, "drill", {"set": "2026-11-30_0900", "proved": True})
    text = section(said(fund), "sets")
    assert "the rows and the objects of its database" in text
    assert "The proof did not cover:" in text and "Redis: not restored" in text
    assert "Grafana&#39;s files: not restored" in text


def test_a_proof_that_does_not_say_what_it_covered_covers_nothing_of_it(fund):
    """An off-site proof, whose line has an empty list: the set looked complete."""
    add(fund, "drill", {"set": "2026-11-30_0900", "proved": True})
    fund.append("offsite", {"set": "2026-11-30_0900", "act": "proof", "proved": True}, AT)
    text = section(said(fund), "sets")
    assert "The proof did not cover:" in text and "Redis: not restored" in text


def test_a_set_that_was_set_aside_is_not_said_to_have_vanished(fund):
    folder = make_set(fund.root / "sets", fund.root / "setkeys", "2026-11-30_0900")
    folder.rename(folder.with_name(f"{folder.name}.damaged"))
    text = section(said(fund, backup_root=fund.root / "sets"), "sets")
    assert "<td>set aside as damaged: its folder ends in .damaged" in text
    assert "no line says" not in text


def test_files_that_were_left_out_of_a_set_are_listed(fund):
    text = section(said(fund), "sets")
    assert "Left out of this set" in text and "NOT TAKEN, no Redis" in text and ".env" in text


def test_a_set_on_the_disk_says_whether_it_is_encrypted(fund):
    folder = make_set(fund.root / "sets", fund.root / "setkeys", "2026-11-30_0900")
    document = json.loads((folder / "manifest.json").read_text())
    for value, word in ((True, "<td>yes</td>"), (False, "<td>no</td>")):
        document["dump"]["encrypted"] = value
        (folder / "manifest.json").write_text(json.dumps(document))
        assert word in section(said(fund, backup_root=fund.root / "sets"), "sets")
    assert "Encrypted</th>" in section(said(fund), "sets")


def test_a_recovery_time_names_its_phases_and_those_that_nobody_measured(fund):
    drill = {"set": "2026-11-30_0900", "proved": True, "rto_seconds": 300.0}
    add(fund, "drill", drill | RESTORED | {"rto_target_seconds": 420})
    text = section(said(fund), "times")
    assert '<span class="tag warn">within the target (7 min)</span> of the measured phases' in text
    assert "NOT MEASURED: detect, decide, fetch, resume" in text
    assert '<span class="tag good">within' not in text


def test_a_real_restore_is_compared_with_the_target(fund):
    name = "2026-11-30_110000"
    (fund.evidence / name).mkdir(parents=True)
    (fund.evidence / name / "record.json").write_text('{"targets": {"rto_seconds": 240}}')
    add(fund, "restore", {"set": "2026-11-30_0900"} | RESTORED)
    assert "over the target (4 min)" in section(said(fund), "restores")


def test_the_longest_time_without_a_set_is_in_the_report(fund):
    add(fund, "backup", {"set": "b"}, AT + timedelta(days=3))
    add(fund, "backup", {"set": "c"}, AT + timedelta(days=31))
    text = section(said(fund), "times")
    assert "Longest time without a new set" in text and "<strong>28 d</strong>" in text


def test_each_run_says_who_ran_it(fund):
    add(fund, "drill", {"set": "x", "proved": True}, ordered_by={"by": "rui", "ticket": "OPS-7"})
    text = said(fund)
    assert "<td>ana</td>" in section(text, "sets")
    assert "<td>rui<br>OPS-7</td>" in section(text, "times")


def test_a_negative_time_is_no_measurement_and_ends_no_report(fund):
    add(fund, "drill", {"set": "x", "proved": True, "rto_seconds": -1})
    assert "NOT MEASURED: no drill of this period" in section(said(fund), "times")
