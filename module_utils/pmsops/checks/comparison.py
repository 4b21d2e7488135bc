# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The comparisons of an expectation: which there are, when each holds, and each in words."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import date, datetime, timedelta
from typing import Any

from ansible.module_utils.pmsops.checks.values import (
    Unmet,
    comparable,
    kind_of,
    moment,
    plain,
    show,
)
from ansible.module_utils.pmsops.common.business_zone import BUSINESS_ZONE
from ansible.module_utils.pmsops.common.exchange_calendar import Clock

COMPARISONS = (
    *("eq", "ne", "gt", "ge", "lt", "le", "in", "not_in", "between", "contains", "contains_all"),
    *("matches", "not_matches", "not_empty", "is_null", "max_age"),
)
CLOCK_SKEW = timedelta(minutes=5)
_AGE = re.compile(r"(\d+(?:\.\d+)?)\s*(s|m|h|d)")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_PREDICATES = {"not_empty": "something", "is_null": "nothing"}
# Each of these is followed by the expected value.
_PHRASES = {
    "eq": "",
    "ne": "anything but ",
    "gt": "more than ",
    "ge": "at least ",
    "lt": "less than ",
    "le": "at most ",
    "in": "one of ",
    "not_in": "none of ",
    "contains": "a value containing ",
    "contains_all": "all of ",
    "matches": "text matching ",
    "not_matches": "text not matching ",
}


def comparison_of(expectation: dict[str, Any]) -> str:
    """Return the name of an expectation's comparison."""
    return next(name for name in COMPARISONS if name in expectation)


def holds(comparison: str, value: Any, expected: Any, clock: Clock) -> bool:
    """Tell whether a value is as expected.

    :raises Unmet: when the two cannot be compared.
    """
    if comparison == "is_null":
        return value is None
    if comparison == "not_empty":
        return not _is_empty(value)
    if value is None:
        raise Unmet("there is none (null)")
    if comparison == "max_age":
        return _is_fresh(value, parse_age(expected), clock)
    return _HOLDS[comparison](value, expected)


def parse_age(text: Any) -> timedelta | int:
    """Return an age: a duration, or a number of business days.

    :raises ValueError: when it is neither.
    """
    if isinstance(text, dict) and set(text) == {"business_days"}:
        days = text["business_days"]
        if isinstance(days, int) and not isinstance(days, bool) and 0 <= days <= 260:
            return days
        raise ValueError("business_days is a whole number from 0 to 260")
    match = _AGE.fullmatch(str(text).strip())
    if match is None:
        raise ValueError(f"{text!r} is no age: write 90m, 36h, 2d or {{business_days: 1}}")
    return timedelta(**{_UNITS[match[2]]: float(match[1])})


def describe(comparison: str, expected: Any) -> str:
    """Return what is expected, in words: ``at least 3``."""
    if comparison in _PREDICATES:
        return _PREDICATES[comparison]
    if comparison == "max_age":
        if isinstance(expected, dict):
            days = expected["business_days"]
            return "today's" if days == 0 else f"at most {days} business day(s) old"
        return f"at most {expected} old"
    if comparison == "between":
        return f"{show(expected[0])} to {show(expected[1])}"
    return _PHRASES[comparison] + show(expected)


def _ordered(value: Any, expected: Any) -> tuple[Any, Any]:
    """Return both sides in one kind; a date against a time stamp compares by the fund's day."""
    left, right = comparable(value), comparable(expected)
    if isinstance(left, datetime) and isinstance(right, date) and not isinstance(right, datetime):
        left = left.astimezone(BUSINESS_ZONE).date()
    elif isinstance(right, datetime) and isinstance(left, date) and not isinstance(left, datetime):
        right = right.astimezone(BUSINESS_ZONE).date()
    if type(left) is not type(right):
        raise Unmet(f"{show(value)} cannot be compared with {show(expected)}")
    return left, right


def _is_equal(value: Any, expected: Any) -> bool:
    if isinstance(value, bool) or isinstance(expected, bool):
        return value is expected
    if value is None or expected is None:
        return value is expected
    if isinstance(value, (list, dict)) or isinstance(expected, (list, dict)):
        return plain(value) == plain(expected)
    if isinstance(value, str) and isinstance(expected, str) and value == expected:
        return True
    try:
        left, right = _ordered(value, expected)
    except Unmet:
        return False
    return bool(left == right)


def _is_in(value: Any, expected: Sequence[Any]) -> bool:
    return any(_is_equal(value, entry) for entry in expected)


def _is_between(value: Any, expected: Sequence[Any]) -> bool:
    low, high = _ordered(value, expected[0]), _ordered(value, expected[1])
    return bool(low[0] >= low[1] and high[0] <= high[1])


def _contains(value: Any, expected: Any) -> bool:
    if isinstance(value, str):
        return str(expected) in value
    if isinstance(value, dict):
        return expected in value
    if isinstance(value, list):
        return any(_is_equal(entry, expected) for entry in value)
    raise Unmet(f"{show(value)} contains nothing: it is {kind_of(value)}")


def _matches(value: Any, expected: str) -> bool:
    if not isinstance(value, str):
        raise Unmet(f"{show(value)} is no text but {kind_of(value)}")
    return re.search(expected, value) is not None


def _is_empty(value: Any) -> bool:
    return value is None or value in ("", [], {}) or (isinstance(value, str) and not value.strip())


def _is_fresh(value: Any, age: timedelta | int, clock: Clock) -> bool:
    stamp = moment(value)
    if isinstance(stamp, datetime):
        day, ahead = stamp.astimezone(BUSINESS_ZONE).date(), stamp > clock.now + CLOCK_SKEW
    else:
        day, ahead = stamp, stamp > clock.today
    if ahead:
        raise Unmet(f"{show(value)} lies in the future")
    if isinstance(age, int):
        return day >= clock.business_day(age)
    if isinstance(stamp, datetime):
        return clock.now - stamp <= age
    return clock.today - day <= age


def _ordering(test: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    return lambda value, expected: test(*_ordered(value, expected))


_HOLDS: dict[str, Callable[[Any, Any], bool]] = {
    "gt": _ordering(lambda left, right: left > right),
    "ge": _ordering(lambda left, right: left >= right),
    "lt": _ordering(lambda left, right: left < right),
    "le": _ordering(lambda left, right: left <= right),
    "eq": _is_equal,
    "ne": lambda value, expected: not _is_equal(value, expected),
    "in": _is_in,
    "not_in": lambda value, expected: not _is_in(value, expected),
    "between": _is_between,
    "contains": _contains,
    "contains_all": lambda value, expected: all(_contains(value, entry) for entry in expected),
    "matches": _matches,
    "not_matches": lambda value, expected: not _matches(value, expected),
}
