# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a chunk costs when there are many: processor seconds and memory at 300, 3,000 and 20,000.

Counted are the processors' seconds of the server, of the client tools and of Python, so that other
work on the machine does not matter. A chunk holds four rows: only what each chunk costs by itself
is left.
"""

from __future__ import annotations

import importlib
import os
import resource
import shutil
import tempfile
from pathlib import Path
from typing import Any

from bench.common import Figure, measured

SIZES = (300, 3000, 20_000)
SAME = 1.3  # times the seconds for a chunk, of the most against a tenth of them
MEMORY_MB = 120
CHUNKS_AT_ONCE = 500  # of one transaction
MAKE = """
CREATE TABLE md (at timestamptz NOT NULL, symbol int NOT NULL, price float8,
                 PRIMARY KEY (at, symbol));
ALTER TABLE md OWNER TO macro_user;
SELECT create_hypertable('md', 'at', chunk_time_interval => interval '1 day');
"""
FILL = """
INSERT INTO md SELECT timestamptz '1900-01-01 00:00Z' + d * interval '1 day'
                      + s * interval '1 minute', s, s * 1.5 + d
                 FROM generate_series({first}, {last}) d, generate_series(1, 4) s
"""


def work(kind: str, database: dict[str, Any], root: str) -> dict[str, float]:
    """Do one of backup, verify, restore; return the seconds of this process and its tools."""
    from ansible.module_utils.pmsops.common.progress import Progress
    from ansible.module_utils.pmsops.postgresql.connection import Database
    from ansible.module_utils.pmsops.repository import sets
    from ansible.module_utils.pmsops.restore.request import Request
    from ansible.module_utils.pmsops.restore.run import restore_set
    from ansible.module_utils.pmsops.verify import database as comparison

    from bench.backup import our_backup

    reached, folder = Database(**database), Path(root)
    if kind == "backup":
        our_backup(database, root, tables=())
    elif kind == "verify":
        newest = sets.resolve(sets.newest(folder / "sets"))
        sets.check(newest, folder / "keys")
        found = comparison.differences(reached, newest.manifest or {})
        if found:
            raise SystemExit(f"{len(found)} differences, the first: {found[0].text()}")
    else:
        request = Request(root=folder / "sets", keys=folder / "keys", keep=False, warm=False)
        restore_set(reached, request, progress=Progress(request.progress_file))
    spent = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return {"seconds": sum(each.ru_utime + each.ru_stime for each in spent)}


def figures(sizes: tuple[int, ...] = SIZES) -> list[Figure]:
    """Measure at each size, one server for all; the ratios are of the last two sizes."""
    support = importlib.import_module("tests.support.server")
    tools = importlib.import_module("tests.support.client_tools")
    cost: dict[str, dict[int, float]] = {kind: {} for kind in ("backup", "verify", "restore")}
    peaks: dict[str, float] = {}
    settings = {"max_locks_per_transaction": str(max(sizes) // 3 + 500)}
    with (
        support.running_server(in_memory=False, **settings) as server,
        tempfile.TemporaryDirectory(prefix="pms-bench-") as folder,
    ):
        for size in sizes:
            database = _filled(server, size)
            here = tools.reached_from_here(database, tools.of_image(support.IMAGE))
            options = {name: getattr(here, name) for name in here.__dataclass_fields__}
            root = Path(folder) / str(size)
            for kind, seconds in cost.items():
                before = _server_seconds(server)
                job = {"kind": kind, "database": options, "root": str(root)}
                answer = measured("bench.growth:work", job)
                spent = answer["result"]["seconds"] + _server_seconds(server) - before
                seconds[size] = spent / size
                peaks[kind] = answer["peak_mb"]
                print(f"{size} chunks, {kind}: {spent:.1f} processor seconds,"
                      f" {1000 * seconds[size]:.2f} ms a chunk, {answer['peak_mb']:.0f} MB, load"
                      f" {os.getloadavg()[0]:.0f}", flush=True)  # fmt: skip
            server.drop(database.name)
            shutil.rmtree(root)
    most, fewer = sizes[-1], sizes[-2]
    return [
        *(Figure(f"growth: {kind}, a chunk of {most} against one of {fewer}",
                 seconds[most] / seconds[fewer], SAME, "x") for kind, seconds in cost.items()),
        *(Figure(f"growth: resident memory, {kind} of {most} chunks", peaks[kind], MEMORY_MB, "MB")
          for kind in cost),
    ]  # fmt: skip


def _filled(server: Any, size: int) -> Any:
    """Make a database with so many chunks; each transaction makes some of them."""
    database = server.create(f"growth_{size}")
    server.psql(MAKE, database.name)
    for first in range(0, size, CHUNKS_AT_ONCE):
        last = min(first + CHUNKS_AT_ONCE, size) - 1
        server.psql(FILL.format(first=first, last=last), database.name)
    return database


def _server_seconds(server: Any) -> float:
    """Return the seconds of the processors that the server's container has used."""
    known = server.container.stats(stream=False)["cpu_stats"]["cpu_usage"]["total_usage"]
    return float(known) / 1e9
