# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The note beside the sets that says of which set the server has a warm copy.

The server's own marks decide; the note is for those who only read folders: status, report, metrics.
"""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

from ansible.module_utils.pmsops.common import files, textfile_metrics
from ansible.module_utils.pmsops.common.textfile_metrics import Gauge
from ansible.module_utils.pmsops.common.timestamps import moment
from ansible.module_utils.pmsops.repository import sets

NAME = "warm.json"
METRICS = "pms_warm_copy.prom"
KEYS = ("set", "manifest_sha256", "database", "kept_at", "size_bytes")


def read(root: Path) -> dict[str, Any] | None:
    """Return ``{set, manifest_sha256, database, kept_at, size_bytes}``; None without a copy."""
    try:
        found = json.loads((root / sets.STATE / NAME).read_bytes())
        return {name: found[name] for name in KEYS}
    except (OSError, ValueError, KeyError, TypeError):
        return None


def write(root: Path, facts: dict[str, Any] | None) -> None:
    """Note the warm copy, or that there is none. A disk that refuses the note stops nothing."""
    if facts == read(root):
        return
    with suppress(OSError):
        path = sets.state_folder(root) / NAME
        if facts is None:
            path.unlink(missing_ok=True)
            return
        text = json.dumps(facts, indent=1, sort_keys=True) + "\n"
        # What a kill leaves of it has a name that the next run removes.
        files.replace(path, text.encode(), aside=path.with_name("restore.warm.tmp"))


def is_of(root: Path, folder: Path) -> bool:
    """Tell whether the warm copy is of the set in *folder*, as it is now."""
    found = read(root)
    if found is None or found["set"] != folder.name:
        return False
    try:
        return bool(sets.resolve(folder).manifest_sha256 == found["manifest_sha256"])
    except Exception:  # noqa: BLE001  whoever reads the set says what is wrong with it
        return False


def publish(folder: Path, root: Path, database: str, *, system: str) -> list[str]:
    """Write the gauges for the collector that reads *folder*; return why that fails.

    Where there never was a copy, there is no file.
    """
    found = read(root)
    labels = {"database": database, "set": str((found or {}).get("set"))}
    gauges = [
        Gauge("pms_warm_copy_kept_timestamp_seconds", "When the warm copy was proved and kept.",
              [(labels, moment(found["kept_at"]).timestamp())] if found else []),
        Gauge("pms_warm_copy_size_bytes", "Size of the warm copy on the server's disk.",
              [(labels, float(found["size_bytes"]))] if found else []),
    ]  # fmt: skip
    other = sets.other_database(root)
    name = METRICS.replace(".", f"_{other}.") if other else METRICS
    if found is None and not textfile_metrics.path_of(folder, name, system).exists():
        return []
    try:
        textfile_metrics.write(folder, gauges, name, system)
    except OSError as exc:
        return [f"The metrics of the warm copy were not written: {exc}"]
    return []
