# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which base backup is due."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.pitr import engine
from ansible.module_utils.pmsops.pitr.base_backups import due, leads_on, require_room

NOW = datetime(2026, 11, 29, 2, 0, tzinfo=UTC)


def info(**ages: float) -> engine.Info:
    """Return base backups of these kinds, as many days old."""
    made = [
        engine.BaseBackup(kind, kind, engine.DONE, NOW - timedelta(days=age), 1)
        for kind, age in ages.items()
    ]
    return engine.Info(tuple(sorted(made, key=lambda e: e.ended_at)), (), None, receiving=True)


def test_a_full_one_is_due_once_a_week_and_if_there_is_none():
    assert due(info(), NOW, incremental=True) == engine.FULL
    assert due(info(full=7), NOW, incremental=True) == engine.FULL
    assert due(info(incremental=0.5), NOW, incremental=False) == engine.FULL


def test_an_increment_is_due_once_a_day_where_the_server_can():
    assert due(info(full=1), NOW, incremental=True) == engine.INCREMENTAL
    assert due(info(full=3, incremental=1), NOW, incremental=True) == engine.INCREMENTAL
    assert due(info(full=3), NOW, incremental=False) is None


def test_nothing_is_due_an_hour_later():
    assert due(info(full=0.04), NOW, incremental=True) is None
    assert due(info(full=5, incremental=0.04), NOW, incremental=True) is None


def test_a_base_backup_that_would_fill_the_archive_is_refused():
    """It would stop the stream as well."""
    small = replace(info(full=8), free_bytes=100 << 20)
    require_room(small, engine.FULL, 60 << 20)
    require_room(small, engine.INCREMENTAL, 200 << 20)
    with pytest.raises(OpsError) as caught:
        require_room(small, engine.FULL, 90 << 20)
    assert caught.value.code == "pitr.archive-full"
    require_room(info(full=8), engine.FULL, 1 << 40)  # an engine that does not say


def test_a_base_backup_behind_a_missing_segment_leads_to_no_moment_of_now():
    """Before, such a gap was named at each look, and stayed for up to a week."""
    newest = engine.Detail("1", "000000010000000000000005", "0/5000028", "0/5000120", 1, "7", 17)
    held = tuple(f"0000000100000000000000{number:02X}" for number in (5, 6, 8))
    whole = replace(info(full=1), segments=held[:2], partial="000000010000000000000007")
    assert leads_on(whole, newest, 1) and leads_on(whole, newest, None)
    assert not leads_on(whole, newest, 2)
    assert not leads_on(replace(whole, segments=held, partial=None), newest, 1)
