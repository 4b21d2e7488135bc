# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Playbooks that are killed, on a lab of their own."""

from __future__ import annotations

import pytest

from tests.molecule.conftest import play


@pytest.mark.nightly
def test_each_playbook_survives_kills_and_a_second_disaster(shared_labs):
    play("dr_killed", shared_labs)
