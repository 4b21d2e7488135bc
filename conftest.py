# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""How much of the tests runs, what was left out, and the time that each part took."""

from __future__ import annotations

import os
import re
import time
from collections import defaultdict
from pathlib import Path

import pytest

from tests.support import tiers

LINT_SECONDS = 900  # how long to wait for the linters, which began with the tests
LINTED = re.compile(r"^lint: (\d+) s in all, exit status (\d+)$", re.MULTILINE)
TABLE = Path(__file__).with_name(".cache") / "times.md"
BEGAN = float(os.environ.get("PMS_TEST_BEGAN") or time.time())
INTERRUPTED = 2  # pytest's exit status


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options of `make test-ci`, `make test-long` and `make check`."""
    parser.addoption(
        "--deep", action="store_true", help="tests marked deep, too, as `make test-ci`"
    )
    parser.addoption("--all", action="store_true", help="every test, as `make test-long`")
    parser.addoption(
        "--own-coverage",
        action="store_true",
        help="measure what tests/unit reaches, as `make check`",
    )


def part_of(nodeid: str) -> str:
    """Return the part that a test belongs to: its file, in tests/unit its folder."""
    parts = nodeid.split("::")[0].split("/")
    return "/".join(parts[:3])


def linted(path: Path, deadline: float) -> str:
    """Return what scripts/test.sh wrote of the linters, once they are done or it is too late."""
    while not LINTED.search(text := path.read_text(encoding="utf-8")):
        if time.time() > deadline:
            return f"{text or 'no linter is done yet'}\nthe linters did not end\n"
        time.sleep(0.2)
    return text


def reported(terminalreporter: pytest.TerminalReporter) -> list[object]:
    """Return the reports of all tests."""
    return [report for reports in terminalreporter.stats.values() for report in reports]


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail if a test was skipped that deep tests, which were left out, rely on."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter and not session.exitstatus and tiers.unproved(reported(reporter)):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, exitstatus: int) -> None:
    """Print a line for each folder of tests, and write the table of all parts.

    The seconds of a part are those of its tests and fixtures; parts run side by side.
    """
    seconds: dict[str, float] = defaultdict(float)
    tests: dict[str, set[str]] = defaultdict(set)
    for reports in terminalreporter.stats.values():
        for report in reports:
            if hasattr(report, "duration") and hasattr(report, "nodeid"):
                part = part_of(report.nodeid)
                for each in (part, "/".join(part.split("/")[:2])):
                    seconds[each] += report.duration
                    tests[each].add(report.nodeid)
    if path := os.environ.get("PMS_LINTED"):
        terminalreporter.section("linters")
        longest = 0 if exitstatus == INTERRUPTED else LINT_SECONDS
        found = linted(Path(path), BEGAN + longest)
        terminalreporter.write(found)
        if done := LINTED.search(found):
            seconds["lint"] = float(done[1])
    whole = time.time() - BEGAN
    terminalreporter.section("time of each part")
    lines = ["| part | tests | seconds |", "| --- | ---: | ---: |"]
    for part in sorted(seconds):
        lines.append(f"| {part} | {len(tests[part]) or ''} | {seconds[part]:.1f} |")
        if part.count("/") < 2:
            count = f"{len(tests[part])} tests" if tests[part] else ""
            terminalreporter.write_line(f"{part:<20} {count:>12} {seconds[part]:>7.1f} s")
    terminalreporter.write_line(f"{'from start to end':<20} {'':>12} {whole:>7.1f} s")
    for line in tiers.closing_lines(reported(terminalreporter)):
        terminalreporter.write_line(line)
    for name in tiers.unproved(reported(terminalreporter)):
        terminalreporter.write_line(f"FAILED: deep tests rely on {name}, which was skipped")
    lines.append(f"| **from start to end** | | {whole:.1f} |")
    TABLE.parent.mkdir(exist_ok=True)
    TABLE.write_text("\n".join(lines) + "\n", encoding="utf-8")
