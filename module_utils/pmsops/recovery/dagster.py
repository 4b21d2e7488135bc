# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Change things in Dagster over GraphQL: reload code, switch schedules on, run and end jobs."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from ansible.module_utils.pmsops.checks.probes import Deadline, Failed, dagster
from ansible.module_utils.pmsops.checks.probes.context import Context, Settings
from ansible.module_utils.pmsops.common.errors import OpsError

REQUEST_SECONDS = 20.0
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
SCHEDULES = """{ repositoriesOrError { __typename ... on PythonError { message }
  ... on RepositoryConnection { nodes { name location { name }
    schedules { name scheduleState { status } } } } } }"""


class Dagster:
    """One Dagster."""

    def __init__(self, url: str, *, sleep: Callable[[float], None] = time.sleep) -> None:
        self._context = Context(Settings(now=datetime.now(UTC), dagster_url=url))
        self._sleep = sleep
        self.url = url

    def ask(self, about: str, *, seconds: float = REQUEST_SECONDS, **params: Any) -> Any:
        """Return what Dagster says about one subject; see checks/probes/dagster.py.

        :raises OpsError: dagster.refused.
        """
        return self._call(dagster.ask, {"about": about, **params}, seconds=seconds)

    def answers(self) -> bool:
        """Tell whether it answers a query."""
        try:
            self.graphql("{ version }", seconds=3.0)
        except OpsError:
            return False
        return True

    def reload(self, location: str) -> str | None:
        """Load a code location anew; return why it does not load, None where it does."""
        found = self.graphql(RELOAD, {"name": location})["reloadRepositoryLocation"]
        loaded = found.get("locationOrLoadError") or {}
        for part in (found, loaded):
            if part.get("__typename") == "PythonError":
                return " ".join(str(part.get("message")).split())[:200]
        return None if loaded else f"Dagster answers {found.get('__typename')}"

    def stopped_schedules(self) -> list[dict[str, str]]:
        """Return the selectors of the schedules that are off."""
        found = self.graphql(SCHEDULES)["repositoriesOrError"]
        return [
            {
                "repositoryLocationName": node["location"]["name"],
                "repositoryName": node["name"],
                "scheduleName": schedule["name"],
            }
            for node in found.get("nodes", [])
            for schedule in node["schedules"]
            if schedule["scheduleState"]["status"] != "RUNNING"
        ]

    def start_schedule(self, selector: dict[str, str]) -> None:
        """Switch a schedule on.

        :raises OpsError: dagster.refused.
        """
        found = self.graphql(START, {"selector": selector})["startSchedule"]
        if found["__typename"] != "ScheduleStateResult":
            raise self._refused(found.get("message") or found["__typename"])

    def end_run(self, run_id: str, *, seconds: float) -> str:
        """End a run, by force where it does not end by itself; return its status.

        :raises OpsError: dagster.refused.
        """
        for policy in ("SAFE_TERMINATE", "MARK_AS_CANCELED_IMMEDIATELY"):
            # A worker that is gone cannot be asked: the first is refused then, and the second not.
            self.graphql(TERMINATE, {"id": run_id, "policy": policy})
            deadline = time.monotonic() + seconds
            while time.monotonic() < deadline:
                status = self.graphql(dagster.STATUS, {"id": run_id})["runOrError"].get("status")
                if status in dagster.OVER or status is None:
                    return status or "GONE"
                self._sleep(dagster.POLL_SECONDS)
        raise self._refused(f"run {run_id} does not end")

    def run_job(self, job: str, *, seconds: float) -> dict[str, Any]:
        """Run a job and wait for its end; return id, status and seconds.

        :raises OpsError: dagster.refused.
        """
        return self.ask("trigger", job=job, seconds=seconds)

    def graphql(
        self, query: str, variables: Any = None, *, seconds: float = REQUEST_SECONDS
    ) -> dict[str, Any]:
        """Return the data of an answer.

        :raises OpsError: dagster.refused.
        """
        return self._call(dagster.ask, {"query": query, "variables": variables}, seconds=seconds)

    def _call(self, function: Callable[..., Any], params: Any, *, seconds: float) -> Any:
        try:
            return function(params, self._context, Deadline.after(seconds))
        except Failed as exc:
            raise self._refused(str(exc)) from exc

    def _refused(self, why: str) -> OpsError:
        return OpsError(
            f"Dagster at {self.url} does not do what it is asked: {why}.",
            "Read the log of its web server (`docker logs`); its pages show the same.",
            code="dagster.refused",
        )
