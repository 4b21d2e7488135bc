# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Dagster's GraphQL: what each answer becomes, and how refusals read."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.pms.dagster import Dagster, DagsterError
from ansible.module_utils.pmsops.recovery.dagster import Dagster as RecoveryDagster

from tests.support.web import Web

NODE = {
    "name": "repo",
    "location": {"name": "macro"},
    "jobs": [{"name": "daily"}],
    "schedules": [
        {
            "name": name,
            "cronSchedule": "0 6 * * *",
            "pipelineName": "daily",
            "scheduleState": {"status": status},
        }
        for name, status in (("morning", "RUNNING"), ("eod", "STOPPED"))
    ],
}
LAUNCHED = {"launchRun": {"__typename": "LaunchRunSuccess", "run": {"runId": "r1"}}}


class Script:
    """Answers in turn; a clock that each sleep advances."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.sent: list[dict[str, Any]] = []
        self.time = 0.0

    def send(self, body: dict[str, Any]) -> tuple[int, Any]:
        self.sent.append(body)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return answer if isinstance(answer, tuple) else (200, {"data": answer})

    def sleep(self, seconds: float) -> None:
        self.time += seconds

    @property
    def dagster(self) -> Dagster:
        return Dagster(self.send, clock=lambda: self.time, sleep=self.sleep)


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        ((502, None), "answers HTTP 502 and no JSON"),
        ((200, {"errors": [{"message": "no such field"}]}), "refuses the query: no such field"),
        ((500, {"data": {}}), "HTTP 500 without data"),
        ((200, {}), "HTTP 200 without data"),
    ],
)
def test_an_answer_without_data_is_an_error(answer, says):
    with pytest.raises(DagsterError, match=says):
        Script(answer).dagster.graphql("{ version }")


def test_a_location_that_does_not_load_says_why():
    entries = [
        {"name": "a", "loadStatus": "LOADED", "locationOrLoadError": {"__typename": "Location"}},
        {
            "name": "b",
            "loadStatus": "LOADED",
            "locationOrLoadError": {"__typename": "PythonError", "message": "no\nmodule"},
        },
        {"name": "c", "loadStatus": "LOADING", "locationOrLoadError": None},
    ]
    found = Script({"workspaceOrError": {"locationEntries": entries}}).dagster.locations()
    assert [(each["status"], each["error"]) for each in found] == [
        ("LOADED", None),
        ("ERROR", "no module"),
        ("ERROR", None),
    ]


def test_schedules_daemons_and_runs_are_plain_data():
    dagster = Script({"repositoriesOrError": {"nodes": [NODE]}}).dagster
    assert dagster.schedules()[0] == {
        "name": "morning",
        "status": "RUNNING",
        "cron": "0 6 * * *",
        "job": "daily",
    }
    assert dagster.stopped_schedules() == [
        {"repositoryLocationName": "macro", "repositoryName": "repo", "scheduleName": "eod"}
    ]
    beat = {"daemonType": "SCHEDULER", "healthy": True, "required": True, "lastHeartbeatTime": 0.5}
    statuses = [beat, {**beat, "lastHeartbeatTime": None}]
    health = {"instance": {"daemonHealth": {"allDaemonStatuses": statuses}}}
    assert Script(health).dagster.daemons() == [
        {"type": "SCHEDULER", "healthy": True, "required": True, "heartbeat_at": at}
        for at in ("1970-01-01T00:00:00.500000+00:00", None)
    ]
    run = {"runId": "r", "jobName": "j", "status": "STARTED", "startTime": 0.0, "endTime": None}
    script = Script({"runsOrError": {"results": [run]}})
    assert script.dagster.runs("j")[0]["started_at"] == "1970-01-01T00:00:00+00:00"
    assert script.dagster.runs("j")[0]["ended_at"] is None
    assert script.sent[0]["variables"] == {"filter": {"pipelineName": "j"}}
    with pytest.raises(DagsterError, match="reports an error: boom"):
        error = {"__typename": "PythonError", "message": "boom"}
        Script({"runsOrError": error}).dagster.runs()


def status(name: str | None) -> dict[str, Any]:
    return {"runOrError": {"status": name} if name else {}}


def test_a_job_is_run_to_its_end():
    nodes = {"repositoriesOrError": {"nodes": [NODE]}}
    script = Script(nodes, LAUNCHED, status("STARTED"), status("SUCCESS"))
    assert script.dagster.run_job("daily", until=10.0) == {
        "id": "r1",
        "status": "SUCCESS",
        "seconds": 0.5,
        "failure": None,
    }
    selector = script.sent[1]["variables"]["params"]["selector"]
    assert selector["pipelineName"] == "daily" and selector["repositoryName"] == "repo"


@pytest.mark.parametrize(
    ("logs", "failure"),
    [
        (
            [
                {"__typename": "RunStartEvent"},
                {
                    "stepKey": "pack",
                    "error": {
                        "message": "Error occurred while executing op",
                        "causes": [
                            {"message": "URLError: unknown host\n"},
                            {"message": "gaierror"},
                        ],
                    },
                },
                {"stepKey": "later", "error": {"message": "another"}},
            ],
            "step pack: URLError: unknown host",
        ),
        (
            [{"stepKey": "pack", "error": {"message": "no memory", "causes": []}}],
            "step pack: no memory",
        ),
        ([{"stepKey": "pack", "error": None}], "step pack"),
        ([], None),
        (None, None),
    ],
)
def test_a_failed_run_says_which_step_failed_and_why(logs, failure):
    nodes = {"repositoriesOrError": {"nodes": [NODE]}}
    told = {"logsForRun": {"events": logs}}
    ended = Script(nodes, LAUNCHED, status("FAILURE"), told).dagster.run_job("daily", until=9.0)
    assert (ended["status"], ended["failure"]) == ("FAILURE", failure)
    run = {"runId": "r", "jobName": "j", "status": "FAILURE", "startTime": 0.0, "endTime": 1.0}
    (found, older) = Script({"runsOrError": {"results": [run, run]}}, told).dagster.runs()
    assert found["failure"] == failure and "failure" not in older


@pytest.mark.parametrize(
    ("answers", "says"),
    [
        ([{"repositoriesOrError": {"nodes": []}}], "knows no job daily"),
        ([{"launchRun": {"__typename": "PythonError", "message": "no"}}], "not launch daily: no"),
        ([LAUNCHED, status("STARTED")], "still STARTED at the deadline"),
        ([LAUNCHED, status(None)], "has lost run r1"),
    ],
)
def test_a_job_that_does_not_end_is_an_error(answers, says):
    nodes = (
        [] if "repositoriesOrError" in answers[0] else [{"repositoriesOrError": {"nodes": [NODE]}}]
    )
    with pytest.raises(DagsterError, match=says):
        Script(*nodes, *answers).dagster.run_job("daily", until=2.0)


def test_a_run_is_ended_by_force_where_it_does_not_end_by_itself():
    running = [status("STARTED")] * 4
    script = Script({}, *running, {}, status("CANCELED"))
    assert script.dagster.end_run("r1", seconds=1.0) == "CANCELED"
    policies = [each["variables"].get("policy") for each in script.sent]
    assert [each for each in policies if each] == [
        "SAFE_TERMINATE",
        "MARK_AS_CANCELED_IMMEDIATELY",
    ]
    assert Script({}, status(None)).dagster.end_run("r1", seconds=1.0) == "GONE"
    with pytest.raises(DagsterError, match="r1 does not end"):
        Script({}, status("STARTED")).dagster.end_run("r1", seconds=1.0)


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        ({"locationOrLoadError": {"__typename": "RepositoryLocation"}}, None),
        ({"__typename": "PythonError", "message": "no module"}, "no module"),
        ({"locationOrLoadError": {"__typename": "PythonError", "message": "x"}}, "x"),
        ({"__typename": "UnauthorizedError"}, "Dagster answers UnauthorizedError"),
    ],
)
def test_a_reload_says_why_the_code_does_not_load(answer, problem):
    assert Script({"reloadRepositoryLocation": answer}).dagster.reload("macro") == problem


def test_a_schedule_that_does_not_start_is_an_error():
    Script({"startSchedule": {"__typename": "ScheduleStateResult"}}).dagster.start_schedule({})
    with pytest.raises(DagsterError, match="not allowed"):
        refused = {"__typename": "UnauthorizedError", "message": "not allowed"}
        Script({"startSchedule": refused}).dagster.start_schedule({})


# --- the session of the recovery ------------------------------------------------------------------


def served(content: bytes, code: int = 200) -> Any:
    def answer(handler: Any) -> None:
        handler.send_response(code)
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        handler.wfile.write(content)

    return Web(answer)


def test_the_recovery_talks_to_the_same_dagster_over_http():
    data = {
        "version": "1",
        "workspaceOrError": {"locationEntries": []},
        "repositoriesOrError": {"nodes": [NODE]},
        "instance": {"daemonHealth": {"allDaemonStatuses": []}},
        "runsOrError": {"results": []},
        "reloadRepositoryLocation": {"locationOrLoadError": {"__typename": "Location"}},
        "startSchedule": {"__typename": "ScheduleStateResult"},
        "runOrError": {"status": "SUCCESS"},
    } | LAUNCHED
    with served(json.dumps({"data": data}).encode()) as web:
        dagster = RecoveryDagster(web.url + "/", sleep=lambda _seconds: None)
        dagster.ping()
        assert dagster.locations() == []
        assert not dagster.scheduler_beats()
        assert dagster.trouble(60)["failed_jobs"] == []
        assert dagster.reload("macro") is None
        assert len(dagster.stopped_schedules()) == 1
        dagster.start_schedule({})
        assert dagster.end_run("r1", seconds=1.0) == "SUCCESS"
        assert dagster.run_job("daily", seconds=5.0)["status"] == "SUCCESS"
    assert {path.rsplit("/", 1)[1] for path, _headers, _body in web.got} == {"graphql"}


def test_a_refusal_has_a_remedy_and_a_code():
    with served(b"<html>", 502) as web, pytest.raises(OpsError, match="HTTP 502") as caught:
        RecoveryDagster(web.url).ping()
    assert caught.value.code == "dagster.refused"
    with pytest.raises(OpsError, match=r"no answer \(ConnectionError\)"):
        RecoveryDagster(web.url).ping()
