# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the negative control costs a drill: drills with and without it, in alternating pairs.

Processor time is that of the drill's own process and of the database's container; the client tools
do the same work in both. Each pair begins with another one of the two. A control takes a few
hundredths of a second, less than two drills differ by, so many are measured by themselves too.
"""

from __future__ import annotations

import resource
import statistics
import tempfile
import time
from typing import Any

from bench.common import DATABASE, Figure, measured, start_lab, stop_lab, timed
from bench.proof import cpu_seconds
from bench.restore import our_restore

PAIRS = 6
CONTROLS = 30
SCALE = 1


def drill(database: dict[str, Any], root: str, control: bool) -> dict[str, Any]:
    """Drill the newest set; return the process's seconds of processor, and those of the control."""
    from ansible.module_utils.pmsops.verify import negative_control

    if not control:
        negative_control.Control.run = (  # type: ignore[method-assign]
            lambda self, *_args: self.record
        )
    result = our_restore(database, root, keep=False)
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return {
        "cpu": sum(each.ru_utime + each.ru_stime for each in used),
        "seconds": result["duration_seconds"],
        "control": result["negative_control"],
    }


def one_control(database: Any) -> float:
    """Return the seconds of processor of one control, on the average of many."""
    from ansible.module_utils.pmsops.postgresql import catalog, fingerprint
    from ansible.module_utils.pmsops.verify.negative_control import Control
    from ansible.module_utils.pmsops.verify.row_comparison import OfFingerprints

    connection = database.connect()
    with connection.cursor() as cursor:
        catalog.prepare(cursor)
        relations = fingerprint.relations(cursor)
        found = fingerprint.fingerprints([cursor], relations)
        compared = OfFingerprints(found, found, relations, fingerprint.FORMULA, {})
        began, process = cpu_seconds(DATABASE), time.process_time()
        for seed in range(CONTROLS):
            Control(seed).run(cursor, compared, [])
        spent = cpu_seconds(DATABASE) - began + time.process_time() - process
    connection.close()
    return spent / CONTROLS


def figures(scale: int = SCALE) -> list[Figure]:
    """Measure on the lab at one scale."""
    database = start_lab(scale, alone=True)
    options = {name: getattr(database, name) for name in database.__dataclass_fields__}
    cpu: dict[bool, list[float]] = {True: [], False: []}
    wall: dict[bool, list[float]] = {True: [], False: []}
    shares: list[float] = []
    with tempfile.TemporaryDirectory(prefix="pms-bench-") as folder:
        job = {"database": options, "root": folder}
        measured("bench.backup:our_backup", job)
        measured("bench.control:drill", job | {"control": True})  # fills the caches
        for number in range(PAIRS):
            for control in (number % 2 == 0, number % 2 == 1):
                began = cpu_seconds(DATABASE)
                _spent, made = timed(measured, "bench.control:drill", job | {"control": control})
                result = made["result"]
                cpu[control].append(cpu_seconds(DATABASE) - began + result["cpu"])
                wall[control].append(result["seconds"])
                if control:
                    shares.append(100 * result["control"]["seconds"] / result["seconds"])
            print(f"pair {number + 1}: with {cpu[True][-1]:.2f} s of processor in"
                  f" {wall[True][-1]:.1f} s, without {cpu[False][-1]:.2f} s in"
                  f" {wall[False][-1]:.1f} s; the control {shares[-1]:.2f} %",
                  flush=True)  # fmt: skip
    alone = one_control(database)
    stop_lab()
    ratio = {
        name: statistics.median(
            one / other for one, other in zip(spent[True], spent[False], strict=True)
        )
        for name, spent in (("processor", cpu), ("wall", wall))
    }
    return [
        Figure("control: drill with against without, processor", ratio["processor"], 1.03, "x"),
        Figure("control: drill with against without, wall", ratio["wall"], 1.03, "x",
               note="says little on a busy machine"),
        Figure("control: its share of a drill's processor time",
               100 * alone / statistics.median(cpu[False]), 3, "%"),
        Figure("control: its share of a drill, wall", statistics.median(shares), 3, "%"),
    ]  # fmt: skip
