#!/usr/bin/env python3
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Print how much of each package its own tests reach, and fail where that is too little.

    scripts/branch_coverage.py FILE        the JSON report of coverage, measured with branches

The figure is the one of coverage: lines and branches that were taken, of all there are.
"""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from pathlib import Path

PACKAGES = Path("module_utils/pmsops")
# pyproject.toml names them too: only what is named there is measured.
REQUIRED = ("checks", "corrections", "evidence", "notify", "repository", "schedule")
LEAST_PERCENT = 90


def percentages(files: dict[str, dict]) -> dict[str, float]:
    """Return the percentage of each package, by its name."""
    there, taken = defaultdict(int), defaultdict(int)
    for name, measured in files.items():
        package = Path(name).relative_to(PACKAGES).parts[0]
        summary = measured["summary"]
        there[package] += summary["num_statements"] + summary["num_branches"]
        taken[package] += summary["covered_lines"] + summary["covered_branches"]
    return {name: 100 * taken[name] / there[name] for name in sorted(there) if there[name]}


def main(report: Path) -> int:
    """Print the figures; return 1 where a required package has too little."""
    found = percentages(json.loads(report.read_text("utf-8"))["files"])
    short = [name for name in REQUIRED if found.get(name, 0) < LEAST_PERCENT]
    print(f"branch coverage of packages by their own unit tests, at least {LEAST_PERCENT} % each:")
    for name in sorted({*found, *REQUIRED}):
        percent = found.get(name, 0)
        mark = "TOO LITTLE" if name in short else ""
        print(f"  {name:<14} {percent:6.1f} %  {mark}".rstrip())
    return 1 if short else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
