# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Continuous protection at a glance: what is known while parts of it are down, and its gauges."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from ansible.module_utils.pmsops.common import textfile_metrics
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.evidence import ledger
from ansible.module_utils.pmsops.pitr import canary, damage, overview
from ansible.module_utils.pmsops.repository import protection

NOW = datetime(2026, 11, 29, 14, 0, tzinfo=UTC)
WINDOW = {
    "earliest": "2026-11-15T02:00:00Z",
    "latest": "2026-11-29T14:00:00Z",
    "received": "2026-11-29T13:58:00Z",
    "gap": None,
    "missing": None,
    "backups": 16,
    "newest_backup": "2026-11-29T02:00:00Z",
    "problems": [],
}
STREAM = {
    "active": True,
    "slot": "reserved",
    "behind_bytes": 0,
    "seconds": 2.0,
    "kept_bytes": 8 << 20,
}
CANARY = {"newest": "2026-11-29T13:58:00Z", "gaps": []}
GOOD = {"window": WINDOW, "stream": STREAM, "canary": CANARY, "backups": []}


def down(code: str = "pitr.not-running"):
    def ask():
        raise OpsError("Container pms_pitr is exited.", "Start it.", code=code)

    return ask


def test_a_stream_that_has_caught_up_loses_nothing():
    seen = overview.of(GOOD, None, NOW)
    assert (seen["latest"], seen["lag_seconds"], seen["lag_bytes"]) == (WINDOW["latest"], 0.0, 0)
    assert seen["problems"] == []


def test_a_stream_that_is_behind_loses_what_came_after_the_newest_wal():
    seen = overview.of(GOOD | {"stream": STREAM | {"behind_bytes": 4096}}, None, NOW)
    assert (seen["lag_seconds"], seen["lag_bytes"]) == (120.0, 4096)


def test_while_the_server_is_down_the_newest_wal_is_the_latest_moment():
    window = WINDOW | {"latest": None, "problems": []}
    seen = overview.of(GOOD | {"window": window, "stream": None}, None, NOW)
    assert (seen["latest"], seen["lag_seconds"]) == ("2026-11-29T13:58:00Z", 120.0)
    assert seen["problems"] == ["The server does not answer."]


def test_while_the_container_is_down_the_status_says_what_was_seen_before():
    before, _ = overview.take(lambda: GOOD, None, NOW - timedelta(minutes=10))
    seen, error = overview.take(down(), before, NOW)
    assert isinstance(error, OpsError)
    assert (seen["earliest"], seen["latest"]) == (WINDOW["earliest"], WINDOW["latest"])
    assert not seen["active"]
    assert seen["problems"] == ["Container pms_pitr is exited. Start it."]
    assert seen["at"] == "2026-11-29T14:00:00Z"


def test_a_container_that_was_never_up_is_a_problem_and_no_crash():
    seen, _ = overview.take(down(), None, NOW)
    assert seen["earliest"] is None and seen["lag_seconds"] is None and seen["problems"]


def test_a_lost_slot_is_told():
    assert overview.of(GOOD | {"stream": STREAM | {"slot": "lost"}}, None, NOW)["slot_lost"]


def gauges(seen, proof=None):
    text = textfile_metrics.render(protection.gauges("m", seen, proof))
    found = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    return {name.split("{")[0].removeprefix("pms_pitr_"): float(v) for name, v in found.items()}


def test_what_was_seen_is_published_as_gauges():
    proof = {"at": "2026-11-29T08:10:00.000000Z", "proved": True}
    found = gauges(overview.of(GOOD, None, NOW), proof)
    assert found["up"] == 1
    assert found["window_end_timestamp_seconds"] == NOW.timestamp()
    assert (found["stream_lag_seconds"], found["stream_lag_bytes"]) == (0, 0)
    assert (found["slot_lost"], found["backups"], found["last_proof_success"]) == (0, 16, 1)


def test_what_is_not_known_has_no_gauge_and_a_problem_has_one():
    found = gauges(overview.take(down(), None, NOW)[0])
    assert (found["up"], found["problems"]) == (0, 1)
    assert not {"stream_lag_seconds", "slot_lost", "last_proof_success"} & set(found)


def test_the_note_and_the_gauges_are_written_and_go_with_the_protection(tmp_path):
    root, evidence, metrics = tmp_path / "sets", tmp_path / "evidence", tmp_path / "metrics"
    for each in (root, evidence):
        each.mkdir()
    ledger.append(evidence, "proof", {"proved": False, "set": "x"}, now=NOW)
    place = overview.Place("m", root, evidence, metrics)
    seen = overview.of(GOOD, None, NOW)
    place.keep(seen)
    assert place.before() == seen
    assert 'last_proof_success{database="m"} 0' in (metrics / protection.METRICS).read_text()
    (root / ".pms-ops" / damage.NOTE).write_text("{}")
    place.forget()
    assert not (root / ".pms-ops" / damage.NOTE).exists()
    assert place.before() is None and not (metrics / protection.METRICS).exists()
    place.forget()


def test_a_folder_that_cannot_be_written_hinders_nobody(tmp_path):
    (tmp_path / "file").write_text("")
    overview.Place("m", tmp_path / "none", None, tmp_path / "file").keep(
        overview.of(GOOD, None, NOW)
    )


@pytest.mark.parametrize(
    ("minutes", "problem", "gaps"),
    [
        ((-12, -7, -2), None, 0),
        ((-60, -55, -12, -7, -2), None, 1),
        ((-60, -55), "since 2026-11-29 10:05", 1),
        ((), "No canary row is written", 0),
    ],
    ids=["good", "a gap", "none lately", "none"],
)
def test_times_without_a_canary_row_are_seen(monkeypatch, minutes, problem, gaps):
    rows = [canary.Row(n, NOW + timedelta(minutes=at)) for n, at in enumerate(minutes)]
    monkeypatch.setattr(canary, "rows_if_up", lambda _database: rows)
    found = canary.look(None, 300, "2026-11-15T02:00:00Z", NOW)  # type: ignore[arg-type]
    assert len(found["gaps"]) == gaps
    assert [problem in each for each in found["problems"]] == ([True] if problem else [])


def test_where_no_canary_rows_are_wanted_none_is_missing():
    assert canary.look(None, 0, None, NOW)["problems"] == []  # type: ignore[arg-type]
