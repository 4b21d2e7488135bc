# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import pytest
from ansible.module_utils.pmsops.postgresql.moving_sequences import between, understood


def one(value, *, step=1, called=True):
    return {"s": {"last_value": value, "is_called": called, "step": step, "owner": "o"}}


@pytest.mark.parametrize(
    ("before", "after", "copy", "same"),
    [
        (one(5), one(5), one(5), True),
        (one(5), one(5), one(6), False),
        (one(5), one(9), one(5), True),
        (one(5), one(9), one(7), True),
        (one(5), one(9), one(9), True),
        (one(5), one(9), one(4), False),
        (one(5), one(9), one(10), False),
        (one(1, called=False), one(1), one(1), True),
        (one(1, called=False), one(1), one(1, called=False), True),
        (one(-5, step=-1), one(-9, step=-1), one(-7, step=-1), True),
        (one(-5, step=-1), one(-9, step=-1), one(-4, step=-1), False),
        # It reached its maximum of 9 and began anew at 1.
        (one(8), one(2), one(9), True),
        (one(8), one(2), one(1), True),
        (one(8), one(2), one(5), False),
    ],
)
def test_a_copy_is_faithful_if_its_value_lies_between(before, after, copy, same):
    wanted, found = understood(between(before, after), copy)
    assert (wanted == found) is same
    assert "moved_to" not in str(wanted)


def test_a_sequence_that_is_missing_or_whose_owner_differs_stays_a_difference():
    wanted, found = understood(between(one(5), one(9)), {})
    assert list(wanted) == ["s"] and not found
    other = {"s": one(7)["s"] | {"owner": "x"}}
    wanted, found = understood(between(one(5), one(9)), other)
    assert wanted != found
