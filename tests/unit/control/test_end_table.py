# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The table at the end of a run over several systems: worst first, each with its reason."""

from __future__ import annotations

import pytest
from ansible.module_utils.pmsops.control import end_table
from ansible.module_utils.pmsops.control.end_table import Outcomes, Row

from pmsops_cli import exit_status

FINE: dict[str, int] = {"failures": 0, "unreachable": 0}
BAD = {"failures": 1, "unreachable": 0}
GONE = {"failures": 0, "unreachable": 1}


def of_five() -> tuple[Outcomes, dict[str, dict[str, int]]]:
    outcomes = Outcomes()
    for name in ("alpha", "delta"):
        outcomes.ok(name, "pms_gate", {"verdict": "go", "blocking": []})
    outcomes.ok("beta", "pms_gate", {"verdict": "no-go", "blocking": ["redis.ping", "api.up"]})
    outcomes.failed("beta", "NO-GO because of redis.ping")
    outcomes.unreachable("gamma", "Timeout, server pms3 not responding.")
    outcomes.ok("omega", "pms_gate", {"verdict": "broken", "blocking": []})
    outcomes.failed("omega", "BROKEN: the gate says nothing")
    outcomes.left_out("sigma", "Decryption failed")
    ended = {"alpha": FINE, "beta": BAD, "gamma": GONE, "delta": FINE, "omega": BAD}
    return outcomes, ended


def test_the_worst_comes_first_and_each_is_named_with_its_reason():
    outcomes, ended = of_five()
    rows = outcomes.rows(ended)
    assert [(each.system, each.status, each.verdict) for each in rows] == [
        ("omega", 4, "BROKEN"),
        ("gamma", 3, "unreachable"),
        ("sigma", 3, "not run"),
        ("beta", 1, "NO-GO"),
        ("alpha", 0, "GO"),
        ("delta", 0, "GO"),
    ]
    assert rows[1].due == ["Timeout, server pms3 not responding."]
    assert rows[3].due == ["redis.ping", "api.up"]
    assert end_table.worst(rows) == 4
    assert end_table.worst(rows[3:]) == 1 and end_table.worst([]) == 0


def test_the_statuses_are_those_of_the_front_door():
    names = ("DONE", "FAILED", "COULD_NOT_RUN", "BROKEN")
    assert [getattr(end_table, each) for each in names] == [
        getattr(exit_status, each) for each in names
    ]


def test_a_rescued_failure_is_none():
    outcomes = Outcomes()
    outcomes.failed("alpha", "the port is closed", code="db.down")
    outcomes.ok("alpha", "pms_backup", {"set": "/srv/backups/2026-11-30_0200"})
    outcomes.ok("alpha", "pms_backup", {"set": "/srv/backups/other_databases/d/2026-11-30_0201"})
    assert outcomes.rows({"alpha": FINE}) == [Row("alpha", 0, "set 2026-11-30_0200", [])]
    assert outcomes.rows({"alpha": BAD}) == [
        Row("alpha", 1, "failed", ["the port is closed (db.down)"])
    ]


@pytest.mark.parametrize(
    ("action", "result", "verdict"),
    [
        ("pms_restore", {"verified": True}, "proved"),
        ("pmsops.pms.pms_verify", {"count": 3}, "3 differences"),
        ("pms_status", {"status": {"due": []}}, "nothing due"),
        ("pms_status", {"status": {"due": [{"what": "no drill"}]}}, "due"),
        ("ansible.builtin.debug", {"msg": "x"}, "done"),
    ],
)
def test_the_verdict_is_what_the_run_was_for(action, result, verdict):
    outcomes = Outcomes()
    outcomes.ok("alpha", action, result)
    assert outcomes.rows({"alpha": FINE})[0].verdict == verdict


def test_a_broken_proof_is_worse_than_a_failure():
    outcomes = Outcomes()
    outcomes.failed("alpha", "the negative control was not found", code="proof.broken")
    assert outcomes.rows({"alpha": BAD})[0].status == 4


def test_a_system_with_much_due_takes_few_lines():
    due = [f"set {number} " + "is not verified by a drill " * 20 for number in range(40)]
    lines = end_table.lines([Row("alpha", 0, "due", due), Row("beta", 0, "GO", [])])
    assert lines[0].split() == ["system", "verdict", "due"]
    assert len(lines) <= 13 and lines[-2].strip() == "and 37 more"
    assert lines[-1].split() == ["beta", "GO", "-"]
    assert max(map(len, lines)) <= 100


def test_what_failed_after_a_no_go_is_named_before_its_checks():
    """On a full disk the record of the gate cannot be written."""
    outcomes = end_table.Outcomes()
    outcomes.ok("full", "pms_gate", {"verdict": "no-go", "blocking": ["redis.ping"]})
    outcomes.failed("full", "No space left on device.", "evidence.unwritable", "Free space.")
    (row,) = outcomes.rows({"full": BAD})
    assert row.verdict == "NO-GO"
    assert row.due == [
        "No space left on device. -> Free space. (evidence.unwritable)",
        "redis.ping",
    ]
