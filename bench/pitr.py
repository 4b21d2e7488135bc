# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""What continuous protection loses and costs, on servers of its own with a disk and fsync.

python -m bench pitr        # PITR_ROUNDS=20 PITR_ROWS=2000000 PITR_PARTS=costs,whole,loss
"""

from __future__ import annotations

import importlib
import os
import statistics
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from bench.common import Figure, timed

ROUNDS = int(os.environ.get("PITR_ROUNDS", "20"))
PARTS = os.environ.get("PITR_PARTS", "costs,whole,loss").split(",")
ROWS = int(os.environ.get("PITR_ROWS", "2000000"))
CLIENTS = 8
WRITE_SECONDS = 4.0
TPS_ROUNDS = 5
TPS_SECONDS = 8.0
SCHEMA = """
CREATE TABLE acked (client int, n int, PRIMARY KEY (client, n), note text DEFAULT repeat('x', 80));
"""
DATA = f"""
CREATE TABLE prices AS
SELECT n AS id, timestamptz '2026-01-01' + n * interval '1 minute' AS at, 'T' || n % 40 AS ticker,
       random() AS price, repeat(md5(n::text), 2) AS note
  FROM generate_series(1, {ROWS}) n;
ALTER TABLE prices ADD PRIMARY KEY (id);
"""


class Acknowledged:
    """Clients that commit a row at a time, and when each row was acknowledged."""

    def __init__(self, server: Any) -> None:
        self.rows: list[list[tuple[int, float]]] = [[] for _ in range(CLIENTS)]
        self._first: dict[int, int] = {}
        writers = importlib.import_module("tests.support.writers")
        self.clients = writers.Writers(server, self._write, CLIENTS)

    def _write(self, session: Any, client: int) -> None:
        with session.cursor() as cursor:
            if client not in self._first:
                cursor.execute("SELECT coalesce(max(n), 0) FROM acked WHERE client = %s", (client,))
                self._first[client] = int(cursor.fetchone()[0])
            number = self._first[client] + len(self.rows[client]) + 1
            cursor.execute("INSERT INTO acked VALUES (%s, %s)", (client, number))
        self.rows[client].append((number, time.monotonic()))

    def count(self) -> int:
        """Return how many rows were acknowledged."""
        return sum(len(each) for each in self.rows)


@contextmanager
def protected_server(volume: str | None = None, **settings: str) -> Iterator[tuple[Any, Any]]:
    """Give a server with a database ``book``, and its protection."""
    import docker
    from ansible.module_utils.pmsops.pitr.run import Protection
    from ansible.module_utils.pmsops.pitr.settings import Settings

    running_server = importlib.import_module("tests.support.server").running_server
    network = docker.from_env().networks.create(f"pitr-{uuid.uuid4().hex[:8]}")
    try:
        with (
            suppress(docker.errors.NotFound),  # it was destroyed
            running_server(in_memory=False, volume=volume, fsync="on", **settings) as server,
        ):
            network.connect(server.container)
            server.container.reload()
            database = server.create("book")
            server.psql(SCHEMA, "book")
            made = Protection(database, Settings(f"pitr_{uuid.uuid4().hex[:8]}", "pms-lab/pitr:17"))
            made.enable(check=False)
            try:
                yield server, made
            finally:
                made.container.remove()
                made.container.remove_volumes()
    finally:
        network.reload()
        for each in network.containers:
            network.disconnect(each, force=True)
        network.remove()


def lost_rows() -> tuple[int, float, int]:
    """Destroy a server under writers; return rows lost, the age of the oldest, rows written.

    The age is how long before the last acknowledgement of all the oldest lost row had its own, in
    seconds.
    """
    from ansible.module_utils.pmsops.pitr.moment_set import MomentSet

    with (
        protected_server() as (server, protection),
        (writers := Acknowledged(server)).clients,
    ):
        time.sleep(WRITE_SECONDS)
        image, name = server.container.image, server.container.name
        arguments = server.container.attrs["Config"]["Cmd"]
        server.container.kill()
        server.container.remove(force=True, v=True)  # its data are gone with it
        time.sleep(2)
        # A recovery needs its image only: an empty container that has never run.
        empty = server.container.client.containers.create(image, command=arguments, name=name)
        try:
            at_work = MomentSet(protection, "latest")
            with (
                at_work.recovered(at_work.throw_away(), at_work.plan(), {}) as (copy, _reached),
                copy.database.session(read_only=True) as cursor,
            ):
                cursor.execute("SELECT client, max(n), count(*) FROM acked GROUP BY client")
                held = {client: newest for client, newest, _count in cursor.fetchall()}
        finally:
            empty.remove(force=True, v=True)
    ended = max(at for rows in writers.rows for _, at in rows)
    ages = [
        ended - at
        for client, rows in enumerate(writers.rows)
        for number, at in rows
        if number > held.get(client, 0)
    ]
    return len(ages), max(ages, default=0.0), writers.count()


def transactions(server: Any, protection: Any) -> tuple[float, float]:
    """Return transactions per second with the stream on, and off: medians of rounds in turn."""
    found: dict[bool, list[float]] = {True: [], False: []}
    receiver = protection.container.find()
    for number in range(2 * TPS_ROUNDS):
        on = number % 2 == 0
        if number:
            receiver.start() if on else receiver.stop(timeout=2)
        time.sleep(8)  # it begins to stream, and has what is due
        with (writers := Acknowledged(server)).clients:
            time.sleep(TPS_SECONDS)
            found[on].append(writers.count() / TPS_SECONDS)
    receiver.start()
    print(f"transactions a second: on {_list(found[True])}, off {_list(found[False])}", flush=True)
    return statistics.median(found[True]), statistics.median(found[False])


def base_backups(server: Any, protection: Any) -> tuple[int, int, int]:
    """Return the bytes of a full base backup, of an incremental one, and of its maps of free space.

    Nothing changes between both: the tables are vacuumed and checkpointed before.
    """
    server.psql("VACUUM (FREEZE, ANALYZE)", "book")
    server.psql("CHECKPOINT")
    sizes = []
    for kind in ("full", "incremental"):
        made = protection.backup(kind)
        count = f"find /var/lib/barman/pms/base/{made['id']}/data -type f"
        words = [f"{count} -printf '%s\\n'", f"{count} -name '*_fsm' -printf '%s\\n'"]
        for each in words:
            said = protection.container.run(["sh", "-c", each]).output
            sizes.append(sum(int(line) for line in said.split()))
    return sizes[0], sizes[2], sizes[3]


def memory_mb(protection: Any) -> float:
    """Return what the container keeps in memory, without the cache of files."""
    usage = protection.container.find().stats(stream=False)["memory_stats"]
    return float((usage["usage"] - usage["stats"].get("inactive_file", 0)) / 1e6)


def restores(protection: Any) -> tuple[float, float]:
    """Return the seconds of a proved restore of a moment, and of a set of the same data."""
    from ansible.module_utils.pmsops.backup import run as backup
    from ansible.module_utils.pmsops.backup.settings import Settings as BackupSettings
    from ansible.module_utils.pmsops.common.progress import Progress
    from ansible.module_utils.pmsops.pitr.moment_set import MomentSet
    from ansible.module_utils.pmsops.restore.request import Request
    from ansible.module_utils.pmsops.restore.run import restore_set

    with tempfile.TemporaryDirectory(prefix="pms-bench-") as folder:
        root, keys = Path(folder) / "sets", Path(folder) / "keys"
        settings = BackupSettings(root=root, keys=keys, trial="none", canary=False)
        made = backup.run(protection.database, settings, progress=Progress())

        def restored(file: Path) -> None:
            request = Request(root=root, keys=keys, file=file)
            restore_set(protection.database, request, progress=Progress())

        of_set, _ = timed(restored, Path(made["set"]))
        making, moment = timed(MomentSet(protection, "latest").make, settings)
        print(f"set of a moment: {making:.1f} s, {moment['phases']}", flush=True)
        of_moment, _ = timed(restored, Path(moment["set"]))
        again, _ = timed(restored, Path(made["set"]))
    return making + of_moment, min(of_set, again)


def whole_server() -> tuple[float, float]:
    """Return the seconds until a server that is lost with its volume is back, and by a set.

    Both from an empty server in a new volume to the proved database; the base backup that follows
    is not counted, and neither is the way to the empty server.
    """
    import docker
    from ansible.module_utils.pmsops.backup import run as backup
    from ansible.module_utils.pmsops.backup.settings import Settings as BackupSettings
    from ansible.module_utils.pmsops.common.progress import Progress
    from ansible.module_utils.pmsops.pitr.whole_server import WholeServer
    from ansible.module_utils.pmsops.restore.request import Request
    from ansible.module_utils.pmsops.restore.run import restore_set
    from ansible.module_utils.pmsops.services.manager import Services

    client = docker.from_env()
    volume = client.volumes.create(f"pitr-{uuid.uuid4().hex[:8]}")
    with tempfile.TemporaryDirectory(prefix="pms-bench-") as folder:
        root, keys = Path(folder) / "sets", Path(folder) / "keys"
        settings = BackupSettings(root=root, keys=keys, trial="none", canary=False)
        with protected_server(volume.name) as (server, protection):
            networks = set(server.container.attrs["NetworkSettings"]["Networks"]) - {"bridge"}
            server.psql(DATA, "book")
            made = backup.run(protection.database, settings, progress=Progress())
            protection.backup("full")
            server.psql("INSERT INTO acked VALUES (1, 1)", "book")
            time.sleep(1)

            def anew() -> None:
                server.make_anew(with_volume=False)
                for name in networks:
                    client.networks.get(name).connect(server.container)

            anew()
            one = WholeServer(protection, root, Services("none", ()))
            result = one.run()
            physical = result["serves_after_seconds"]
            print(f"whole server: {result['phases']}", flush=True)
            if server.psql("SELECT count(*) FROM acked", "book") != "1":
                raise SystemExit("the server that was brought back lacks its last row")
            if result["kept_volume"]:
                client.volumes.get(result["kept_volume"]).remove(force=True)
            anew()
            server.wait()
            server.make_roles()
            request = Request(root=root, keys=keys, file=Path(made["set"]), keep=True)
            logical, _ = timed(restore_set, protection.database, request, progress=Progress())
        with suppress(docker.errors.NotFound):
            client.volumes.get(volume.name).remove(force=True)
    return physical, logical


def costs() -> Iterator[Figure]:
    """Give what protection costs, and what a restore of a moment does."""
    with protected_server(summarize_wal="on") as (server, protection):
        with Acknowledged(server).clients:
            time.sleep(2)
        memory = memory_mb(protection)
        on, off = transactions(server, protection)
        clients = f"{on:.0f} and {off:.0f}, {CLIENTS} clients"
        yield Figure("pitr: transactions a second with the stream on against off", on / off, 0.95,
                     "x", at_least=True, note=clients)  # fmt: skip
        yield Figure("pitr: memory of the container", memory, 150, "MB")
        server.psql(DATA, "book")
        full, increment, maps = base_backups(server, protection)
        yield Figure(
            "pitr: incremental base backup of unchanged data against full",
            100 * increment / full,
            5,
            "%",
            note=f"{increment / 1e6:.1f} of {full / 1e6:.1f} MB; {maps / 1e6:.1f} MB of it are maps"
            " of free space, which PostgreSQL copies whole",
        )
        at, plain = restores(protection)
        yield Figure("pitr: restore of a moment against restore of a set", at / plain, 1.5, "x",
                     note=f"{at:.1f} s and {plain:.1f} s, proof included, swap not")  # fmt: skip


def whole() -> Iterator[Figure]:
    """Give what a whole server takes."""
    physical, logical = whole_server()
    yield Figure("pitr: whole server back from nothing, by a set against by pages",
                 logical / physical, 2, "x", at_least=True,
                 note=f"{logical:.1f} s and {physical:.1f} s, proof included")  # fmt: skip


def loss() -> Iterator[Figure]:
    """Give what is lost with a server, again and again."""
    lost = []
    for number in range(ROUNDS):
        lost.append(lost_rows())
        print(f"loss {number + 1}: {lost[-1][0]} of {lost[-1][2]} rows, the oldest acknowledged"
              f" {lost[-1][1]:.3f} s before the last one", flush=True)  # fmt: skip
    most, age = max(each[0] for each in lost), max(each[1] for each in lost)
    yield Figure(f"pitr: age of the oldest row lost with the server, {len(lost)} times", age, 1,
                 "s", note=f"at most {most} rows at a time")  # fmt: skip


def figures() -> list[Figure]:
    """Measure, each on a server of its own where one is destroyed."""
    every = {"costs": costs, "whole": whole, "loss": loss}
    found = []
    for part in PARTS:
        for figure in every[part]():
            found.append(figure)
            print(figure.row(), flush=True)
    return found


def _list(values: list[float]) -> str:
    return ", ".join(f"{each:.0f}" for each in values)
