# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The note of continuous protection, and its gauges."""

from __future__ import annotations

import stat
from datetime import UTC, datetime, timedelta

import pytest
from ansible.module_utils.pmsops.common.timestamps import utc_stamp
from ansible.module_utils.pmsops.repository import protection, sets

NOW = datetime(2026, 11, 22, 7, 0, tzinfo=UTC)
SEEN = {
    "at": "2026-11-22T07:00:00Z",
    "problems": [],
    "earliest": "2026-11-15T07:00:00Z",
    "latest": "2026-11-22T06:59:58Z",
    "lag_seconds": 2.5,
    "lag_bytes": 0,
    "slot": "pms_pitr",
    "slot_lost": False,
    "kept_bytes": 100,
    "canary": None,
    "backups": 3,
    "newest_backup": None,
}


def values(folder, seen, proof=None):
    protection.publish(folder, "pms", seen, proof)
    lines = (folder / protection.METRICS).read_text().splitlines()
    given = dict(line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
    return {
        name.removeprefix("pms_pitr_").partition("{")[0]: float(value)
        for name, value in given.items()
    }


def test_the_note_is_read_as_it_was_written_and_only_by_its_owner(tmp_path):
    protection.write(tmp_path, SEEN)
    assert protection.read(tmp_path) == SEEN
    assert stat.S_IMODE((tmp_path / sets.STATE / protection.NAME).stat().st_mode) == 0o600


@pytest.mark.parametrize("content", [None, b"{", b"[]", b'{"problems": []}'])
def test_without_a_note_and_with_a_damaged_one_nothing_was_seen(tmp_path, content):
    if content is not None:
        sets.state_folder(tmp_path)
        (tmp_path / sets.STATE / protection.NAME).write_bytes(content)
    assert protection.read(tmp_path) is None


def test_protection_that_ended_leaves_neither_note_nor_gauges(tmp_path):
    protection.write(tmp_path, SEEN)
    values(tmp_path, SEEN)
    protection.forget(tmp_path, tmp_path)
    protection.forget(tmp_path, None)  # there is nothing any more
    assert protection.read(tmp_path) is None
    assert not list(tmp_path.glob("*.prom"))


def test_the_gauges_say_what_was_seen_and_leave_out_what_is_not_known(tmp_path):
    found = values(tmp_path, SEEN, {"at": "2026-11-21T07:00:00Z", "proved": True})
    assert found["up"] == 1 and found["problems"] == 0
    assert found["last_look_timestamp_seconds"] == NOW.timestamp()
    assert found["last_proof_timestamp_seconds"] == (NOW - timedelta(days=1)).timestamp()
    assert (found["stream_lag_seconds"], found["slot_lost"], found["backups"]) == (2.5, 0, 3)
    assert found["last_proof_success"] == 1
    assert not {"last_canary_timestamp_seconds", "last_backup_timestamp_seconds"} & set(found)


def test_a_lost_slot_a_problem_and_a_proof_that_failed_are_in_the_gauges(tmp_path):
    bad = SEEN | {"problems": ["The slot is lost."], "slot_lost": True}
    found = values(tmp_path, bad, {"at": "2026-11-21T07:00:00Z", "proved": False})
    assert (found["up"], found["problems"], found["slot_lost"]) == (0, 1, 1)
    assert found["last_proof_success"] == 0
    no_slot = values(tmp_path, SEEN | {"slot": None, "slot_lost": None})
    assert not {"slot_lost", "last_proof_success"} & set(no_slot)


@pytest.mark.parametrize(("minutes", "expected"), [(5, 300), (0, 0), (-5, 0)])
def test_the_seconds_since_a_moment_are_never_negative(minutes, expected):
    text = utc_stamp(NOW - timedelta(minutes=minutes))
    assert protection.seconds_since(text, NOW) == expected
    assert protection.seconds_since(None, NOW) is None
