# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The recovery window: what it says if a part of the protection is missing."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from ansible.module_utils.pmsops.pitr import engine, wal, window

NOW = datetime(2026, 11, 29, 14, 0, tzinfo=UTC)
ENDED = datetime(2026, 11, 22, 2, 0, tzinfo=UTC)
FLOWS = window.Stream(active=True, slot="reserved", behind_bytes=0, seconds=1.0, kept_bytes=1 << 20)


def held(**changes: object) -> engine.Info:
    good = {
        "backups": (
            engine.BaseBackup("20261122T020000", engine.FULL, engine.DONE, ENDED, 1 << 20),
        ),
        "segments": tuple(wal.name(1, count) for count in (4, 5, 6)),
        "partial": wal.name(1, 7),
        "receiving": True,
    }
    return engine.Info(**(good | changes))  # type: ignore[arg-type]


def test_a_whole_window_reaches_from_the_first_backup_to_now():
    found = window.of(held(), [wal.name(1, 4)], FLOWS, NOW)
    assert (found.earliest, found.latest) == ("2026-11-22T02:00:00Z", "2026-11-29T14:00:00Z")
    assert found.problems == []


@pytest.mark.parametrize(
    ("info", "flow", "words"),
    [
        (held(backups=()), FLOWS, "no base backup"),
        (held(segments=(wal.name(1, 4), wal.name(1, 6))), FLOWS, wal.name(1, 5)),
        (held(receiving=False), FLOWS, "No receiver"),
        (held(), window.Stream(False, None, None, None, 0), "no slot"),
        (held(), window.Stream(False, "lost", None, None, 0), "lost"),
        (held(free_bytes=1 << 20), FLOWS, "full"),
        (held(), replace(FLOWS, timeline=2), "timeline 2"),
    ],
    ids=[
        *("no base backup", "a gap", "no receiver", "no slot", "a lost slot"),
        *("a full disk", "a new timeline"),
    ],
)
def test_each_hole_is_named(info, flow, words):
    found = window.of(info, [wal.name(1, 4)] if info.backups else [], flow, NOW)
    assert any(words in each for each in found.problems)
    assert found.latest is None


def test_a_failed_backup_begins_no_window():
    failed = engine.BaseBackup("20261122T020000", engine.FULL, "FAILED", ENDED, 0)
    assert window.of(held(backups=(failed,)), [], FLOWS, NOW).earliest is None


def test_a_server_that_does_not_answer_leaves_the_newest_moment_open():
    assert window.of(held(), [wal.name(1, 4)], None, NOW).latest is None


def test_a_gap_before_the_newest_base_backup_hides_only_moments_before_it():
    info = held(segments=(wal.name(1, 4), wal.name(1, 6)))
    found = window.of(info, [wal.name(1, 4), wal.name(1, 6)], FLOWS, NOW)
    assert found.problems == []
    assert found.gap == wal.name(1, 5)
    assert found.latest is not None
