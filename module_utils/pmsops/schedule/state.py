# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The record of the scheduled jobs: one small file that status, the gate and alerts read.

A job records its own start. systemd records each exit status, so killed and timed-out runs are
reported.
"""

from __future__ import annotations

import json
import signal
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from ansible.module_utils.pmsops.common import files, process_lock, textfile_metrics
from ansible.module_utils.pmsops.common.business_zone import BUSINESS_ZONE
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.common.files import hand_over
from ansible.module_utils.pmsops.common.textfile_metrics import Gauge
from ansible.module_utils.pmsops.common.timestamps import moment, stamp
from ansible.module_utils.pmsops.schedule.calendar import ScheduledJob

STATUS = "status.json"
REPLACED = "replaced"
LOCK = ".status.lock"
METRICS = "pms_schedule.prom"
LOCK_SECONDS = 10.0
# The record of a job that never ran.
NEVER = {
    "started_at": None,
    "ended_at": None,
    "result": None,
    "exit_status": None,
    "invocation": None,
    "succeeded_start": None,
    "succeeded_at": None,
    "failing_since": None,
    "skipped_at": None,
    "failure": None,
}


class Schedule:
    """The jobs of a schedule, and their record in a folder."""

    # What the names of the units begin with, and whether timers of systemd start the jobs (None: an
    # older schedule does not say)
    unit_prefix = "pms-ops-"
    timers: bool | None = None
    # Where the watch over continuous protection looks; None: there is none
    watch: dict[str, Any] | None = None
    # The label of its metrics; an older schedule names none
    system: str = ""

    def __init__(self, jobs: Iterable[ScheduledJob], state: Path, metrics_folder: Path) -> None:
        self.jobs = {job.name: job for job in jobs}
        self.state = state
        self.metrics_folder = metrics_folder

    @classmethod
    def read(cls, path: Path) -> Schedule:
        """Return the schedule that the role wrote.

        :raises OpsError: schedule.config, schedule.job
        """
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
            folders = Path(document["state_dir"]), Path(document["metrics_dir"])
            jobs = list(document["jobs"])
        except (OSError, ValueError, KeyError, TypeError) as exc:
            raise OpsError(
                f"The schedule {path} cannot be read: {exc}.",
                "Run playbooks/schedule.yml, which writes it.",
                code="schedule.config",
            ) from exc
        schedule = cls([ScheduledJob.from_options(options) for options in jobs], *folders)
        schedule.unit_prefix = str(document.get("unit_prefix", cls.unit_prefix))
        schedule.timers = document.get("timers")
        schedule.watch = document.get("watch") or None
        schedule.system = str(document.get("metrics_system") or "")
        return schedule

    def job(self, name: str) -> ScheduledJob:
        """Return a job by its name.

        :raises OpsError: schedule.unknown
        """
        if name not in self.jobs:
            raise OpsError(
                f"The schedule has no job {name}; it has {', '.join(self.jobs) or 'none'}.",
                "Name one of these, or add it to schedule_jobs and run playbooks/schedule.yml.",
                code="schedule.unknown",
            )
        return self.jobs[name]

    def replaced(self) -> str:
        """Return why this machine must not work any more, as its last playbook found; else nothing.

        The role pms leaves the note, and removes it once the sites know this machine again.
        """
        with suppress(OSError):
            return (self.state / REPLACED).read_text(encoding="utf-8").strip()
        return ""

    def records(self) -> dict[str, dict[str, Any]]:
        """Return the record of each job, by name; empty before the first one."""
        try:
            document = json.loads((self.state / STATUS).read_text(encoding="utf-8"))
            return {record["name"]: NEVER | record for record in document["jobs"]}
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, KeyError, TypeError) as exc:
            raise OpsError(
                f"{self.state / STATUS} cannot be read: {exc}.",
                "Move it away and run playbooks/schedule.yml: the record then begins anew.",
                code="schedule.status",
            ) from exc

    def planned(self, now: datetime) -> dict[str, Any]:
        """Return the record for the current list of jobs: new ones added, others removed."""
        known = self.records()
        kept = {
            name: known.get(name) or NEVER | {"name": name, "registered_at": stamp(now)}
            for name in self.jobs
        }
        return self._document(kept)

    def is_due(self, name: str, now: datetime) -> bool:
        """Tell whether a job that its timer started is due."""
        job, record = self.job(name), self.records().get(name)
        if record is None:
            return True
        return job.is_due(moment(record["started_at"] or record["registered_at"]), now)

    def skip(self, name: str, now: datetime) -> None:
        """Record that the timer fired on a day that the job skips."""
        with self._change(name, now) as record:
            record["skipped_at"] = stamp(now)

    def begin(self, name: str, now: datetime, invocation: str) -> None:
        """Record that a run begins."""
        with self._change(name, now) as record:
            record |= {"started_at": stamp(now), "invocation": invocation, "failure": None}
            record |= {"ended_at": None, "result": None, "exit_status": None}

    def explain(self, name: str, failure: dict[str, Any], now: datetime) -> None:
        """Record where a run failed, for the message that follows."""
        with self._change(name, now) as record:
            record["failure"] = failure

    def end(
        self, name: str, now: datetime, invocation: str, *, result: str, exit_status: int
    ) -> None:
        """Record the end of a run; *result* is systemd's: ``success``, or a kind of failure.

        A run that failed before its start was recorded counts as started now.
        """
        with self._change(name, now) as record:
            if record["invocation"] != invocation:
                if result == "success":
                    return  # the run was skipped
                record |= {"started_at": stamp(now), "invocation": invocation, "failure": None}
            record |= {"ended_at": stamp(now), "result": result, "exit_status": exit_status}
            if result == "success":
                record |= {"succeeded_start": record["started_at"], "succeeded_at": stamp(now)}
                record["failure"] = record["failing_since"] = None
            else:
                record["failing_since"] = record["failing_since"] or stamp(now)

    def late(self, now: datetime) -> list[dict[str, Any]]:
        """Return the records of jobs whose success is overdue."""
        records = self.planned(now)["jobs"]
        return [record for record in records if moment(record["fresh_until"]) < now]

    def write(self, document: dict[str, Any]) -> None:
        """Write the record and its metrics."""
        _put(self.state, STATUS, json.dumps(document, indent=2).encode() + b"\n", mode=0o644)
        found = gauges(document["jobs"])
        hand_over(textfile_metrics.write(self.metrics_folder, found, METRICS, self.system))

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Lock the record for a ``with`` block.

        :raises OpsError: lock.held
        """
        lock = self.state / LOCK
        with process_lock.awaited(lock, "record of the schedule", seconds=LOCK_SECONDS):
            hand_over(lock)
            yield

    @contextmanager
    def _change(self, name: str, now: datetime) -> Iterator[dict[str, Any]]:
        self.job(name)
        with self.locked():
            document = self.planned(now)
            record = next(each for each in document["jobs"] if each["name"] == name)
            yield record
            self.write(self._document({each["name"]: each for each in document["jobs"]}))

    def _document(self, records: dict[str, dict[str, Any]]) -> dict[str, Any]:
        jobs = []
        for name, record in records.items():
            job = self.jobs[name]
            since = moment(record["succeeded_start"] or record["registered_at"])
            times = ", ".join(f"{at:%H:%M}" for at in job.at)
            place = "" if job.zone == BUSINESS_ZONE else f" {job.zone.key}"
            about = {"title": job.title, "when": f"{job.days} {times}{place}"}
            jobs.append(record | about | {"fresh_until": stamp(job.deadline(since))})
        return {"version": 1, "jobs": jobs}


def gauges(records: Iterable[dict[str, Any]]) -> list[Gauge]:
    """Return the gauges of the records; a job that never ran has a deadline too."""
    found: dict[str, list[tuple[dict[str, str], float]]] = {}

    def add(name: str, record: dict[str, Any], value: float | None) -> None:
        samples = found.setdefault(name, [])
        if value is not None:
            samples.append(({"timer": record["name"]}, value))

    for record in records:
        add("deadline", record, _seconds(record["fresh_until"]))
        add("start", record, _seconds(record["started_at"]))
        add("success", record, _seconds(record["succeeded_at"]))
        ended = record["ended_at"] is not None
        add("good", record, float(record["result"] == "success") if ended else None)
        add("status", record, record["exit_status"] if ended else None)
    return [
        Gauge("pms_schedule_deadline_timestamp_seconds",
              "Until when the next run of the timer must have succeeded.",
              found.get("deadline", [])),
        Gauge("pms_schedule_last_start_timestamp_seconds", "When the last run began.",
              found.get("start", [])),
        Gauge("pms_schedule_last_success_timestamp_seconds", "When the last good run ended.",
              found.get("success", [])),
        Gauge("pms_schedule_last_run_success", "1 where the last run that ended was good.",
              found.get("good", [])),
        Gauge("pms_schedule_last_exit_status",
              "Exit status of the last run that ended, 128 and the signal where one ended it.",
              found.get("status", [])),
    ]  # fmt: skip


def exit_number(status: str) -> int:
    """Return systemd's EXIT_STATUS as a number: an exit status, or 128 and the signal's number."""
    if status.isdigit():
        return int(status)
    found = getattr(signal, f"SIG{status}", None)
    return 128 + int(found) if isinstance(found, signal.Signals) else 255


def _seconds(text: str | None) -> float | None:
    return None if text is None else moment(text).timestamp()


def _put(folder: Path, name: str, content: bytes, *, mode: int) -> None:
    files.replace(folder / name, content, mode=mode)
    hand_over(folder / name)
