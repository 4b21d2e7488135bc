# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Restores, swaps and rolls back in processes that end by SIGKILL at a point that they are told.

Reads one line of json with the database and its folders, then one for each run: ``{"do": "swap",
"incoming": "x", "die_at": "after record swap"}``. ``do`` may be restore, drill, checkpoint (with
``note``), only (what differs), tables back, swap, rollback or recover; ``after``, in seconds,
stands for ``die_at``.
Answers each with the points that were passed and how it ended. Each run is a fork: what takes a
second, importing, is done once.
"""

from __future__ import annotations

import functools
import json
import os
import signal
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import ansible.module_utils

ansible.module_utils.__path__.append(str(Path(__file__).resolve().parents[2] / "module_utils"))

from ansible.module_utils.pmsops.approvals.consent import Consent
from ansible.module_utils.pmsops.backup import run as backup
from ansible.module_utils.pmsops.client_tools import host as host_tools
from ansible.module_utils.pmsops.client_tools import sidecar
from ansible.module_utils.pmsops.common import files, progress
from ansible.module_utils.pmsops.evidence import checkpoints as known_checkpoints
from ansible.module_utils.pmsops.pms import health, redis_cache
from ansible.module_utils.pmsops.postgresql import timescaledb_held_jobs, timescaledb_workers
from ansible.module_utils.pmsops.postgresql.connection import Database
from ansible.module_utils.pmsops.repository import checkpoints, sets
from ansible.module_utils.pmsops.restore import (
    phases,
    registry,
    renames,
    room,
    staging_database,
    swap,
    table_definitions,
    table_lock,
    tables_record,
    tables_rollback,
    warm_copy,
)
from ansible.module_utils.pmsops.restore.different_transfer import DifferentTransfer
from ansible.module_utils.pmsops.restore.journal import Journal
from ansible.module_utils.pmsops.restore.only_different import OnlyDifferent
from ansible.module_utils.pmsops.restore.request import Request
from ansible.module_utils.pmsops.restore.run import restore_set
from ansible.module_utils.pmsops.restore.swap_run import SwapRun
from ansible.module_utils.pmsops.services.manager import Services


class FileServices(Services):
    """Services that run while a file of their name is there."""

    @property
    def _folder(self) -> Path:
        return Path(self.project)

    def running(self) -> list[str]:
        return [name for name in self.names if (self._folder / name).exists()]

    def stop(self, names: list[str]) -> None:
        for name in names:
            (self._folder / name).unlink(missing_ok=True)
            passed(f"{name} is stopped")

    def start(self, names: list[str]) -> None:
        for name in names:
            (self._folder / name).touch()
            passed(f"{name} is started")


# What is done from outside: before and after each of these a run may die.
WATCHED = (
    (Journal, "record"),
    (Journal, "close"),
    (host_tools.HostTools, "start"),
    (sidecar.SidecarTools, "start"),
    (sidecar.SidecarTools, "_start"),
    (sidecar.SharedTools, "start"),
    (registry, "set_mark"),
    (staging_database, "create"),
    (staging_database, "drop"),
    (staging_database, "apply_settings"),
    (sets, "mark_verified"),
    (files, "_written_aside"),
    (files, "overwrite"),
    (timescaledb_held_jobs, "hold"),
    (timescaledb_held_jobs, "release"),
    (timescaledb_workers, "start_workers"),
    (timescaledb_workers, "workers"),
    (timescaledb_workers, "insert_test"),
    (redis_cache, "forget"),
    (health, "problems"),
    (renames, "end_sessions"),
    (warm_copy, "keep"),
    (warm_copy, "take"),
    (warm_copy, "drop_all"),
    (warm_copy, "note"),
    (swap.Swap, "exchange"),
    (swap.Swap, "open"),
    (swap.Swap, "finish"),
    (phases.PhasedRestore, "end_restoring"),
    (phases.PhasedRestore, "analyze"),
    (table_definitions, "into_transit"),
    (table_definitions, "out_of_transit"),
    (table_lock, "take"),
    (DifferentTransfer, "place"),
    (DifferentTransfer, "require_proved"),
    (tables_record, "write"),
    (warm_copy, "close"),
    (checkpoints, "make"),
    (known_checkpoints, "write"),
)
points: list[str] = []
die_at: str | None = None
out: Any = None


def passed(name: str) -> None:
    """Note a point, with its number where it comes again; die there where that is wanted."""
    again = sum(each.split(" #")[0] == name for each in points)
    points.append(f"{name} #{again + 1}" if again else name)
    if points[-1] == die_at:
        answer(done=False)
        os.kill(os.getpid(), signal.SIGKILL)


def answer(*, done: bool) -> None:
    """Say how far the run came."""
    out.write(json.dumps({"points": points, "done": done}) + "\n")
    out.flush()


def watch() -> None:
    """Have each of WATCHED, and the beginning of each phase, be a point."""
    for owner, name in WATCHED:
        real = getattr(owner, name)

        def wrapped(*args: Any, __real: Any = real, __name: str = name, **options: Any) -> Any:
            # A step and a tool have names of their own; that of a database changes each time.
            said = f"{__name} {args[1]}" if __name in ("record", "start", "_start") else __name
            passed(f"before {said}")
            result = __real(*args, **options)
            passed(f"after {said}")
            return result

        setattr(owner, name, functools.wraps(real)(wrapped))
    phase = progress.Progress.phase

    def phased(self: Any, name: str, **options: Any) -> Any:
        passed(f"phase {name}")
        return phase(self, name, **options)

    progress.Progress.phase = phased


def run(options: dict[str, Any], order: dict[str, Any]) -> None:
    """Do what an order says, from recovery on, as the playbook's tasks do."""
    database = Database(**options["database"])
    drill = order["do"] in ("drill", "checkpoint")
    request = Request(
        root=Path(options["root"]), keys=Path(options["keys"]), keep=not drill, warm=drill
    )
    if drill:  # the disk of a server in a container cannot be seen with the host's own tools
        room.free_bytes = lambda cursor, database: 10**12
    services = FileServices("files", tuple(options["services"]), options["folder"])
    one = SwapRun(database, services, None, order.get("url"), request.root)
    swap.PROBE_SECONDS = 0
    if order["do"] == "recover":
        arm(order)
    wanted = Path(options["set"]) if order["do"] == "restore" else None
    one.run("recovered", None, resume=wanted)
    arm(order)
    if order["do"] == "restore":
        done = restore_set(database, request, progress=progress.Progress(request.progress_file))
        one.run("swapped", done["side"])
    if order["do"] == "checkpoint":
        settings = backup.Settings(root=request.root, keys=request.keys, trial="none")
        request = replace(request, file=Path(backup.run(
            database, settings, progress=progress.Progress())["set"]))  # fmt: skip
    if drill:
        restore_set(database, request, progress=progress.Progress(request.progress_file))
    evidence = Path(options["root"]).parent / "evidence"
    if order["do"] == "checkpoint":
        known_checkpoints.catch_up(request.root, evidence, None)
        made = checkpoints.make(request.backup_set.folder, order["note"])
        known_checkpoints.write(request.root, evidence, None, made, known_checkpoints.HELD)
    if order["do"] == "only":
        only = Request(root=request.root, keys=request.keys, keep=True, evidence=evidence)
        OnlyDifferent(database, only, progress.Progress(request.progress_file)).run()
    if order["do"] == "tables back":
        tables_rollback.run(database, request.root, evidence, Consent())
    if order["do"] == "swap":
        one.run("swapped", order["incoming"])
    if order["do"] == "rollback":
        one.run("rolled_back", order["incoming"])


def arm(order: dict[str, Any]) -> None:
    """From here on the run may die."""
    global die_at  # of the fork alone
    if order["do"] != "recover":
        points.clear()
    die_at = order.get("die_at")
    if order.get("after") is not None:
        threading.Thread(target=die_after, args=(order["after"],), daemon=True).start()


def main() -> None:
    """Answer orders until there are no more."""
    global out  # of the fork alone
    options = json.loads(sys.stdin.readline())
    watch()
    while line := sys.stdin.readline():
        order = json.loads(line)
        read, write = os.pipe()
        if not (child := os.fork()):
            out = os.fdopen(write, "w")
            try:
                run(options, order)
            except BaseException as exc:  # noqa: BLE001  # told, whatever it is
                points.append(f"{type(exc).__name__}: {exc}")
                answer(done=False)
                os._exit(1)
            answer(done=True)
            os._exit(0)
        os.close(write)
        with os.fdopen(read) as heard:
            said = json.loads(heard.read() or '{"points": [], "done": false}')
        _, status = os.waitpid(child, 0)
        said["killed"] = os.WIFSIGNALED(status)
        print(json.dumps(said), flush=True)


def die_after(seconds: float) -> None:
    """Die some time from now."""
    time.sleep(seconds)
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    main()
