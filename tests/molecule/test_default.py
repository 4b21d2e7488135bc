# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""A lab from nothing at the start to nothing at the end.

The file comes first, and has one test, so that pytest-xdist gives its worker another file soon;
test_disasters.py and test_documents.py keep a worker each.
"""

from __future__ import annotations

from tests.molecule.conftest import ENVIRONMENT, play


def test_a_lab_goes_live_does_not_when_broken_and_does_again_when_recovered(
    shared_labs, pytestconfig, monkeypatch
):
    if pytestconfig.getoption("--all"):
        monkeypatch.setitem(ENVIRONMENT, "PMS_LAB_SCALE", "1")
    play("default", shared_labs)
