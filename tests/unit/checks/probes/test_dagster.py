# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The Dagster probe: runs in trouble, jobs that it triggers, answers that are none."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from ansible.module_utils.pmsops.checks.probes import Deadline, Failed, dagster
from ansible.module_utils.pmsops.checks.probes.context import Context, Settings
from ansible.module_utils.pmsops.pms import dagster as client

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
HOUR = 3600


class Server:
    """Answers each GraphQL request by the text of its query."""

    def __init__(self, **answers: Any) -> None:
        self.answers = answers
        self.sent: list[dict[str, Any]] = []

    def __call__(self, context, deadline, method, url, *, body):
        self.sent.append(body)
        for text, answer in self.answers.items():
            if text in body["query"]:
                found = answer.pop(0) if isinstance(answer, list) and len(answer) > 1 else answer
                found = found[0] if isinstance(found, list) else found
                return {"status": 200, "json": {"data": found}}
        raise AssertionError(body["query"])


def ask(monkeypatch, server, params, seconds=3.0):
    monkeypatch.setattr(dagster, "request", server)
    monkeypatch.setattr(client, "POLL_SECONDS", 0.01)
    context = Context(Settings(now=NOW, dagster_url="http://dagster"))
    return dagster.ask(params, context, Deadline.after(seconds))


def run(job, status, hours, number=1):
    at = NOW.timestamp() - hours * HOUR
    ended = at + 60 if status in client.OVER else None
    return {
        "runId": f"r{number}",
        "jobName": job,
        "status": status,
        "creationTime": at,
        "endTime": ended,
    }


FAILED_STEP = {"logsForRun": {"events": [{"stepKey": "pack", "error": {"message": "full"}}]}}


def trouble(monkeypatch, *runs, **params):
    server = Server(
        runsOrError={"runsOrError": {"__typename": "Runs", "results": list(runs)}},
        logsForRun=FAILED_STEP,
    )
    return ask(monkeypatch, server, {"about": "trouble", **params})


def test_a_job_whose_newest_run_failed_is_in_trouble(monkeypatch):
    found = trouble(
        monkeypatch,
        run("daily", "FAILURE", 2),
        run("daily", "SUCCESS", 20),
        run("pack", "SUCCESS", 1),
        run("pack", "FAILURE", 3),
        run("old", "FAILURE", 24 * 9),
    )
    assert (found["failed_jobs"], found["failed"]) == (["daily"], "daily (step pack: full)")
    assert (found["stuck_runs"], found["stuck"]) == ([], None)


@pytest.mark.parametrize(("minutes", "stuck"), [(None, True), (600, False)])
def test_a_run_that_does_not_end_is_stuck_after_an_hour_or_the_given_minutes(
    monkeypatch, minutes, stuck
):
    found = trouble(monkeypatch, run("daily", "STARTED", 5), minutes=minutes)
    assert bool(found["stuck_runs"]) is stuck
    assert (found["stuck"] == "daily since 2026-11-23T07:00:00+00:00") is stuck


REPOSITORIES = {
    "repositoriesOrError": {
        "__typename": "RepositoryConnection",
        "nodes": [{"name": "repo", "location": {"name": "place"}, "jobs": [{"name": "daily"}]}],
    }
}
LAUNCHED = {"launchRun": {"__typename": "LaunchRunSuccess", "run": {"runId": "r9"}}}


def statuses(*names):
    return [{"runOrError": {"__typename": "Run", "status": name}} for name in names]


def trigger(monkeypatch, job="daily", launched=LAUNCHED, ends=(), seconds=3.0):
    server = Server(
        repositoriesOrError=REPOSITORIES,
        launchRun=launched,
        runOrError=statuses(*ends),
        logsForRun=FAILED_STEP,
    )
    found = ask(monkeypatch, server, {"about": "trigger", "job": job}, seconds)
    return found, server


def test_a_triggered_job_is_followed_to_its_end(monkeypatch):
    found, server = trigger(monkeypatch, ends=("QUEUED", "STARTED", "FAILURE"))
    assert (found["id"], found["status"]) == ("r9", "FAILURE")
    assert found["failure"] == "step pack: full"
    selector = server.sent[1]["variables"]["params"]["selector"]
    assert selector == {
        "repositoryLocationName": "place",
        "repositoryName": "repo",
        "pipelineName": "daily",
    }


def test_a_job_that_dagster_does_not_know_fails(monkeypatch):
    with pytest.raises(Failed, match="knows no job nightly"):
        trigger(monkeypatch, job="nightly")


def test_a_job_that_is_not_launched_says_why(monkeypatch):
    refused = {"launchRun": {"__typename": "PythonError", "message": "no config"}}
    with pytest.raises(Failed, match="does not launch daily: no config"):
        trigger(monkeypatch, launched=refused)


def test_a_run_that_does_not_end_in_time_fails_with_its_status(monkeypatch):
    with pytest.raises(Failed, match="run r9 of daily is still STARTED at the deadline"):
        trigger(monkeypatch, ends=("STARTED",), seconds=0.1)


def test_a_run_that_is_gone_fails(monkeypatch):
    gone = {"runOrError": {"__typename": "RunNotFoundError"}}
    server = Server(repositoriesOrError=REPOSITORIES, launchRun=LAUNCHED, runOrError=gone)
    with pytest.raises(Failed, match="has lost run r9 of daily"):
        ask(monkeypatch, server, {"about": "trigger", "job": "daily"})


def test_an_own_query_returns_its_data(monkeypatch):
    found = ask(monkeypatch, Server(version={"version": "1.13"}), {"query": "{ version }"})
    assert found == {"version": "1.13"}


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        ({"status": 502}, "HTTP 502 and no JSON"),
        (
            {"status": 200, "json": {"errors": [{"message": "no field"}]}},
            "refuses the query: no field",
        ),
        ({"status": 200, "json": {}}, "HTTP 200 without data"),
    ],
)
def test_an_answer_without_data_fails(monkeypatch, answer, says):
    with pytest.raises(Failed, match=says):
        ask(monkeypatch, lambda *_, **__: answer, {"query": "{ version }"})


def test_an_error_of_dagster_s_own_code_fails_with_its_message(monkeypatch):
    broken = {"runsOrError": {"__typename": "PythonError", "message": "no storage"}}
    with pytest.raises(Failed, match="Dagster reports an error: no storage"):
        ask(monkeypatch, Server(runsOrError=broken), {"about": "runs", "job": "daily"})
