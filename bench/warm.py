# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""A restore by the warm copy against one from the files, and what the copy costs the drill."""

from __future__ import annotations

import os
import statistics
import tempfile
from typing import Any

from bench.common import Figure, measured, start_lab, stop_lab, timed
from bench.different import forget, keep
from bench.restore import our_restore, our_swap

ROUNDS = 5
SCALE = 10
# In both ways of restoring, somebody has changed the book since the set was made.
CHANGE = "UPDATE portfolio_positions SET updated_at = now()"


def restored(database: dict[str, Any], root: str) -> dict[str, Any]:
    """Restore the newest set and swap, without services; return the seconds and the copy used."""
    seconds, made = timed(our_restore, database, root, True)
    swapped = our_swap(database, root, "swapped", made["side"])
    return {"seconds": seconds + swapped["seconds"], "warm_used": made.get("warm_used")}


def drill(database: dict[str, Any], root: str) -> dict[str, Any]:
    """Drill the newest set without keeping its copy; return the seconds."""
    return {"seconds": timed(our_restore, database, root, False)[0]}


def kept_drill(database: dict[str, Any], root: str) -> dict[str, Any]:
    """Drill the newest set and keep its copy warm; return the seconds."""
    return {"seconds": timed(keep, database, root)[0]}


def figures(scale: int = SCALE) -> list[Figure]:
    """Measure drills and restores in turn: each round has one of each way."""
    database = start_lab(scale, alone=True)
    options = {name: getattr(database, name) for name in database.__dataclass_fields__}
    with tempfile.TemporaryDirectory(prefix="pms-bench-") as folder:
        job = {"database": options, "root": folder}
        measured("bench.backup:our_backup", job)
        seconds, peak = rounds(database, job)
    stop_lab()
    medians = ", ".join(f"{way} {statistics.median(each):.1f} s" for way, each in seconds.items())
    print(f"scale {scale}: {medians}; load {os.getloadavg()[0]:.1f}", flush=True)
    return [
        Figure("restore: by the warm copy against from the files, times",
               _ratio(seconds["files"], seconds["warm"]), 6, "x", at_least=True,
               note="with the swap, without services"),
        Figure("drill: with the copy kept against without",
               _ratio(seconds["kept drill"], seconds["drill"]), 1.02, "x"),
        Figure("restore: resident memory by the warm copy", peak, 120, "MB"),
    ]  # fmt: skip


def rounds(database: Any, job: dict[str, Any]) -> tuple[dict[str, list[float]], float]:
    """Return the seconds of each way, one value per round, and the peak of a warm restore in MB."""
    seconds: dict[str, list[float]] = {"drill": [], "kept drill": [], "files": [], "warm": []}
    peaks = []
    for number in range(ROUNDS):
        # By turns first, since the later of two finds a fuller disk.
        drills = ("drill", "kept drill") if number % 2 else ("kept drill", "drill")
        for way in drills:
            function = "drill" if way == "drill" else "kept_drill"
            seconds[way].append(_spent(function, job)["result"]["seconds"])
            forget(database)
        for way in ("files", "warm"):
            if way == "warm":
                measured("bench.warm:kept_drill", job)
            with database.session(superuser=True) as cursor:
                cursor.execute(CHANGE)
            answer = _spent("restored", job)
            if bool(answer["result"]["warm_used"]) != (way == "warm"):
                raise RuntimeError(f"the restore from {way} went the other way: {answer}")
            seconds[way].append(answer["result"]["seconds"])
            if way == "warm":
                peaks.append(answer["peak_mb"])
            forget(database)
        print(", ".join(f"{way} {each[-1]:.2f} s" for way, each in seconds.items()), flush=True)
    return seconds, max(peaks)


def _spent(function: str, job: dict[str, Any]) -> dict[str, Any]:
    os.sync()
    return measured(f"bench.warm:{function}", job)


def _ratio(dividends: list[float], divisors: list[float]) -> float:
    """Return the median of the ratios of pairs."""
    return statistics.median(a / b for a, b in zip(dividends, divisors, strict=True))
