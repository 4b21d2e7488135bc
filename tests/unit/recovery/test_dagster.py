# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Dagster's scheduler: whether it beats, by its heartbeats and not by the word healthy."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from ansible.module_utils.pmsops.recovery.dagster import Dagster


@pytest.mark.parametrize(
    ("beat", "beats"),
    [
        ({"type": "SCHEDULER", "healthy": True, "age": 20}, True),
        # Killed 100 seconds after its last beat, and healthy to Dagster 1.13 for half an hour.
        ({"type": "SCHEDULER", "healthy": True, "age": 130}, False),
        ({"type": "SCHEDULER", "healthy": False, "age": 20}, False),
        ({"type": "SCHEDULER", "healthy": True, "age": None}, False),
        ({"type": "SENSOR", "healthy": True, "age": 20}, False),
    ],
)
def test_a_scheduler_that_is_silent_for_two_minutes_does_not_beat(monkeypatch, beat, beats):
    age = beat.pop("age")
    at = age and (datetime.now(UTC) - timedelta(seconds=age)).isoformat()
    dagster = Dagster("http://127.0.0.1:9")
    monkeypatch.setattr(dagster._dagster, "daemons", lambda: [beat | {"heartbeat_at": at}])
    assert dagster.scheduler_beats() is beats


def test_a_beat_of_before_a_restart_is_none_of_the_new_process(monkeypatch):
    at = datetime.now(UTC)
    dagster = Dagster("http://127.0.0.1:9")
    beat = {"type": "SCHEDULER", "healthy": True, "heartbeat_at": at.isoformat()}
    monkeypatch.setattr(dagster._dagster, "daemons", lambda: [beat])
    assert dagster.scheduler_beats(at)
    assert not dagster.scheduler_beats(at + timedelta(seconds=1))
