# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Bring Dagster and the day's work back, the least intrusive step first.

Where Dagster cannot be brought back, the PMS does the work itself: its agents, the steps of its
pipeline, its morning pack. That saves the day and mends nothing, so it is an error all the same.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import psycopg2
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.incidents import request_log
from ansible.module_utils.pmsops.incidents.record import ActionRecorder
from ansible.module_utils.pmsops.pms.client import PmsApi
from ansible.module_utils.pmsops.postgresql.connection import Database, fetch_all
from ansible.module_utils.pmsops.recovery import services as service_care
from ansible.module_utils.pmsops.recovery.dagster import Dagster
from ansible.module_utils.pmsops.services.manager import Services

SERVICES = ("dagster-webserver", "dagster-daemon")
WEBSERVER, DAEMON = SERVICES
AGENTS = ("inflation_agent", "monetary_agent", "fiscal_agent", "fx_agent", "cross_asset_agent")
POLL_SECONDS = 0.5
# What ends up in Dagster being given up, for the day.
FALLBACK_CODES = frozenset(
    {
        *("dagster.refused", "pipeline.code", "pipeline.scheduler"),
        *("services.missing", "services.unhealthy", "services.refused"),
    }
)


@dataclass(frozen=True)
class Symptoms:
    """What was seen: ids of signs, and the jobs and days behind them."""

    seen: frozenset[str]
    pack_day: date
    data_day: date


@dataclass(frozen=True)
class Pipeline:
    """One pipeline: Dagster, the PMS behind it, and what manages them."""

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


def recover(signs: Symptoms, place: Pipeline, *, record: ActionRecorder) -> list[str]:
    """Bring Dagster and the work of the day back; return the steps in words.

    :raises OpsError: pipeline.by_hand where only the work could be saved; pipeline.*, pms.*.
    """
    done: list[str] = []
    try:
        _bring_up(place, done, record)
        _load(place, done, record)
        _revive(place, done, record)
        _switch_on(place, done, record)
    except OpsError as exc:
        if exc.code not in FALLBACK_CODES:
            raise
        _by_hand(signs, place, done, record)
        raise OpsError(
            f"Dagster is still down: {exc} The work of the day was done by the PMS itself:"
            f" {'; '.join(done) or 'it had been done already'}.",
            f"{exc.remedy} Then run this playbook again; until then no schedule fires.",
            code="pipeline.by_hand",
        ) from exc
    _run_again(signs, place, done, record)
    return done


def plan(place: Pipeline) -> list[str]:
    """Return in words what a recovery would begin with.

    :raises OpsError: services.*, clients.engine.
    """
    steps = [step.text for step in service_care.planned_steps(place.services, _both())]
    if steps or not place.dagster.answers():
        return steps or [f"Restart {WEBSERVER}, which does not answer"]
    entries = place.dagster.ask("locations")["locations"]
    steps += [f"Load {each['name']} anew" for each in entries if each["status"] != "LOADED"]
    if not steps:
        schedules = place.dagster.stopped_schedules()
        steps += [f"Switch {each['scheduleName']} on" for each in schedules]
    trouble = place.dagster.ask("trouble", minutes=place.stuck_minutes)
    steps += [f"End the stuck run of {each['job']}" for each in trouble["stuck_runs"]]
    return steps + [f"Run {job} again" for job in trouble["failed_jobs"]]


def _both(**more: Any) -> service_care.DesiredState:
    return service_care.DesiredState(names=SERVICES, **more)


def _one(place: Pipeline, name: str) -> service_care.DesiredState:
    return service_care.DesiredState(
        names=(name,), restart=True, stop_seconds=5, healthy_seconds=int(place.healthy_seconds)
    )


def _bring_up(place: Pipeline, done: list[str], record: ActionRecorder) -> None:
    """Start what is stopped, and the web server anew where it does not answer.

    :raises OpsError: services.*, dagster.refused.
    """
    wish = _both(stop_seconds=5, healthy_seconds=int(place.healthy_seconds))
    if place.services.manager != "none":
        done += service_care.bring_up(place.services, wish, record=record)
    if _soon(place.dagster.answers, 10.0 if done else 2.0):
        return
    if place.services.manager != "none":
        done += service_care.bring_up(place.services, _one(place, WEBSERVER), record=record)
    if not _soon(place.dagster.answers, place.healthy_seconds):
        place.dagster.graphql("{ version }")  # its refusal is the error


def _load(place: Pipeline, done: list[str], record: ActionRecorder) -> None:
    """Load the code that is in error anew.

    :raises OpsError: pipeline.code with what the code says.
    """
    for entry in place.dagster.ask("locations")["locations"]:
        if entry["status"] == "LOADED":
            continue
        text = f"Load {entry['name']} anew, which said {entry['error'] or entry['status']}"
        with record(text) as action:
            problem = place.dagster.reload(entry["name"])
            action.result = problem or "it loads"
        if problem:
            raise OpsError(
                f"Code location {entry['name']} does not load: {problem}.",
                "Correct the code that it names, or bring the release back that was approved.",
                code="pipeline.code",
            )
        done.append(text)


def _revive(place: Pipeline, done: list[str], record: ActionRecorder) -> None:
    """Restart the daemon where it does not beat.

    :raises OpsError: pipeline.scheduler.
    """
    if _soon(lambda: _beats(place), 20.0 if done else 3.0):
        return
    if place.services.manager != "none":
        done += service_care.bring_up(place.services, _one(place, DAEMON), record=record)
    if not _soon(lambda: _beats(place), place.healthy_seconds):
        raise OpsError(
            "Dagster's scheduler does not beat, though its daemon was started anew.",
            f"Read the log of {DAEMON} (`docker logs`): it names what it cannot reach.",
            code="pipeline.scheduler",
        )


def restart_outdated(
    services: Services, database: Database, *, record: ActionRecorder
) -> list[str]:
    """Restart what of Dagster has run since before its database server began.

    While the database was away the daemon may have loaded its code anew, kept the error, and fails
    every run that it takes up from then on, though it beats and the web server shows the code as
    loaded. The web server's connections are dead, and each fails one request.

    :raises OpsError: services.*, clients.engine, database.*.
    """
    names = tuple(
        name
        for name in SERVICES
        if name in services.names and service_care.older_than_server(services, name, database)
    )
    if not names:
        return []
    return service_care.bring_up(
        services,
        service_care.DesiredState(names=names, restart=True, stop_seconds=5),
        record=record,
    )


def _beats(place: Pipeline) -> bool:
    daemons = place.dagster.ask("daemons")["daemons"]
    return any(each["type"] == "SCHEDULER" and each["healthy"] for each in daemons)


def _switch_on(place: Pipeline, done: list[str], record: ActionRecorder) -> None:
    for selector in place.dagster.stopped_schedules():
        text = f"Switch {selector['scheduleName']} on"
        with record(text):
            place.dagster.start_schedule(selector)
        done.append(text)


def _run_again(signs: Symptoms, place: Pipeline, done: list[str], record: ActionRecorder) -> None:
    """End what is stuck, and run what failed or is missing, each job once.

    :raises OpsError: pipeline.job.
    """
    trouble = place.dagster.ask("trouble", minutes=place.stuck_minutes)
    jobs = list(trouble["failed_jobs"])
    for run in trouble["stuck_runs"]:
        text = f"End run {run['id']} of {run['job']}, which is {run['status']} since {run['since']}"
        with record(text) as action:
            action.result = place.dagster.end_run(run["id"], seconds=10.0)
        done.append(text)
        jobs.append(run["job"])
    if "pipeline.data" in signs.seen:
        jobs.append(place.data_job)
    if "pipeline.pack" in signs.seen:
        jobs.append(place.pack_job)
    if jobs:
        done += restart_outdated(place.services, place.database, record=record)
    for job in dict.fromkeys(jobs):
        text = f"Run {job} again"
        with record(text) as action:
            ended = place.dagster.run_job(job, seconds=place.job_seconds)
            action.result = f"run {ended['id']}: {ended['status']} after {ended['seconds']} s"
            if ended["status"] != "SUCCESS":
                raise OpsError(
                    f"Job {job} ended {ended['status']} again, run {ended['id']}.",
                    "Open the run in Dagster and read the failed step; it names what is missing.",
                    code="pipeline.job",
                )
        done.append(text)


def _by_hand(signs: Symptoms, place: Pipeline, done: list[str], record: ActionRecorder) -> None:
    """Have the PMS do what the jobs would have done, once a day.

    :raises OpsError: pms.*, database.*, pipeline.step.
    """
    entry = request_log.load(place.evidence_root, "pipeline", signs.pack_day.isoformat())
    place.api.login()
    for agent in _missing_agents(signs.data_day, place.database):
        text = f"Have {agent} report on {signs.data_day}"
        with record(text):
            _agent(place.api, agent, signs.data_day)
        done.append(text)
    sent = entry.state("steps")
    if sent is None or not sent["answered"]:
        with record("Have the PMS do the steps of its pipeline") as action, entry.sending("steps"):
            answer = place.api.ask("pipeline_trigger", {})
            told = _steps(answer)
            action.result = "; ".join(told)
        done.append(f"pipeline: {'; '.join(told)}")
    with record("Have the PMS make the morning pack") as action:
        pack = place.api.ask("generate_morning_pack", {})
        day = pack.get("briefing_date") if isinstance(pack, Mapping) else None
        if not day or not pack.get("macro_narrative"):
            raise OpsError(
                "The PMS answers a morning pack without day or narrative.",
                "Read the log of the PMS at this moment.",
                code="pipeline.step",
            )
        action.result = f"pack of {day}"
    done.append(f"morning pack of {day}")


def _missing_agents(day: date, database: Database) -> list[str]:
    try:
        with database.session(read_only=True) as cursor:
            sql = "SELECT DISTINCT agent_id FROM public.agent_reports WHERE as_of_date = %s"
            known = {row[0] for row in fetch_all(cursor, sql, (day,))}
    except psycopg2.Error as exc:
        raise database.to_error(exc) from exc
    return [agent for agent in AGENTS if agent not in known]


def _agent(api: PmsApi, agent: str, day: date) -> None:
    answer = api.request("POST", f"/api/v1/agents/{agent}/run", {"date": day.isoformat()})
    if answer.status != 200:
        raise OpsError(
            f"The PMS does not run {agent}: HTTP {answer.status}.",
            "Read the log of the PMS at this moment; the other agents were not asked.",
            code="pipeline.step",
        )


def _steps(answer: Any) -> list[str]:
    """Return what each step said; the answer is 200 in any case, so the steps are read."""
    steps = answer.get("steps") if isinstance(answer, Mapping) else None
    if not isinstance(steps, Mapping) or not steps:
        raise OpsError(
            "The PMS answers its pipeline without any step.",
            "Compare the release that runs with the one that was approved.",
            code="pipeline.step",
        )
    return [
        f"{name} {step.get('status')}" + (f" ({step['error']})" if step.get("error") else "")
        for name, step in steps.items()
    ]


def _soon(holds: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while True:
        try:
            if holds():
                return True
        except OpsError:
            pass
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_SECONDS)
