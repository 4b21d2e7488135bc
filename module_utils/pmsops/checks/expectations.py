# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Expectations as data: a path into an answer, what to take of it, and one comparison."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from ansible.module_utils.pmsops.checks import comparison
from ansible.module_utils.pmsops.checks.path import select, steps
from ansible.module_utils.pmsops.checks.values import (
    Unmet,
    comparable,
    kind_of,
    number,
    plain,
    show,
)
from ansible.module_utils.pmsops.common.exchange_calendar import Clock

TAKES = ("count", "sum", "min", "max", "distinct", "keys", "joined")
HIDDEN = "as expected"


@dataclass(frozen=True)
class ExpectationResult:
    """What one expectation found: the *value* as text, and the *problem* where it is unmet."""

    label: str
    value: str
    met: bool
    problem: str = ""


def judge(answer: Any, expectation: dict[str, Any], clock: Clock) -> ExpectationResult:
    """Compare an answer with one expectation."""
    label = label_of(expectation)
    secret = expectation.get("secret", False) or expectation.get("path", "").startswith(
        ("env.", "env[")
    )
    name = comparison.comparison_of(expectation)
    expected = expectation[name]
    try:
        values, many = select(answer, expectation.get("path", ""))
    except Unmet as exc:
        return ExpectationResult(label, "", met=False, problem=str(exc))
    taken: Any = values if many else values[0]
    try:
        if take := expectation.get("take"):
            taken, many = _take(take, taken), False
        if many and not values:
            raise Unmet("there is none")
        if name in ("contains", "contains_all"):
            many = False  # asked of all of them together, not of each
        shown = HIDDEN if secret else show(taken)
        for value in values if many else [taken]:
            if not comparison.holds(name, value, expected, clock):
                if secret:
                    return ExpectationResult(label, "", met=False, problem=_without_value(label))
                text = f"{label} is {show(value)}, expected {comparison.describe(name, expected)}"
                return ExpectationResult(label, shown, met=False, problem=text)
    except Unmet as exc:
        problem = _without_value(label) if secret else f"{label}: {exc}"
        return ExpectationResult(label, "", met=False, problem=problem)
    return ExpectationResult(label, shown, met=True)


def label_of(expectation: dict[str, Any]) -> str:
    """Return what an expectation calls its value: its label, or the end of its path."""
    if label := expectation.get("label"):
        return str(label)
    names = [
        str(argument if kind == "key" else argument[1])
        for kind, argument in steps(expectation.get("path", ""))
        if kind in ("key", "find", "each")
    ]
    name = " ".join(names[-2:]).replace("_", " ") if names else "answer"
    phrases = {"count": f"number of {name}", "distinct": f"different {name}"}
    return phrases.get(str(expectation.get("take")), name)


def _without_value(label: str) -> str:
    return f"{label} is not as expected (its value is not shown)"


def _take(take: str, value: Any) -> Any:
    if take == "keys":
        if not isinstance(value, dict):
            raise Unmet(f"it is no mapping but {kind_of(value)}")
        return list(value)
    if take == "count":
        if not isinstance(value, (list, dict)):
            raise Unmet(f"it is no list but {kind_of(value)}")
        return len(value)
    if not isinstance(value, list):
        raise Unmet(f"it is no list but {kind_of(value)}")
    if take == "joined":  # null without any, so that what should not be there is named
        return ", ".join(plain(entry) for entry in value) or None
    if take == "distinct":
        return len({plain(entry) for entry in value})
    if not value:
        raise Unmet("there is none")
    if take == "sum":
        return sum((number(entry) for entry in value), Decimal(0))
    converted = [comparable(entry) for entry in value]
    if len({type(entry) for entry in converted}) > 1:
        raise Unmet("the entries are of different kinds")
    return min(converted) if take == "min" else max(converted)
