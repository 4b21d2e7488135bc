# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Dagster over GraphQL: the queries and mutations, whatever HTTP session carries them."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

from ansible.module_utils.pmsops.common.timestamps import UTC
from ansible.module_utils.pmsops.pms import dagster_runs
from ansible.module_utils.pmsops.pms.dagster_runs import OVER

LOCATIONS = """{ workspaceOrError { __typename
  ... on PythonError { message }
  ... on Workspace { locationEntries { name loadStatus locationOrLoadError { __typename
    ... on PythonError { message } } } } } }"""
SCHEDULES = """{ repositoriesOrError { __typename
  ... on PythonError { message }
  ... on RepositoryConnection { nodes { name location { name } schedules {
    name cronSchedule pipelineName scheduleState { status } } } } } }"""
DAEMONS = """{ instance { daemonHealth { allDaemonStatuses {
  daemonType healthy required lastHeartbeatTime } } } }"""
# A daemon beats every 30 seconds, and Dagster 1.13 calls it healthy for 1800 after the last one.
SILENT_SECONDS = 120
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
FAILURE = """query($id: ID!) { logsForRun(runId: $id) { __typename
  ... on EventConnection { events { ... on ExecutionStepFailureEvent { stepKey
    error { message causes { message } } } } } } }"""
TROUBLE = """{ runsOrError(limit: 200) { __typename
  ... on PythonError { message }
  ... on Runs { results { runId jobName status creationTime endTime tags { key value } } } } }"""
RELOAD = """mutation($name: String!) { reloadRepositoryLocation(repositoryLocationName: $name) {
  __typename ... on PythonError { message }
  ... on WorkspaceLocationEntry { locationOrLoadError { __typename
    ... on PythonError { message } } } } }"""
START = """mutation($selector: ScheduleSelector!) { startSchedule(scheduleSelector: $selector) {
  __typename ... on PythonError { message }
  ... on UnauthorizedError { message } } }"""
TERMINATE = """mutation($id: String!, $policy: TerminateRunPolicy!) {
  terminateRun(runId: $id, terminatePolicy: $policy) { __typename
  ... on PythonError { message } ... on TerminateRunFailure { message } } }"""
POLL_SECONDS = 0.25
STUCK_MINUTES = 60
TEXT_LENGTH = 200

Send = Callable[[dict[str, Any]], tuple[int, Any]]


class DagsterError(Exception):
    """Dagster did not answer as asked; the text says how."""


class DagsterOverdue(DagsterError):
    """A run was not over in time; it may still succeed."""


class Dagster:
    """One Dagster. *send* posts a JSON body to /graphql and returns the status and the JSON."""

    def __init__(
        self,
        send: Send,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._send = send
        self._clock = clock
        self._sleep = sleep

    def graphql(self, query: str, variables: Any = None) -> dict[str, Any]:
        """Return the data of an answer.

        :raises DagsterError: for anything but data, like every method here.
        """
        status, found = self._send({"query": query, "variables": variables or {}})
        if not isinstance(found, dict):
            raise DagsterError(f"Dagster answers HTTP {status} and no JSON")
        if found.get("errors"):
            raise DagsterError(f"Dagster refuses the query: {_short(found['errors'][0])}")
        data = found.get("data")
        if status != 200 or not isinstance(data, dict):
            raise DagsterError(f"Dagster answers HTTP {status} without data")
        return data

    def locations(self) -> list[dict[str, Any]]:
        """Return the code locations: name, status, and the error of one that does not load."""
        workspace = self.part(LOCATIONS, "workspaceOrError")
        found = []
        for entry in workspace.get("locationEntries", []):
            loaded = entry.get("locationOrLoadError") or {}
            failed = loaded.get("__typename") == "PythonError"
            status = "ERROR" if failed or not loaded else entry.get("loadStatus")
            found.append(
                {
                    "name": entry["name"],
                    "status": status,
                    "error": _short(loaded) if failed else None,
                }
            )
        return found

    def schedules(self) -> list[dict[str, Any]]:
        """Return the schedules: name, status, cron and job."""
        return [
            {
                "name": schedule["name"],
                "status": schedule["scheduleState"]["status"],
                "cron": schedule["cronSchedule"],
                "job": schedule["pipelineName"],
            }
            for node in self.part(SCHEDULES, "repositoriesOrError").get("nodes", [])
            for schedule in node["schedules"]
        ]

    def stopped_schedules(self) -> list[dict[str, str]]:
        """Return the selectors of the schedules that are off."""
        return [
            {
                "repositoryLocationName": node["location"]["name"],
                "repositoryName": node["name"],
                "scheduleName": schedule["name"],
            }
            for node in self.part(SCHEDULES, "repositoriesOrError").get("nodes", [])
            for schedule in node["schedules"]
            if schedule["scheduleState"]["status"] != "RUNNING"
        ]

    def daemons(self) -> list[dict[str, Any]]:
        """Return the daemons: type, healthy, required, and ``heartbeat_at`` of the last beat."""
        health = self.graphql(DAEMONS)["instance"]["daemonHealth"]
        return [
            {
                "type": each["daemonType"],
                "healthy": each["healthy"],
                "required": each["required"],
                "heartbeat_at": _stamp(each["lastHeartbeatTime"]),
            }
            for each in health["allDaemonStatuses"]
        ]

    def runs(self, job: str | None = None) -> list[dict[str, Any]]:
        """Return the newest runs, of one job or of all; the first one with its failure."""
        only = {"filter": {"pipelineName": job}} if job else {}
        found = [
            {
                "id": run["runId"],
                "job": run["jobName"],
                "status": run["status"],
                "started_at": _stamp(run["startTime"]),
                "ended_at": _stamp(run["endTime"]),
            }
            for run in self.part(RUNS, "runsOrError", only).get("results", [])
        ]
        for run in found[:1]:
            run["failure"] = self.failure(run["id"]) if run["status"] == "FAILURE" else None
        return found

    def failure(self, run_id: str) -> str | None:
        """Return the first step of a run that failed, and why; None if Dagster does not say it."""
        try:
            logs = self.graphql(FAILURE, {"id": run_id}).get("logsForRun") or {}
        except DagsterError:
            return None  # an older Dagster: that the run failed is known all the same
        for event in logs.get("events") or []:
            if event.get("stepKey"):
                error = event.get("error") or {}
                # The error itself says that the step failed, its cause what the step's code raised.
                causes = error.get("causes") or [error]
                return ": ".join(filter(None, (f"step {event['stepKey']}", _short(causes[0]))))
        return None

    def trouble(self, now: datetime, minutes: float = STUCK_MINUTES) -> dict[str, Any]:
        """Return failed jobs and stuck runs, as ``dagster_runs.trouble`` does."""
        results = self.part(TROUBLE, "runsOrError").get("results", [])
        return dagster_runs.trouble(results, now, minutes, self._with_failure)

    def _with_failure(self, run: dict[str, Any]) -> str:
        """Return the job of a run that failed, and why it failed if Dagster says it."""
        failure = self.failure(run["runId"])
        return f"{run['jobName']} ({failure})" if failure else str(run["jobName"])

    def run_job(self, job: str, *, until: float) -> dict[str, Any]:
        """Start a job and wait for its end; return id, status, seconds and failure.

        *until* is a moment of the clock, by default of time.monotonic().
        """
        selector = self._selector(job)
        started = self._clock()
        variables = {"params": {"selector": selector, "runConfigData": {}, "mode": "default"}}
        launched = self.graphql(LAUNCH, variables)["launchRun"]
        if launched["__typename"] != "LaunchRunSuccess":
            raise DagsterError(f"Dagster does not launch {job}: {_short(launched)}")
        run, status = launched["run"]["runId"], "QUEUED"
        while status not in OVER:
            if self._clock() + POLL_SECONDS > until:
                raise DagsterOverdue(f"run {run} of {job} is still {status} at the deadline")
            self._sleep(POLL_SECONDS)
            status = self._status(run)
            if status == "GONE":
                raise DagsterError(f"Dagster has lost run {run} of {job}")
        seconds = round(self._clock() - started, 2)
        failure = self.failure(run) if status == "FAILURE" else None
        return {"id": run, "status": status, "seconds": seconds, "failure": failure}

    def end_run(self, run_id: str, *, seconds: float) -> str:
        """End a run, by force if it does not end within *seconds*; return its status."""
        for policy in ("SAFE_TERMINATE", "MARK_AS_CANCELED_IMMEDIATELY"):
            # A safe termination needs the run's worker; without one, only the second policy works.
            self.graphql(TERMINATE, {"id": run_id, "policy": policy})
            until = self._clock() + seconds
            while self._clock() < until:
                status = self._status(run_id)
                if status in OVER or status == "GONE":
                    return status
                self._sleep(POLL_SECONDS)
        raise DagsterError(f"run {run_id} does not end")

    def reload(self, location: str) -> str | None:
        """Reload a code location; return why it does not load, or None if it does."""
        found = self.graphql(RELOAD, {"name": location})["reloadRepositoryLocation"]
        loaded = found.get("locationOrLoadError") or {}
        for part in (found, loaded):
            if part.get("__typename") == "PythonError":
                return _short(part)
        return None if loaded else f"Dagster answers {found.get('__typename')}"

    def start_schedule(self, selector: dict[str, str]) -> None:
        """Switch a schedule on."""
        found = self.graphql(START, {"selector": selector})["startSchedule"]
        if found["__typename"] != "ScheduleStateResult":
            raise DagsterError(found.get("message") or found["__typename"])

    def _status(self, run_id: str) -> str:
        """Return the status of a run, ``GONE`` if Dagster does not know it."""
        return str(self.graphql(STATUS, {"id": run_id})["runOrError"].get("status") or "GONE")

    def _selector(self, job: str) -> dict[str, str]:
        for node in self.part(JOBS, "repositoriesOrError").get("nodes", []):
            if any(known["name"] == job for known in node["jobs"]):
                return {
                    "repositoryLocationName": node["location"]["name"],
                    "repositoryName": node["name"],
                    "pipelineName": job,
                }
        raise DagsterError(f"Dagster knows no job {job}")

    def part(self, query: str, name: str, variables: Any = None) -> dict[str, Any]:
        """Return one part of an answer, which may be an error of Python itself."""
        part: dict[str, Any] = self.graphql(query, variables).get(name) or {}
        if part.get("__typename") == "PythonError":
            raise DagsterError(f"Dagster reports an error: {_short(part)}")
        return part


def _short(error: dict[str, Any]) -> str:
    """Return the message of an error on one line."""
    return " ".join(str(error.get("message") or "").split())[:TEXT_LENGTH]


def _stamp(seconds: float | None) -> str | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat()
