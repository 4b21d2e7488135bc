"""Each disaster caused and recovered from, one after the other on one lab."""

from __future__ import annotations

import pytest

from tests.molecule.conftest import PROJECT, play

OWN_LAB = ("dr_killed", "dr_triage")  # each in a file of its own: files run side by side
SCENARIOS = sorted(
    path.parent.name
    for path in PROJECT.glob("molecule/dr_*/molecule.yml")
    if path.parent.name not in OWN_LAB
)


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_disaster_is_recovered_from(scenario, shared_labs):
    play(scenario, shared_labs)
