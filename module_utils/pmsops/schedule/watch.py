# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The record of the watch over continuous protection: what it saw, and when it asked for the job.

The watch looks twice a minute and repairs nothing. It asks for the job that does, at once and then
at growing intervals, and it counts a stream as whole again only when that job has succeeded.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from ansible.module_utils.pmsops.common import files, textfile_metrics
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.common.textfile_metrics import Gauge
from ansible.module_utils.pmsops.common.timestamps import moment, stamp
from ansible.module_utils.pmsops.schedule.state import Schedule

NAME = "pitr_watch.json"
METRICS = "pms_pitr_watch.prom"
SOURCE = "pitr_watch"
JOB = "pitr"  # the job that repairs
LATE = timedelta(minutes=5)  # without a look
# Between two requests for the job while the problem stays; the last one repeats.
PAUSES = tuple(timedelta(minutes=each) for each in (5, 10, 20, 60))
NEVER: dict[str, Any] = {
    "at": None,
    "problem": None,
    "since": None,
    "asked_at": None,
    "asked": 0,
    "slot": None,
    "lag_bytes": None,
}
SLOT_GONE = ("pitr.slot-lost", "pitr.slot-missing")
# What the job can repair; a server that is down and a full disk are for people.
UNREPAIRED = "pitr.unrepaired"
REPAIRABLE = (*SLOT_GONE, "pitr.not-running", "pitr.not-streaming", UNREPAIRED)


@dataclass(frozen=True)
class Seen:
    """What one look saw."""

    problem: OpsError | None
    slot: str | None = None
    lag_bytes: int | None = None


def read(schedule: Schedule) -> dict[str, Any]:
    """Return the record; an unreadable one counts as empty."""
    try:
        found = json.loads((schedule.state / NAME).read_bytes())
    except (OSError, ValueError):
        return dict(NEVER)
    return NEVER | found if isinstance(found, dict) else dict(NEVER)


def judged(
    schedule: Schedule, before: Mapping[str, Any], seen: Seen, now: datetime
) -> dict[str, Any]:
    """Return the record of a look; its ``asked_at`` is *now* if the job has to run."""
    problem = seen.problem or _unrepaired(schedule, before)
    record = NEVER | {
        "at": stamp(now),
        "slot": seen.slot,
        "lag_bytes": seen.lag_bytes,
        "problem": _document(problem) if problem else None,
    }
    if problem:
        record["since"] = before["since"] or stamp(now)
        record["asked_at"], record["asked"] = before["asked_at"], before["asked"]
        if problem.code in REPAIRABLE and _is_time(before, now):
            record["asked_at"], record["asked"] = stamp(now), before["asked"] + 1
    return record


def write(schedule: Schedule, record: Mapping[str, Any]) -> None:
    """Write the record and its metrics.

    :raises OSError: if one cannot be written
    """
    files.replace(schedule.state / NAME, json.dumps(record).encode() + b"\n", mode=0o644)
    files.hand_over(schedule.state / NAME)
    files.hand_over(
        textfile_metrics.write(schedule.metrics_folder, gauges(record), METRICS, schedule.system)
    )


def asks(schedule: Schedule, name: str) -> bool:
    """Tell whether the watch has asked for a job since its last start."""
    asked = read(schedule)["asked_at"]
    if name != JOB or not asked:
        return False
    started = (schedule.records().get(name) or {}).get("started_at")
    return started is None or moment(started) < moment(asked)


def is_late(schedule: Schedule, now: datetime) -> bool:
    """Tell whether the watch has not looked for too long."""
    at = read(schedule)["at"]
    return at is None or now - moment(at) > LATE


def state(schedule: Schedule, now: datetime) -> tuple[str, bool] | None:
    """Return the state of the watch as one line, and whether it is well; None without a watch."""
    if schedule.watch is None:
        return None
    record = read(schedule)
    if record["at"] is None:
        return "it has not looked yet", False
    if is_late(schedule, now):
        return f"it has not looked since {record['at']}", False
    if record["problem"]:
        return f"{record['problem']['text']} (since {record['since']})", False
    return f"the stream runs, seen {record['at']}", True


def gauges(record: Mapping[str, Any]) -> list[Gauge]:
    """Return the gauges of a record."""

    def of(value: float | None) -> list[tuple[dict[str, str], float]]:
        return [] if value is None else [({"timer": SOURCE}, float(value))]

    problem = record["problem"] or {}
    return [
        Gauge("pms_pitr_watch_timestamp_seconds", "When the watch last looked at the stream.",
              of(moment(record["at"]).timestamp())),
        Gauge("pms_pitr_watch_up", "1 where the stream of WAL runs.", of(float(not problem))),
        Gauge("pms_pitr_watch_slot_lost", "1 where the slot is lost or gone.",
              of(float(problem.get("code") in SLOT_GONE))),
        Gauge("pms_pitr_watch_lag_bytes", "WAL that was written and not yet sent.",
              of(record["lag_bytes"])),
    ]  # fmt: skip


def _is_time(before: Mapping[str, Any], now: datetime) -> bool:
    if not before["asked_at"]:
        return True
    pause = PAUSES[min(before["asked"], len(PAUSES)) - 1]
    asked = moment(before["asked_at"])
    return not asked <= now < asked + pause  # a time in the future: the clock was set back


def _document(problem: OpsError) -> dict[str, str]:
    return {"code": problem.code, "text": str(problem), "remedy": problem.remedy}


def _unrepaired(schedule: Schedule, before: Mapping[str, Any]) -> OpsError | None:
    """Return what is still wrong while the stream runs: the job that was asked for has not ended.

    After a lost slot the stream begins anew, and no moment after the break can be had before the
    base backup that the job makes.
    """
    if not before["problem"] or not before["asked_at"] or JOB not in schedule.jobs:
        return None
    succeeded = (schedule.records().get(JOB) or {}).get("succeeded_start")
    if succeeded and moment(succeeded) >= moment(before["asked_at"]):
        return None
    return OpsError(
        "The stream runs again, but the job that repairs it has not succeeded yet: moments after"
        " the break may need the base backup that it makes.",
        f"Wait for it, or read journalctl -u {schedule.unit_prefix}{JOB}.service.",
        code=UNREPAIRED,
    )
