"""Expectations: what holds, what does not, and that nothing ever holds by being absent."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from ansible.module_utils.pmsops.checks.comparison import COMPARISONS
from ansible.module_utils.pmsops.checks.expectations import judge
from ansible.module_utils.pmsops.checks.path import select
from ansible.module_utils.pmsops.checks.validation import expectation_problem
from ansible.module_utils.pmsops.checks.variables import UnsetVariable, Variables
from ansible.module_utils.pmsops.common.exchange_calendar import Clock
from hypothesis import given
from hypothesis import strategies as st

# A Monday morning in São Paulo; Friday the 20th was a holiday of the exchange.
NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
CLOCK = Clock(NOW)
ANSWER = {
    "value": 12,
    "text": "connected",
    "none": None,
    "empty": [],
    "flag": True,
    "rows": [{"n": 1, "day": date(2026, 11, 19)}, {"n": 3, "day": date(2026, 11, 20)}],
    "schedules": [{"name": "eod", "status": "RUNNING"}, {"name": "pre", "status": "STOPPED"}],
    "stamp": "2026-11-23T10:30:00Z",
    "a/b": {"c": 1},
    "env": {"DEBUG": "hunter2"},
}
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=8,
)


def met(**expectation: object) -> bool:
    assert expectation_problem(expectation) is None, expectation_problem(expectation)
    return judge(ANSWER, expectation, CLOCK).met


@pytest.mark.parametrize(
    "expectation",
    [
        {"path": "value", "eq": 12},
        {"path": "value", "eq": 12.0},
        {"path": "value", "ne": 13},
        {"path": "value", "gt": 11},
        {"path": "value", "between": [12, 12]},
        {"path": "value", "in": [11, 12]},
        {"path": "value", "not_in": [1]},
        {"path": "text", "eq": "connected"},
        {"path": "text", "matches": "^conn"},
        {"path": "text", "not_matches": "^dis"},
        {"path": "text", "contains": "nect"},
        {"path": "flag", "eq": True},
        {"path": "none", "is_null": True},
        {"path": "rows[*].n", "ge": 1},
        {"path": "rows[-1].n", "eq": 3},
        {"path": "rows", "take": "count", "eq": 2},
        {"path": "empty", "take": "count", "eq": 0},
        {"path": "rows[*].n", "take": "sum", "eq": 4},
        {"path": "rows[*].day", "take": "max", "ge": "2026-11-20"},
        {"path": "schedules[name=eod].status", "eq": "RUNNING"},
        {"path": "schedules[0].name", "contains": "e"},
        {"path": "schedules[*].name", "contains": "pre"},
        {"path": "schedules[*].name", "contains_all": ["pre", "eod"]},
        {"path": "schedules[*].status", "take": "distinct", "eq": 2},
        {"path": '["a/b"].c', "eq": 1},
        {"path": "env", "take": "keys", "contains_all": ["DEBUG"]},
        {"path": "stamp", "max_age": "2h"},
        {"path": "rows[0].day", "max_age": {"business_days": 1}},
        {"path": "stamp", "gt": "2026-11-22"},
    ],
    ids=str,
)
def test_it_holds(expectation):
    assert met(**expectation)


@pytest.mark.parametrize(
    ("expectation", "says"),
    [
        ({"path": "valeu", "eq": 12}, "has no valeu (it has value, text"),
        ({"path": "value", "eq": 13}, "value is 12, expected 13"),
        ({"path": "value", "eq": "12"}, "expected 12"),
        ({"path": "flag", "eq": 1}, "expected 1"),
        ({"path": "value", "eq": True}, "expected yes"),
        ({"path": "none", "eq": 1}, "none (null)"),
        ({"path": "none", "ne": 1}, "none (null)"),
        ({"path": "none", "not_in": [1]}, "none (null)"),
        ({"path": "none", "not_empty": True}, "expected something"),
        ({"path": "none", "not_matches": "x"}, "none (null)"),
        ({"path": "none", "max_age": "2d"}, "none (null)"),
        ({"path": "text", "gt": 1}, "cannot be compared"),
        ({"path": "value", "matches": "1"}, "is no text"),
        ({"path": "rows[*].n", "eq": 1}, "is 3, expected 1"),
        ({"path": "rows[7].n", "eq": 1}, "only 2 entries"),
        ({"path": "schedules[*].name", "contains_all": ["eod", "x"]}, "expected all of eod, x"),
        ({"path": "empty[0]", "eq": 1}, "empty has no entry"),
        ({"path": "empty[*]", "eq": 1}, "there is none"),
        ({"path": "empty[*]", "ne": 1}, "there is none"),
        ({"path": "empty", "take": "max", "ge": 1}, "there is none"),
        ({"path": "empty", "take": "sum", "ge": 0}, "there is none"),
        ({"path": "value", "take": "count", "eq": 1}, "is no list"),
        ({"path": "schedules[name=intraday].status", "eq": "RUNNING"}, "it has eod, pre"),
        ({"path": "schedules[name=pre].status", "eq": "RUNNING"}, "STOPPED"),
        ({"path": "stamp", "max_age": "1h"}, "at most 1h old"),
        ({"path": "text", "max_age": "1h"}, "is no date or time"),
        ({"path": "rows[1].day", "max_age": {"business_days": 0}}, "expected today's"),
    ],
    ids=str,
)
def test_it_does_not_hold_and_says_why(expectation, says):
    assert expectation_problem(expectation) is None
    result = judge(ANSWER, expectation, CLOCK)
    assert not result.met
    assert says in result.problem


@pytest.mark.parametrize("stamp", ["2026-11-24", "2026-11-23T13:00:00Z"])
def test_what_lies_in_the_future_is_not_fresh(stamp):
    result = judge({"at": stamp}, {"path": "at", "max_age": "9d"}, CLOCK)
    assert "future" in result.problem


def test_a_time_zone_decides_which_day_a_moment_belongs_to():
    late = {"at": "2026-11-21T01:00:00Z"}  # still the evening of the 20th in São Paulo
    assert judge(late, {"path": "at", "le": "2026-11-20"}, CLOCK).met
    assert not judge(late, {"path": "at", "ge": "2026-11-21"}, CLOCK).met


def test_a_variable_of_a_container_is_compared_and_never_shown():
    for comparison in ({"eq": "hunter2"}, {"eq": "other"}, {"ge": 5}, {"max_age": "2d"}):
        result = judge(ANSWER, {"path": "env.DEBUG", **comparison}, CLOCK)
        assert "hunter2" not in result.problem + result.value
        assert result.met == (comparison == {"eq": "hunter2"})


@pytest.mark.parametrize(
    "expectation",
    [
        "value > 3",
        {},
        {"path": "x"},
        {"path": "x", "eq": 1, "ne": 2},
        {"path": "x", "equals": 1},
        {"path": "x..y", "eq": 1},
        {"path": "x[", "eq": 1},
        {"path": "x", "take": "average", "eq": 1},
        {"path": "x", "take": "count", "ge": 0},
        {"path": "x", "take": "count", "gt": -1},
        {"path": "x", "take": "count", "lt": 0},
        {"path": "x", "matches": ".*"},
        {"path": "x", "matches": "^"},
        {"path": "x", "matches": "("},
        {"path": "x", "not_matches": "a?"},
        {"path": "x", "in": []},
        {"path": "x", "not_in": []},
        {"path": "x", "contains_all": []},
        {"path": "x", "contains": ""},
        {"path": "x", "eq": None},
        {"path": "x", "between": [3, 1]},
        {"path": "x", "between": [3]},
        {"path": "x", "not_empty": False},
        {"path": "x", "max_age": "soon"},
        {"path": "x", "max_age": "99999d"},
        {"path": "x", "max_age": {"business_days": -1}},
    ],
    ids=str,
)
def test_what_cannot_fail_or_cannot_hold_is_no_expectation(expectation):
    assert expectation_problem(expectation)


@given(answer=PLAIN, path=st.sampled_from(["a", "rows[0].n", "rows[*].n", "x[name=y].z"]))
def test_an_answer_without_the_place_never_passes(answer, path):
    for comparison in ({"eq": 5}, {"ne": 5}, {"not_in": [5]}, {"not_matches": "zz"}):
        if judge(answer, {"path": path, **comparison}, CLOCK).met:
            values, _ = select(answer, path)
            assert values and all(value is not None for value in values)


@given(answer=PLAIN)
def test_judging_never_raises(answer):
    for comparison in COMPARISONS:
        expected = {
            "between": [1, 2],
            "in": [1],
            "not_in": [1],
            "contains_all": ["a"],
            "matches": "a",
            "not_matches": "a",
            "max_age": "2h",
        }.get(comparison, 1)
        judge(answer, {"path": "", comparison: expected}, CLOCK)


def test_variables_keep_their_type_and_the_calendar_is_the_exchange_s():
    variables = Variables({"n": 3, "api": {"url": "http://x"}, "empty": ""}, CLOCK)
    assert variables.fill({"a": ["${n}"], "b": "${api.url}/y?n=${n}"}) == {
        "a": [3],
        "b": "http://x/y?n=3",
    }
    assert variables.fill("${today}") == "2026-11-23"
    assert variables.fill("${business_day-1}") == "2026-11-19"
    assert variables.fill("${due-1145}") == "2026-11-23"
    assert variables.fill("${due-1215}") == "2026-11-19"
    assert Variables({}, Clock(NOW - timedelta(days=1))).fill("${due-0900}") == "2026-11-19"
    assert variables.fill("${month-2}") == "2026-09-01"
    assert Variables({}, Clock(NOW - timedelta(days=310))).fill("${month-2}") == "2025-11-01"
    for name in ("nope", "empty", "api.user", "n.x"):
        with pytest.raises(UnsetVariable, match=name):
            variables.fill(f"${{{name}}}")
