# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Expectations as data: a path into an answer, what to take of it, and one comparison."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from ansible.module_utils.pmsops.common.business_zone import BUSINESS_ZONE

TAKES = ("count", "sum", "min", "max", "distinct", "keys")
COMPARISONS = (
    *("eq", "ne", "gt", "ge", "lt", "le", "in", "not_in", "between", "contains", "contains_all"),
    *("matches", "not_matches", "not_empty", "is_null", "max_age"),
)
FIELDS = frozenset({"path", "take", "label", "secret", *COMPARISONS})
LONGEST_AGE = timedelta(days=3650)
CLOCK_SKEW = timedelta(minutes=5)
SHOWN_CHARACTERS = 160
HIDDEN = "as it has to be"

_STEP = re.compile(
    r"""\.?(?P<name>[A-Za-z_][\w-]*)
      | \[(?P<index>-?\d+)\]
      | (?P<all>\[\*\])
      | \["(?P<key>[^"]*)"\]
      | \[(?P<field>[A-Za-z_]\w*)=(?P<value>[^\]]*)\]""",
    re.VERBOSE,
)
_AGE = re.compile(r"(\d+(?:\.\d+)?)\s*(s|m|h|d)")
_STAMP = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,6})?(Z|[+-]\d{2}:\d{2})")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


class Unmet(Exception):
    """The answer is not what was expected; the text says what it is instead."""


@dataclass(frozen=True)
class Outcome:
    """What one expectation found: the *value* as text, and what was *wanted* where it is unmet."""

    label: str
    value: str
    met: bool
    problem: str = ""


class Clock:
    """The moment of the run, and the business days around it."""

    def __init__(self, now: datetime) -> None:
        self.now = now
        self._days: list[date] = []

    @property
    def today(self) -> date:
        """Return the business's calendar day."""
        return self.now.astimezone(BUSINESS_ZONE).date()

    def business_day(self, before: int) -> date:
        """Return the *before*-th B3 business day before today."""
        from ansible.module_utils.pmsops.common import exchange_calendar

        days = self._days or [self.today]
        while len(days) <= before:
            days.append(exchange_calendar.previous_business_day(days[-1]))
        self._days = days
        return days[before]

    def due(self, hour: int, minute: int) -> date:
        """Return the newest B3 business day on which this time of day, in UTC, has passed."""
        from ansible.module_utils.pmsops.common import exchange_calendar

        at = self.now.astimezone(UTC)
        day = at.date()
        if (at.hour, at.minute) >= (hour, minute) and exchange_calendar.is_business_day(day):
            return day
        return exchange_calendar.previous_business_day(day)

    def month(self, before: int) -> date:
        """Return the first day of the month that lies *before* months back."""
        months = self.today.year * 12 + self.today.month - 1 - before
        return date(months // 12, months % 12 + 1, 1)


def problem_of(expectation: Any) -> str | None:
    """Return why this is no expectation that can both hold and fail, None where it is one."""
    if not isinstance(expectation, dict):
        return "an expectation is a mapping with a path and one comparison"
    if unknown := sorted(set(expectation) - FIELDS):
        return (
            f"unknown field {', '.join(map(str, unknown))}; known are {', '.join(sorted(FIELDS))}"
        )
    comparisons = [name for name in COMPARISONS if name in expectation]
    if len(comparisons) != 1:
        return f"exactly one comparison is needed, found {', '.join(comparisons) or 'none'}"
    if (take := expectation.get("take")) is not None and take not in TAKES:
        return f"take: {take} is not one of {', '.join(TAKES)}"
    path = expectation.get("path", "")
    if not isinstance(path, str):
        return "path is a text"
    try:
        steps(path)
    except ValueError as exc:
        return str(exc)
    return _weakness(comparisons[0], expectation[comparisons[0]], take)


def _weakness(comparison: str, wanted: Any, take: str | None) -> str | None:
    """Return why the comparison could never fail, or never hold."""
    if comparison in ("not_empty", "is_null"):
        return None if wanted is True else f"{comparison} takes only true"
    if comparison in ("in", "not_in", "contains_all") and not _variable(wanted):
        if not isinstance(wanted, list) or not wanted:
            return f"{comparison} takes a list with at least one entry"
        return None
    if comparison == "between":
        if not isinstance(wanted, list) or len(wanted) != 2:
            return "between takes the lowest and the highest value"
        low, high = wanted
        both = isinstance(low, int | float) and isinstance(high, int | float)
        return "between: the lowest value is above the highest" if both and low > high else None
    if comparison in ("matches", "not_matches"):
        return _pattern_weakness(comparison, wanted)
    if comparison == "max_age" and not _variable(wanted):
        try:
            age = parse_age(wanted)
        except ValueError as exc:
            return str(exc)
        if isinstance(age, timedelta) and not timedelta(0) < age < LONGEST_AGE:
            return f"max_age: {wanted} is no limit"
        return None
    if wanted is None or wanted == "":
        return f"{comparison} takes a value; for nothing there is is_null, for something not_empty"
    if take in ("count", "distinct") and isinstance(wanted, int | float):
        if comparison in ("ge", "gt", "ne") and wanted <= (-1 if comparison == "gt" else 0):
            if comparison == "ne" and wanted == 0:
                return None
            return f"{take} {comparison} {wanted} always holds"
        if comparison in ("lt", "le", "eq") and wanted < (1 if comparison == "lt" else 0):
            return f"{take} {comparison} {wanted} never holds"
    return None


def _pattern_weakness(comparison: str, wanted: Any) -> str | None:
    if not isinstance(wanted, str):
        return f"{comparison} takes a pattern"
    try:
        pattern = re.compile(wanted)
    except re.error as exc:
        return f"{comparison}: {exc}"
    if pattern.search(""):
        always = "always holds" if comparison == "matches" else "never holds"
        return f"{comparison}: {wanted!r} finds itself in an empty text, so it {always}"
    return None


def _variable(value: Any) -> bool:
    return isinstance(value, str) and "${" in value


def steps(path: str) -> list[tuple[str, Any]]:
    """Return the steps of a path as (kind, argument).

    :raises ValueError: when the path cannot be read to its end.
    """
    found, position = [], 0
    while position < len(path):
        match = _STEP.match(path, position)
        if match is None:
            raise ValueError(f"path {path!r} cannot be read from {path[position:]!r} on")
        position = match.end()
        if match["name"] is not None:
            found.append(("key", match["name"]))
        elif match["key"] is not None:
            found.append(("key", match["key"]))
        elif match["index"] is not None:
            found.append(("index", int(match["index"])))
        elif match["all"] is not None:
            found.append(("all", None))
        else:
            found.append(("find", (match["field"], match["value"])))
    return found


def select(answer: Any, path: str) -> tuple[list[Any], bool]:
    """Return the values at *path*, and whether the path names many.

    :raises Unmet: when the answer has no such place.
    """
    values, many, walked = [answer], False, ""
    for kind, argument in steps(path):
        shown = _shown_step(kind, argument)
        values = [
            found for value in values for found in _step(value, kind, argument, walked, shown)
        ]
        many = many or kind == "all"
        walked += shown
    return values, many


def _step(value: Any, kind: str, argument: Any, walked: str, shown: str) -> list[Any]:
    where = walked.lstrip(".") or "the answer"
    if kind == "key":
        if isinstance(value, dict) and argument in value:
            return [value[argument]]
        if isinstance(value, dict) and value.get("exists") is False:
            raise Unmet(f"{value.get('path')} does not exist")
        has = f" (it has {_listed(value)})" if isinstance(value, dict) else f" ({_kind(value)})"
        raise Unmet(f"{where} has no {argument}{has}")
    if not isinstance(value, list):
        raise Unmet(f"{where} is no list but {_kind(value)}")
    if kind == "all":
        return list(value)
    if kind == "index":
        if -len(value) <= argument < len(value):
            return [value[argument]]
        count = f"only {len(value)} entries" if value else "no entry"
        raise Unmet(f"{where} has {count}")
    field, wanted = argument
    for entry in value:
        if isinstance(entry, dict) and field in entry and _plain(entry[field]) == wanted:
            return [entry]
    named = [_plain(entry[field]) for entry in value if isinstance(entry, dict) and field in entry]
    raise Unmet(f"{where} has no {wanted} (it has {', '.join(named[:12]) or 'no entry'})")


def _shown_step(kind: str, argument: Any) -> str:
    if kind == "key":
        return f".{argument}"
    if kind == "index":
        return f"[{argument}]"
    return "[*]" if kind == "all" else f"[{argument[1]}]"


def _listed(value: dict[str, Any]) -> str:
    names = [str(name) for name in value]
    more = f" and {len(names) - 12} more" if len(names) > 12 else ""
    return (", ".join(names[:12]) or "nothing") + more


def _kind(value: Any) -> str:
    if value is None:
        return "nothing"
    names = {bool: "a yes or no", dict: "a mapping", list: "a list", str: "a text"}
    return names.get(type(value), "a number" if isinstance(value, int | float) else "a value")


def judge(answer: Any, expectation: dict[str, Any], clock: Clock) -> Outcome:
    """Hold one expectation against an answer."""
    label = expectation.get("label") or _label(expectation)
    secret = expectation.get("secret", False) or expectation.get("path", "").startswith(
        ("env.", "env[")
    )
    comparison = next(name for name in COMPARISONS if name in expectation)
    wanted = expectation[comparison]
    try:
        values, many = select(answer, expectation.get("path", ""))
    except Unmet as exc:
        return Outcome(label, "", met=False, problem=str(exc))
    taken: Any = values if many else values[0]
    try:
        if take := expectation.get("take"):
            taken, many = _take(take, taken), False
        if many and not values:
            raise Unmet("there is none")
        if comparison in ("contains", "contains_all"):
            many = False  # asked of all of them together, not of each
        shown = HIDDEN if secret else show(taken)
        for value in values if many else [taken]:
            if not _holds(comparison, value, wanted, clock):
                if secret:
                    return Outcome(label, "", met=False, problem=_hidden(label))
                text = f"{label} is {show(value)}, wanted {_words(comparison, wanted)}"
                return Outcome(label, shown, met=False, problem=text)
    except Unmet as exc:
        problem = _hidden(label) if secret else f"{label}: {exc}"
        return Outcome(label, "", met=False, problem=problem)
    return Outcome(label, shown, met=True)


def described(expectation: dict[str, Any]) -> str:
    """Return what an expectation wants, in words: ``status to be 200``."""
    label = expectation.get("label") or _label(expectation)
    comparison = next(name for name in COMPARISONS if name in expectation)
    return f"{label} to be {_words(comparison, expectation[comparison])}"


def _hidden(label: str) -> str:
    return f"{label} is not what it has to be (its value is not shown)"


def _label(expectation: dict[str, Any]) -> str:
    names = [
        str(argument if kind == "key" else argument[1])
        for kind, argument in steps(expectation.get("path", ""))
        if kind in ("key", "find")
    ]
    name = " ".join(names[-2:]).replace("_", " ") if names else "answer"
    take = expectation.get("take")
    return {"count": f"number of {name}", "distinct": f"different {name}"}.get(take, name)


def _take(take: str, value: Any) -> Any:
    if take == "keys":
        if not isinstance(value, dict):
            raise Unmet(f"it is no mapping but {_kind(value)}")
        return list(value)
    if take == "count":
        if not isinstance(value, list | dict):
            raise Unmet(f"it is no list but {_kind(value)}")
        return len(value)
    if not isinstance(value, list):
        raise Unmet(f"it is no list but {_kind(value)}")
    if take == "distinct":
        return len({_plain(entry) for entry in value})
    if not value:
        raise Unmet("there is none")
    if take == "sum":
        return sum((number(entry) for entry in value), Decimal(0))
    converted = [comparable(entry) for entry in value]
    if len({type(entry) for entry in converted}) > 1:
        raise Unmet("the entries are of different kinds")
    return min(converted) if take == "min" else max(converted)


def number(value: Any) -> Decimal:
    """Return a number, which a text or a yes or no is not.

    :raises Unmet: for anything else.
    """
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        raise Unmet(f"{show(value)} is no number but {_kind(value)}")
    converted = Decimal(str(value))
    if not converted.is_finite():
        raise Unmet(f"{value} is no number")
    return converted


def moment(value: Any) -> date | datetime:
    """Return a date, or an aware time stamp, of a value or its ISO 8601 text.

    :raises Unmet: for anything else.
    """
    if isinstance(value, str):
        try:
            if re.fullmatch(r"\d{4}-\d{2}-\d{2}", value):
                return date.fromisoformat(value)
            value = datetime.fromisoformat(value.strip())
        except ValueError as exc:
            raise Unmet(f"{show(value)} is no date or time") from exc
    if isinstance(value, datetime):
        return value if value.tzinfo else value.replace(tzinfo=UTC)
    if isinstance(value, date):
        return value
    raise Unmet(f"{show(value)} is no date or time but {_kind(value)}")


def comparable(value: Any) -> Any:
    """Return what ``<`` orders: a number, a date, a time stamp or a text.

    :raises Unmet: for what has no order.
    """
    if isinstance(value, str):
        try:
            return moment(value)
        except Unmet:
            return value
    if isinstance(value, date | datetime):
        return moment(value)
    return number(value)


def _ordered(value: Any, wanted: Any) -> tuple[Any, Any]:
    """Return both sides in one kind; a date against a time stamp compares by the business's day."""
    left, right = comparable(value), comparable(wanted)
    if isinstance(left, datetime) and isinstance(right, date) and not isinstance(right, datetime):
        left = left.astimezone(BUSINESS_ZONE).date()
    elif isinstance(right, datetime) and isinstance(left, date) and not isinstance(left, datetime):
        right = right.astimezone(BUSINESS_ZONE).date()
    if type(left) is not type(right):
        raise Unmet(f"{show(value)} cannot be compared with {show(wanted)}")
    return left, right


def _same(value: Any, wanted: Any) -> bool:
    if isinstance(value, bool) or isinstance(wanted, bool):
        return value is wanted
    if value is None or wanted is None:
        return value is wanted
    if isinstance(value, list | dict) or isinstance(wanted, list | dict):
        return _plain(value) == _plain(wanted)
    if isinstance(value, str) and isinstance(wanted, str) and value == wanted:
        return True
    try:
        left, right = _ordered(value, wanted)
    except Unmet:
        return False
    return left == right


def _in(value: Any, wanted: Sequence[Any]) -> bool:
    return any(_same(value, entry) for entry in wanted)


def _between(value: Any, wanted: Sequence[Any]) -> bool:
    low, _ = _ordered(value, wanted[0]), None
    high = _ordered(value, wanted[1])
    return low[0] >= low[1] and high[0] <= high[1]


def _contains(value: Any, wanted: Any) -> bool:
    if isinstance(value, str):
        return str(wanted) in value
    if isinstance(value, dict):
        return wanted in value
    if isinstance(value, list):
        return any(_same(entry, wanted) for entry in value)
    raise Unmet(f"{show(value)} contains nothing: it is {_kind(value)}")


def _matches(value: Any, wanted: str) -> bool:
    if not isinstance(value, str):
        raise Unmet(f"{show(value)} is no text but {_kind(value)}")
    return re.search(wanted, value) is not None


def _empty(value: Any) -> bool:
    return value is None or value in ("", [], {}) or (isinstance(value, str) and not value.strip())


def _holds(comparison: str, value: Any, wanted: Any, clock: Clock) -> bool:
    if comparison == "is_null":
        return value is None
    if comparison == "not_empty":
        return not _empty(value)
    if comparison == "max_age":
        return _fresh(value, parse_age(wanted), clock)
    if value is None:
        raise Unmet("there is none (null)")
    order: dict[str, Callable[[Any, Any], bool]] = {
        "gt": lambda left, right: left > right,
        "ge": lambda left, right: left >= right,
        "lt": lambda left, right: left < right,
        "le": lambda left, right: left <= right,
    }
    if comparison in order:
        return order[comparison](*_ordered(value, wanted))
    other: dict[str, Callable[[Any, Any], bool]] = {
        "eq": _same,
        "ne": lambda left, right: not _same(left, right),
        "in": _in,
        "not_in": lambda left, right: not _in(left, right),
        "between": _between,
        "contains": _contains,
        "contains_all": lambda left, right: all(_contains(left, entry) for entry in right),
        "matches": _matches,
        "not_matches": lambda left, right: not _matches(left, right),
    }
    return other[comparison](value, wanted)


def parse_age(wanted: Any) -> timedelta | int:
    """Return an age: a duration, or a number of business days.

    :raises ValueError: when it is neither.
    """
    if isinstance(wanted, dict) and set(wanted) == {"business_days"}:
        days = wanted["business_days"]
        if isinstance(days, int) and not isinstance(days, bool) and 0 <= days <= 260:
            return days
        raise ValueError("business_days is a whole number from 0 to 260")
    match = _AGE.fullmatch(str(wanted).strip())
    if match is None:
        raise ValueError(f"{wanted!r} is no age: write 90m, 36h, 2d or {{business_days: 1}}")
    return timedelta(**{_UNITS[match[2]]: float(match[1])})


def _fresh(value: Any, age: timedelta | int, clock: Clock) -> bool:
    if value is None:
        raise Unmet("there is none (null)")
    stamp = moment(value)
    day = stamp.astimezone(BUSINESS_ZONE).date() if isinstance(stamp, datetime) else stamp
    ahead = stamp > clock.now + CLOCK_SKEW if isinstance(stamp, datetime) else day > clock.today
    if ahead:
        raise Unmet(f"{show(value)} lies in the future")
    if isinstance(age, int):
        return day >= clock.business_day(age)
    if isinstance(stamp, datetime):
        return clock.now - stamp <= age
    return clock.today - day <= age


def show(value: Any) -> str:
    """Return a value as an operator reads it, cut where it is long."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str) and _STAMP.fullmatch(value):
        value = datetime.fromisoformat(value)
    if isinstance(value, datetime):
        text = moment(value).astimezone(UTC).strftime("%Y-%m-%d %H:%M:%SZ")
    elif isinstance(value, str):
        text = " ".join(value.split()) or "an empty text"
    elif isinstance(value, list) and all(isinstance(entry, str | int | float) for entry in value):
        text = ", ".join(map(str, value)) or "an empty list"
    elif isinstance(value, float):
        text = f"{value:.6g}" if abs(value) < 1e6 else f"{value:.0f}"
    else:
        text = _plain(value)
    return text if len(text) <= SHOWN_CHARACTERS else text[: SHOWN_CHARACTERS - 1] + "…"


def _plain(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | dict):
        return json.dumps(value, sort_keys=True, default=str, ensure_ascii=False)
    return str(value)


def _words(comparison: str, wanted: Any) -> str:
    if comparison in ("not_empty", "is_null"):
        return {"not_empty": "something", "is_null": "nothing"}[comparison]
    if comparison == "max_age":
        if isinstance(wanted, dict):
            days = wanted["business_days"]
            return "today's" if days == 0 else f"at most {days} business day(s) old"
        return f"at most {wanted} old"
    if comparison == "between":
        return f"{show(wanted[0])} to {show(wanted[1])}"
    phrases = {
        "eq": "",
        "ne": "anything but ",
        "gt": "more than ",
        "ge": "at least ",
        "lt": "less than ",
        "le": "at most ",
        "in": "one of ",
        "not_in": "none of ",
        "contains": "something with ",
        "contains_all": "all of ",
        "matches": "something like ",
        "not_matches": "nothing like ",
    }
    return phrases[comparison] + show(wanted)
