# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The note beside the sets that says of which sets the server has warm copies.

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
MORE = "more"  # key of the copies after the newest
KEYS = ("set", "manifest_sha256", "database", "kept_at", "size_bytes")


def read(root: Path) -> dict[str, Any] | None:
    """Return ``{set, manifest_sha256, database, kept_at, size_bytes}`` of the newest copy."""
    found = read_all(root)
    return found[0] if found else None


def read_all(root: Path) -> list[dict[str, Any]]:
    """Return the same of each copy, newest first."""
    try:
        found = json.loads((root / sets.STATE / NAME).read_bytes())
        return [{name: each[name] for name in KEYS} for each in (found, *found.get(MORE, []))]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return []


def write(root: Path, copies: list[dict[str, Any]]) -> None:
    """Note the warm copies, newest first. A disk that refuses the note stops nothing."""
    if copies == read_all(root):
        return
    with suppress(OSError):
        path = sets.state_folder(root) / NAME
        if not copies:
            path.unlink(missing_ok=True)
            return
        # The newest at the top, where releases that know one copy alone look for it.
        facts = copies[0] | ({MORE: copies[1:]} if copies[1:] else {})
        text = json.dumps(facts, indent=1, sort_keys=True) + "\n"
        # What a kill leaves of it has a name that the next run removes.
        files.replace(path, text.encode(), aside=path.with_name("restore.warm.tmp"))


def is_of(root: Path, folder: Path) -> bool:
    """Tell whether a warm copy is of the set in *folder*, as it is now."""
    found = [each for each in read_all(root) if each["set"] == folder.name]
    if not found:
        return False
    try:
        sha256 = sets.resolve(folder).manifest_sha256
        return any(each["manifest_sha256"] == sha256 for each in found)
    except Exception:  # noqa: BLE001  whoever reads the set says what is wrong with it
        return False


def publish(folder: Path, root: Path, database: str, *, system: str) -> list[str]:
    """Write the gauges for the collector that reads *folder*; return why that fails.

    Where there never was a copy, there is no file.
    """
    # One series a set; that of its newest copy.
    found = {str(each["set"]): each for each in reversed(read_all(root))}
    labelled = [({"database": database, "set": name}, each) for name, each in found.items()]
    gauges = [
        Gauge("pms_warm_copy_kept_timestamp_seconds", "When the warm copy was proved and kept.",
              [(labels, moment(each["kept_at"]).timestamp()) for labels, each in labelled]),
        Gauge("pms_warm_copy_size_bytes", "Size of the warm copy on the server's disk.",
              [(labels, float(each["size_bytes"])) for labels, each in labelled]),
    ]  # fmt: skip
    other = sets.other_database(root)
    name = METRICS.replace(".", f"_{other}.") if other else METRICS
    if not found and not textfile_metrics.path_of(folder, name, system).exists():
        return []
    try:
        textfile_metrics.write(folder, gauges, name, system)
    except OSError as exc:
        return [f"The metrics of the warm copy were not written: {exc}"]
    return []
