# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The gauges about backup sets that Prometheus reads."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

from ansible.module_utils.pmsops.common import textfile_metrics
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.common.textfile_metrics import Gauge
from ansible.module_utils.pmsops.common.timestamps import UTC, from_iso
from ansible.module_utils.pmsops.repository import manifest, sets, shrinkage

NAME = "pms_backup.prom"


def backup_gauges(
    root: Path, database: str, *, reason: str, ended_at: datetime, duration_seconds: float
) -> list[Gauge]:
    """Return the gauges after a backup run that ended with *reason*, ``ok`` or an error's code.

    Sizes, rows and the moments of the last success and proof are read from the sets on disk, so a
    failed run leaves them as they are and a deleted set does not live on in them.
    """
    labels = {"database": database}
    found = sets.listed(root)
    # Newest first, and no more than needed: a manifest may have megabytes.
    known = (document for path in reversed(found) if (document := _read(path)))
    newest, before = next(known, None), next(known, None)
    proved = next(
        (
            document
            for path in reversed(found)
            if sets.verification(path) and (document := _read(path))
        ),
        None,
    )

    def of(document: dict[str, Any] | None, value: str) -> list[tuple[dict[str, str], float]]:
        return [] if document is None else [(labels, document["totals"][value])]

    def rows(document: dict[str, Any] | None) -> list[tuple[dict[str, str], float]]:
        return of(document, "rows") if document and manifest.counts_are_logical(document) else []

    def at(document: dict[str, Any] | None) -> list[tuple[dict[str, str], float]]:
        if document is None:
            return []
        return [(labels, from_iso(document["snapshot_at"]).timestamp())]

    return [
        Gauge("pms_backup_last_run_timestamp_seconds", "When the last backup run ended.",
              [(labels, ended_at.timestamp())]),
        Gauge("pms_backup_last_run_success", "1 where the last backup run made a set.",
              [(labels | {"reason": reason}, float(reason == "ok"))]),
        Gauge("pms_backup_last_run_duration_seconds", "How long the last backup run took.",
              [(labels, duration_seconds)]),
        Gauge("pms_backup_last_success_timestamp_seconds",
              "Moment of the database that the newest set holds.", at(newest)),
        Gauge("pms_backup_last_verified_timestamp_seconds",
              "Moment of the database that the newest proved set holds.",
              at(proved)),
        Gauge("pms_backup_size_bytes", "Size of the newest set.", of(newest, "bytes")),
        Gauge("pms_backup_previous_size_bytes", "Size of the set before it.", of(before, "bytes")),
        Gauge("pms_backup_rows", "Rows in the newest set.", rows(newest)),
        Gauge("pms_backup_previous_rows", "Rows in the set before it.", rows(before)),
        Gauge("pms_backup_shrunk", "Losses of the newest set that nobody has accepted.",
              [(labels, float(len(shrinkage.standing(root, newest))))] if newest else []),
        *_trial_gauges(newest, labels),
        Gauge("pms_backup_sets", "Finished sets.", [(labels, float(len(found)))]),
    ]  # fmt: skip


def _trial_gauges(newest: dict[str, Any] | None, labels: dict[str, str]) -> list[Gauge]:
    """Return the gauges of the newest set's trial; none for a set without one."""
    trial = (newest or {}).get("trial") or {"status": "off"}
    if trial["status"] == "off":
        return []
    ran = float(trial["reason"] is None)
    return [
        Gauge("pms_backup_trial_refused",
              "How much a restore of the newest set would refuse, as its trial found.",
              [(labels, float(trial["count"]))]),
        Gauge("pms_backup_trial_run", "1 where the trial of the newest set was run in full.",
              [(labels, ran)]),
    ]  # fmt: skip


def file_name(root: Path) -> str:
    """Return the name of the file with the gauges of one backup_root; no two share one."""
    other = sets.other_database(root)
    return NAME.replace(".", f"_{other}.") if other else NAME


def publish(
    folder: Path,
    root: Path,
    database: str,
    *,
    reason: str,
    duration_seconds: float,
    system: str = "",
) -> Path:
    """Write the gauges of a backup run that ends now for the collector that reads *folder*.

    :raises OSError: if the file cannot be written.
    """
    gauges = backup_gauges(
        root,
        database,
        reason=reason,
        ended_at=datetime.now(UTC),
        duration_seconds=duration_seconds,
    )
    return textfile_metrics.write(folder, gauges, file_name(root), system)


def _read(folder: Path) -> dict[str, Any] | None:
    try:
        document = manifest.read(folder)
    except OpsError:
        return None
    return document if "totals" in document else None
