# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""What was planned in a period, and what became of it: the schedule against the ledger.

The schedule tells what is planned from the day on which each job was registered; before that, and
without a schedule, nobody can tell any more what was planned: NOT MEASURED, never "nothing". The
same for jobs of which the ledger has no lines.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.common.pairs import neighbours
from ansible.module_utils.pmsops.common.timestamps import UTC, utc_stamp
from ansible.module_utils.pmsops.evidence import audit, verdicts
from ansible.module_utils.pmsops.export.period import Period, read_moment
from ansible.module_utils.pmsops.export.segment import Line
from ansible.module_utils.pmsops.schedule.calendar import CLOCK_SKEW, ScheduledJob
from ansible.module_utils.pmsops.schedule.state import Schedule

SHOWN = 12  # missed moments of a job that are listed; the count has all
DONE, FAILED, MISSED = "done", "failed", "missed"
NO_VERDICT = "not_measured"
DRILL, ANCHOR = "drill", "anchor"
Belongs = Callable[[Mapping[str, Any], Line], bool]


@dataclass(frozen=True)
class Plan:
    """The jobs of a schedule, each with the moment since which it is known."""

    jobs: tuple[tuple[ScheduledJob, datetime], ...]

    def document(self) -> list[dict[str, Any]]:
        """Return the jobs without their commands, for the export."""
        return [
            {
                "name": job.name,
                "title": job.title,
                "days": job.days,
                "at": [f"{at:%H:%M}" for at in job.at],
                "known_since": utc_stamp(since),
            }
            for job, since in self.jobs
        ]


def read(path: Path | None) -> Plan | None:
    """Return the plan of a schedule; None where this host has none that can be read."""
    try:
        schedule = Schedule.read(path) if path else None
        records = schedule.records() if schedule else {}
    except OpsError:
        return None
    if schedule is None:
        return None
    found = []
    for name, job in schedule.jobs.items():
        since = read_moment(records.get(name, {}).get("registered_at"))
        if since is not None:
            found.append((job, since))
    return Plan(tuple(found))


def compare(
    plan: Plan, lines: Iterable[Line], period: Period, now: datetime
) -> list[dict[str, Any]]:
    """Return for each job how many runs were planned, done, failed and missed.

    A planned run is missed if no line of the ledger is of it until the next one is due. It may have
    failed before it wrote a line: that is missing evidence all the same.
    """
    lines = list(lines)
    return [_of_job(job, since, lines, period, now) for job, since in plan.jobs]


def _of_job(
    job: ScheduledJob, since: datetime, lines: list[Line], period: Period, now: datetime
) -> dict[str, Any]:
    start, end = max(period.start, since), min(period.end, now)
    found: dict[str, Any] = {
        "name": job.name,
        "title": job.title,
        "days": job.days,
        "at": [f"{at:%H:%M}" for at in job.at],
        "of": _of(job),
        "planned": 0,
        "counts": None,
        "missed_at": [],
        # Due moments of which a run failed before one passed: done, and not at the first try.
        "failed_before": [],
        # The part of the period about which the schedule says nothing.
        "unknown_until": utc_stamp(min(since, period.end)) if since > period.start else None,
    }
    dues = list(_dues(job, start, end))
    found["planned"] = len(dues) - 1 if dues else 0
    belongs = _recorded(job)
    if belongs is None:
        return found
    told = sorted((_began(line), _verdict(line)) for line in lines if belongs(line.record, line))
    counts = {DONE: 0, FAILED: 0, MISSED: 0, NO_VERDICT: 0}
    for due, following in neighbours(dues):
        if following > now and not any(due - CLOCK_SKEW <= at for at, _verdict in told):
            found["planned"] -= 1  # its time is not over
            continue
        seen = {said for at, said in told if due - CLOCK_SKEW <= at < following - CLOCK_SKEW}
        outcome = next((each for each in (DONE, FAILED, NO_VERDICT) if each in seen), MISSED)
        counts[outcome] += 1
        if outcome == DONE and FAILED in seen:
            found["failed_before"].append(utc_stamp(due))
        if outcome == MISSED:
            found["missed_at"].append(utc_stamp(due))
    return found | {"counts": counts}


def _dues(job: ScheduledJob, start: datetime, end: datetime) -> Iterable[datetime]:
    """Yield the due moments from *start* to *end*, and the one after the last."""
    due = job.next_due(start - CLOCK_SKEW)
    while due < end:
        yield due
        due = job.next_due(due)
    yield due


def _began(line: Line) -> datetime:
    said = audit.of(line.entry)["started_at"] if line.entry else None
    return read_moment(said) or line.at or datetime.max.replace(tzinfo=UTC)


def _verdict(line: Line) -> str:
    if line.kind == "offsite" and line.record.get("failed"):
        return FAILED
    if line.kind == "offsite" and "proved" not in line.record:
        return DONE
    words = {verdicts.PASS: DONE, verdicts.FAIL: FAILED}
    return words.get(verdicts.of(line.kind, line.record), NO_VERDICT)


def _of(job: ScheduledJob) -> str:
    """Return what a job is of, for the report: a drill, an anchor, or nothing that it counts."""
    if "anchor.yml" in _playbooks(job):
        return ANCHOR
    return DRILL if "drill.yml" in _playbooks(job) and "drill_at=" not in _said(job) else ""


def _said(job: ScheduledJob) -> str:
    return " ".join(job.command)


def _playbooks(job: ScheduledJob) -> set[str]:
    """Return the file names in a command: golive.yml lies at the top, others in playbooks/."""
    return {Path(word).name for word in job.command}


def _recorded(job: ScheduledJob) -> Belongs | None:
    """Return which lines of the ledger a job writes; None where it writes none."""
    command = _said(job)
    act = next(
        (each for each in ("prove", "try", "prune") if f"offsite_action={each}" in command), ""
    )
    if act:
        name = "proof" if act == "prove" else act
        return lambda record, line: line.kind == "offsite" and record.get("act") == name
    if "pitr_action=prove" in command:
        return lambda record, line: line.kind == "proof" and record.get("of") != "moment"
    if "drill_at=" in command:
        return lambda record, line: line.kind == "proof" and record.get("of") == "moment"
    elsewhere = "drill_host=" in command
    kinds = {"backup.yml": "backup", "golive.yml": "gate", "drill.yml": "drill"}
    kind = next((kinds[name] for name in _playbooks(job) if name in kinds), None)
    if kind is None:
        return None
    return lambda record, line: (
        line.kind == kind
        and not record.get("other_database")
        and (kind != "backup" or bool(record.get("set")))
        and (kind != "drill" or bool(record.get("drill_host")) == elsewhere)
    )
