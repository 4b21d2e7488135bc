# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Time and memory of `pms-ops fleet status` for 50 systems with 100 sets each."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from ansible.module_utils.pmsops.common.timestamps import utc_stamp, utc_stamp_microseconds
from ansible.module_utils.pmsops.evidence import chain, ledger, ledger_head
from ansible.module_utils.pmsops.repository import manifest, sets

from bench.common import PROJECT, Figure

SYSTEMS, SETS = 50, 100
ROUNDS = 3


def figures() -> list[Figure]:
    """Measure the whole command, in processor seconds, the best of three, and its peak memory."""
    folder = Path(tempfile.mkdtemp(prefix="pms-bench-fleet-"))
    try:
        inventory = write_fleet(folder, SYSTEMS, SETS)
        found = [_measured(folder, inventory) for _ in range(ROUNDS)]
    finally:
        shutil.rmtree(folder)
    what = f"fleet status of {SYSTEMS} systems with {SETS} sets each"
    return [
        Figure(what, min(each["cpu"] for each in found), 3, "s"),
        Figure(f"{what}: memory", max(each["peak_mb"] for each in found), 150, "MB"),
    ]


def write_fleet(folder: Path, systems: int, count: int) -> Path:
    """Write an inventory, and for each system sets, and a ledger that knows them."""
    inventory = folder / "fleet"
    now = datetime.now(UTC)
    hosts = {}
    for number in range(systems):
        name = f"fund{number:02}"
        root = folder / name
        hosts[name] = {"ansible_connection": "local"}
        values = {
            "pms_db_name": "macro_trading",
            "pms_db_port": 5432 + number,
            "pms_db_container": f"{name}_timescaledb",
            "backup_root": str(root / "backups"),
            "evidence_root": str(root / "evidence"),
        }
        place = inventory / "host_vars" / name
        place.mkdir(parents=True)
        (place / "pms.yml").write_text(json.dumps(values))
        _write_sets(root / "backups", root / "evidence", count, now)
    (inventory / "hosts.yml").write_text(json.dumps({"pms": {"hosts": hosts}}))
    return inventory


def _write_sets(backups: Path, evidence: Path, count: int, now: datetime) -> None:
    """Write the sets, and the ledger in one go: each line by itself would wait for the disk."""
    lines: list[bytes] = []

    def add(kind: str, record: dict[str, Any], at: datetime) -> None:
        entry = {
            "seq": len(lines) + 1,
            "at": utc_stamp_microseconds(at),
            "kind": kind,
            "previous": chain.sha256(lines[-1]) if lines else chain.GENESIS,
            "record": record,
        }
        lines.append(json.dumps(entry, sort_keys=True, separators=(",", ":")).encode())

    for number in range(count, 0, -1):
        at = now - timedelta(hours=number)
        name = f"{at:%Y-%m-%d_%H%M}"
        folder = backups / name
        folder.mkdir(parents=True)
        document: dict[str, Any] = {field: {} for field in manifest.REQUIRED} | {
            "schema_version": 1,
            "id": name,
            "snapshot_at": utc_stamp(at),
            "totals": {"bytes": 2_000_000, "files": 40},
        }
        (folder / manifest.NAME).write_text(json.dumps(document))
        (folder / sets.VERIFIED).write_text(json.dumps({"verified_at": utc_stamp(at)}))
        add("backup", {"set": name, "root": str(backups)}, at)
        if number % 7 == 0:
            add("drill", {"set": name, "proved": True}, at)
    evidence.mkdir(parents=True)
    (evidence / ledger.NAME).write_bytes(b"".join(line + b"\n" for line in lines))
    ledger_head.write(evidence, len(lines), chain.sha256(lines[-1]))


def _measured(folder: Path, inventory: Path) -> dict[str, float]:
    code = (
        "import json, resource, subprocess, sys\n"
        "done = subprocess.run(sys.argv[1:], capture_output=True, text=True)\n"
        "used = resource.getrusage(resource.RUSAGE_CHILDREN)\n"
        "print(json.dumps({'rc': done.returncode, 'out': done.stdout, 'err': done.stderr,\n"
        "    'cpu': used.ru_utime + used.ru_stime, 'peak_mb': used.ru_maxrss / 1000}))\n"
    )
    done = subprocess.run(
        [
            *(sys.executable, "-c", code, sys.executable, "-P", "-m", "pmsops_cli"),
            *("-i", str(inventory), "fleet", "status"),
        ],
        env={
            **os.environ,
            "PYTHONPATH": str(PROJECT),
            "XDG_STATE_HOME": str(folder / "state"),
            "XDG_CONFIG_HOME": str(folder / "config"),
        },
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    found: dict[str, Any] = json.loads(done.stdout)
    # Each of them lacks a go-live, so each has something due.
    if found["rc"] != 1 or f"fund{SYSTEMS - 1:02}  due" not in found["out"]:
        sys.exit(f"fleet status ended with {found['rc']}: {found['err']}")
    return found
