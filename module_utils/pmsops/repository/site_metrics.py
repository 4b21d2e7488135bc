# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The gauges about copies on other sites that Prometheus reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ansible.module_utils.pmsops.common import files, textfile_metrics
from ansible.module_utils.pmsops.common.textfile_metrics import Gauge
from ansible.module_utils.pmsops.common.timestamps import moment

METRICS = "pms_offsite.prom"


def gauges(database: str, found: Sequence[Mapping[str, Any]]) -> list[Gauge]:
    """Return the gauges of the sites that ``site_notes.assess`` returned."""

    def samples(act: str, name: str = "at") -> list[tuple[dict[str, str], float]]:
        return [
            (_labels(database, each), _number(each[act][name]))
            for each in found
            if each[act] and each[act].get(name) is not None
        ]

    def all_of(value: Any) -> list[tuple[dict[str, str], float]]:
        return [(_labels(database, each), float(value(each))) for each in found]

    return [
        Gauge("pms_offsite_current", "1 where the site has the newest set with its proof.",
              all_of(lambda each: each["current"])),
        Gauge("pms_offsite_errors", "Acts whose last run on the site failed.",
              all_of(lambda each: len(each["errors"]))),
        Gauge("pms_offsite_signs", "Signs of ransomware in the newest copy, not accepted.",
              all_of(lambda each: len(each["signs"]))),
        Gauge("pms_offsite_last_upload_timestamp_seconds", "When the newest copy was made.",
              samples("upload")),
        Gauge("pms_offsite_last_upload_new_bytes", "Bytes that the newest copy added to the site.",
              samples("upload", "new_bytes")),
        Gauge("pms_offsite_last_check_timestamp_seconds", "When its data was last checked well.",
              samples("check")),
        Gauge("pms_offsite_last_proof_timestamp_seconds",
              "When a set that came from this site alone was last proved.", samples("proof")),
        Gauge("pms_offsite_immutable", "1 where the site refused to delete a copy.",
              samples("immutable", "refused")),
    ]  # fmt: skip


def publish(
    folder: Path,
    database: str,
    found: Sequence[Mapping[str, Any]],
    *,
    system: str = "",
    other_database: str | None = None,
) -> None:
    """Write the gauges for the collector that reads *folder*; another database has its own file.

    :raises OSError: if the file cannot be written.
    """
    name = METRICS.replace(".", f"_{other_database}.") if other_database else METRICS
    files.hand_over(textfile_metrics.write(folder, gauges(database, found), name, system))


def _labels(database: str, each: Mapping[str, Any]) -> dict[str, str]:
    return {"database": database, "site": each["site"]}


def _number(value: Any) -> float:
    return moment(value).timestamp() if isinstance(value, str) else float(value)
