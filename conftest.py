"""Say at the end of a run how long each part of the tests took, and how much of it ran."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest


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
