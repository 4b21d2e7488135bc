# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""A dropped table, found by triage and brought back by the commands that triage names."""

from __future__ import annotations

import pytest

from tests.molecule.conftest import play


@pytest.mark.nightly
def test_a_dropped_table_comes_back_as_of_the_moment_before(shared_labs):
    play("dr_pitr", shared_labs)
