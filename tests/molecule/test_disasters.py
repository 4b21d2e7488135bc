# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""A lab goes live; then disasters of database, Redis, backups and disk are caused on it.

All on one lab, from nothing at the start to nothing at the end: the go-live leaves the set and the
drill that the disasters need. They come first, and test_documents.py second: each keeps a worker.
"""

from __future__ import annotations

import pytest

from tests.molecule.conftest import ENVIRONMENT, LABS, LEFT_OUT, lab_name, play

DISASTERS = [name for name in LABS[lab_name("moleculedr")] if name != "default"]


def test_a_lab_goes_live_once_recovered_and_does_not_while_stopped_or_broken(
    shared_labs, pytestconfig, monkeypatch
):
    """In `make test-all` it goes live before it is stopped, too, and is larger."""
    whole = pytestconfig.getoption("--all")
    if whole:
        monkeypatch.setitem(ENVIRONMENT, "PMS_LAB_SCALE", "1")
    else:
        monkeypatch.setitem(ENVIRONMENT, "PMS_GOLIVE_FIRST", LEFT_OUT)
    play("default", shared_labs, leaves_lab=not whole)


@pytest.mark.parametrize("scenario", DISASTERS)
def test_a_disaster_is_recovered_from(scenario, shared_labs):
    play(scenario, shared_labs)
