# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Continuous protection in a lab: a dropped table by what triage names, then docs/PITR.md."""

from __future__ import annotations

import pytest

from tests.molecule.conftest import ENVIRONMENT, lab_name, play
from tests.molecule.documents import PROTECTED_PAGE, blocks, type_block

pytestmark = pytest.mark.nightly
LAB = lab_name("moleculepitr")
OF_THE_PAGE = [each for each in blocks() if each[0] == PROTECTED_PAGE]


def test_a_dropped_table_comes_back_as_of_the_moment_before(shared_labs):
    play("dr_pitr", shared_labs)


@pytest.fixture(scope="module")
def protected(shared_labs):
    """The lab that the scenario leaves: protected, with a set."""
    if LAB not in shared_labs:
        play("dr_pitr", shared_labs)
    return ENVIRONMENT | {"PMS_LAB_INSTANCE": LAB, "ANSIBLE_NOCOLOR": "1"}


@pytest.mark.parametrize(
    ("page", "said", "commands"),
    OF_THE_PAGE,
    ids=[commands.splitlines()[0] for _page, _said, commands in OF_THE_PAGE],
)
def test_a_block_does_what_its_page_says(protected, page, said, commands):
    """In the order of the page: each finds what the one before has left."""
    type_block(protected, LAB, page, said, commands)
