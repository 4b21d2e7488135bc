# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

from itertools import pairwise

import pytest
from ansible.module_utils.pmsops.common.pairs import neighbours, together


@pytest.mark.parametrize("values", [[], [1], [1, 2], [3, 1, 2]], ids=len)
def test_neighbours_are_those_of_the_standard_library(values):
    assert list(neighbours(values)) == list(pairwise(values))


def test_pairs_are_those_of_the_standard_library():
    columns, values = ("id", "name"), [None, ""]
    assert list(together(columns, iter(values))) == list(zip(columns, values, strict=True))


@pytest.mark.parametrize(
    ("first", "second", "shorter"),
    [([1], [], "second"), ([], [1], "first"), ([1, 2], [1], "second")],
)
def test_values_without_a_partner_are_no_pairs(first, second, shorter):
    with pytest.raises(ValueError, match=f"the {shorter} ends before the other"):
        list(together(first, second))
