# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Today's work without Dagster: the PMS runs its agents, its pipeline and the morning pack."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import psycopg2
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.incidents import request_log
from ansible.module_utils.pmsops.incidents.record import ActionRecorder
from ansible.module_utils.pmsops.pms import redis_cache
from ansible.module_utils.pmsops.pms.client import PmsApi
from ansible.module_utils.pmsops.postgresql.connection import Database, fetch_all
from ansible.module_utils.pmsops.recovery import days_work

AGENTS = ("inflation_agent", "monetary_agent", "fiscal_agent", "fx_agent", "cross_asset_agent")


@dataclass(frozen=True)
class Symptoms:
    """The detected symptoms by id, and the days of the missing pack and data."""

    seen: frozenset[str]
    pack_day: date
    data_day: date


def run(
    api: PmsApi,
    database: Database,
    evidence_root: Path,
    *,
    pack_day: date,
    data_day: date,
    record: ActionRecorder,
    redis: Mapping[str, Any] | None = None,
) -> list[str]:
    """Let the PMS do the work of the failed jobs; return the steps.

    The steps of the pipeline change the book. They are sent only if the database has nothing of
    the day's work yet, whoever did it, and once a day; the request log on disk remembers that.
    Agents and morning pack only add what is missing.

    :raises OpsError: pms.*, database.*, pipeline.step.
    """
    done: list[str] = []
    entry = request_log.load(evidence_root, "pipeline", pack_day.isoformat())
    api.login()
    for agent in missing_agents(data_day, database):
        text = f"Run {agent} for {data_day}"
        with record(text):
            _run_agent(api, agent, data_day)
        done.append(text)
    sent = entry.state("steps")
    if there := days_work.found(database, pack_day):
        done.append(f"pipeline not run, its work is there: {', '.join(there)}")
    elif sent is None or not sent["answered"]:
        with record("Run the pipeline inside the PMS") as action, entry.sending("steps"):
            try:
                results = _step_results(api.ask("pipeline_trigger", {}))
            finally:  # it writes an empty book over the cached one
                cache = redis_cache.forget_after_run(redis, pack_day)
            action.result = "; ".join([*results, cache.problem] if cache.problem else results)
        done.append(f"pipeline: {'; '.join(results)}")
    return [*done, pack(api, database, pack_day, record)]


def without_dagster(
    api: PmsApi, database: Database, symptoms: Symptoms, record: ActionRecorder
) -> list[str]:
    """Let the PMS make a missing morning pack; return the steps. Whoever loads data is not known.

    :raises OpsError: pipeline.no-dagster if market data are missing; pms.*, pipeline.step
    """
    done = []
    if "pipeline.pack" in symptoms.seen:
        api.login()
        done.append(pack(api, database, symptoms.pack_day, record))
    if "pipeline.data" in symptoms.seen:
        raise OpsError(
            f"Market data do not reach {symptoms.data_day}, and this system has no Dagster that"
            " could load them (pms_dagster_url is empty).",
            "Run what loads them on this system, then this playbook again. If there is a Dagster,"
            " set pms_dagster_url.",
            code="pipeline.no-dagster",
        )
    return done


def pack(api: PmsApi, database: Database, pack_day: date, record: ActionRecorder) -> str:
    """Let the PMS make the morning pack, unless it is there; return what was done.

    :raises OpsError: pms.*, database.*, pipeline.step.
    """
    if days_work.has_pack(database, pack_day):
        return f"morning pack of {pack_day}, which is there"
    with record("Generate the morning pack") as action:
        day = _generate_pack(api)
        action.result = f"pack of {day}"
    return f"morning pack of {day}"


def missing_agents(day: date, database: Database) -> list[str]:
    """Return the agents without a report for *day*.

    :raises OpsError: database.*.
    """
    try:
        with database.session(read_only=True) as cursor:
            sql = "SELECT DISTINCT agent_id FROM public.agent_reports WHERE as_of_date = %s"
            known = {row[0] for row in fetch_all(cursor, sql, (day,))}
    except psycopg2.Error as exc:
        raise database.to_error(exc) from exc
    return [agent for agent in AGENTS if agent not in known]


def _run_agent(api: PmsApi, agent: str, day: date) -> None:
    answer = api.request("POST", f"/api/v1/agents/{agent}/run", {"date": day.isoformat()})
    if answer.status != 200:
        raise OpsError(
            f"The PMS does not run {agent}: HTTP {answer.status}.",
            "Read the log of the PMS at this time; the remaining agents were not run.",
            code="pipeline.step",
        )


def _step_results(answer: Any) -> list[str]:
    """Return the status of each step; the HTTP status is 200 even if steps failed."""
    steps = answer.get("steps") if isinstance(answer, Mapping) else None
    if not isinstance(steps, Mapping) or not steps:
        raise OpsError(
            "The PMS answered the pipeline request without any step.",
            "Compare the running release with the approved one.",
            code="pipeline.step",
        )
    return [
        f"{name} {step.get('status')}" + (f" ({step['error']})" if step.get("error") else "")
        for name, step in steps.items()
    ]


def _generate_pack(api: PmsApi) -> str:
    pack = api.ask("generate_morning_pack", {})
    day = pack.get("briefing_date") if isinstance(pack, Mapping) else None
    if not day or not pack.get("macro_narrative"):
        raise OpsError(
            "The PMS answered with a morning pack without day or narrative.",
            "Read the log of the PMS at this time.",
            code="pipeline.step",
        )
    return str(day)
