# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Run the measurements named on the command line, or all of them."""

from __future__ import annotations

import importlib
import os
import pkgutil
import sys

import bench
from bench.common import PROJECT, report


def main() -> int:
    """Measure, print, write bench.json; 1 where a bar was missed."""
    known = sorted(
        each.name
        for each in pkgutil.iter_modules(bench.__path__)
        if not each.name.startswith("_") and each.name != "common"
    )
    wanted = sys.argv[1:] or known
    unknown = sorted(set(wanted) - set(known))
    if unknown:
        print(f"unknown: {', '.join(unknown)}; known: {', '.join(known)}", file=sys.stderr)
        return 2
    print(f"{os.cpu_count()} cores; every ratio is of figures of this run", flush=True)
    figures = [
        figure for name in wanted for figure in importlib.import_module(f"bench.{name}").figures()
    ]
    return report(figures, PROJECT / ".cache" / "bench.json")


if __name__ == "__main__":
    sys.exit(main())
