# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a backup costs, against pg_dump by itself."""

from __future__ import annotations

import math
import shutil
import statistics
import tempfile
from pathlib import Path
from typing import Any

from bench.common import Figure, measured, start_lab, stop_lab, timed

ROUNDS = 3
TRIAL_SECONDS = 5
SCALES = (1, 3, 10)


TABLES = (
    "portfolio_positions",
    "trade_proposals",
    "decision_journal",
    "daily_briefings",
    "position_pnl_history",
)


def our_backup(
    database: dict[str, Any], root: str, trial: str = "none", tables: tuple[str, ...] = TABLES
) -> dict[str, Any]:
    """Make a set the way the module does; return what it returns.

    The trial of a set, which pg_dump has no counterpart of, has a figure of its own.
    """
    from ansible.module_utils.pmsops.backup import run as backup
    from ansible.module_utils.pmsops.backup.settings import Settings
    from ansible.module_utils.pmsops.common.progress import Progress
    from ansible.module_utils.pmsops.postgresql.connection import Database

    settings = Settings(
        root=Path(root) / "sets",
        keys=Path(root) / "keys",
        tables=tables,
        trial=trial,
    )
    return backup.run(Database(**database), settings, progress=Progress(settings.progress_file))


def bare_dump(database: Any, root: Path, *arguments: str) -> None:
    """Run pg_dump by itself, the same way and into the same file system."""
    from ansible.module_utils.pmsops.client_tools import factory as client_tools

    target = root / "bare"
    status, errors = client_tools.for_database(database).run(
        "pg_dump", [f"--file={target}", *arguments], folders={root: "rw"}
    )
    if status:
        raise RuntimeError(errors)
    shutil.rmtree(target) if target.is_dir() else target.unlink()


def figures(scales: tuple[int, ...] = SCALES) -> list[Figure]:
    """Measure at each scale; the ratios are those of the largest."""
    peaks: dict[int, float] = {}
    seconds: dict[int, float] = {}
    sizes: dict[int, int] = {}
    found: list[Figure] = []
    for scale in scales:
        database = start_lab(scale, alone=True)
        options = {name: getattr(database, name) for name in database.__dataclass_fields__}
        with tempfile.TemporaryDirectory(prefix="pms-bench-") as folder:
            root = Path(folder)
            with database.session(read_only=True) as cursor:
                cursor.execute("SELECT pg_database_size(current_database())")
                sizes[scale] = cursor.fetchone()[0]
            naive, bare, ours = [], [], []
            for round_number in range(ROUNDS if scale == scales[-1] else 2):
                target = root / f"round{round_number}"
                job = {"database": options, "root": str(target)}
                bare.append(timed(bare_dump, database, root, "-Fd", "-j2", "-Zzstd:1")[0])
                # Python's start is part of what an operator waits for, Ansible's is not measured.
                spent, answer = timed(measured, "bench.backup:our_backup", job)
                ours.append(spent)
                peaks[scale] = max(peaks.get(scale, 0), answer["peak_mb"])
                if scale == scales[-1]:
                    naive.append(timed(bare_dump, database, root, "-Fc")[0])
                if scale == scales[-1] and round_number == 0:
                    again = measured("bench.backup:our_backup", job)
                    share = again["result"]["new_bytes"] / again["result"]["size_bytes"]
                    tried = measured("bench.backup:our_backup", job | {"trial": "schema"})
                shutil.rmtree(target)
            seconds[scale] = statistics.median(ours)
        print(f"scale {scale}: {sizes[scale] / 1e6:.0f} MB, ours {seconds[scale]:.1f} s,"
              f" bare {statistics.median(bare):.1f} s", flush=True)  # fmt: skip
        if scale == scales[-1]:
            found += [
                Figure("backup: pg_dump -Fc against ours, times faster",
                       statistics.median(naive) / seconds[scale], 3, "x", at_least=True),
                Figure("backup: ours against pg_dump -Fd -j2 -Z zstd:1",
                       seconds[scale] / statistics.median(bare), 1.6, "x"),
                Figure("backup: a trial of the set",
                       tried["result"]["trial"]["seconds"], TRIAL_SECONDS, "s"),
                Figure("backup: disk added by a set of unchanged data", share * 100, 2, "%"),
            ]  # fmt: skip
    stop_lab()
    for scale in (scales[0], scales[-1]):
        found.append(Figure(f"backup: resident memory at scale {scale}", peaks[scale], 120, "MB"))
    if len(scales) > 1:
        first, last = scales[0], scales[-1]
        exponent = math.log(seconds[last] / seconds[first]) / math.log(sizes[last] / sizes[first])
        found.append(Figure("backup: growth of time with size (1 is linear)", exponent, 1.0))
    return found
