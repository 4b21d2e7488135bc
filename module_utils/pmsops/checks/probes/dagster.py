# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Query Dagster over GraphQL: code locations, schedules, daemons, runs."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any

from ansible.module_utils.pmsops.checks.probes import Deadline, Failed, Unanswerable
from ansible.module_utils.pmsops.checks.probes.context import Context
from ansible.module_utils.pmsops.checks.probes.http import request

LOCATIONS = """{ workspaceOrError { __typename
  ... on PythonError { message }
  ... on Workspace { locationEntries { name loadStatus locationOrLoadError { __typename
    ... on PythonError { message } } } } } }"""
SCHEDULES = """{ repositoriesOrError { __typename
  ... on PythonError { message }
  ... on RepositoryConnection { nodes { schedules {
    name cronSchedule pipelineName scheduleState { status } } } } } }"""
DAEMONS = """{ instance { daemonHealth { allDaemonStatuses {
  daemonType healthy required } } } }"""
RUNS = """query($filter: RunsFilter) { runsOrError(filter: $filter, limit: 25) { __typename
  ... on PythonError { message }
  ... on Runs { results { runId jobName status startTime endTime } } } }"""
JOBS = """{ repositoriesOrError { __typename
  ... on RepositoryConnection { nodes { name location { name } jobs { name } } } } }"""
LAUNCH = """mutation($params: ExecutionParams!) { launchRun(executionParams: $params) { __typename
  ... on LaunchRunSuccess { run { runId } }
  ... on PythonError { message } } }"""
STATUS = """query($id: ID!) { runOrError(runId: $id) { __typename
  ... on Run { status } } }"""
OVER = frozenset({"SUCCESS", "FAILURE", "CANCELED"})
POLL_SECONDS = 0.25
STUCK_MINUTES = 60
# A job whose newest run failed longer ago than this is no longer in use.
TROUBLE_DAYS = 4
TROUBLE = """{ runsOrError(limit: 200) { __typename
  ... on PythonError { message }
  ... on Runs { results { runId jobName status creationTime endTime } } } }"""


def ask(params: dict[str, Any], context: Context, deadline: Deadline) -> dict[str, Any]:
    """Return Dagster's answer about one subject."""
    if query := params.get("query"):
        return _graphql(context, deadline, query, params.get("variables"))
    about = params["about"]
    if about == "locations":
        return {"locations": _locations(context, deadline)}
    if about == "schedules":
        return {"schedules": _schedules(context, deadline)}
    if about == "daemons":
        return {"daemons": _daemons(context, deadline)}
    if about == "runs":
        return {"runs": _runs(context, deadline, params.get("job"))}
    if about == "trouble":
        return _trouble(context, deadline, float(params.get("minutes") or STUCK_MINUTES))
    if about == "trigger":
        return _trigger(context, deadline, params.get("job"))
    raise Unanswerable(
        f"about: {about} is not one of locations, schedules, daemons, runs, trouble, trigger"
    )


def _graphql(
    context: Context, deadline: Deadline, query: str, variables: Any = None
) -> dict[str, Any]:
    answer = request(
        context,
        deadline,
        "POST",
        context.base_url("dagster") + "/graphql",
        body={"query": query, "variables": variables or {}},
    )
    found = answer.get("json")
    if not isinstance(found, dict):
        raise Failed(f"Dagster answers HTTP {answer['status']} and no JSON")
    if found.get("errors"):
        raise Failed(f"Dagster refuses the query: {found['errors'][0].get('message', '')[:200]}")
    data = found.get("data")
    if answer["status"] != 200 or not isinstance(data, dict):
        raise Failed(f"Dagster answers HTTP {answer['status']} without data")
    return data


def _part(found: dict[str, Any], name: str) -> dict[str, Any]:
    part: dict[str, Any] = found.get(name) or {}
    if part.get("__typename") == "PythonError":
        raise Failed(f"Dagster reports an error: {str(part.get('message'))[:200]}")
    return part


def _locations(context: Context, deadline: Deadline) -> list[dict[str, Any]]:
    workspace = _part(_graphql(context, deadline, LOCATIONS), "workspaceOrError")
    found = []
    for entry in workspace.get("locationEntries", []):
        loaded = entry.get("locationOrLoadError") or {}
        failed = loaded.get("__typename") == "PythonError"
        status = "ERROR" if failed or not loaded else entry.get("loadStatus")
        error = str(loaded.get("message", ""))[:200] if failed else None
        found.append({"name": entry["name"], "status": status, "error": error})
    return found


def _schedules(context: Context, deadline: Deadline) -> list[dict[str, Any]]:
    repositories = _part(_graphql(context, deadline, SCHEDULES), "repositoriesOrError")
    return [
        {
            "name": schedule["name"],
            "status": schedule["scheduleState"]["status"],
            "cron": schedule["cronSchedule"],
            "job": schedule["pipelineName"],
        }
        for node in repositories.get("nodes", [])
        for schedule in node["schedules"]
    ]


def _daemons(context: Context, deadline: Deadline) -> list[dict[str, Any]]:
    instance = _graphql(context, deadline, DAEMONS)["instance"]
    return [
        {"type": entry["daemonType"], "healthy": entry["healthy"], "required": entry["required"]}
        for entry in instance["daemonHealth"]["allDaemonStatuses"]
    ]


def _runs(context: Context, deadline: Deadline, job: str | None) -> list[dict[str, Any]]:
    only = {"filter": {"pipelineName": job}} if job else {}
    found = _part(_graphql(context, deadline, RUNS, only), "runsOrError")
    return [
        {
            "id": run["runId"],
            "job": run["jobName"],
            "status": run["status"],
            "started_at": _stamp(run["startTime"]),
            "ended_at": _stamp(run["endTime"]),
        }
        for run in found.get("results", [])
    ]


def _trouble(context: Context, deadline: Deadline, minutes: float) -> dict[str, Any]:
    """Return the jobs whose newest run failed, and the runs that do not end.

    Both also as text, None without any.
    """
    now = context.settings.now.timestamp()
    results = _part(_graphql(context, deadline, TROUBLE), "runsOrError").get("results", [])
    newest: dict[str, dict[str, Any]] = {}
    for run in sorted(results, key=lambda each: each["creationTime"], reverse=True):
        newest.setdefault(run["jobName"], run)
    since = now - TROUBLE_DAYS * 86400
    failed = sorted(
        job
        for job, run in newest.items()
        if run["status"] in ("FAILURE", "CANCELED") and run["creationTime"] > since
    )
    stuck = [
        {
            "id": run["runId"],
            "job": run["jobName"],
            "status": run["status"],
            "since": _stamp(run["creationTime"]),
        }
        for run in results
        if run["status"] not in OVER and run["creationTime"] < now - 60 * minutes
    ]
    return {
        "failed_jobs": failed,
        "stuck_runs": stuck,
        "failed": ", ".join(failed) or None,
        "stuck": ", ".join(f"{each['job']} since {each['since']}" for each in stuck) or None,
    }


def _trigger(context: Context, deadline: Deadline, job: str | None) -> dict[str, Any]:
    """Launch a job and wait for its end."""
    repositories = _part(_graphql(context, deadline, JOBS), "repositoriesOrError")
    node = next(
        (
            node
            for node in repositories.get("nodes", [])
            if any(known["name"] == job for known in node["jobs"])
        ),
        None,
    )
    if node is None:
        raise Failed(f"Dagster knows no job {job}")
    selector = {
        "repositoryLocationName": node["location"]["name"],
        "repositoryName": node["name"],
        "pipelineName": job,
    }
    started = time.monotonic()
    variables = {"params": {"selector": selector, "runConfigData": {}, "mode": "default"}}
    launched = _graphql(context, deadline, LAUNCH, variables)["launchRun"]
    if launched["__typename"] != "LaunchRunSuccess":
        raise Failed(f"Dagster does not launch {job}: {launched.get('message', '')[:200]}")
    run, status = launched["run"]["runId"], "QUEUED"
    while status not in OVER:
        if time.monotonic() + POLL_SECONDS > deadline.at:
            raise Failed(f"run {run} of {job} is {status} when the time is over")
        time.sleep(POLL_SECONDS)
        found = _graphql(context, deadline, STATUS, {"id": run})["runOrError"]
        status = found.get("status", "GONE")
        if status == "GONE":
            raise Failed(f"Dagster has lost run {run} of {job}")
    return {"id": run, "status": status, "seconds": round(time.monotonic() - started, 2)}


def _stamp(seconds: float | None) -> str | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat()
