"""The fields that auditors ask for: the same in each record, and never a made-up number."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest
from ansible.module_utils.pmsops.common import host_clock
from ansible.module_utils.pmsops.evidence import audit, ledger, verdicts

from tests.conftest import PROJECT
from tests.support import old_release as frozen
from tests.support.gates import NOW

SCHEMA = json.loads((PROJECT / "docs" / "schemas" / "record.schema.json").read_bytes())
BLOCK = jsonschema.Draft202012Validator({"$ref": "#/$defs/audit", "$defs": SCHEMA["$defs"]})
DRILL = {
    "set": "2026-11-23_0600",
    "proved": True,
    "segregated": True,
    "source": {"kind": "offsite", "site": "vault", "snapshot": "5f3c1e0a"},
    "fetch_seconds": 12.5,
    "restore_seconds": 41.25,
    "proof_seconds": 9,
    "rpo_seconds": 3600,
}
GIVEN = {
    "code": {
        "name": "pms-ops", "version": "0.2.0", "commit": "a" * 40, "dirty": False,
        "sha256": "NOT MEASURED",
    },
    "playbook": {"name": "drill", "sha256": "b" * 64},
    "checklist_sha256": None,
    "environment": "production",
    "ordered_by": {"ticket": "CHG-7", "by": "ops"},
    "started_at": "2026-11-23T11:58:00Z",
    "started_local": "2026-11-23T08:58:00-03:00",
    "zone": "America/Sao_Paulo",
    "not_covered": ["Redis"],
}  # fmt: skip
RECORDS: dict[str, dict[str, Any]] = {
    "gate": {"verdict": "no-go", "checklist_sha256": "c" * 64},
    "backup": {"set": "2026-11-23_0600"},
    "restore": {"set": "2026-11-23_0600", "former": "x", "down_seconds": 3.2},
    "rollback": {"undone": "x"},
    "swap": {},
    "drill": DRILL,
    "incident": {"incident": "i", "outcome": "recovered"},
    "proof": {"proved": False, "code": "pitr.no-verdict"},
    "offsite": {"act": "proof", "site": "vault", "proved": True, "fetch_seconds": 3},
    "host": {"set": "2026-11-23_0600", "site": "vault", "snapshot": "5f3c1e0a"},
    "deficiency": {"act": "opened", "id": "D-1"},
}
TRACKING = """\
Reference ID    : C0A80101 (192.168.1.1)
Stratum         : 3
Ref time (UTC)  : Mon Nov 23 11:57:01 2026
System time     : 0.000065412 seconds {way} of NTP time
Last offset     : -0.000000011 seconds
RMS offset      : 0.000000195 seconds
Leap status     : {leap}
"""


@pytest.fixture(autouse=True)
def no_chrony(monkeypatch):
    """The machine of the tests may have one."""
    monkeypatch.setattr(host_clock, "COMMAND", ("/nonexistent/chronyc",))


def test_a_line_of_each_kind_has_the_block_that_the_schema_describes(tmp_path):
    assert set(RECORDS) == audit.KINDS
    with audit.given(GIVEN):
        for kind, record in RECORDS.items():
            ledger.append(tmp_path, kind, record, now=NOW)
    for entry in ledger.records(tmp_path):
        block = entry["record"].pop(audit.FIELD)
        assert [error.message for error in BLOCK.iter_errors(block)] == [], entry["kind"]
        assert entry["record"] == RECORDS[entry["kind"]]
        assert (block["environment"], block["ordered_by"]["ticket"]) == ("production", "CHG-7")


def test_a_drill_says_what_it_measured_and_that_nobody_timed_the_rest():
    block = audit.block("drill", DRILL, GIVEN, now=NOW)
    assert block["rto"] == {
        "detect": "NOT MEASURED",
        "decide": "NOT MEASURED",
        "fetch": 12.5,
        "restore": 41.25,
        "verify": 9.0,
        "resume": "NOT MEASURED",
    }
    assert (block["verdict"], block["rpo_seconds"], block["segregated"]) == ("PASS", 3600.0, True)
    assert block["source"] == DRILL["source"]
    assert block["clock"]["offset_seconds"] == "NOT MEASURED"


def test_what_was_not_measured_is_no_zero():
    """A drill of a local set fetches nothing: a zero would be a time that nobody took."""
    local = {"set": "2026-11-23_0600", "proved": False, "fetch_seconds": None, "rpo_seconds": None}
    block = audit.block("drill", local, {}, now=NOW)
    assert set(block["rto"].values()) == {"NOT MEASURED"}
    assert (block["rpo_seconds"], block["segregated"]) == ("NOT MEASURED", "NOT MEASURED")
    assert block["source"] == {"kind": "local", "site": None, "snapshot": None}
    assert [error.message for error in BLOCK.iter_errors(block)] == []


def test_without_what_the_control_node_knows_a_line_is_as_before(tmp_path):
    ledger.append(tmp_path, "drill", DRILL, now=NOW)
    with audit.given(GIVEN):
        ledger.append(tmp_path, "waiver", {"check": "a"}, now=NOW)
    assert [each["record"] for each in ledger.records(tmp_path)] == [DRILL, {"check": "a"}]


def test_a_line_of_an_older_release_is_read_as_far_as_it_says_something():
    for entry in ledger.records(frozen.RELEASE / "evidence"):
        if entry["kind"] not in audit.KINDS:
            continue
        block = audit.of(entry)
        assert block["schema_version"] == 1
        assert block["verdict"] in verdicts.VERDICTS
        assert block["code"]["commit"] == "NOT MEASURED"
        found = BLOCK.iter_errors(block | {"schema_version": 2})
        assert [each.message for each in found] == []


@pytest.mark.parametrize(
    ("kind", "record", "verdict"),
    [
        ("gate", {"verdict": "go"}, "PASS"),
        ("gate", {"verdict": "no-go"}, "FAIL"),
        ("gate", {"verdict": "broken"}, "NOT MEASURED"),
        ("drill", {"proved": True}, "PASS"),
        ("drill", {"proved": False}, "FAIL"),
        ("drill", {"proved": False, "broken": True}, "NOT MEASURED"),
        ("drill", {"proved": False, "code": "proof.broken"}, "NOT MEASURED"),
        ("proof", {"proved": False, "code": "pitr.no-verdict"}, "NOT MEASURED"),
        ("restore", {"set": "s"}, "PASS"),
        ("restore", {"set": "s", "outcome": "undone"}, "FAIL"),
        ("rollback", {"outcome": "failed"}, "FAIL"),
        ("restore", {"outcome": "broken"}, "NOT MEASURED"),
        ("backup", {"set": "s"}, "PASS"),
        ("backup", {"removed": ["s"]}, "NOT MEASURED"),
        ("incident", {"outcome": "recovered"}, "PASS"),
        ("incident", {"outcome": "not_recovered"}, "FAIL"),
        ("offsite", {"act": "try"}, "NOT MEASURED"),
        ("deficiency", {"act": "opened"}, "FAIL"),
        ("deficiency", {"act": "closed"}, "PASS"),
        ("signoff", {"decision": "go"}, "NOT MEASURED"),
    ],
)
def test_the_words_of_each_kind_are_mapped_to_three(kind, record, verdict):
    assert verdicts.of(kind, record) == verdict


@pytest.mark.parametrize(
    ("status", "verdict"),
    [
        ("pass", "PASS"), ("attested", "PASS"), ("fail", "FAIL"), ("waived", "FAIL"),
        ("unknown", "NOT MEASURED"),
    ],
)  # fmt: skip
def test_a_check_that_could_not_look_was_not_measured(status, verdict):
    assert verdicts.of_check(status) == verdict


@pytest.mark.parametrize(("way", "offset"), [("slow", -0.000065412), ("fast", 0.000065412)])
def test_chrony_says_how_far_the_clock_is_ahead(way, offset):
    found = host_clock.measure(lambda: TRACKING.format(way=way, leap="Normal"))
    assert found == {
        "source": "chrony",
        "server": "192.168.1.1",
        "stratum": 3,
        "offset_seconds": offset,
    }


@pytest.mark.parametrize(
    "text",
    ["", "506 Cannot talk to daemon\n", TRACKING.format(way="slow", leap="Not synchronised")],
)
def test_a_clock_that_nothing_keeps_was_not_measured(text):
    assert host_clock.measure(lambda: text) is None
    assert host_clock.measure() is None
