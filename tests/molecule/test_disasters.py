# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""A lab goes live; then disasters of database, Redis, backups and disk are caused on it.

All on one lab, from nothing at the start to nothing at the end: the go-live leaves the set and the
drill that the disasters need. They come first, and test_documents.py second: each keeps a worker.
"""

from __future__ import annotations

import pytest

from tests.molecule.conftest import ENVIRONMENT, LABS, LEFT_OUT, lab_name, play
from tests.molecule.deep_parts import DEEP_PARTS, DEFAULT, other_parts, scenarios

LAB = lab_name("moleculedr")
DISASTERS = [name for name in LABS[LAB] if name != "default"]


def test_a_lab_goes_live_once_recovered_and_does_not_while_stopped_or_broken(
    shared_labs, pytestconfig, monkeypatch
):
    """In `make test-long` it goes live before it is stopped, too, and is larger."""
    whole = pytestconfig.getoption("--all")
    if whole:
        monkeypatch.setitem(ENVIRONMENT, "PMS_LAB_SCALE", "1")
    else:
        monkeypatch.setitem(ENVIRONMENT, "PMS_GOLIVE_FIRST", LEFT_OUT)
    play("default", shared_labs, leaves_lab=not whole, parts=None if whole else "quick")


@pytest.mark.deep(by=DEFAULT)
def test_a_lab_that_went_live_does_not_while_it_is_broken_or_another_run_works(
    shared_labs, monkeypatch
):
    if LAB in shared_labs:
        monkeypatch.setitem(ENVIRONMENT, "PMS_GOLIVE_FIRST", LEFT_OUT)
    play("default", shared_labs, parts="deep")


@pytest.mark.parametrize("scenario", scenarios(DISASTERS))
def test_a_disaster_is_recovered_from(scenario, shared_labs):
    play(scenario, shared_labs, parts="quick" if scenario in DEEP_PARTS else None)


@pytest.mark.parametrize("scenario", other_parts(DISASTERS))
def test_a_disaster_is_recovered_from_in_its_other_forms(scenario, shared_labs):
    play(scenario, shared_labs, parts="deep")
