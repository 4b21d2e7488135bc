# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The gauges about drills on other hosts that Prometheus reads."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ansible.module_utils.pmsops.common import files, textfile_metrics
from ansible.module_utils.pmsops.common.textfile_metrics import Gauge
from ansible.module_utils.pmsops.common.timestamps import moment
from ansible.module_utils.pmsops.evidence import drills

PREFIX = "pms_drill_elsewhere"
METRICS = f"{PREFIX}.prom"
SECONDS = {
    "rto": "Restore and proof of the last good drill on another host.",
    "rto_with_fetch": "The same with the fetch of the set from its site.",
    "fetch": "Fetch of the set from its site.",
    "restore": "Restore of the set, without its proof.",
    "proof": "Proof of the restored set.",
}


def gauges(database: str, entries: Iterable[dict[str, Any]]) -> list[Gauge]:
    """Return the gauges of the newest drill on another host, and of the newest good one."""
    found = drills.elsewhere(entries)
    good = [each for each in found if each["record"].get("proved") is True]

    def of(some: list[dict[str, Any]], value: Any) -> list[tuple[dict[str, str], float]]:
        if not some:
            return []
        record = some[-1]["record"]
        labels = {"database": database, "host": str(record["drill_host"])}
        number = value(some[-1])
        return [] if number is None else [(labels, float(number))]

    def recorded(name: str) -> Any:
        return lambda entry: entry["record"].get(name)

    return [
        Gauge("pms_drill_elsewhere_proved", "1 where the last drill on another host was good.",
              of(found, lambda entry: entry["record"].get("proved") is True)),
        Gauge("pms_drill_elsewhere_last_success_timestamp_seconds",
              "When a drill on another host was last good.",
              of(good, lambda entry: moment(entry["at"]).timestamp())),
        Gauge("pms_drill_elsewhere_segregated",
              "1 where that host had nothing in common with the one of the PMS.",
              of(good, recorded("segregated"))),
        *(
            Gauge(f"{PREFIX}_{name}_seconds", text, of(good, recorded(f"{name}_seconds")))
            for name, text in SECONDS.items()
        ),
    ]  # fmt: skip


def publish(
    folder: Path, database: str, entries: Iterable[dict[str, Any]], system: str = ""
) -> None:
    """Write the gauges for the collector that reads *folder*.

    :raises OSError: if the file cannot be written.
    """
    files.hand_over(textfile_metrics.write(folder, gauges(database, entries), METRICS, system))
