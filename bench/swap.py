# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a swap costs its clients."""

from __future__ import annotations

import statistics
import tempfile
import threading
import time
from typing import Any

from bench.common import Figure, measured, start_lab, stop_lab

SCALE = 1  # a rename costs the same whatever the size
CLIENTS = 8
SWAPS = 5


def figures(scale: int = SCALE) -> list[Figure]:
    """Measure swaps and rollbacks under clients that ask without pause."""
    database = start_lab(scale, alone=True)
    options = {name: getattr(database, name) for name in database.__dataclass_fields__}
    with tempfile.TemporaryDirectory(prefix="pms-bench-") as folder:
        job = {"database": options, "root": folder}
        measured("bench.backup:our_backup", job)
        windows, mixtures, rollback = swaps(database, job)
    stop_lab()
    shown = ", ".join(f"{1000 * each:.0f}" for each in windows)
    return [
        Figure(f"swap: errors of {CLIENTS} clients lie within", statistics.median(windows) * 1000,
               150, "ms", note=f"each of {SWAPS}: {shown}"),
        Figure("swap: answers that are a mixture", mixtures, 0),
        Figure("swap: rollback without services", rollback, 2, "s"),
    ]  # fmt: skip


def swaps(database: Any, job: dict[str, Any]) -> tuple[list[float], int, float]:
    """Return the span of errors in each swap, answers of two databases at once, rollback."""
    mark(database, "live")
    incoming = measured("bench.restore:our_restore", job | {"keep": True})["result"]["side"]
    mark(database.named(incoming), "copy")
    windows, rollbacks, mixtures = [], [], 0
    for _ in range(SWAPS):
        clients = Clients(database)
        with clients:
            swap = job | {"state": "swapped", "incoming": incoming}
            measured("bench.restore:our_swap", swap)
        windows.append(clients.window())
        mixtures += len(clients.seen - {("live", "live"), ("copy", "copy")})
        back = job | {"state": "rolled_back", "incoming": None}
        undone = measured("bench.restore:our_swap", back)["result"]
        rollbacks.append(undone["seconds"])
        incoming = undone["former"]  # the same database, renamed by the rollback
    return windows, mixtures, max(rollbacks)


def mark(database: Any, word: str) -> None:
    """Write a word into two tables, so that an answer tells from which database each half is."""
    with database.session(superuser=True) as cursor:
        for table in ("bench_one", "bench_two"):
            cursor.execute(f"DROP TABLE IF EXISTS public.{table}")
            cursor.execute(f"CREATE TABLE public.{table} AS SELECT %s::text AS word", (word,))


class Clients:
    """Clients that ask without pause, reconnect at once, and note what they saw and when not."""

    def __init__(self, database: Any) -> None:
        self.database = database
        self.seen: set[tuple[str, str]] = set()
        self.errors: list[float] = []
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._ask) for _ in range(CLIENTS)]

    def __enter__(self) -> Clients:
        for thread in self._threads:
            thread.start()
        time.sleep(1)
        return self

    def __exit__(self, *_exc: object) -> None:
        time.sleep(1)
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def window(self) -> float:
        """Return the seconds between the first error and the last."""
        return max(self.errors) - min(self.errors) if self.errors else 0.0

    def _ask(self) -> None:
        import psycopg2
        from ansible.module_utils.pmsops.common.errors import OpsError

        connection = None
        while not self._stop.is_set():
            try:
                if connection is None:
                    connection = self.database.connect(autocommit=True)
                with connection.cursor() as cursor:
                    cursor.execute(
                        "SELECT a.word, b.word FROM public.bench_one a, public.bench_two b"
                    )
                    self.seen.add(cursor.fetchone())
            except (OpsError, psycopg2.Error):
                self.errors.append(time.monotonic())
                connection = None
        if connection is not None:
            connection.close()
