# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Recover Dagster and today's jobs, least intrusive step first.

If Dagster cannot be recovered, the PMS does today's work itself (pipeline_fallback.py). That is
still an error, because no schedule fires until Dagster runs again.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.common.timestamps import UTC
from ansible.module_utils.pmsops.incidents.record import ActionRecorder
from ansible.module_utils.pmsops.pms.client import PmsApi
from ansible.module_utils.pmsops.postgresql.connection import Database
from ansible.module_utils.pmsops.recovery import pipeline_fallback, pipeline_jobs
from ansible.module_utils.pmsops.recovery.dagster import Dagster
from ansible.module_utils.pmsops.recovery.dagster_services import (
    DAEMON,
    WEBSERVER,
    names,
)
from ansible.module_utils.pmsops.recovery.pipeline_fallback import Symptoms
from ansible.module_utils.pmsops.recovery.run_processes import RunProcesses, listed
from ansible.module_utils.pmsops.recovery.services import (
    DesiredState,
    bring_up,
    planned_steps,
)
from ansible.module_utils.pmsops.services.manager import Services

POLL_SECONDS = 0.5
# A code location that failed to reach its database keeps the error: no fault of the code.
DATABASE_ERROR = re.compile(
    r"(?i)retries for DB connection|password authentication failed|connection to server"
    r"|could not connect to server|(?:psycopg2?|sqlalchemy)[\w.]*OperationalError"
)
# Errors after which the PMS does the day's work without Dagster. A service that is not found is
# none of them: a Dagster with other names may have done the work.
FALLBACK_CODES = frozenset(
    {
        *("dagster.refused", "pipeline.code", "pipeline.scheduler"),
        *("services.unhealthy", "services.refused"),
    }
)


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
    redis: Mapping[str, Any] | None = None

    @property
    def processes(self) -> RunProcesses:
        """Return what looks for the processes of Dagster's runs."""
        return RunProcesses(self.services)

    def names(self, *parts: str) -> tuple[str, ...]:
        """Return the services of *parts* (all without any) that the inventory names."""
        return names(self.services, *parts)


def recover(symptoms: Symptoms, pipeline: Pipeline, *, record: ActionRecorder) -> list[str]:
    """Recover Dagster and today's jobs; return the steps.

    :raises OpsError: pipeline.by_hand if the PMS had to do the work itself; pipeline.*, pms.*.
    """
    done: list[str] = []
    if not pipeline.dagster.url:
        return pipeline_fallback.without_dagster(pipeline.api, pipeline.database, symptoms, record)
    try:
        _start_services(pipeline, done, record)
        _load_code(pipeline, done, record)
        _restart_scheduler(pipeline, done, record)
        _start_schedules(pipeline, done, record)
    except OpsError as exc:
        if exc.code not in FALLBACK_CODES:
            raise
        # Dagster does not say which runs there are, and the step of any of them acts on the book.
        pipeline_jobs.await_processes(pipeline, record)
        done += pipeline_fallback.run(
            pipeline.api,
            pipeline.database,
            pipeline.evidence_root,
            pack_day=symptoms.pack_day,
            data_day=symptoms.data_day,
            record=record,
            redis=pipeline.redis,
        )
        raise OpsError(
            f"Dagster is still down: {exc} The PMS did today's work itself: {'; '.join(done)}.",
            f"{exc.remedy} Then run this playbook again; until then no schedule fires.",
            code="pipeline.by_hand",
        ) from exc
    pipeline_jobs.run(symptoms, pipeline, done, record)
    return done


def plan(symptoms: Symptoms, pipeline: Pipeline) -> list[str]:
    """Return the first steps of a recovery.

    :raises OpsError: services.*, clients.engine, dagster.refused, database.*.
    """
    if not pipeline.dagster.url:
        missing = "pipeline.pack" in symptoms.seen
        return [f"Generate the morning pack of {symptoms.pack_day}"] if missing else []
    desired = DesiredState(names=pipeline.names())
    steps = [step.text for step in planned_steps(pipeline.services, desired)]
    if steps or not _answers(pipeline):
        webserver = ", ".join(pipeline.names(WEBSERVER)) or "Dagster's web server"
        return steps or [f"Restart {webserver}, which does not answer"]
    locations = pipeline.dagster.locations()
    steps += [f"Reload {each['name']}" for each in locations if each["status"] != "LOADED"]
    if not steps:
        schedules = pipeline.dagster.stopped_schedules()
        steps += [f"Start {each['scheduleName']}" for each in schedules]
    trouble = pipeline.dagster.trouble(pipeline.stuck_minutes)
    steps += [f"End the stuck run of {each['job']}" for each in trouble["stuck_runs"]]
    if found := pipeline.processes.found([each["id"] for each in trouble["lost_runs"]]):
        steps.append(f"Wait for {listed(found)}, or end it")
    jobs = [
        job
        for job in trouble["failed_jobs"]
        if not pipeline_jobs.work_there(job, symptoms, pipeline)
    ]
    return steps + [f"Run {job} again" for job in jobs]


def _start_services(pipeline: Pipeline, done: list[str], record: ActionRecorder) -> None:
    """Start stopped services, and restart a web server that does not answer.

    A Dagster that answers needs no service by that name.

    :raises OpsError: services.*, dagster.refused.
    """
    managed = pipeline.services.manager != "none"
    if managed:
        desired = DesiredState(
            names=pipeline.names(), stop_seconds=5, healthy_seconds=int(pipeline.healthy_seconds)
        )
        try:
            done += bring_up(pipeline.services, desired, record=record)
        except OpsError as exc:
            if exc.code != "services.missing" or not _answers(pipeline):
                raise
            return
    if _within(10.0 if done else 2.0, _answers, pipeline):
        return
    if managed:
        done += bring_up(pipeline.services, _restarted(pipeline, WEBSERVER), record=record)
    if not _within(pipeline.healthy_seconds, _answers, pipeline):
        pipeline.dagster.ping()  # raises the error that the recovery reports


def _load_code(pipeline: Pipeline, done: list[str], record: ActionRecorder) -> None:
    """Reload the code locations with an error; restart Dagster if it is one of its database.

    :raises OpsError: pipeline.code with the error of the code; services.*.
    """
    for location in pipeline.dagster.locations():
        if location["status"] == "LOADED":
            continue
        error = location["error"] or location["status"]
        text = f"Reload {location['name']}, whose error was: {error}"
        with record(text) as action:
            problem = pipeline.dagster.reload(location["name"])
            action.result = problem or "it loads"
        if problem and DATABASE_ERROR.search(problem):
            problem = _reload_restarted(pipeline, location["name"], done, record)
        if problem:
            raise OpsError(
                f"Code location {location['name']} does not load: {problem}.",
                "Correct the code that it names, or deploy the approved release again.",
                code="pipeline.code",
            )
        done.append(text)


def _reload_restarted(
    pipeline: Pipeline, location: str, done: list[str], record: ActionRecorder
) -> str | None:
    """Restart Dagster, and reload a location; return why its code still does not load.

    :raises OpsError: pipeline.code if it still fails at its database; services.*, dagster.refused.
    """
    if pipeline.services.manager != "none":
        done += bring_up(pipeline.services, _restarted(pipeline), record=record)
    _within(pipeline.healthy_seconds, _answers, pipeline)
    text = f"Reload {location} after the restart"
    with record(text) as action:
        problem = pipeline.dagster.reload(location)
        action.result = problem or "it loads"
    if problem and DATABASE_ERROR.search(problem):
        raise OpsError(
            f"Code location {location} does not reach its database, although Dagster was restarted:"
            f" {problem}.",
            "Compare the user and the password in Dagster's environment with those of its database"
            " (the container's variables, and restore_role_passwords), and restart its services.",
            code="pipeline.code",
        )
    return problem


def _restart_scheduler(pipeline: Pipeline, done: list[str], record: ActionRecorder) -> None:
    """Restart a daemon that sends no heartbeat.

    :raises OpsError: pipeline.scheduler.
    """
    if _within(20.0 if done else 3.0, _beats, pipeline):
        return
    restarted = datetime.now(UTC)
    if pipeline.services.manager != "none":
        done += bring_up(pipeline.services, _restarted(pipeline, DAEMON), record=record)
    if not _within(
        pipeline.healthy_seconds, lambda each: each.dagster.scheduler_beats(restarted), pipeline
    ):
        raise OpsError(
            "Dagster's scheduler sends no heartbeat, although its daemon was restarted.",
            f"Read the log of {', '.join(pipeline.names(DAEMON)) or 'the daemon'}: it names what"
            " it cannot reach.",
            code="pipeline.scheduler",
        )


def _start_schedules(pipeline: Pipeline, done: list[str], record: ActionRecorder) -> None:
    for selector in pipeline.dagster.stopped_schedules():
        text = f"Start schedule {selector['scheduleName']}"
        with record(text):
            pipeline.dagster.start_schedule(selector)
        done.append(text)


def _restarted(pipeline: Pipeline, *parts: str) -> DesiredState:
    return DesiredState(
        names=pipeline.names(*parts),
        restart=True,
        stop_seconds=5,
        healthy_seconds=int(pipeline.healthy_seconds),
    )


def _answers(pipeline: Pipeline) -> bool:
    try:
        pipeline.dagster.ping()
    except OpsError:
        return False
    return True


def _beats(pipeline: Pipeline) -> bool:
    return pipeline.dagster.scheduler_beats()


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
