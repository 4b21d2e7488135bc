# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Validation: each reason why a checklist, an item or an expectation cannot be used."""

from __future__ import annotations

import pytest
from ansible.module_utils.pmsops.checks import validation

from tests.support.gates import document, item


def found(**change):
    return list(validation.problems(document(item("a")) | change))


def test_a_good_checklist_has_no_problem():
    assert found() == []


@pytest.mark.parametrize("document", [None, [], "text", {"checks": {}}])
def test_something_else_is_no_checklist(document):
    assert list(validation.problems(document)) == ["it is no mapping with a list `checks`"]


@pytest.mark.parametrize("sections", [None, {}, ["first"], [{"id": "first"}], [{"title": "First"}]])
def test_sections_need_an_id_and_a_title(sections):
    assert found(sections=sections) == ["sections is no list of mappings with id and title"]


def test_all_problems_are_named_at_once():
    checks = [item("a", colour="red", severity="fatal"), {"title": "x"}, item("b", needs=["zz"])]
    assert found(version=3, checks=checks) == [
        "version is 3, this release reads 1",
        "a: unknown field colour",
        "a: severity fatal is not one of blocker, warning, info",
        "check 2 has no id",
        "b: needs zz, which does not exist",
    ]


def test_a_circle_is_named_by_its_members_alone():
    checks = [
        item("start", needs=["a"]),
        item("a", needs=["b", "end"]),
        item("b", needs=["a"]),
        item("end"),
    ]
    assert found(checks=checks) == ["checks need each other in a circle: a -> b -> a"]


def test_needs_that_meet_again_are_no_circle():
    checks = [
        item("top", needs=["l", "r"]),
        item("l", needs=["x"]),
        item("r", needs=["x"]),
        item("x"),
    ]
    assert found(checks=checks) == []


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"needs": "b"}, "needs is no list of ids"),
        ({"timeout": True}, "timeout True is no number from 0.05 to 600"),
        ({"retries": 11}, "retries 11 is no number from 0 to 10"),
        ({"params": ["x"]}, "params is no mapping"),
        ({"expect": "rc = 0"}, "expect is no list"),
        ({"expect": [{"path": "rc", "eq": 0, "unit": "s"}]}, "expect: unknown field unit"),
        ({"expect": [{"path": 3, "eq": 0}]}, "expect: path is a text"),
        ({"expect": [{"path": "rc", "matches": 3}]}, "expect: matches takes a pattern"),
        ({"expect": {"path": "rc", "eq": 0}}, ""),
        ({"section": "third"}, "section third is not among the sections"),
    ],
)
def test_an_item_names_its_problem(change, problem):
    problems = list(validation.item_problems(item("a", **change), {"first"}))
    assert [text for text in problems if not text.startswith(problem or "-")] == []
    assert bool(problems) is bool(problem)


@pytest.mark.parametrize(
    ("window", "problem"),
    [("60d", None), ({"business_days": 5}, None), ("soon", "window: 'soon' is no age")],
)
def test_the_window_of_an_attestation_is_an_age(window, problem):
    problems = list(validation.item_problems(item("a", "attest", window=window), {"first"}))
    assert [text[: len(problem or "")] for text in problems] == ([problem] if problem else [])


@pytest.mark.parametrize(
    "expectation",
    [
        {"path": "x", "in": "${names}"},
        {"path": "x", "max_age": "${age}"},
        {"path": "x", "max_age": {"business_days": 1}},
        {"path": "x", "take": "count", "ne": 0},
        {"path": "x", "take": "count", "lt": 1},
        {"path": "x", "take": "distinct", "le": 0},
        {"path": "x", "take": "sum", "ge": 0},
        {"path": "x", "between": ["${low}", 3]},
        {"path": "x", "not_empty": True},
    ],
    ids=str,
)
def test_what_can_hold_and_fail_is_an_expectation(expectation):
    assert validation.expectation_problem(expectation) is None


@pytest.mark.parametrize(
    ("comparison", "expected", "always"),
    [
        ("ge", 0, True),
        ("gt", -0.5, True),
        ("ne", -1, True),
        ("lt", 0, False),
        ("le", -1, False),
        ("eq", -1, False),
    ],
)
def test_a_count_is_never_below_zero(comparison, expected, always):
    problem = validation.expectation_problem({"path": "x", "take": "count", comparison: expected})
    assert problem.endswith("always holds" if always else "never holds")


@pytest.mark.parametrize("severity", ["blocker", "warning", "info"])
def test_each_severity_of_the_published_schema_is_accepted(severity):
    assert found(checks=[item("a", severity=severity)]) == []
