"""The scenarios with a lab of their own, from nothing at the start to nothing at the end."""

from __future__ import annotations

import pytest

from tests.molecule.conftest import play


def test_a_lab_goes_live_does_not_when_broken_and_does_again_when_recovered(shared_labs):
    play("default", shared_labs)


@pytest.mark.nightly
def test_each_playbook_survives_kills_and_a_second_disaster(shared_labs):
    play("dr_killed", shared_labs)
