# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""How long the phases of an incident took, where its own moments tell it."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.module_utils.pmsops.incidents import lifecycle

DOCUMENT: dict[str, Any] = {
    "began_at": "2026-11-23T12:00:00.000Z",
    "runs": ["2026-11-23T12:00:00.000Z"],
    "actions": [
        {"began_at": "2026-11-23T12:00:04.500Z", "ended_at": "2026-11-23T12:00:10.000Z"},
        {"began_at": "2026-11-23T12:00:10.000Z", "ended_at": "2026-11-23T12:01:00.000Z"},
    ],
    "verified_at": "2026-11-23T12:01:09.250Z",
}


def test_detection_recovery_and_verification_follow_each_other():
    assert lifecycle.phases(DOCUMENT) == {"detect": 4.5, "restore": 55.5, "verify": 9.25}


@pytest.mark.parametrize(
    "change",
    [
        {"actions": []},
        {"actions": [{"began_at": "2026-11-23T12:00:04.500Z", "ended_at": None}]},
        {"runs": ["2026-11-23T12:00:00.000Z", "2026-11-23T15:00:00.000Z"]},
    ],
    ids=["nothing was done", "an action was killed", "people waited between two runs"],
)
def test_what_nobody_timed_is_no_number(change):
    assert lifecycle.phases(DOCUMENT | change) == {}


def test_a_clock_that_was_set_back_measured_nothing():
    early = {"verified_at": "2026-11-23T12:00:59.000Z"}
    assert lifecycle.phases(DOCUMENT | early) == {"detect": 4.5, "restore": 55.5}
