# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the measurements share: the lab they run on, a stopwatch, a table of figures."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import ansible.module_utils
import yaml

PROJECT = Path(__file__).resolve().parents[1]
ansible.module_utils.__path__.append(str(PROJECT / "module_utils"))
INSTANCE = "bench"
DATABASE = f"macro_timescaledb_{INSTANCE}"


@dataclass(frozen=True)
class Figure:
    """One measured figure and the bar it has to meet; ratios are of one and the same run."""

    name: str
    value: float
    bar: float
    unit: str = ""
    at_least: bool = False
    note: str = ""

    @property
    def met(self) -> bool:
        """Tell whether the figure meets its bar."""
        return self.value >= self.bar if self.at_least else self.value <= self.bar

    def row(self) -> str:
        """Return the figure as a line of the table."""
        sign = ">=" if self.at_least else "<="
        verdict = "met" if self.met else "MISSED"
        return (
            f"{self.name:<58} {self.value:>9.2f} {self.unit:<3} {sign} {self.bar:<7g}"
            f" {verdict:<7}{self.note}"
        )


def start_lab(scale: int, *, alone: bool = False) -> Any:
    """Start the lab of the measurements with so much data; return its database.

    *alone*: all but the database is stopped then, so that only the measurement uses the processors.
    """
    from ansible.module_utils.pmsops.postgresql.connection import Database

    stop_lab()
    playbook("playbooks/lab.yml", "-e", f"lab_scale={scale}")
    if alone:
        names = subprocess.run(
            ["docker", "ps", "--format={{.Names}}", f"--filter=name=^macro_.*_{INSTANCE}$"],
            capture_output=True,
            text=True,
            check=True,
        ).stdout.split()
        others = [name for name in names if name != DATABASE]
        subprocess.run(["docker", "stop", "--time=3", *others], capture_output=True, check=True)
    state = yaml.safe_load((PROJECT / f".lab-{INSTANCE}" / "state.yml").read_text())
    return Database(
        host="127.0.0.1",
        port=state["ports"]["timescaledb"],
        name="macro_trading",
        user="pms_ops",
        password=state["secrets"]["pms_ops"],
        container=DATABASE,
    )


def stop_lab() -> None:
    """Remove the lab of the measurements."""
    playbook("playbooks/lab_down.yml")


def playbook(name: str, *arguments: str, expect: int = 0) -> None:
    """Run a playbook on the lab of the measurements; show its output only if it ends otherwise."""
    done = subprocess.run(
        [Path(sys.executable).with_name("ansible-playbook"), name, *arguments],
        cwd=PROJECT,
        env=os.environ | {"PMS_LAB_INSTANCE": INSTANCE},
        capture_output=True,
        text=True,
        timeout=1800,
    )
    if done.returncode != expect:
        sys.exit(
            f"{name} ended with {done.returncode}:\n{done.stdout[-4000:]}\n{done.stderr[-2000:]}"
        )


def timed(work: Callable[..., Any], *arguments: Any, **options: Any) -> tuple[float, Any]:
    """Return how many seconds *work* took, and its result."""
    began = time.monotonic()
    result = work(*arguments, **options)
    return time.monotonic() - began, result


def measured(function: str, options: dict[str, Any]) -> dict[str, Any]:
    """Run ``module:function`` in a process of its own; return its result and peak memory in MB."""
    code = (
        "import json, sys; from bench import common; import importlib\n"
        "module, _, name = sys.argv[1].partition(':')\n"
        "result = getattr(importlib.import_module(module), name)(**json.load(sys.stdin))\n"
        "print(json.dumps({'result': result, 'peak_mb': common.peak_mb()}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, function],
        cwd=PROJECT,
        input=json.dumps(options),
        capture_output=True,
        text=True,
        timeout=1800,
    )
    if done.returncode:
        sys.exit(done.stderr[-4000:])
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def peak_mb() -> float:
    """Return the largest resident memory of this process so far, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000


def report(figures: list[Figure], path: Path) -> int:
    """Print the table, write it as JSON, and return 1 where a bar was missed."""
    for figure in figures:
        print(figure.row(), flush=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [asdict(figure) | {"met": figure.met} for figure in figures]
    path.write_text(json.dumps(rows, indent=1) + "\n")
    return int(not all(figure.met for figure in figures))
