# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""A whole restore with the PMS and its services: by the warm copy against from the files."""

from __future__ import annotations

import json
import os
import statistics
import tempfile
from pathlib import Path
from typing import Any

from bench.common import Figure, playbook, start_lab, stop_lab, timed
from bench.different import forget
from bench.warm import CHANGE

ROUNDS = 5
SCALE = 10


def figures(scale: int = SCALE) -> list[Figure]:
    """Measure playbooks in turn: a restore from the files, a drill that keeps, one by its copy."""
    database = start_lab(scale)
    with tempfile.TemporaryDirectory(prefix="pms-bench-") as folder:
        place = {
            "backup_root": f"{folder}/sets",
            "evidence_root": f"{folder}/evidence",
            "pms_keys_dir": f"{folder}/keys",
            "confirm": database.name,
        }
        _run("backup", place)
        seconds, parts = rounds(database, place)
    stop_lab()
    for way, each in parts.items():
        medians = {
            name: statistics.median(one.get(name, 0) for one in each) for name in sorted(each[0])
        }
        said = ", ".join(f"{name} {value:.2f}" for name, value in medians.items())
        print(f"{way}: {statistics.median(seconds[way]):.1f} s; of these {said}", flush=True)
    pairs = zip(seconds["files"], seconds["warm"], strict=True)
    return [
        Figure("restore: by the warm copy against from the files, with services",
               statistics.median(files / warm for files, warm in pairs), 2, "x", at_least=True,
               note=f"load {os.getloadavg()[0]:.1f}"),
    ]  # fmt: skip


def rounds(database: Any, place: dict[str, Any]) -> tuple[dict[str, list[float]], Any]:
    """Return the seconds of each way, one value per round, and the parts of each."""
    seconds: dict[str, list[float]] = {"files": [], "warm": []}
    parts: dict[str, list[dict[str, float]]] = {"files": [], "warm": []}
    for _ in range(ROUNDS):
        for way in ("files", "warm"):
            if way == "warm":
                _run("drill", place)
            with database.session(superuser=True) as cursor:
                cursor.execute(CHANGE)
            os.sync()
            spent, _done = timed(_run, "dr_restore", place | {"file": "latest"})
            found = _last_swap(Path(place["evidence_root"]))
            if bool(found["warm_copy"]) != (way == "warm"):
                raise RuntimeError(f"the restore from {way} went the other way: {found}")
            seconds[way].append(spent)
            parts[way].append(
                {
                    "staging database": found["duration_seconds"] or 0,
                    "services and swap": found["down_seconds"] or 0,
                }
            )
            forget(database)
        print(", ".join(f"{way} {each[-1]:.1f} s" for way, each in seconds.items()), flush=True)
    return seconds, parts


def _run(name: str, variables: dict[str, Any]) -> None:
    playbook(f"playbooks/{name}.yml", "-e", json.dumps(variables))


def _last_swap(folder: Path) -> dict[str, Any]:
    """Return the record of the newest swap in the ledger."""
    lines = [json.loads(each) for each in (folder / "ledger.jsonl").read_text().splitlines()]
    return next(dict(each["record"]) for each in reversed(lines) if each["kind"] == "restore")
