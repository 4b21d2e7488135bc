# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Recover Dagster and today's jobs, least intrusive step first.

If Dagster cannot be recovered, the PMS does today's work itself (pipeline_fallback.py). That is
still an error, because no schedule fires until Dagster runs again.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.incidents.record import ActionRecorder
from ansible.module_utils.pmsops.pms.client import PmsApi
from ansible.module_utils.pmsops.postgresql.connection import Database
from ansible.module_utils.pmsops.recovery import pipeline_fallback
from ansible.module_utils.pmsops.recovery.dagster import Dagster
from ansible.module_utils.pmsops.recovery.services import (
    DesiredState,
    bring_up,
    older_than_server,
    planned_steps,
)
from ansible.module_utils.pmsops.services.manager import Services

SERVICES = ("dagster-webserver", "dagster-daemon")
WEBSERVER, DAEMON = SERVICES
POLL_SECONDS = 0.5
# Errors after which the PMS does the day's work without Dagster.
FALLBACK_CODES = frozenset(
    {
        *("dagster.refused", "pipeline.code", "pipeline.scheduler"),
        *("services.missing", "services.unhealthy", "services.refused"),
    }
)


@dataclass(frozen=True)
class Symptoms:
    """The detected symptoms by id, and the days of the missing pack and data."""

    seen: frozenset[str]
    pack_day: date
    data_day: date


@dataclass(frozen=True)
class Pipeline:
    """One pipeline: Dagster, its services, and the PMS behind it.

    *patience* scales every wait for Dagster; 0 asks once.
    """

    dagster: Dagster
    services: Services
    api: PmsApi
    database: Database
    evidence_root: Path
    data_job: str
    pack_job: str
    job_seconds: float = 180.0
    healthy_seconds: float = 90.0
    stuck_minutes: int = 60
    patience: float = 1.0


def recover(symptoms: Symptoms, pipeline: Pipeline, *, record: ActionRecorder) -> list[str]:
    """Recover Dagster and today's jobs; return the steps.

    :raises OpsError: pipeline.by_hand if the PMS had to do the work itself; pipeline.*, pms.*.
    """
    done: list[str] = []
    try:
        _start_services(pipeline, done, record)
        _load_code(pipeline, done, record)
        _restart_scheduler(pipeline, done, record)
        _start_schedules(pipeline, done, record)
    except OpsError as exc:
        if exc.code not in FALLBACK_CODES:
            raise
        done += pipeline_fallback.run(
            pipeline.api,
            pipeline.database,
            pipeline.evidence_root,
            pack_day=symptoms.pack_day,
            data_day=symptoms.data_day,
            record=record,
        )
        raise OpsError(
            f"Dagster is still down: {exc} The PMS did today's work itself: {'; '.join(done)}.",
            f"{exc.remedy} Then run this playbook again; until then no schedule fires.",
            code="pipeline.by_hand",
        ) from exc
    _run_jobs(symptoms, pipeline, done, record)
    return done


def plan(pipeline: Pipeline) -> list[str]:
    """Return the first steps of a recovery.

    :raises OpsError: services.*, clients.engine, dagster.refused.
    """
    steps = [step.text for step in planned_steps(pipeline.services, DesiredState(names=SERVICES))]
    if steps or not _answers(pipeline):
        return steps or [f"Restart {WEBSERVER}, which does not answer"]
    locations = pipeline.dagster.locations()
    steps += [f"Reload {each['name']}" for each in locations if each["status"] != "LOADED"]
    if not steps:
        schedules = pipeline.dagster.stopped_schedules()
        steps += [f"Start {each['scheduleName']}" for each in schedules]
    trouble = pipeline.dagster.trouble(pipeline.stuck_minutes)
    steps += [f"End the stuck run of {each['job']}" for each in trouble["stuck_runs"]]
    return steps + [f"Run {job} again" for job in trouble["failed_jobs"]]


def restart_outdated(
    services: Services, database: Database, *, record: ActionRecorder
) -> list[str]:
    """Restart the services of Dagster that are older than the database server.

    While the database was down, the daemon may have loaded its code, failed, and kept the error. It
    then fails every run, although it is healthy and the web server shows the code as loaded. The
    web server's connections are dead too, and each fails one request.

    :raises OpsError: services.*, clients.engine, database.*.
    """
    names = tuple(
        name
        for name in SERVICES
        if name in services.names and older_than_server(services, name, database)
    )
    if not names:
        return []
    desired = DesiredState(names=names, restart=True, stop_seconds=5)
    return bring_up(services, desired, record=record)


def _start_services(pipeline: Pipeline, done: list[str], record: ActionRecorder) -> None:
    """Start stopped services, and restart a web server that does not answer.

    :raises OpsError: services.*, dagster.refused.
    """
    managed = pipeline.services.manager != "none"
    if managed:
        desired = DesiredState(
            names=SERVICES, stop_seconds=5, healthy_seconds=int(pipeline.healthy_seconds)
        )
        done += bring_up(pipeline.services, desired, record=record)
    if _within(10.0 if done else 2.0, _answers, pipeline):
        return
    if managed:
        done += bring_up(pipeline.services, _restarted(pipeline, WEBSERVER), record=record)
    if not _within(pipeline.healthy_seconds, _answers, pipeline):
        pipeline.dagster.ping()  # raises the error that the recovery reports


def _load_code(pipeline: Pipeline, done: list[str], record: ActionRecorder) -> None:
    """Reload the code locations with an error.

    :raises OpsError: pipeline.code with the error of the code.
    """
    for location in pipeline.dagster.locations():
        if location["status"] == "LOADED":
            continue
        error = location["error"] or location["status"]
        text = f"Reload {location['name']}, whose error was: {error}"
        with record(text) as action:
            problem = pipeline.dagster.reload(location["name"])
            action.result = problem or "it loads"
        if problem:
            raise OpsError(
                f"Code location {location['name']} does not load: {problem}.",
                "Correct the code that it names, or deploy the approved release again.",
                code="pipeline.code",
            )
        done.append(text)


def _restart_scheduler(pipeline: Pipeline, done: list[str], record: ActionRecorder) -> None:
    """Restart a daemon that sends no heartbeat.

    :raises OpsError: pipeline.scheduler.
    """
    if _within(20.0 if done else 3.0, _beats, pipeline):
        return
    if pipeline.services.manager != "none":
        done += bring_up(pipeline.services, _restarted(pipeline, DAEMON), record=record)
    if not _within(pipeline.healthy_seconds, _beats, pipeline):
        raise OpsError(
            "Dagster's scheduler sends no heartbeat, although its daemon was restarted.",
            f"Read the log of {DAEMON} (`docker logs`): it names what it cannot reach.",
            code="pipeline.scheduler",
        )


def _start_schedules(pipeline: Pipeline, done: list[str], record: ActionRecorder) -> None:
    for selector in pipeline.dagster.stopped_schedules():
        text = f"Start schedule {selector['scheduleName']}"
        with record(text):
            pipeline.dagster.start_schedule(selector)
        done.append(text)


def _run_jobs(
    symptoms: Symptoms, pipeline: Pipeline, done: list[str], record: ActionRecorder
) -> None:
    """End stuck runs, and run each failed or missing job once.

    :raises OpsError: pipeline.job.
    """
    trouble = pipeline.dagster.trouble(pipeline.stuck_minutes)
    jobs = list(trouble["failed_jobs"])
    for run in trouble["stuck_runs"]:
        text = f"End run {run['id']} of {run['job']}, {run['status']} since {run['since']}"
        with record(text) as action:
            action.result = pipeline.dagster.end_run(run["id"], seconds=10.0)
        done.append(text)
        jobs.append(run["job"])
    if "pipeline.data" in symptoms.seen:
        jobs.append(pipeline.data_job)
    if "pipeline.pack" in symptoms.seen:
        jobs.append(pipeline.pack_job)
    if jobs:
        done += restart_outdated(pipeline.services, pipeline.database, record=record)
    for job in dict.fromkeys(jobs):
        text = f"Run {job} again"
        with record(text) as action:
            ended = pipeline.dagster.run_job(job, seconds=pipeline.job_seconds)
            action.result = f"run {ended['id']}: {ended['status']} after {ended['seconds']} s"
            if ended["status"] != "SUCCESS":
                raise OpsError(
                    f"Job {job} ended {ended['status']} again, run {ended['id']}.",
                    "Open the run in Dagster and read the failed step; it names what is missing.",
                    code="pipeline.job",
                )
        done.append(text)


def _restarted(pipeline: Pipeline, name: str) -> DesiredState:
    return DesiredState(
        names=(name,), restart=True, stop_seconds=5, healthy_seconds=int(pipeline.healthy_seconds)
    )


def _answers(pipeline: Pipeline) -> bool:
    try:
        pipeline.dagster.ping()
    except OpsError:
        return False
    return True


def _beats(pipeline: Pipeline) -> bool:
    daemons = pipeline.dagster.daemons()
    return any(each["type"] == "SCHEDULER" and each["healthy"] for each in daemons)


def _within(seconds: float, holds: Callable[[Pipeline], bool], pipeline: Pipeline) -> bool:
    """Tell whether a condition holds within *seconds*; an error counts as not yet."""
    deadline = time.monotonic() + seconds * pipeline.patience
    while True:
        try:
            if holds(pipeline):
                return True
        except OpsError:
            pass
        if time.monotonic() >= deadline:
            return False
        time.sleep(POLL_SECONDS)
