# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a proved restore costs against pg_restore by itself."""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from bench.common import Figure, measured, start_lab, stop_lab, timed

ROUNDS = 3
SCALE = 10
# ext4 counts a minute from the removal of a file, once that is written to the disk.
FORGOTTEN_SECONDS = 65
# A second of one processor: hashing, sorting, and no disk.
WORK = """
SELECT count(*) FROM (SELECT hashtext(n::text) AS hash FROM generate_series(1, 1200000) n
                       ORDER BY hash) sorted
"""
# The phases that prove the staging database; all others restore it.
PROOF = ("preflight", "liveness", "prove", "queries", "drop")


def our_restore(database: dict[str, Any], root: str, keep: bool) -> dict[str, Any]:
    """Restore the newest set into a staging database like the module; return what it returns."""
    from ansible.module_utils.pmsops.common.progress import Progress
    from ansible.module_utils.pmsops.postgresql.connection import Database
    from ansible.module_utils.pmsops.restore.request import Request
    from ansible.module_utils.pmsops.restore.run import restore_set

    request = Request(root=Path(root) / "sets", keys=Path(root) / "keys", keep=keep)
    return restore_set(Database(**database), request, progress=Progress(request.progress_file))


def our_swap(
    database: dict[str, Any], root: str, state: str, incoming: str | None
) -> dict[str, Any]:
    """Swap, or roll back, without services; return the seconds and the former database."""
    from ansible.module_utils.pmsops.postgresql.connection import Database
    from ansible.module_utils.pmsops.restore.swap_run import SwapRun
    from ansible.module_utils.pmsops.services.manager import Services

    one = SwapRun(Database(**database), Services("none", ()), None, None, Path(root) / "sets")
    seconds, result = timed(one.run, state, incoming)
    return {"seconds": seconds, "former": result["former"]}


class Bare:
    """pg_restore by itself, into a database of its own."""

    def __init__(self, database: Any, dump: Path, folder: Path) -> None:
        from ansible.module_utils.pmsops.client_tools import archive_toc
        from ansible.module_utils.pmsops.client_tools import factory as client_tools

        self.live = database
        self.target = database.named("bare")
        self.dump = dump
        self.folder = folder
        self.tools = client_tools.for_database(database)
        self.contents = archive_toc.read(self.tools, dump)

    def serial(self) -> float:
        """Restore with one process, TimescaleDB's way; return the seconds it took."""
        return self._timed(lambda: self._run("all", self.contents.without([])))

    def phased(self) -> float:
        """Restore in the phases that TimescaleDB allows, with two processes where it does."""

        def phases() -> None:
            self._run("pre-data", self.contents.without([]), "--section=pre-data")
            names = [
                line.split(" TABLE DATA ")[1].split()
                for line in self.contents.lines
                if " TABLE DATA _timescaledb_c" in line
            ]
            catalogue = {(schema, name) for schema, name, *_owner in names}
            self._run("catalogue", self.contents.data_of(catalogue), "--section=data")
            rest = self.contents.data_not_of(catalogue)
            self._run("data", rest, "--section=data", "--jobs=2")
            self._run("post-data", self.contents.without([]), "--section=post-data", "--jobs=2")

        return self._timed(phases)

    def _timed(self, work: Callable[[], None]) -> float:
        from ansible.module_utils.pmsops.restore import staging_database

        spent, _ = timed(self._around, work)
        staging_database.drop(self.live, self.target.name)
        return spent

    def _around(self, work: Callable[[], None]) -> None:
        from ansible.module_utils.pmsops.restore import staging_database

        staging_database.execute(
            self.live, [f"CREATE DATABASE {self.target.name} TEMPLATE template0"]
        )
        with self.target.session(superuser=True, autocommit=True) as cursor:
            cursor.execute("CREATE EXTENSION timescaledb")
            cursor.execute("SELECT timescaledb_pre_restore()")
        work()
        with self.target.session(superuser=True, autocommit=True) as cursor:
            cursor.execute("SELECT timescaledb_post_restore()")
            cursor.execute("ANALYZE")

    def _run(self, name: str, entries: list[str], *arguments: str) -> None:
        listing = self.folder / f"{name}.entries"
        listing.write_text("\n".join(entries) + "\n")
        status, output = self.tools.run(
            "pg_restore",
            [
                f"--dbname={self.target.name}",
                f"--use-list={listing}",
                "--role=pms_restore",
                "--exit-on-error",
                *arguments,
                str(self.dump),
            ],
            folders={self.folder: "ro", self.dump.parent: "ro"},
        )
        if status:
            raise RuntimeError(output)


class Busy:
    """How many of the machine's processors were at work, on average, while something ran."""

    def __init__(self) -> None:
        self.spent = self.idle = 0.0

    def during(self, work: Callable[..., Any], *arguments: Any) -> Any:
        """Run *work*; return its result."""
        before = _idle_seconds()
        spent, result = timed(work, *arguments)
        self.idle += _idle_seconds() - before
        self.spent += spent
        return result

    def __str__(self) -> str:
        return f"{(os.cpu_count() or 1) - self.idle / self.spent:.2f}"


def _idle_seconds() -> float:
    """Return how long all processors together have been idle, or have waited for a disk."""
    fields = Path("/proc/stat").read_text().split("\n", 1)[0].split()
    return sum(int(each) for each in fields[4:6]) / os.sysconf("SC_CLK_TCK")


class Rounds:
    """Restores in turn: serial, phased and ours; the seconds of each, one value per round.

    Each is dropped. For a minute after a removal, ext4 skips the inodes of the removed files one by
    one, so a restore within that minute creates its thousands of files more slowly: its definitions
    take 1.2 s instead of 0.6. So the next restore waits.
    """

    def __init__(self, database: Any, by_hand: Bare, job: dict[str, Any]) -> None:
        self.database = database
        self.by_hand = by_hand
        self.job = job
        self.serial: list[float] = []
        self.bare: list[float] = []
        self.ours: list[float] = []
        self.proof: list[float] = []
        self.peaks: list[float] = []
        self.gains: list[float] = []
        self.alone, self.both = Busy(), Busy()

    def run(self) -> None:
        """Do one of each."""
        self.gains.append(two_at_once(self.database))
        settle()
        self.serial.append(self.alone.during(self.by_hand.serial))
        settle()
        self.bare.append(self.by_hand.phased())
        settle()
        once = self.job | {"keep": False}
        answer = self.both.during(measured, "bench.restore:our_restore", once)
        phases = answer["result"]["phases"]
        self.proof.append(sum(phases.get(name, 0) for name in PROOF if name != "drop"))
        self.ours.append(sum(spent for name, spent in phases.items() if name not in PROOF))
        self.peaks.append(answer["peak_mb"])
        print(f"two at once {self.gains[-1]:.2f}: serial {self.serial[-1]:.1f} s, phased"
              f" {self.bare[-1]:.1f} s, ours {self.ours[-1]:.1f} s", flush=True)  # fmt: skip

    def medians(self) -> tuple[float, float, float, float]:
        """Return the seconds of a serial restore, a phased one, ours, and of its proof."""
        return (
            statistics.median(self.serial),
            statistics.median(self.bare),
            statistics.median(self.ours),
            statistics.median(self.proof),
        )

    def __str__(self) -> str:
        serial, bare, ours, proof = self.medians()
        return (
            f"serial {serial:.1f} s, phased {bare:.1f} s, ours {ours:.1f} s and {proof:.1f} s of"
            " proof"
        )


def settle() -> None:
    """Let the disk write what is due, and the file system forget what was removed."""
    os.sync()
    time.sleep(FORGOTTEN_SECONDS)


def two_at_once(database: Any) -> float:
    """Return how much work two sessions do in the time of one: what a second job can gain at most.

    Two processors of a virtual machine are seldom worth two.
    """

    def work(_number: int = 0) -> None:
        with database.session(read_only=True) as cursor:
            cursor.execute("SET max_parallel_workers_per_gather = 0")
            cursor.execute("SET work_mem = '256MB'")
            cursor.execute(WORK)

    gains = []
    with ThreadPoolExecutor(2) as pool:
        for _ in range(3):
            one, _done = timed(work)
            two, _done = timed(lambda: list(pool.map(work, range(2))))
            gains.append(2 * one / two)
    return statistics.median(gains)


def figures(scale: int = SCALE) -> list[Figure]:
    """Measure restores in turn."""
    database = start_lab(scale, alone=True)
    options = {name: getattr(database, name) for name in database.__dataclass_fields__}
    with tempfile.TemporaryDirectory(prefix="pms-bench-") as folder:
        job = {"database": options, "root": folder}
        made = measured("bench.backup:our_backup", job)["result"]
        dump = next(Path(made["set"]).glob("*.pgdump"))
        rounds = Rounds(database, Bare(database, dump, Path(folder)), job)
        for _ in range(ROUNDS):
            rounds.run()
        print(f"scale {scale}: {rounds}", flush=True)
    stop_lab()
    serial, bare, ours, proof = rounds.medians()
    return [
        Figure("restore: serial pg_restore done right against ours, times faster",
               serial / ours, 1.8, "x", at_least=True,
               note=f"serial keeps {rounds.alone} processors busy, ours {rounds.both} of"
                    f" {os.cpu_count()}; two sessions at once do"
                    f" {statistics.median(rounds.gains):.2f} times the work of one"),
        Figure("restore: ours against the bare phased pg_restore -j2", ours / bare, 1.1, "x"),
        Figure("restore: proof against restore", proof / ours, 0.5, "x"),
        Figure("restore: resident memory", max(rounds.peaks), 120, "MB"),
    ]  # fmt: skip
