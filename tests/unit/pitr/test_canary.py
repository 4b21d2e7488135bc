# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Canary rows on both sides of a moment: what a copy must have, and must not."""

from __future__ import annotations

import itertools
import subprocess
from datetime import UTC, datetime, timedelta

import pytest
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.pitr import canary
from ansible.module_utils.pmsops.pitr.canary import Row, judge

MOMENT = datetime(2026, 11, 29, 14, 2, tzinfo=UTC)
EVERY = 300


def written(*minutes: float, first: int = 1) -> list[Row]:
    """Return rows as many minutes from the moment, numbered without a hole."""
    return [
        Row(first + count, MOMENT + timedelta(minutes=each)) for count, each in enumerate(minutes)
    ]


LIVE = written(-12, -7, -2, 3, 8)


def test_a_copy_of_the_moment_has_the_row_before_it_and_not_the_one_after():
    found = judge(LIVE[:3], LIVE, MOMENT, EVERY)
    assert (found.before, found.after) == (LIVE[2], LIVE[3])
    assert found.warnings == []


def test_a_copy_that_lacks_a_row_of_before_the_moment_is_refused():
    with pytest.raises(OpsError, match="lacks the canary row of 2026-11-29 11:00:00") as caught:
        judge(LIVE[:2], LIVE, MOMENT, EVERY)
    assert caught.value.code == "pitr.canary"


def test_a_copy_that_has_a_row_of_after_the_moment_is_refused():
    with pytest.raises(OpsError, match="written after"):
        judge(LIVE[:4], LIVE, MOMENT, EVERY)
    with pytest.raises(OpsError, match="written after"):
        judge(LIVE[:4], None, MOMENT, EVERY)  # without the live server too


def test_a_row_that_was_being_committed_at_the_moment_may_be_missing():
    live = written(-5, -0.05, 5)
    assert judge(live[:1], live, MOMENT, EVERY).before == live[0]
    assert judge(live[:2], live, MOMENT, EVERY).before == live[1]


def test_a_disk_that_stalls_for_half_a_minute_is_no_damage():
    live = written(-5, -0.5, 5)  # the second one is committed after the moment
    assert judge(live[:1], live, MOMENT, EVERY).before == live[0]
    # The last commit of an LSN was stamped before it stalled, and a row was committed meanwhile.
    assert judge(live[:3], live, live[2].at - timedelta(seconds=30), EVERY, exact=False)
    with pytest.raises(OpsError, match="written after"):
        judge(live[:3], live, live[2].at - timedelta(seconds=30), EVERY)


def test_rows_that_the_live_server_no_longer_has_are_no_loss():
    assert judge(LIVE[:3], LIVE[2:], MOMENT, EVERY).warnings == []


def test_rows_of_an_earlier_table_of_the_same_numbers_are_no_loss():
    anew = written(20, 25)  # disabled and enabled again since
    assert judge(LIVE[:3], anew, MOMENT, EVERY).before == LIVE[2]


def test_a_moment_without_a_witness_is_named_with_the_gap_around_it():
    copy = written(-42, -37)
    found = judge(copy, None, MOMENT, EVERY)
    assert "between 2026-11-29 10:25:00.000000-03:00 and 2026-11-29 11:02" in found.warnings[0]
    assert judge([], None, MOMENT, EVERY).warnings == [
        "No canary row was written before the moment."
    ]


def test_a_number_that_is_missing_among_the_rows_is_named():
    copy = [*written(-12, -7), Row(4, MOMENT - timedelta(minutes=2))]
    assert judge(copy, None, MOMENT, EVERY).warnings == [
        "The copy lacks the canary row of number 3."
    ]


def test_a_system_without_canary_rows_is_no_error():
    assert "none are written" in judge(None, LIVE, MOMENT, 0).warnings[0]
    assert canary.TABLE in judge(None, LIVE, MOMENT, EVERY).warnings[0]


def test_only_times_longer_than_the_distance_of_rows_are_gaps():
    rows = written(-17, -12, -5)
    assert canary.gaps(rows, EVERY, MOMENT) == []
    assert canary.gaps(rows, 60, MOMENT) == [(a.at, b.at) for a, b in itertools.pairwise(rows)] + [
        (rows[-1].at, MOMENT)
    ]


def test_the_container_sources_how_a_row_is_written(tmp_path):
    psql = tmp_path / "psql"
    psql.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\necho "options $PGOPTIONS"\ncat\n')
    psql.chmod(0o755)
    (tmp_path / "canary.sh").write_text(canary.script("db", 5432, "pms_pitr", 60))
    shell = f'PATH={tmp_path}:$PATH; . {tmp_path}/canary.sh; write_canary; echo "$every"'
    said = subprocess.run(
        ["sh", "-ec", shell],
        capture_output=True, text=True, timeout=20, check=True,
    ).stdout  # fmt: skip
    assert "host=db port=5432 user=pms_pitr dbname=postgres" in said
    assert "synchronous_commit=local" in said
    assert said.rstrip().endswith("60")
    assert f"INSERT INTO {canary.TABLE}" in said
