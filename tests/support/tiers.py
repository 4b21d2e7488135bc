# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which tests a run leaves out, and what has to be true of those that prove the same.

`make test` leaves out the tests marked ``deep(by="tests/.../test_x.py::test_y")``, since a quicker
test, which stays, proves their mechanism: *by* names it, or several of them in a tuple. A name with
a parameter, ``test_y[one]``, names one case. `make test-ci` (``--deep``) runs them, and `make
test-long` (``--all``) those marked ``nightly``, too.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Any

import pytest

RUN_BY = {"deep": "make test-ci", "nightly": "make test-long"}
OPTIONS = {"deep": ("--deep", "--all"), "nightly": ("--all",)}
PROPERTY = "left_out"
DEEP = pytest.mark.deep


def tier_of(item: pytest.Item) -> str | None:
    """Return ``nightly``, ``deep``, or None for a test that `make test` runs."""
    return next((tier for tier in ("nightly", "deep") if item.get_closest_marker(tier)), None)


def proving(mark: pytest.Mark) -> tuple[str, ...]:
    """Return the tests that a mark ``deep`` names; none if it is written wrongly."""
    by = mark.kwargs.get("by")
    named = (by,) if isinstance(by, str) else by
    if mark.args or set(mark.kwargs) != {"by"} or not isinstance(named, tuple):
        return ()
    return named


def leave_out(config: pytest.Config, items: Iterable[pytest.Item]) -> None:
    """Skip the tests that are not of this run."""
    for item in items:
        tier = tier_of(item)
        if tier and not any(config.getoption(option) for option in OPTIONS[tier]):
            by = item.get_closest_marker("deep") if tier == "deep" else None
            item.user_properties.append((PROPERTY, [tier, *(proving(by) if by else ())]))
            item.add_marker(pytest.mark.skip(reason=f"{tier}: {RUN_BY[tier]}"), append=False)


def deep_but(
    values: Iterable[Any], *, stay: Collection[Any], by: str | tuple[str, ...]
) -> list[Any]:
    """Return the parameters of a test, all deep but those that *stay* in `make test`."""
    return [each if each in stay else pytest.param(each, marks=DEEP(by=by)) for each in values]


# --- At the end of a run: reports of pytest -------------------------------------------------------


def left_out(reports: Iterable[Any]) -> list[list[str]]:
    """Return for each test that was left out its tier, and the tests that prove the same."""
    return [
        value
        for report in reports
        for name, value in getattr(report, "user_properties", ())
        if name == PROPERTY and getattr(report, "when", None) == "setup"
    ]


def closing_lines(reports: Iterable[Any]) -> list[str]:
    """Return what the end of a run says about the tests that it left out."""
    tiers = [tier for tier, *_by in left_out(reports)]
    lines = []
    if deep := tiers.count("deep"):
        lines.append(f"left out: {deep} deep tests; {RUN_BY['deep']} runs them, too")
    if nightly := tiers.count("nightly"):
        lines.append(f"left out: {nightly} nightly tests; {RUN_BY['nightly']} runs them, too")
    return lines


def unproved(reports: Iterable[Any]) -> list[str]:
    """Return the tests that should have proved what was left out, and did not run themselves.

    A choice of tests may have none of them: only those that were skipped count.
    """
    reports = list(reports)
    named = {each for tier, *by in left_out(reports) if tier == "deep" for each in by}
    seen: dict[str, set[str]] = {}
    for report in reports:
        if hasattr(report, "outcome") and hasattr(report, "nodeid"):
            for name in {report.nodeid, report.nodeid.partition("[")[0]} & named:
                ran = report.when == "call" and report.outcome != "skipped"
                if ran or report.outcome == "skipped":
                    seen.setdefault(name, set()).add("ran" if ran else "skipped")
    return sorted(name for name, outcomes in seen.items() if outcomes == {"skipped"})


# --- What was collected ---------------------------------------------------------------------------


@dataclass
class Collected:
    """A test as pytest collected it; ``by`` is None if it is not deep, empty if that is wrong."""

    nodeid: str
    tier: str | None = None
    skipped: bool = False
    by: tuple[str, ...] | None = None
    names: tuple[str, str] = field(init=False)

    def __post_init__(self) -> None:
        self.names = (self.nodeid, self.nodeid.partition("[")[0])


def collected(item: pytest.Item) -> Collected:
    """Return what matters here of a test, which must not have been left out."""
    skipped = any(item.iter_markers("skip")) or any(item.iter_markers("xfail"))
    for mark in item.iter_markers("skipif"):
        # A condition in words would have to be evaluated: it counts as met.
        conditions = mark.args or (mark.kwargs.get("condition", True),)
        skipped = skipped or any(isinstance(each, str) or each for each in conditions)
    mark = item.get_closest_marker("deep")
    return Collected(item.nodeid, tier_of(item), bool(skipped), proving(mark) if mark else None)


def breaches(tests: Iterable[Collected]) -> list[str]:
    """Return what is wrong with the deep tests and with those that they name."""
    tests = list(tests)
    found = []
    of_name: dict[str, list[Collected]] = {}
    for each in tests:
        for name in set(each.names):
            of_name.setdefault(name, []).append(each)
    for test in tests:
        if test.by is None:
            continue
        if not test.by:
            found.append(f'{test.nodeid}: write deep(by="tests/.../test_x.py::test_y")')
        for name in test.by:
            named = of_name.get(name, [])
            if not named:
                found.append(f"{test.nodeid}: {name} is not collected")
            elif name in test.names:
                found.append(f"{test.nodeid} names itself")
            elif all(each.tier for each in named):
                found.append(f"{test.nodeid}: {name} is {named[0].tier}, too")
            elif all(each.tier or each.skipped for each in named):
                found.append(f"{test.nodeid}: {name} is skipped")
    return found
