# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Triage tells each disaster from the others, on a lab of its own beside the other disasters."""

from __future__ import annotations

from tests.molecule.conftest import play


def test_triage_names_each_disaster_and_no_other(shared_labs):
    play("dr_triage", shared_labs)
