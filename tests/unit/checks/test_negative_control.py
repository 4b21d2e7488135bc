# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The negative control of a gate: a wrong expectation is seen, and a blind gate is broken."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from ansible.module_utils.pmsops.checks import comparison, gate, negative_control, worker
from ansible.module_utils.pmsops.checks.worker import ProbeResult, ProbeRun
from ansible.module_utils.pmsops.checks.wrong_expectation import names, wrong
from ansible.module_utils.pmsops.common.exchange_calendar import Clock
from ansible.module_utils.pmsops.evidence import ledger, run_record
from ansible.module_utils.pmsops.reports import terminal

from tests.support.gates import WAIVER, broken, item, run

CLOCK = Clock(datetime(2026, 11, 23, 12, 0, tzinfo=UTC))
STAMP = "2026-11-23T11:59:00Z"
# An answer that meets each comparison, and the expectation.
MET = {
    "eq": (3, 3),
    "ne": (3, 4),
    "gt": (3, 2),
    "ge": (3, 3),
    "lt": (3, 4),
    "le": (3, 3),
    "in": ("a", ["a", "b"]),
    "not_in": ("a", ["b"]),
    "between": (3, [3, 3]),
    "contains": (["a"], "a"),
    "contains_all": (["a", "b"], ["a", "b"]),
    "matches": ("abc", "b"),
    "not_matches": ("abc", "x"),
    "not_empty": ([0], True),
    "is_null": (None, True),
    "max_age": (STAMP, "5m"),
}


@pytest.mark.parametrize("name", comparison.COMPARISONS)
def test_each_comparison_has_a_wrong_one_that_its_own_answer_fails(name):
    value, expected = MET[name]
    expect = [{"path": "x", name: expected}]
    assert worker.judge({"x": value}, expect, CLOCK).status == "pass"
    assert worker.judge({"x": value}, wrong(expect, 1), CLOCK).status == "fail"
    assert names(expect, 1)[0] == name
    assert wrong(expect, 1) != expect


@pytest.mark.parametrize("value", [STAMP, "2026-11-23T12:04:00Z", "2026-11-23"])
def test_a_fresh_stamp_fails_also_where_it_is_of_this_moment(value):
    expect = [{"path": "x", "max_age": "1d"}]
    assert worker.judge({"x": value}, expect, CLOCK).status == "pass"
    assert worker.judge({"x": value}, wrong(expect, 1), CLOCK).status == "fail"


def test_of_several_expectations_one_is_wrong_and_the_others_stay():
    expect = [{"path": "a", "eq": 1}, {"path": "b", "secret": True, "label": "key", "eq": 2}]
    turned = [wrong(expect, seed) for seed in range(20)]
    assert {json.dumps(each) for each in turned} == {
        json.dumps([{"path": "a", "ne": 1}, expect[1]]),
        json.dumps([expect[0], {"path": "b", "secret": True, "label": "key", "ne": 2}]),
    }


def test_a_gate_says_which_check_had_a_wrong_expectation_and_that_it_was_seen():
    found = run(item("a"), item("b"), broken("c", severity="warning"))
    control = found["negative_control"]
    assert found["verdict"] == "go"
    assert (control["outcome"], control["comparison"], control["given"]) == ("found", "eq", "ne")
    assert control["check"] in ("a", "b")
    assert isinstance(control["seed"], int)
    # What the check itself says is untouched.
    assert {each["status"] for each in found["results"] if each["id"] != "c"} == {"pass"}


def test_a_check_that_is_waived_or_no_blocker_is_a_control_like_others():
    found = run(item("waived", severity="info"), attestations={"waivers": [WAIVER]})
    assert found["negative_control"]["outcome"] == "found"


def test_where_no_check_passes_there_is_nothing_to_check_and_no_pass():
    found = run(broken("a"), broken("b"))
    assert found["negative_control"]["outcome"] == "nothing to check"
    assert found["negative_control"]["check"] is None
    assert found["verdict"] == "no-go"


def test_over_runs_each_check_is_chosen():
    runs = [ProbeRun(f"c{n}", "command", expect=({"path": "rc", "eq": 0},)) for n in range(12)]
    red = ProbeResult("fail", "")
    found = {each.id: ProbeResult("pass", "", control=red) for each in runs}
    chosen = {
        negative_control.Control(seed).judge(runs, found, lambda _name, _red: True)["check"]
        for seed in range(200)
    }
    assert chosen == set(found)


def blind_judge(monkeypatch):
    monkeypatch.setattr(comparison, "holds", lambda *_args: True)


def blind_gate(monkeypatch):
    monkeypatch.setattr(gate, "blocks", lambda _result: False)


@pytest.mark.parametrize("blind", [blind_judge, blind_gate])
def test_a_gate_that_sees_nothing_is_broken_and_neither_go_nor_no_go(monkeypatch, tmp_path, blind):
    blind(monkeypatch)
    found = run(item("a"))
    assert (found["verdict"], found["exit_code"]) == ("broken", 4)
    assert found["negative_control"]["outcome"] == "not found"
    assert terminal.table(found)[-1].startswith("BROKEN: ")
    assert "check a had a wrong expectation" in terminal.table(found)[-1]
    options = run_record.Options(tmp_path)
    written = run_record.write(found, options, now=datetime(2026, 11, 23, 13, tzinfo=UTC))
    line = ledger.records(tmp_path, "gate")[-1]["record"]
    assert (line["verdict"], line["negative_control"]) == ("broken", found["negative_control"])
    assert "it says nothing about the system" in Path(written["report"]).read_text()
    assert "pms_golive_verdict 0" in Path(written["prometheus"]).read_text()


def test_the_record_of_a_control_has_no_value_of_an_answer():
    argv = ["echo", "s3cret-answer"]
    secret = item("a", params={"argv": argv}, expect=[{"path": "stdout", "contains": "s3cret"}])
    assert "s3cret" not in json.dumps(run(secret)["negative_control"])
