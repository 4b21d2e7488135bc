# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The machine is gone: another one is made from a copy on a site and the envelope."""

from __future__ import annotations

import pytest

from tests.molecule.conftest import ENVIRONMENT, play
from tests.support import sites


@pytest.mark.nightly
def test_a_new_machine_comes_from_a_site_and_the_envelope(shared_labs, tmp_path, monkeypatch):
    """The way back named no step between an empty machine and an empty server: issue 20."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (tmp_path / "restic").mkdir()
    monkeypatch.setitem(ENVIRONMENT, "PMS_TEST_ELSEWHERE", str(elsewhere))
    monkeypatch.setitem(ENVIRONMENT, "PMS_TEST_RESTIC", str(sites.restic(tmp_path / "restic")))
    play("dr_host", shared_labs)
