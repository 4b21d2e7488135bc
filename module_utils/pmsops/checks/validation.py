# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Why a checklist cannot be used: its form, each item, and each expectation that cannot fail."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from ansible.module_utils.pmsops.checks import probes
from ansible.module_utils.pmsops.checks.comparison import COMPARISONS, parse_age
from ansible.module_utils.pmsops.checks.expectations import TAKES
from ansible.module_utils.pmsops.checks.path import steps

SEVERITIES = ("blocker", "warning", "info")
REQUIRED = ("id", "section", "title", "severity", "owner", "remedy", "probe")
FIELDS = frozenset(
    {
        *(*REQUIRED, "params", "expect", "needs", "timeout", "retries", "retry_delay"),
        *("window", "silence", "load_sensitive", "optional", "about", "doc"),
    }
)
# Parts of the PMS that a system may be said to lack, and how people call them.
PARTS = {"dagster": "Dagster", "grafana": "Grafana", "timescaledb": "TimescaleDB"}
EXPECTATION_FIELDS = frozenset({"path", "take", "label", "secret", *COMPARISONS})
# What no answer in time means: nothing; a failure unless the host is busy; a failure always.
SILENCES = ("unknown", "fail_if_idle", "fail")
# The lowest and the highest number that a field takes; times are in seconds.
BOUNDS = {"timeout": (0.05, 600.0), "retries": (0, 10), "retry_delay": (0, 60)}
MAX_AGE = timedelta(days=3650)
_ID = re.compile(r"[a-z0-9][a-z0-9_.-]*")


def problems(document: Any) -> Iterator[str]:
    """Yield each reason why a document is no checklist."""
    if not isinstance(document, dict) or not isinstance(document.get("checks"), list):
        yield "it is no mapping with a list `checks`"
        return
    if document.get("version") != 1:
        yield f"version is {document.get('version')!r}, this release reads 1"
    sections = document.get("sections")
    if not isinstance(sections, list) or not all(
        isinstance(section, dict) and section.get("id") and section.get("title")
        for section in sections
    ):
        yield "sections is no list of mappings with id and title"
        return
    if not document["checks"]:
        yield "it has no check, so it could never be a no-go"
    known = {section["id"] for section in sections}
    needs: dict[str, list[str]] = {}
    for number, item in enumerate(document["checks"], 1):
        if not isinstance(item, dict) or not isinstance(item.get("id"), str):
            yield f"check {number} has no id"
            continue
        name = item["id"]
        if name in needs:
            yield f"{name}: the id is used twice"
        needs[name] = item["needs"] if isinstance(item.get("needs"), list) else []
        for problem in item_problems(item, known):
            yield f"{name}: {problem}"
    for name, named in needs.items():
        for need in named:
            if need not in needs:
                yield f"{name}: needs {need}, which does not exist"
    if cycle := _cycle(needs):
        yield f"checks need each other in a circle: {' -> '.join(cycle)}"


def item_problems(item: dict[str, Any], sections: set[str]) -> Iterator[str]:
    """Yield each reason why one item cannot be used."""
    if unknown := sorted(str(name) for name in set(item) - FIELDS):
        yield f"unknown field {', '.join(unknown)}"
    for name in REQUIRED:
        if not isinstance(item.get(name), str) or not item[name].strip():
            yield f"{name} is missing"
    if not _ID.fullmatch(item["id"]):
        yield "the id may hold a-z, 0-9, dot, dash and underscore"
    if item.get("section") and item["section"] not in sections:
        yield f"section {item['section']} is not among the sections"
    if item.get("severity") and item["severity"] not in SEVERITIES:
        yield f"severity {item['severity']} is not one of {', '.join(SEVERITIES)}"
    yield from _number_problems(item)
    yield from _window_problems(item)
    if item.get("silence", "unknown") not in SILENCES:
        yield f"silence {item['silence']!r} is not one of {', '.join(SILENCES)}"
    for name in ("load_sensitive", "optional"):
        if not isinstance(item.get(name, False), bool):
            yield f"{name} {item[name]!r} is neither true nor false"
    if item.get("about", "dagster") not in PARTS:
        yield f"about {item['about']!r} is not one of {', '.join(PARTS)}"
    needs = item.get("needs", [])
    if not isinstance(needs, list) or not all(isinstance(need, str) for need in needs):
        yield "needs is no list of ids"
    if item.get("probe") and item["probe"] not in probes.KINDS:
        yield f"probe {item['probe']} is not one of {', '.join(probes.KINDS)}"
    elif item.get("probe"):
        yield from _probe_problems(item, probes.KINDS[item["probe"]])


def _number_problems(item: dict[str, Any]) -> Iterator[str]:
    for name, (low, high) in BOUNDS.items():
        value = item.get(name, low)
        if (
            isinstance(value, bool)
            or not isinstance(value, (int, float))
            or not low <= value <= high
        ):
            yield f"{name} {value!r} is no number from {low:g} to {high:g}"
    if not isinstance(item.get("retries", 0), int):
        yield "retries is no whole number"


def _window_problems(item: dict[str, Any]) -> Iterator[str]:
    if (window := item.get("window")) is None:
        return
    if item.get("probe") != "attest":
        yield "window is for probe attest; others have max_age in expect"
    try:
        parse_age(window)
    except ValueError as exc:
        yield f"window: {exc}"


def _probe_problems(item: dict[str, Any], kind: probes.Kind) -> Iterator[str]:
    """Yield what is wrong with the parameters and the expectations of an item."""
    params = item.get("params") or {}
    if not isinstance(params, dict):
        yield "params is no mapping"
        return
    if unknown := sorted(str(name) for name in set(params) - set(kind.params)):
        known = ", ".join(sorted(kind.params)) or "nothing"
        yield f"probe {item['probe']} knows no parameter {', '.join(unknown)}; it takes {known}"
    for group in kind.one_of:
        given = [name for name in group if params.get(name) not in (None, "", [])]
        if len(given) != 1:
            yield f"probe {item['probe']} needs exactly one of {', '.join(group)}"
    expect = item.get("expect") or []
    expect = [expect] if isinstance(expect, dict) else expect
    if not isinstance(expect, list):
        yield "expect is no list"
        return
    if not expect and not kind.judges_itself:
        yield "it expects nothing, so it cannot fail"
    if expect and item["probe"] == "attest":
        yield "probe attest takes no expectation: a person is the evidence"
    for expectation in expect:
        if problem := expectation_problem(expectation):
            yield f"expect: {problem}"


def expectation_problem(expectation: Any) -> str | None:
    """Return why this is no expectation that can both hold and fail, None where it is one."""
    if not isinstance(expectation, dict):
        return "an expectation is a mapping with a path and one comparison"
    if unknown := sorted(str(name) for name in set(expectation) - EXPECTATION_FIELDS):
        return (
            f"unknown field {', '.join(unknown)}; known are {', '.join(sorted(EXPECTATION_FIELDS))}"
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
    return _comparison_problem(comparisons[0], expectation[comparisons[0]], take)


def _comparison_problem(comparison: str, expected: Any, take: str | None) -> str | None:
    """Return why the comparison could never fail, or never hold."""
    if comparison in ("not_empty", "is_null"):
        return None if expected is True else f"{comparison} takes only true"
    if comparison in ("in", "not_in", "contains_all"):
        return _list_problem(comparison, expected)
    if comparison == "between":
        return _range_problem(expected)
    if comparison in ("matches", "not_matches"):
        return _pattern_problem(comparison, expected)
    if comparison == "max_age":
        return _age_problem(expected)
    if expected is None or expected == "":
        return f"{comparison} takes a value; for nothing there is is_null, for something not_empty"
    if take in ("count", "distinct") and isinstance(expected, (int, float)):
        return _count_problem(take, comparison, expected)
    return None


def _list_problem(comparison: str, expected: Any) -> str | None:
    if _is_variable(expected) or (isinstance(expected, list) and expected):
        return None
    return f"{comparison} takes a list with at least one entry"


def _range_problem(expected: Any) -> str | None:
    if not isinstance(expected, list) or len(expected) != 2:
        return "between takes the lowest and the highest value"
    low, high = expected
    both = isinstance(low, (int, float)) and isinstance(high, (int, float))
    return "between: the lowest value is above the highest" if both and low > high else None


def _age_problem(expected: Any) -> str | None:
    if _is_variable(expected):
        return None
    try:
        age = parse_age(expected)
    except ValueError as exc:
        return str(exc)
    if isinstance(age, timedelta) and not timedelta(0) < age < MAX_AGE:
        return f"max_age: {expected} is no limit"
    return None


def _pattern_problem(comparison: str, expected: Any) -> str | None:
    if not isinstance(expected, str):
        return f"{comparison} takes a pattern"
    try:
        pattern = re.compile(expected)
    except re.error as exc:
        return f"{comparison}: {exc}"
    if pattern.search(""):
        always = "always holds" if comparison == "matches" else "never holds"
        return f"{comparison}: {expected!r} matches an empty text, so it {always}"
    return None


def _count_problem(take: str, comparison: str, expected: float) -> str | None:
    """Return why a comparison with a count, which is never below 0, holds always or never."""
    always = {"ge": expected <= 0, "gt": expected < 0, "ne": expected < 0}
    never = {"le": expected < 0, "lt": expected <= 0, "eq": expected < 0}
    if always.get(comparison):
        return f"{take} {comparison} {expected} always holds"
    return f"{take} {comparison} {expected} never holds" if never.get(comparison) else None


def _is_variable(value: Any) -> bool:
    return isinstance(value, str) and "${" in value


def _cycle(needs: dict[str, list[str]]) -> list[str] | None:
    """Return the ids of a circle of needs, None where there is none."""
    done: set[str] = set()
    for start in needs:
        trail = [start]
        stack = [iter(needs[start])]
        while stack:
            following = next((n for n in stack[-1] if n in needs and n not in done), None)
            if following is None:
                done.add(trail.pop())
                stack.pop()
            elif following in trail:
                return [*trail[trail.index(following) :], following]
            else:
                trail.append(following)
                stack.append(iter(needs[following]))
    return None
