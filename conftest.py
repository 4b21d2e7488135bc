"""Say at the end how long each part of the tests took; let two parts run beside each other."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterable


# Mostly they wait, for containers and time-outs: three at a time are more than twice as fast. A
# group stays together and in order, since its tests share servers or a lab. The first that fits.
GROUPS = {
    "tests/integration/": "servers",
    "tests/molecule/test_documents.py": "documents",
    "tests/molecule/test_scenarios.py::test_scenario_keeps_its_promise[default]": "documents",
    "tests/molecule/test_scenarios.py::test_scenario_keeps_its_promise[dr_killed]": "documents",
    "tests/molecule/": "disasters",
}


@pytest.hookimpl(tryfirst=True)  # before xdist reads the marks
def pytest_collection_modifyitems(items: Iterable[pytest.Item]) -> None:
    """Say which tests have to be run one after the other (pytest --dist loadgroup)."""
    for item in items:
        for beginning, group in GROUPS.items():
            if item.nodeid.startswith(beginning):
                item.add_marker(pytest.mark.xdist_group(group))
                break


def part_of(nodeid: str) -> str:
    """Return the part that a test belongs to: the folder below tests/."""
    return "/".join(nodeid.split("/")[:2])


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print a line for each part, before pytest's own closing line."""
    seconds: dict[str, float] = defaultdict(float)
    tests: dict[str, set[str]] = defaultdict(set)
    for reports in terminalreporter.stats.values():
        for report in reports:
            if hasattr(report, "duration") and hasattr(report, "nodeid"):
                seconds[part_of(report.nodeid)] += report.duration
                tests[part_of(report.nodeid)].add(report.nodeid)
    terminalreporter.section("time of each part")
    for part, duration in sorted(seconds.items()):
        terminalreporter.write_line(f"{part:<20} {len(tests[part]):>5} tests {duration:>7.1f} s")
