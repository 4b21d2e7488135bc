# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Disasters of database, Redis, backups and disk: each caused and recovered from, on one lab."""

from __future__ import annotations

import pytest

from tests.molecule.conftest import LABS, lab_name, play


@pytest.mark.parametrize("scenario", LABS[lab_name("moleculedr")])
def test_a_disaster_is_recovered_from(scenario, shared_labs):
    play(scenario, shared_labs)
