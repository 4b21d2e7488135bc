# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Ask Dagster over GraphQL: code locations, schedules, daemons, runs."""

from __future__ import annotations

from typing import Any

from ansible.module_utils.pmsops.checks.probes import Deadline, Failed, Overdue, Unanswerable
from ansible.module_utils.pmsops.checks.probes.context import Context
from ansible.module_utils.pmsops.checks.probes.http import request
from ansible.module_utils.pmsops.pms.dagster import (
    STUCK_MINUTES,
    Dagster,
    DagsterError,
    DagsterOverdue,
)


def ask(params: dict[str, Any], context: Context, deadline: Deadline) -> dict[str, Any]:
    """Return what Dagster says about one subject."""

    def send(body: dict[str, Any]) -> tuple[int, Any]:
        url = context.base_url("dagster") + "/graphql"
        answer = request(context, deadline, "POST", url, body=body)
        return answer["status"], answer.get("json")

    try:
        return _answer(params, Dagster(send), context, deadline)
    except DagsterOverdue as exc:
        raise Overdue(str(exc)) from exc
    except DagsterError as exc:
        raise Failed(str(exc)) from exc


def _answer(
    params: dict[str, Any], dagster: Dagster, context: Context, deadline: Deadline
) -> dict[str, Any]:
    if query := params.get("query"):
        return dagster.graphql(query, params.get("variables"))
    about = params["about"]
    if about == "locations":
        return {"locations": dagster.locations()}
    if about == "schedules":
        return {"schedules": dagster.schedules()}
    if about == "daemons":
        return {"daemons": dagster.daemons()}
    if about == "runs":
        return {"runs": dagster.runs(params.get("job"))}
    if about == "trouble":
        minutes = float(params.get("minutes") or STUCK_MINUTES)
        return dagster.trouble(context.settings.now, minutes)
    if about == "trigger":
        return dagster.run_job(str(params.get("job")), until=deadline.at)
    raise Unanswerable(
        f"about: {about} is not one of locations, schedules, daemons, runs, trouble, trigger"
    )
