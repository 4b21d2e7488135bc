# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The probe of continuous protection: what was seen before the gate, and the newest proof."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from ansible.module_utils.pmsops.checks import probes
from ansible.module_utils.pmsops.checks.probes import Deadline, Failed, NotGiven, Unanswerable
from ansible.module_utils.pmsops.checks.probes.context import Context, Settings
from ansible.module_utils.pmsops.evidence import ledger

from tests.support import gates

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
SEEN = {"backups": 3, "missing": None, "problems": [], "active": True}
BY_PITR = {
    "probe": "pitr",
    "params": {"about": "seen"},
    "expect": [{"path": "wrong", "eq": "nothing"}],
}


def ask(about, seen=SEEN, evidence=""):
    settings = Settings(now=NOW, facts={"pitr": seen}, evidence_root=str(evidence))
    return probes.function("pitr")({"about": about}, Context(settings), Deadline.after(1))


def test_what_was_seen_is_the_answer():
    assert ask("seen") == SEEN | {"wrong": "nothing", "missing": "none"}
    assert ask("seen", SEEN | {"problems": ["a.", "b."]})["wrong"] == "a.; b."


def test_a_system_that_is_not_to_be_protected_is_not_asked():
    for about in ("seen", "proof"):
        with pytest.raises(NotGiven, match="pitr_enabled"):
            ask(about, {})


def test_the_newest_proof_is_the_answer_and_none_is_a_failure(tmp_path):
    with pytest.raises(Failed, match="no proof"):
        ask("proof", evidence=tmp_path)
    for proved, hours in ((True, 2), (False, 1)):
        record = {"set": "x", "proved": proved}
        record |= {} if proved else {"code": "pitr.differs", "why": "a row of t differs"}
        ledger.append(tmp_path, "proof", record, now=NOW - timedelta(hours=hours))
    found = ask("proof", evidence=tmp_path)
    assert (found["proved"], found["verdict"]) == (False, "pitr.differs: a row of t differs")
    ledger.append(tmp_path, "proof", {"set": "x", "proved": True}, now=NOW)
    assert ask("proof", evidence=tmp_path)["verdict"] == "proved"


def test_a_misspelt_question_is_unknown():
    with pytest.raises(Unanswerable, match="not one of seen, window, stream, proof"):
        ask("sene")


EXTERNAL = SEEN | {
    "engine": "wal-g",
    "unknown": {"stream": "nobody says since when"},
    "unprovable": "wal-g proves its own backups",
}


def test_what_an_external_engine_does_not_say_is_unknown_and_what_is_wrong_is_not():
    assert ask("window", EXTERNAL)["wrong"] == "nothing"
    with pytest.raises(Unanswerable, match="since when"):
        ask("stream", EXTERNAL)
    assert ask("stream", EXTERNAL | {"problems": ["it fails."]})["wrong"] == "it fails."


def test_an_external_engine_s_backups_are_not_ours_to_prove():
    with pytest.raises(NotGiven, match="wal-g proves its own backups"):
        ask("proof", EXTERNAL)


def test_protection_that_the_inventory_does_not_name_stops_no_gate():
    check = gates.item("window", **BY_PITR, optional=True)
    (result,) = gates.run(check)["results"]
    assert (result["status"], result["absent"]) == ("unknown", True)
    assert gates.run(check)["verdict"] == "go" or gates.run(check)["blocking"] == []
    broken = gates.run(check, settings={"facts": {"pitr": SEEN | {"problems": ["down"]}}})
    assert broken["blocking"] == ["window"]
