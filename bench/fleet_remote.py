# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""A read-only go-live of twelve remote systems: against one, from afar, and with four bad ones.

Each host is an sshd in a container on loopback; all have a database of their own on one server.
Every figure is a ratio of two runs of this measurement, or memory. `python -m bench fleet
fleet_remote` prints all targets of a fleet in one run, side by side.
"""

from __future__ import annotations

import importlib
import os
import subprocess
import tempfile
import time
from typing import Any

from bench.common import Figure

# The targets are for 12. Fewer (5 at least: one well and four bad ones) show that it works.
COUNT = int(os.environ.get("BENCH_SYSTEMS", "12"))
ROUND_TRIP = 0.030
NAMES = [f"fund{number:02}" for number in range(COUNT)]
WELL, BAD = NAMES[:-4], NAMES[-4:]
if not WELL:
    raise SystemExit(f"BENCH_SYSTEMS={COUNT}: 5 at least, of which four are bad ones.")
HUNG, GONE, FULL, LOCKED = BAD
# What the reason of each has to say
REASONS = {
    HUNG: "time",  # "timed out", or "Timeout, server not responding", by where it stopped
    GONE: "Connection refused",
    FULL: "No space left",
    LOCKED: "Decryption failed",
}


def figures() -> list[Figure]:
    """Measure on hosts and a server of its own."""
    remote = importlib.import_module("tests.support.remote_fleet")
    server = importlib.import_module("tests.support.server")
    with (
        server.running_server() as database,
        remote.running(database, COUNT, small=frozenset({FULL})) as fleet,
    ):
        _golive(fleet, WELL[0])  # Python compiles the modules of the environment once
        one = min(_golive(fleet, WELL[0]) for _ in range(2))
        with remote.delayed(fleet, [WELL[0]], ROUND_TRIP / 2):
            _golive(fleet, WELL[0])
            far = _golive(fleet, WELL[0])
        began = time.time()
        peak, together = _watched(fleet, remote)
        usual = max(remote.seconds_of_each(fleet, began, WELL).values())
        with _four_bad(fleet, remote):
            began = time.time()
            done = _run(fleet)
            with_bad = max(remote.seconds_of_each(fleet, began, WELL).values())
        _require_named(done, remote)
    load = f"  {together:.0f} s and {one:.0f} s; load {os.getloadavg()[1]:.0f}"
    more = f"  {far:.0f} s and {one:.0f} s"
    beside = f"  {with_bad:.0f} s and {usual:.0f} s"
    whole = f"read-only go-live of {COUNT} remote systems"
    trip = f"one with {ROUND_TRIP * 1000:.0f} ms round trip against 0"
    return [
        Figure(f"{whole} against one", together / one, 5, "x", note=load),
        Figure(trip, far / one, 2.5, "x", note=more),
        Figure(f"memory of the control node for each of {COUNT}", peak / COUNT, 60, "MB"),
        Figure(
            f"slowest of {len(WELL)} well beside 4 bad, against beside 4 well",
            with_bad / usual,
            1.3,
            "x",
            note=beside,
        ),
    ]


def _words(*more: str) -> list[str]:
    remote = importlib.import_module("tests.support.remote_fleet")
    return [*more, "golive", *remote.READ_ONLY]


def _golive(fleet: Any, name: str) -> float:
    """Return the seconds of a go-live of one system, with connections of its own."""
    fleet.hang_up()
    began = time.monotonic()
    done = fleet.run(*_words("-l", name))
    took = time.monotonic() - began
    # What the systems lack, such as a drill, makes each a no-go.
    if done.returncode != 1 or "golive: failed" not in done.stdout:
        raise SystemExit(f"go-live of {name} ended with {done.returncode}: {done.stdout[-2000:]}")
    return took


def _run(fleet: Any) -> subprocess.CompletedProcess[str]:
    fleet.hang_up()
    done: subprocess.CompletedProcess[str] = fleet.run(*_words("--json"))
    return done


def _watched(fleet: Any, remote: Any) -> tuple[float, float]:
    """Return the peak memory of a go-live of all, in MB, and its seconds."""
    fleet.hang_up()
    peak, began = 0.0, time.monotonic()
    # Into a file: nobody reads while it runs.
    with (
        tempfile.TemporaryFile("w+") as shown,
        subprocess.Popen(
            fleet.command(*_words("--json")),
            cwd=fleet.home,
            env=fleet.environment(),
            stdin=subprocess.DEVNULL,
            stdout=shown,
            stderr=subprocess.DEVNULL,
        ) as running,
    ):
        while running.poll() is None:
            peak = max(peak, remote.proportional_memory(running.pid))
            time.sleep(0.5)
        took = time.monotonic() - began
        shown.seek(0)
        said = shown.read()
    if running.returncode != 1 or said.count('"verdict": "NO-GO"') != COUNT:
        raise SystemExit(f"go-live of all ended with {running.returncode}: {said[-3000:]}")
    return peak, took


def _four_bad(fleet: Any, remote: Any) -> Any:
    """Make four systems bad; one of them stops once its go-live has begun."""
    fleet.hosts[FULL].run("sh", "-c", f"head -c 9m /dev/zero >{remote.ROOT}/filler || true")
    host = fleet.hosts[GONE]
    fleet.hosts[GONE] = type(host)(host.container, 9, host.keys)
    fleet.write()
    fleet.give_vault(LOCKED, wrong=True)
    return fleet.frozen_after(HUNG, f"ok: [{HUNG}]")


def _require_named(done: subprocess.CompletedProcess[str], remote: Any) -> None:
    """End the measurement if one of the bad ones is not named with its reason."""
    rows = remote.table_of(done)
    for name, reason in REASONS.items():
        said = " ".join(rows[name]["due"])
        print(f"  {name}  {rows[name]['verdict']}  {said[:150]}", flush=True)
        if reason.lower() not in said.lower():
            raise SystemExit(f"{name} is not named with its reason: {rows[name]}")
    wrong = [name for name in WELL if rows[name]["verdict"] != "NO-GO"]
    if wrong or done.returncode != 3:
        raise SystemExit(f"{wrong} ended otherwise, or {done.returncode} is not 3")
