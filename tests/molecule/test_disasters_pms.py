# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Disasters of the PMS, its book and its pipeline: on a lab beside that of the others."""

from __future__ import annotations

import pytest

from tests.molecule.conftest import LABS, play


@pytest.mark.parametrize("scenario", LABS["moleculepms"])
def test_a_disaster_is_recovered_from(scenario, shared_labs):
    play(scenario, shared_labs)


def test_no_scenario_is_left_out():
    assert set(LABS) == {"molecule", "moleculedr", "moleculepms", "moleculedocs", "moleculekilled"}
    assert LABS["molecule"] == ["default"]
    assert LABS["moleculedocs"] == ["dr_triage"]
    assert LABS["moleculekilled"] == ["dr_killed"]
