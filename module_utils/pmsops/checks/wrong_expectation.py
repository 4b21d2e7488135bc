# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Expectations that an answer cannot meet, made of those that it meets."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

from ansible.module_utils.pmsops.checks.comparison import comparison_of

# In no answer of a probe.
ABSENT = "no answer has this: it is the negative control of a gate"
# What holds where the other does not; both take the same expected value.
_OPPOSITES = {
    one: other
    for pair in (("eq", "ne"), ("gt", "le"), ("ge", "lt"), ("in", "not_in"))
    for one, other in (pair, pair[::-1])
} | {"matches": "not_matches", "not_matches": "matches"}


def wrong(expect: Sequence[dict[str, Any]], seed: int) -> list[dict[str, Any]]:
    """Return expectations that are all met, with a random one turned into one that is not."""
    number = _number(expect, seed)
    return [_turned(each) if at == number else each for at, each in enumerate(expect)]


def names(expect: Sequence[dict[str, Any]], seed: int) -> tuple[str, str]:
    """Return the comparison that ``wrong`` turns, and the one that it becomes."""
    chosen = expect[_number(expect, seed)]
    return comparison_of(chosen), comparison_of(_turned(chosen))


def _number(expect: Sequence[dict[str, Any]], seed: int) -> int:
    return random.Random(seed).randrange(len(expect))  # noqa: S311 -- can be made again


def _turned(expectation: dict[str, Any]) -> dict[str, Any]:
    name = comparison_of(expectation)
    others = {key: value for key, value in expectation.items() if key != name}
    expected = expectation[name]
    if name in _OPPOSITES:
        return others | {_OPPOSITES[name]: expected}
    if name == "between":
        return others | {"gt": expected[1]}
    if name in ("contains", "contains_all"):
        return others | {"contains": ABSENT}
    if name == "is_null":
        return others | {"not_empty": True}
    return others | {"is_null": True}  # not_empty and max_age: there is a value
