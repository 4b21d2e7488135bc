# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""docs/COMPATIBILITY.md: each proof that it names exists."""

from __future__ import annotations

import re

import pytest

from tests.conftest import PROJECT
from tests.support.yaml_files import read_yaml

DATA = read_yaml(PROJECT / "docs" / "templates" / "compatibility.yml")
BEHAVIOURS = DATA["behaviours"]


@pytest.mark.parametrize("each", BEHAVIOURS, ids=lambda each: each["tool"])
def test_every_proof_of_a_behaviour_exists(each):
    assert set(each) == {"tool", "seen", "does", "proof"}
    # What is said to be handled is shown; a gap is no claim.
    assert bool(each["does"]) == bool(each["proof"])
    for proof in each["proof"]:
        path, _, function = proof.partition("::")
        text = (PROJECT / path).read_text(encoding="utf-8")
        assert not function or re.search(rf"^def {function}\(", text, re.MULTILINE), proof


def test_no_behaviour_and_no_cell_is_there_twice():
    for rows in ([each["seen"] for each in BEHAVIOURS], [str(each) for each in DATA["matrix"]]):
        assert len(set(rows)) == len(rows)
