# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""One damaged table of 300: a restore of what differs against that of the whole set."""

from __future__ import annotations

import statistics
import tempfile
from pathlib import Path
from typing import Any

from bench.common import Figure, measured, start_lab, stop_lab, timed
from bench.restore import our_restore, our_swap

ROUNDS = 3
SCALE = 1
TABLES = 300
ROWS = 5_000
# A table like those of the PMS: a key, a text, numbers, an index beside.
MAKE = """
SET ROLE macro_user;
CREATE SCHEMA bench_tables;
DO $$ BEGIN FOR n IN 1..{tables} LOOP
  EXECUTE format('CREATE TABLE bench_tables.t%s (id int PRIMARY KEY, at timestamptz, name text,
                                                 price numeric, size float8)', n);
  EXECUTE format('INSERT INTO bench_tables.t%s SELECT i, now(), md5(i::text), i / 7.0, random()
                    FROM generate_series(1, {rows}) i', n);
  EXECUTE format('CREATE INDEX ON bench_tables.t%s (at)', n);
END LOOP; END $$
"""
DAMAGE = "UPDATE bench_tables.t7 SET price = 0 WHERE id % 3 = 0"


def only_different(database: dict[str, Any], root: str) -> dict[str, Any]:
    """Restore what differs from the newest set; return the seconds and the source."""
    from ansible.module_utils.pmsops.common.progress import Progress
    from ansible.module_utils.pmsops.postgresql.connection import Database
    from ansible.module_utils.pmsops.restore.only_different import OnlyDifferent
    from ansible.module_utils.pmsops.restore.request import Request

    request = Request(root=Path(root) / "sets", keys=Path(root) / "keys", keep=True)
    one = OnlyDifferent(Database(**database), request, Progress(request.progress_file))
    seconds, result = timed(one.run)
    return {"seconds": seconds, "source": result["source"], "phases": result["phases"]}


def whole(database: dict[str, Any], root: str) -> dict[str, Any]:
    """Restore the set from its files, and swap, without services; return the seconds."""
    seconds, made = timed(our_restore, database, root, True)
    return {"seconds": seconds + our_swap(database, root, "swapped", made["side"])["seconds"]}


def keep(database: dict[str, Any], root: str) -> None:
    """Keep the warm copy of the set, as a drill does."""
    from ansible.module_utils.pmsops.common.progress import Progress
    from ansible.module_utils.pmsops.postgresql.connection import Database
    from ansible.module_utils.pmsops.restore.request import Request
    from ansible.module_utils.pmsops.restore.run import restore_set

    request = Request(root=Path(root) / "sets", keys=Path(root) / "keys", warm=True)
    restore_set(Database(**database), request, progress=Progress())


def figures(scale: int = SCALE) -> list[Figure]:
    """Measure restores of one damaged table in turn: from the files, from the copy, and whole."""
    database = start_lab(scale, alone=True)
    options = {name: getattr(database, name) for name in database.__dataclass_fields__}
    with database.session(superuser=True) as cursor:
        cursor.execute(MAKE.format(tables=TABLES, rows=ROWS))
    with tempfile.TemporaryDirectory(prefix="pms-bench-") as folder:
        job = {"database": options, "root": folder}
        measured("bench.backup:our_backup", job)
        seconds = rounds(database, job)
    stop_lab()
    ratios = {
        way: statistics.median(w / one for w, one in zip(seconds["whole"], spent, strict=True))
        for way, spent in seconds.items()
    }
    medians = ", ".join(f"{way} {statistics.median(each):.1f} s" for way, each in seconds.items())
    return [
        Figure("restore: one damaged table of 300 by the warm copy, times", ratios["copy"], 4, "x",
               at_least=True, note=f"medians: {medians}"),
        Figure("restore: one damaged table of 300 from the files, times", ratios["files"], 1, "x",
               at_least=True),
    ]  # fmt: skip


def rounds(database: Any, job: dict[str, Any]) -> dict[str, list[float]]:
    """Return the seconds of each way, one value per round."""
    seconds: dict[str, list[float]] = {"whole": [], "files": [], "copy": []}
    for _ in range(ROUNDS):
        for way in ("whole", "files", "copy"):
            if way == "copy":
                measured("bench.different:keep", job)
            with database.session(superuser=True) as cursor:
                cursor.execute(DAMAGE)
            function = "whole" if way == "whole" else "only_different"
            done = measured(f"bench.different:{function}", job)["result"]
            seconds[way].append(done["seconds"])
            print(way, done, flush=True)
        forget(database)
    return seconds


def forget(database: Any) -> None:
    """Drop what the round left beside: former databases and tables, and the warm copy."""
    from ansible.module_utils.pmsops.restore import former_tables, registry, staging_database

    former_tables.drop(database, ["all"])
    found = registry.read_from(database)
    kinds = (registry.FORMER, registry.UNDONE, registry.WARM)
    for each in registry.select(found, database.name, *kinds):
        staging_database.drop(database, each.name)
