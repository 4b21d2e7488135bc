# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""What was last seen of continuous protection: a note beside the sets, and gauges for Prometheus.

The note is written by whoever looks: the hourly care, the status, the go-live checklist. In an
outage it says up to which moment WAL had been received before.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from ansible.module_utils.pmsops.common import files, textfile_metrics
from ansible.module_utils.pmsops.common.textfile_metrics import Gauge
from ansible.module_utils.pmsops.common.timestamps import moment
from ansible.module_utils.pmsops.repository import sets

NAME = "pitr.json"
METRICS = "pms_pitr.prom"


def read(backup_root: Path) -> dict[str, Any] | None:
    """Return the note; None without one, and if it is damaged."""
    try:
        found = json.loads((backup_root / sets.STATE / NAME).read_bytes())
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) and "at" in found else None


def write(backup_root: Path, seen: Mapping[str, Any]) -> None:
    """Write the note.

    :raises OSError: if it cannot be written.
    """
    folder = backup_root / sets.STATE
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    files.replace(folder / NAME, json.dumps(seen, indent=1).encode(), mode=0o600)


def publish(
    folder: Path,
    database: str,
    seen: Mapping[str, Any],
    proof: Mapping[str, Any] | None,
    system: str = "",
) -> None:
    """Write the gauges for the collector that reads *folder*.

    :raises OSError: if the file cannot be written.
    """
    found = gauges(database, seen, proof)
    files.hand_over(textfile_metrics.write(folder, found, METRICS, system))


def forget(backup_root: Path, metrics_folder: Path | None, system: str = "") -> None:
    """Remove note and gauges: there is no protection any more."""
    paths = [backup_root / sets.STATE / NAME]
    if metrics_folder:
        paths.append(textfile_metrics.path_of(metrics_folder, METRICS, system))
    for path in paths:
        with suppress(OSError):
            path.unlink()


def gauges(database: str, seen: Mapping[str, Any], proof: Mapping[str, Any] | None) -> list[Gauge]:
    """Return the gauges of what was seen, and of the newest proof."""
    labels = {"database": database}

    def of(value: float | None) -> list[tuple[dict[str, str], float]]:
        return [] if value is None else [(labels, float(value))]

    def at(text: str | None) -> list[tuple[dict[str, str], float]]:
        return of(moment(text).timestamp() if text else None)

    return [
        Gauge("pms_pitr_last_look_timestamp_seconds",
              "When continuous protection was last looked at.", at(seen["at"])),
        Gauge("pms_pitr_up", "1 where every moment up to the last look can be restored.",
              of(float(not seen["problems"]))),
        Gauge("pms_pitr_problems", "What is wrong with it.", of(len(seen["problems"]))),
        Gauge("pms_pitr_window_start_timestamp_seconds", "The earliest moment that can be had.",
              at(seen["earliest"])),
        Gauge("pms_pitr_window_end_timestamp_seconds", "The latest moment that can be had.",
              at(seen["latest"])),
        Gauge("pms_pitr_stream_lag_seconds", "How old the newest WAL is that was received.",
              of(seen["lag_seconds"])),
        Gauge("pms_pitr_stream_lag_bytes", "WAL that was written and not yet sent.",
              of(seen["lag_bytes"])),
        Gauge("pms_pitr_slot_lost", "1 where the slot is lost, and only a new base backup helps.",
              of(None if seen["slot"] is None else float(seen["slot_lost"]))),
        Gauge("pms_pitr_slot_kept_bytes", "WAL that the slot keeps on the live disk.",
              of(seen["kept_bytes"])),
        Gauge("pms_pitr_last_canary_timestamp_seconds", "When the last canary row was written.",
              at(seen["canary"])),
        Gauge("pms_pitr_unprovable", "1 where base backups and WAL cannot be proved here.",
              of(1.0 if seen.get("unprovable") else None)),
        Gauge("pms_pitr_backups", "Base backups that a restore can begin at.", of(seen["backups"])),
        Gauge("pms_pitr_last_backup_timestamp_seconds", "When the newest base backup ended.",
              at(seen["newest_backup"])),
        Gauge("pms_pitr_last_proof_timestamp_seconds", "When the newest proof was recorded.",
              at(proof["at"] if proof else None)),
        Gauge("pms_pitr_last_proof_success", "1 where the newest proof found everything equal.",
              of(float(bool(proof["proved"])) if proof else None)),
    ]  # fmt: skip


def seconds_since(text: str | None, now: datetime) -> float | None:
    """Return the seconds since a time stamp, at least 0; None for none."""
    return max((now - moment(text)).total_seconds(), 0.0) if text else None
