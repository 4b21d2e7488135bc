# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The pipeline brought back: in which order, and what is promised where Dagster stays down."""

from __future__ import annotations

from contextlib import nullcontext
from datetime import date
from types import SimpleNamespace
from typing import Any

import pytest
from ansible.module_utils.pmsops.checks.probes import Deadline, dagster
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.incidents import record
from ansible.module_utils.pmsops.recovery import pipeline
from ansible.module_utils.pmsops.services.manager import Services

DAY = date(2026, 11, 25)
BOTH = {"pipeline.data", "pipeline.pack"}


class Dagster:
    """A Dagster that a test breaks."""

    def __init__(self) -> None:
        self.did: list[str] = []
        self.up = True
        self.locations = [{"name": "macro", "status": "LOADED", "error": None}]
        self.loads = True
        self.off: list[str] = []
        self.failed: list[str] = []
        self.stuck: list[dict[str, Any]] = []
        self.ends = "SUCCESS"

    def answers(self) -> bool:
        return self.up

    def graphql(self, _query: str, *_: Any, **__: Any) -> Any:
        raise OpsError("nobody answers", "Look.", code="dagster.refused")

    def ask(self, about: str, **_: Any) -> Any:
        return {
            "locations": {"locations": self.locations},
            "daemons": {"daemons": [{"type": "SCHEDULER", "healthy": True}]},
            "trouble": {"failed_jobs": self.failed, "stuck_runs": self.stuck},
        }[about]

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
        return {"id": "r", "status": self.ends, "seconds": 1.0}


class Api:
    """A PMS that counts what it is asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.steps = {"mtm": {"status": "success"}, "signals": {"status": "error", "error": "tz"}}

    def login(self) -> bool:
        return True

    def request(self, method: str, path: str, _body: Any = None) -> Any:
        self.asked.append(f"{method} {path}")
        return SimpleNamespace(status=200, body={})

    def ask(self, operation: str, body: Any) -> Any:
        assert body == {}
        self.asked.append(operation)
        if operation == "pipeline_trigger":
            return {"steps": self.steps}
        return {"briefing_date": DAY.isoformat(), "macro_narrative": "of the day"}


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.setattr(pipeline, "_missing_agents", lambda *_: ["fx_agent"])
    monkeypatch.setattr(pipeline, "_soon", lambda holds, _seconds: holds())
    return pipeline.Pipeline(
        dagster=Dagster(),
        services=Services("none", pipeline.SERVICES),
        api=Api(),
        database=None,
        evidence_root=tmp_path,
        data_job="data",
        pack_job="pack",
        healthy_seconds=0.0,
    )


def recover(place: pipeline.Pipeline, seen: Any = ()) -> list[str]:
    signs = pipeline.Symptoms(frozenset(seen), DAY, DAY)
    return pipeline.recover(signs, place, record=lambda _: nullcontext(record.Action()))


def test_what_is_well_is_left(place):
    assert recover(place) == []
    assert place.dagster.did == []
    assert place.api.asked == []


def test_the_least_intrusive_comes_first_and_each_job_runs_once(place):
    place.dagster.locations[0] |= {"status": "ERROR", "error": "x"}
    place.dagster.off = ["eod"]
    place.dagster.failed = ["pack", "other"]
    place.dagster.stuck = [{"id": "7", "job": "other", "status": "STARTED", "since": "then"}]
    recover(place, BOTH)
    assert place.dagster.did == [
        "reload macro",
        "on eod",
        "end 7",
        "run pack",
        "run other",
        "run data",
    ]
    assert place.api.asked == []


@pytest.mark.parametrize("older", [True, False])
def test_a_dagster_older_than_its_server_is_restarted_before_a_job_runs_again(
    place, monkeypatch, older
):
    def restart(_services, wish, **_):
        place.dagster.did.append(f"restart {wish.names}")
        return ["Restart Dagster"]

    monkeypatch.setattr(pipeline.service_care, "older_than_server", lambda *_: older)
    monkeypatch.setattr(pipeline.service_care, "bring_up", restart)
    place.dagster.failed = ["pack"]
    recover(place)
    assert place.dagster.did == [f"restart {pipeline.SERVICES}"] * older + ["run pack"]


def test_a_job_that_fails_again_is_an_error(place):
    place.dagster.failed, place.dagster.ends = ["pack"], "FAILURE"
    with pytest.raises(OpsError) as caught:
        recover(place)
    assert caught.value.code == "pipeline.job"
    assert place.api.asked == []


@pytest.mark.parametrize("fault", ["down", "code"])
def test_where_dagster_stays_down_the_pms_does_the_work_and_it_is_an_error_all_the_same(
    place, fault
):
    if fault == "down":
        place.dagster.up = False
    else:
        place.dagster.locations[0] |= {"status": "ERROR", "error": "x"}
        place.dagster.loads = False
    with pytest.raises(OpsError, match="Dagster is still down") as caught:
        recover(place)
    assert caught.value.code == "pipeline.by_hand"
    assert "signals error (tz)" in str(caught.value)
    assert f"morning pack of {DAY}" in str(caught.value)
    wanted = ["POST /api/v1/agents/fx_agent/run", "pipeline_trigger", "generate_morning_pack"]
    assert place.api.asked == wanted
    with pytest.raises(OpsError, match="Dagster is still down"):
        recover(place)
    # The steps of the pipeline change the book: once a day. The others only add what is missing.
    assert place.api.asked.count("pipeline_trigger") == 1


def test_an_answer_without_steps_is_no_success(place):
    place.dagster.up, place.api.steps = False, {}
    with pytest.raises(OpsError) as caught:
        recover(place)
    assert caught.value.code == "pipeline.step"


# --- which jobs are in trouble --------------------------------------------------------------------

NOW = 1_800_000_000.0
HOUR = 3600.0


def run(job: str, status: str, hours_ago: float) -> dict[str, Any]:
    created = NOW - hours_ago * HOUR
    ended = created + 5 if status in dagster.OVER else None
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
def test_the_newest_run_of_a_job_speaks_for_it(runs, failed, stuck, monkeypatch):
    answer = {"runsOrError": {"__typename": "Runs", "results": runs}}
    monkeypatch.setattr(dagster, "_graphql", lambda *_: answer)
    now = SimpleNamespace(timestamp=lambda: NOW)
    context = SimpleNamespace(settings=SimpleNamespace(now=now))
    found = dagster.ask({"about": "trouble", "minutes": 60}, context, Deadline.after(1))
    assert found["failed"] == failed
    assert (found["stuck"] or "").startswith(stuck or "") and bool(found["stuck"]) == bool(stuck)
