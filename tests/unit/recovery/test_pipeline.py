# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The pipeline recovered: the order of the steps, and the fallback while Dagster stays down."""

from __future__ import annotations

import json
from contextlib import nullcontext
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

import pytest
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.incidents.record import Action
from ansible.module_utils.pmsops.pms import dagster, dagster_runs
from ansible.module_utils.pmsops.pms.client import Answer
from ansible.module_utils.pmsops.pms.redis_cache import Forgotten
from ansible.module_utils.pmsops.recovery import pipeline, pipeline_jobs, run_processes
from ansible.module_utils.pmsops.services.manager import Services

from tests.support.book_database import BookDatabase
from tests.support.compose import Container, compose
from tests.support.standin_pms import StandIn

DAY = date(2026, 11, 25)
SERVICE_MISSING = "services.missing"
BOTH = {"pipeline.data", "pipeline.pack"}
PARTS = {"dagster": "dagster-webserver", "daemon": "dagster-daemon"}


class Dagster:
    """A Dagster that a test breaks."""

    def __init__(self, url: str = "http://dagster") -> None:
        self.url = url
        self.did: list[str] = []
        self.up = True
        self.code: list[dict[str, Any]] = [{"name": "macro", "status": "LOADED", "error": None}]
        self.loads = True
        self.beats = True
        self.off: list[str] = []
        self.failed: list[str] = []
        self.lost: list[dict[str, str]] = []
        self.stuck: list[dict[str, Any]] = []
        self.ends = "SUCCESS"

        self.gaps: dict[str, list[date]] = {}

    def days_left_out(self) -> dict[str, list[date]]:
        return self.gaps

    def ping(self) -> None:
        if not self.up:
            raise OpsError("nobody answers", "Look.", code="dagster.refused")

    def locations(self) -> list[dict[str, Any]]:
        return self.code

    def scheduler_beats(self, _since: datetime | None = None) -> bool:
        return self.beats

    def trouble(self, _minutes: float) -> dict[str, Any]:
        return {
            "failed_jobs": self.failed,
            "lost_runs": self.lost,
            "stuck_runs": self.stuck,
        }

    def reload(self, name: str) -> str | None:
        self.did.append(f"reload {name}")
        return None if self.loads else "ImportError: no module"

    def stopped_schedules(self) -> list[dict[str, str]]:
        return [{"scheduleName": name} for name in self.off]

    def start_schedule(self, selector: dict[str, str]) -> None:
        self.did.append(f"on {selector['scheduleName']}")

    def end_run(self, run_id: str, **_: Any) -> str:
        self.did.append(f"end {run_id}")
        return "CANCELED"

    def run_job(self, job: str, **_: Any) -> dict[str, Any]:
        self.did.append(f"run {job}")
        failure = "step pack: no memory" if self.ends == "FAILURE" else None
        return {"id": "r", "status": self.ends, "seconds": 1.0, "failure": failure}


class Api:
    """A PMS that lists its requests."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.status = 200
        self.pack = {"briefing_date": DAY.isoformat(), "macro_narrative": "of the day"}
        self.steps = {"mtm": {"status": "success"}, "signals": {"status": "error", "error": "tz"}}

    def login(self) -> bool:
        return True

    def request(self, method: str, path: str, _body: Any = None) -> Answer:
        self.asked.append(f"{method} {path}")
        return Answer(self.status, {})

    def ask(self, operation: str, body: Any) -> Any:
        assert body == {}
        self.asked.append(operation)
        return {"steps": self.steps} if operation == "pipeline_trigger" else self.pack


@pytest.fixture
def target(tmp_path, monkeypatch):
    # No test of a recovery looks at the processes of the machine that it runs on.
    monkeypatch.setattr(run_processes, "_here", lambda _asked: b"[]")
    database = BookDatabase(StandIn())
    database.agents = ["inflation_agent", "monetary_agent", "fiscal_agent", "cross_asset_agent"]
    return pipeline.Pipeline(
        dagster=Dagster(),
        services=Services("none", tuple(PARTS.values()), parts=PARTS),
        api=Api(),
        database=database,
        evidence_root=tmp_path,
        data_job="data",
        pack_job="pack",
        patience=0.0,
    )


def managed(target: pipeline.Pipeline, **containers: Container) -> pipeline.Pipeline:
    made = {"dagster_webserver": Container(), "dagster_daemon": Container()} | containers
    return pipeline.Pipeline(**(vars(target) | {"services": compose(**made)}))


def recover(target: pipeline.Pipeline, seen: Any = ()) -> list[str]:
    symptoms = pipeline.Symptoms(frozenset(seen), DAY, DAY)
    return pipeline.recover(symptoms, target, record=lambda _: nullcontext(Action()))


def planned(target: pipeline.Pipeline) -> list[str]:
    return pipeline.plan(pipeline.Symptoms(frozenset(), DAY, DAY), target)


def test_a_healthy_pipeline_is_left_alone(target):
    assert planned(target) == []
    assert recover(target) == []
    assert target.dagster.did == []
    assert target.api.asked == []


def test_the_least_intrusive_step_comes_first_and_each_job_runs_once(target):
    target.dagster.code[0] |= {"status": "ERROR", "error": "x"}
    target.dagster.off = ["eod"]
    target.dagster.failed = ["pack", "other"]
    target.dagster.stuck = [{"id": "7", "job": "other", "status": "STARTED", "since": "then"}]
    recover(target, BOTH)
    assert target.dagster.did == [
        "reload macro",
        "on eod",
        "end 7",
        "run pack",
        "run other",
        "run data",
    ]
    assert target.api.asked == []


def test_a_location_that_keeps_an_error_of_its_database_is_loaded_after_a_restart(target):
    """The remedy was to correct the code, where a restart of Dagster was enough."""
    found = managed(target)
    error = "too many retries for DB connection: password authentication failed for user dagster"
    problems = [error, None]
    found.dagster.code[0] |= {"status": "ERROR", "error": error}
    found.dagster.reload = lambda _name: problems.pop(0)
    done = recover(found)
    assert problems == []
    assert any(each.startswith("Restart dagster-webserver") for each in done), done
    problems += [error, error]
    with pytest.raises(OpsError) as caught:
        recover(found)
    assert "password in Dagster's environment" in caught.value.remedy
    assert "Correct the code" not in caught.value.remedy


def test_a_plan_names_the_first_steps(target):
    target.dagster.code[0] |= {"status": "ERROR", "error": "x"}
    target.dagster.stuck = [{"id": "7", "job": "other", "status": "STARTED", "since": "then"}]
    target.dagster.failed = ["pack"]
    assert planned(target) == ["Reload macro", "End the stuck run of other", "Run pack again"]
    target.dagster.code[0] |= {"status": "LOADED"}
    target.dagster.off = ["eod"]
    assert planned(target)[0] == "Start eod"
    target.dagster.up = False
    assert planned(target) == ["Restart dagster-webserver, which does not answer"]
    stopped = managed(target, dagster_daemon=Container({"Status": "exited", "ExitCode": 1}))
    assert planned(stopped) == ["Start dagster-daemon, which was exited (exit status 1)"]


def test_a_web_server_that_does_not_answer_is_restarted(target):
    def answer(_verb):
        target.dagster.up = True

    target.dagster.up = False
    web = Container(on=answer)
    done = recover(managed(target, dagster_webserver=web))
    assert done == ["Restart dagster-webserver, which was running but did not work"]
    assert web.called == ["restart"]


def test_a_daemon_without_a_heartbeat_is_restarted(target):
    def beat(_verb):
        target.dagster.beats = True

    target.dagster.beats = False
    daemon = Container(on=beat)
    recover(managed(target, dagster_daemon=daemon))
    assert daemon.called == ["restart"]


@pytest.mark.parametrize(
    ("started", "older"), [("2027-01-15T07:59:59Z", True), ("2027-01-15T08:00:01Z", False)]
)
def test_a_dagster_older_than_its_server_is_restarted_before_a_job_runs_again(
    target, started, older
):
    state = {"Status": "running", "StartedAt": started}
    containers = {
        name: Container(dict(state), on=lambda verb, name=name: target.dagster.did.append(name))
        for name in ("dagster_webserver", "dagster_daemon")
    }
    target.dagster.failed = ["pack"]
    recover(managed(target, **containers))
    assert target.dagster.did == [*containers] * older + ["run pack"]


def test_a_job_that_fails_again_is_an_error(target):
    target.dagster.failed, target.dagster.ends = ["pack"], "FAILURE"
    with pytest.raises(OpsError) as caught:
        recover(target)
    assert caught.value.code == "pipeline.job"
    assert "step pack: no memory" in str(caught.value)
    assert target.api.asked == []


@pytest.mark.parametrize("fault", ["down", "code", "scheduler"])
def test_while_dagster_stays_down_the_pms_does_the_work_and_it_is_still_an_error(target, fault):
    if fault == "down":
        target.dagster.up = False
    elif fault == "scheduler":
        target.dagster.beats = False
    else:
        target.dagster.code[0] |= {"status": "ERROR", "error": "x"}
        target.dagster.loads = False
    with pytest.raises(OpsError, match="Dagster is still down") as caught:
        recover(target)
    assert caught.value.code == "pipeline.by_hand"
    assert "signals error (tz)" in str(caught.value)
    assert f"morning pack of {DAY}" in str(caught.value)
    expected = ["POST /api/v1/agents/fx_agent/run", "pipeline_trigger", "generate_morning_pack"]
    assert target.api.asked == expected
    with pytest.raises(OpsError, match="Dagster is still down"):
        recover(target)
    # The steps of the pipeline change the book: once a day. The others only add what is missing.
    assert target.api.asked.count("pipeline_trigger") == 1


def by_other_names(target: pipeline.Pipeline) -> pipeline.Pipeline:
    """Return the pipeline with an inventory whose names no container has."""

    def nothing_found(_services):
        raise OpsError(
            "no container of service dagster-webserver", "Correct it.", code=SERVICE_MISSING
        )

    services = type("Unknown", (Services,), {"containers": nothing_found})
    return replace(target, services=services("compose", tuple(PARTS.values()), "p", parts=PARTS))


def test_a_healthy_dagster_whose_services_have_other_names_leaves_the_day_s_work_alone(target):
    assert recover(by_other_names(target)) == []
    assert target.api.asked == []


def test_a_service_that_is_not_found_is_no_reason_to_act_on_the_book(target):
    target.dagster.up = False
    with pytest.raises(OpsError) as caught:
        recover(by_other_names(target), BOTH)
    assert caught.value.code == SERVICE_MISSING
    assert target.api.asked == [] and target.dagster.did == []


@pytest.mark.parametrize("table", ["trade_proposals", "position_pnl_history", "portfolio_returns"])
def test_the_fund_s_day_is_not_run_a_second_time(target, table):
    target.dagster.up = False
    target.database.of_day[table] = 5
    with pytest.raises(OpsError, match=f"pipeline not run, its work is there: 5 .* of {DAY}"):
        recover(target)
    assert "pipeline_trigger" not in target.api.asked
    assert "generate_morning_pack" in target.api.asked


def test_a_pack_of_the_day_is_not_made_a_second_time(target):
    target.dagster.up = False
    target.database.of_day["daily_briefings"] = 1
    with pytest.raises(OpsError, match=f"morning pack of {DAY}, which is there"):
        recover(target)
    assert "generate_morning_pack" not in target.api.asked


@pytest.mark.parametrize("ends", ["SUCCESS", "FAILURE"])
def test_after_a_run_the_empty_book_that_it_cached_is_forgotten(target, monkeypatch, ends):
    forgotten = []

    def forget(*given):
        forgotten.append(given)
        return Forgotten(0, "Redis was not cleared")

    monkeypatch.setattr(pipeline_jobs.redis_cache, "forget_after_run", forget)
    target.dagster.failed, target.dagster.ends = ["eod"], ends
    found = replace(target, redis={"host": "redis"})
    with nullcontext() if ends == "SUCCESS" else pytest.raises(OpsError):
        recover(found, set())
    assert forgotten == [({"host": "redis"}, DAY)]


def test_a_failed_job_whose_work_is_there_does_not_run_again(target):
    target.dagster.failed = ["eod", "pack", "data"]
    target.database.of_day |= {"trade_proposals": 5, "daily_briefings": 1}
    assert planned(target) == ["Run data again"]
    done = recover(target)
    assert target.dagster.did == ["run data"]
    assert f"eod not run again, the day's work is there: 5 trade proposals of {DAY}" in done
    assert f"pack not run again, the day's work is there: morning pack of {DAY}" in done


# --- what works on after the end of its run -------------------------------------------------------

LOST, OTHER = "1023e3e9-df12-4a5d-93ee-81776f50b908", "80fef607-b75c-43b2-84a0-8674aa9a6dcf"


class Processes:
    """Processes of runs; each look takes one from the time that they still need."""

    def __init__(self, monkeypatch: Any, target: pipeline.Pipeline, **looks: int) -> None:
        self.target, self.looks = target, looks
        self.signals: list[str] = []
        self.stubborn = False
        self.writes: dict[str, int] = {}
        monkeypatch.setattr(run_processes, "_here", self.ask)
        monkeypatch.setattr(run_processes, "POLL_SECONDS", 0.0)
        monkeypatch.setattr(run_processes, "SIGNAL_SECONDS", 0.01)

    def ask(self, text: str) -> bytes:
        asked = json.loads(text)
        if asked["end"] and not self.stubborn:
            self.signals.append(asked["signal"])
            self.looks = {}
        runs = {"lost": LOST, "other": OTHER}
        found = [
            {"pid": 40, "began": 7, "run": runs[name]}
            for name in self.looks
            if asked["runs"] is None or runs[name] in asked["runs"]
        ]
        self.looks = {name: left - 1 for name, left in self.looks.items() if left > 1}
        if not self.looks:
            self.target.database.of_day |= self.writes
        return json.dumps(found).encode()


def test_a_failed_job_is_not_run_while_its_former_step_still_works(target, monkeypatch):
    """With the worker of a run killed the run is FAILURE, and its step works on and writes."""
    target = replace(target, patience=1.0)
    target.dagster.failed = ["eod"]
    target.dagster.lost = [{"id": LOST, "job": "eod"}]
    processes = Processes(monkeypatch, target, lost=5)
    processes.writes = {"trade_proposals": 5}
    assert planned(target)[0] == f"Wait for process 40 of run {LOST} (this host), or end it"
    done = recover(target)
    assert target.dagster.did == []
    assert done[-1] == f"eod not run again, the day's work is there: 5 trade proposals of {DAY}"
    assert f"process 40 of run {LOST} (this host) awaited" in done
    assert processes.signals == []


def test_a_step_that_does_not_end_is_ended_before_its_job_runs_again(target, monkeypatch):
    target.dagster.failed = ["eod"]
    target.dagster.lost = [{"id": LOST, "job": "eod"}]
    processes = Processes(monkeypatch, target, lost=99, other=99)
    assert f"process 40 of run {LOST} (this host) ended" in recover(target)
    assert processes.signals == ["SIGTERM"]
    assert target.dagster.did == ["run eod"]


def test_the_step_of_a_stuck_run_is_ended_with_its_run(target, monkeypatch):
    """Dagster marks a run without a worker as canceled, and its step works on."""
    target = replace(target, patience=1.0, job_seconds=10_000.0)
    target.dagster.stuck = [{"id": LOST, "job": "eod", "status": "STARTED", "since": "then"}]
    processes = Processes(monkeypatch, target, lost=99)
    recover(target)
    assert processes.signals == ["SIGTERM"]
    assert target.dagster.did == [f"end {LOST}", "run eod"]


def test_no_job_runs_beside_a_step_that_cannot_be_ended(target, monkeypatch):
    target.dagster.failed = ["eod"]
    target.dagster.lost = [{"id": LOST, "job": "eod"}]
    Processes(monkeypatch, target, lost=10**6).stubborn = True
    with pytest.raises(OpsError) as caught:
        recover(target)
    assert caught.value.code == "pipeline.process"
    assert target.dagster.did == []


def test_the_pms_does_not_do_the_work_beside_a_step_of_a_dagster_that_is_down(target, monkeypatch):
    target.dagster.up = False
    Processes(monkeypatch, target, other=10**6)
    with pytest.raises(OpsError) as caught:
        recover(target)
    assert caught.value.code == "pipeline.process"
    assert target.api.asked == []


def test_days_that_a_gap_left_out_are_named(target):
    target.dagster.gaps = {"eod": [date(2026, 11, 23), date(2026, 11, 24)]}
    recorded: list[str] = []

    def record(text: str) -> Any:
        recorded.append(text)
        return nullcontext(Action())

    (line,) = pipeline_jobs.name_left_out(target, record)
    assert line.startswith("eod had no run on 2026-11-23, 2026-11-24: after a gap")
    assert recorded == [line]
    assert pipeline_jobs.name_left_out(replace(target, dagster=Dagster(url="")), record) == []


def test_another_error_does_not_lead_to_the_fallback(target):
    def fail():
        raise OpsError("no rights", "Grant them.", code="database.rights")

    target.dagster.stopped_schedules = fail
    with pytest.raises(OpsError) as caught:
        recover(target)
    assert caught.value.code == "database.rights"
    assert target.api.asked == []


@pytest.mark.parametrize(
    "fault", [{"steps": {}}, {"pack": {"briefing_date": "2026-11-25"}}, {"status": 500}]
)
def test_an_answer_without_a_result_is_no_success(target, fault):
    target.dagster.up = False
    vars(target.api).update(fault)
    with pytest.raises(OpsError) as caught:
        recover(target)
    assert caught.value.code == "pipeline.step"


# --- which jobs are in trouble --------------------------------------------------------------------

NOW = 1_800_000_000.0
HOUR = 3600.0


def run(job: str, status: str, hours_ago: float) -> dict[str, Any]:
    created = NOW - hours_ago * HOUR
    ended = created + 5 if status in dagster_runs.OVER else None
    name = f"{job}{hours_ago}"
    return {
        "runId": name,
        "jobName": job,
        "status": status,
        "creationTime": created,
        "endTime": ended,
    }


@pytest.mark.parametrize(
    ("runs", "failed", "stuck"),
    [
        ([], None, None),
        ([run("a", "SUCCESS", 1), run("a", "FAILURE", 2)], None, None),
        ([run("a", "FAILURE", 1), run("a", "SUCCESS", 2)], "a", None),
        ([run("a", "CANCELED", 1), run("b", "SUCCESS", 1)], "a", None),
        ([run("a", "FAILURE", 24 * 10)], None, None),
        ([run("a", "STARTED", 0.5)], None, None),
        ([run("a", "QUEUED", 3)], None, "a since"),
    ],
)
def test_the_newest_run_of_a_job_speaks_for_it(runs, failed, stuck):
    data = {"runsOrError": {"__typename": "Runs", "results": runs}}
    now = datetime.fromtimestamp(NOW, UTC)
    found = dagster.Dagster(lambda _body: (200, {"data": data})).trouble(now, 60)
    assert found["failed"] == failed
    lost = [each["runId"] for each in runs if each["status"] in ("FAILURE", "CANCELED")]
    assert {each["id"] for each in found["lost_runs"]} <= set(lost)
    assert not failed or found["lost_runs"][0]["job"] == failed
    assert (found["stuck"] or "").startswith(stuck or "") and bool(found["stuck"]) == bool(stuck)


def test_a_system_without_dagster_gets_its_pack_and_no_error(target):
    """The playbook asked a Dagster that is not there, and failed: issue 18, A31."""
    target = replace(target, dagster=Dagster(url=""))
    target.dagster.up = False
    symptoms = pipeline.Symptoms(frozenset({"pipeline.pack"}), DAY, DAY)
    assert pipeline.plan(symptoms, target) == [f"Generate the morning pack of {DAY}"]
    assert recover(target, {"pipeline.pack"}) == [f"morning pack of {DAY}"]
    # Neither the agents nor the pipeline, which acts on the book: nobody said that they are due.
    assert target.api.asked == ["generate_morning_pack"]
    assert recover(target) == planned(target) == []
    with pytest.raises(OpsError, match="this system has no Dagster") as caught:
        recover(target, {"pipeline.data"})
    assert caught.value.code == "pipeline.no-dagster"
