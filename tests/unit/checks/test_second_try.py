# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""No answer in time: asked again alone, and on a busy host never a failure."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from ansible.module_utils.pmsops.checks import probes, second_try
from ansible.module_utils.pmsops.checks.probes import Deadline, Failed, Overdue
from ansible.module_utils.pmsops.common import host_load
from ansible.module_utils.pmsops.common.host_load import Load
from ansible.module_utils.pmsops.reports import terminal

from tests.support.gates import item, run

QUIET, BUSY = Load(0.4, 2), Load(24, 2)
SAYS = "the host is busy: load 24 on 2 processors"


def load(monkeypatch: pytest.MonkeyPatch, said: Load) -> None:
    monkeypatch.setattr(host_load, "now", lambda: said)


def disk(name: str, **fields: Any) -> dict[str, Any]:
    expect = [{"path": "ok", "eq": True}]
    return item(name, "disk", params={"path": name}, expect=expect) | fields


def answers(monkeypatch: pytest.MonkeyPatch, ask: Callable[..., Any]) -> None:
    real = probes.function
    monkeypatch.setattr(probes, "function", lambda kind: ask if kind == "disk" else real(kind))


def needs_more_time(params: Any, context: Any, deadline: Deadline) -> dict[str, bool]:
    """Answer after a second, as a healthy service on a busy host does."""
    time.sleep(min(deadline.left(), 1.0))
    if deadline.left() < 0.05:
        raise Overdue("no answer in time")
    return {"ok": True}


def never(params: Any, context: Any, deadline: Deadline) -> None:
    raise Overdue("no answer in time")


def hangs(params: Any, context: Any, deadline: Deadline) -> None:
    """Wait as a library does that never looks at its own time."""
    time.sleep(60)


def result(found: dict[str, Any], name: str) -> dict[str, Any]:
    return next(each for each in found["results"] if each["id"] == name)


def test_a_healthy_service_on_a_busy_host_passes_at_the_second_try(monkeypatch):
    load(monkeypatch, BUSY)
    answers(monkeypatch, needs_more_time)
    found = run(disk("slow", timeout=0.5), disk("after", needs=["slow"], timeout=2))
    assert found["verdict"] == "go"
    assert (result(found, "slow")["attempts"], result(found, "slow")["flaky"]) == (2, True)
    assert result(found, "after")["status"] == "pass"


@pytest.mark.parametrize("ask", [never, hangs])
def test_no_answer_on_a_busy_host_is_unknown_with_the_load_as_its_one_cause(monkeypatch, ask):
    load(monkeypatch, BUSY)
    answers(monkeypatch, ask)
    silent = [disk(f"silent{number}", timeout=0.1) for number in range(3)]
    found = run(*silent, disk("after", needs=["silent0"]), item("fine"))
    assert found["counts"]["fail"] == 0, [r for r in found["results"] if r["status"] == "fail"]
    assert found["causes"] == [{"cause": SAYS, "checks": ["silent0", "silent1", "silent2"]}]
    assert SAYS in result(found, "silent0")["finding"]
    assert result(found, "after")["needs"] == ["silent0"]
    table = "\n".join(terminal.table(found))
    assert table.count(SAYS) == 1
    assert "Mend silent0" not in table  # a remedy for a wrong answer, and there was none


def test_no_answer_on_a_quiet_host_is_unknown_too_and_says_that_the_host_is_not_to_blame(
    monkeypatch,
):
    load(monkeypatch, QUIET)
    answers(monkeypatch, never)
    found = run(disk("silent", timeout=0.1), item("fine"))
    assert result(found, "silent")["status"] == "unknown"
    assert "the host is not busy: load 0 on 2 processors" in result(found, "silent")["finding"]
    assert found["causes"] == []


@pytest.mark.parametrize(
    ("silence", "quiet", "busy"),
    [
        ("unknown", "unknown", "unknown"),
        ("fail_if_idle", "fail", "unknown"),
        ("fail", "fail", "fail"),  # the symptom of a hung service: it has to be acted on
    ],
)
def test_a_check_says_itself_what_silence_means(monkeypatch, silence, quiet, busy):
    answers(monkeypatch, never)
    seen = []
    for said in (QUIET, BUSY):
        load(monkeypatch, said)
        found = run(disk("silent", timeout=0.1, silence=silence))
        seen.append(result(found, "silent")["status"])
    assert seen == [quiet, busy]


def test_a_wrong_answer_that_comes_from_the_load_is_unknown_on_a_busy_host_only(monkeypatch):
    answers(monkeypatch, lambda *_: {"ok": False})
    seen = []
    for said in (QUIET, BUSY):
        load(monkeypatch, said)
        found = run(disk("unhealthy", load_sensitive=True), disk("wrong"))
        seen.append([each["status"] for each in found["results"]])
    assert seen == [["fail", "fail"], ["unknown", "fail"]]


def test_what_gave_no_answer_is_asked_again_one_by_one(monkeypatch, tmp_path):
    load(monkeypatch, BUSY)

    def crowded(params: Any, context: Any, deadline: Deadline) -> dict[str, bool]:
        """Answer only where no other probe asks at the same time."""
        mine = tmp_path / params["path"]
        mine.touch()
        try:
            time.sleep(0.3)
            if len(list(tmp_path.iterdir())) > 1:
                raise Overdue("no answer in time")
        finally:
            mine.unlink()
        return {"ok": True}

    answers(monkeypatch, crowded)
    assert run(*(disk(f"c{number}") for number in range(4)))["counts"]["pass"] == 4


def test_what_starts_something_is_never_started_twice(monkeypatch):
    load(monkeypatch, BUSY)
    asked = []
    monkeypatch.setattr(second_try, "Runner", lambda *_, **__: asked.append(1))
    monkeypatch.setattr(probes, "function", lambda kind: never)
    trigger = item(
        "trigger",
        "dagster",
        params={"about": "trigger", "job": "day"},
        expect=[{"path": "status", "eq": "SUCCESS"}],
        retries=3,
    )
    found = run(trigger)
    assert (asked, result(found, "trigger")["attempts"]) == ([], 1)


def test_a_refusal_is_a_failure_however_busy_the_host_is(monkeypatch):
    load(monkeypatch, BUSY)

    def refused(*_: Any) -> None:
        raise Failed("nobody answers at 127.0.0.1:8000: Connection refused")

    answers(monkeypatch, refused)
    assert result(run(disk("gone")), "gone")["status"] == "fail"


@pytest.mark.parametrize(
    ("text", "processes"),
    [
        ("24.31 9.00 4.00 3/412 77\n", 24.31),
        ("0.50 0.40 0.30 31/412 77\n", 30.0),  # a burst that the average does not know yet
        ("", 0.0),
        ("rubbish", 0.0),
    ],
)
def test_the_load_is_that_of_now_or_of_the_last_minute(monkeypatch, tmp_path, text, processes):
    file = tmp_path / "loadavg"
    file.write_text(text)
    monkeypatch.setattr(host_load, "LOADAVG", file)
    assert host_load.now().processes == processes


@pytest.mark.parametrize(
    ("said", "patience"), [(QUIET, 1), (Load(3, 2), 2), (Load(7, 2), 4), (Load(500, 2), 5)]
)
def test_a_busy_host_gets_more_time_and_never_endless_time(said, patience):
    assert said.patience == patience


def test_a_step_that_an_earlier_gate_judged_names_one_load(monkeypatch):
    load(monkeypatch, QUIET)

    def judged_before(*_: Any) -> None:
        raise Overdue("run is FAILURE, expected SUCCESS; the host is busy: load 5 on 2 processors")

    answers(monkeypatch, judged_before)
    finding = result(run(disk("step")), "step")["finding"]
    assert finding.startswith("run is FAILURE, expected SUCCESS")
    assert finding.count("the host is") == 1 and finding.endswith(
        "not busy: load 0 on 2 processors"
    )


def test_a_pipeline_that_failed_on_a_busy_host_is_unknown_and_not_started_again(monkeypatch):
    """A run failed at load 53 on 2 processors: its steps have time-outs of their own."""
    load(monkeypatch, BUSY)

    def run_job(*_: Any) -> dict[str, str]:
        return {"status": "FAILURE"}

    monkeypatch.setattr(probes, "function", lambda kind: run_job)
    monkeypatch.setattr(second_try, "Runner", lambda *_, **__: pytest.fail("asked again"))
    params = {"about": "trigger", "job": "day"}
    expect = [{"path": "status", "eq": "SUCCESS"}]
    found = run(item("run", "dagster", params=params, expect=expect, load_sensitive=True))
    assert (result(found, "run")["status"], result(found, "run")["cause"]) == ("unknown", SAYS)
