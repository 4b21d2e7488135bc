# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The worker: it answers until the pipe closes, shares what is fetched once, and judges answers."""

from __future__ import annotations

import multiprocessing
import threading
from datetime import UTC, datetime

import pytest
from ansible.module_utils.pmsops.checks import probes, worker
from ansible.module_utils.pmsops.checks.probes import Deadline, Failed, Unanswerable, http
from ansible.module_utils.pmsops.checks.probes.context import Context, Settings
from ansible.module_utils.pmsops.common.exchange_calendar import Clock

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
CLOCK = Clock(NOW)


def answer(probe, found=None, *expect, shared=None):
    context = Context(Settings(now=NOW), shared=shared or {})
    params = {} if found is None else found
    return worker.answer(probe, params, list(expect), Deadline.after(3), context, CLOCK)


def test_it_answers_one_question_after_the_other_until_the_pipe_closes():
    ours, theirs = multiprocessing.Pipe()
    args = (theirs, Context(Settings(now=NOW)), CLOCK)
    thread = threading.Thread(target=worker.serve, args=args)
    thread.start()
    expect = [{"path": "total_bytes", "gt": 0}]
    for probe, status in (("disk", "pass"), ("smoke", "unknown")):
        ours.send((probe, {"path": "/", "step": "open"}, expect, 3.0, {"token": "t"}, 7))
        assert ours.recv().status == status
    ours.close()
    thread.join(5)
    assert not thread.is_alive()


@pytest.mark.parametrize(
    ("error", "status", "finding"),
    [
        (Failed("HTTP 500"), "fail", "HTTP 500"),
        (Unanswerable("no URL"), "unknown", "no URL"),
        (ImportError("x", name="redis"), "unknown", "this host's Python lacks redis"),
        (ZeroDivisionError("a mistake"), "unknown", "ZeroDivisionError: a mistake"),
    ],
    ids=["failed", "unanswerable", "library", "mistake"],
)
def test_what_a_probe_raises_decides_between_failed_and_unknown(
    monkeypatch, error, status, finding
):
    def ask(params, context, deadline):
        raise error

    monkeypatch.setattr(probes, "function", lambda kind: ask)
    found = answer("disk")
    assert (found.status, found.finding) == (status, finding)


@pytest.mark.parametrize("name", ["token", "routes"])
def test_what_is_shared_is_fetched_and_handed_on(monkeypatch, name):
    monkeypatch.setattr(http, name, lambda context, deadline: f"the {name}")
    found = answer(f"shared.{name}")
    assert (found.status, found.shared) == ("pass", f"the {name}")


def test_an_http_status_that_no_expectation_names_must_be_a_success(monkeypatch):
    monkeypatch.setattr(
        probes, "function", lambda kind: lambda *_: {"status": 503, "json": {"a": 1}}
    )
    assert answer("http", {}, {"path": "json.a", "eq": 1}).finding == "HTTP status is 503"
    assert answer("http", {}, {"path": "status", "eq": 503}).status == "pass"


def test_a_probe_that_judges_itself_passes_with_its_own_finding():
    assert worker.judge({"finding": "opened in 2 s"}, [], CLOCK).finding == "opened in 2 s"
    assert worker.judge([], [], CLOCK).finding == ""


def test_every_unmet_expectation_is_named_and_a_long_finding_is_cut():
    expect = [{"path": "a", "eq": 2}, {"path": "b", "eq": 1}, {"path": "a", "eq": 1}]
    found = worker.judge({"a": 1, "b": 0}, expect, CLOCK)
    assert found.finding == "a is 1, expected 2; b is 0, expected 1"
    assert [each["met"] for each in found.observed] == [False, False, True]
    long = worker.judge({"a": "x" * 200}, [{"path": "a", "eq": "y", "label": "l" * 600}], CLOCK)
    assert len(long.finding) == worker.MAX_FINDING_CHARACTERS


def test_an_expectation_that_cannot_be_judged_is_unknown():
    found = worker.judge({"a": 1}, [{"path": "a", "eq": 1}, {"path": "a["}], CLOCK)
    assert found.status == "unknown"


def test_the_libraries_of_all_probes_are_imported_and_a_missing_one_is_no_error(monkeypatch):
    asked = []

    def load(name):
        asked.append(name)
        raise ImportError(name)

    monkeypatch.setattr(worker, "import_module", load)
    worker.import_libraries(["sql", "http", "redis", "container", "disk", "attest", "shared.token"])
    assert set(asked) == {"psycopg2", "requests", "redis", "docker"}
    asked.clear()
    worker.import_libraries(["sql", "http", "container"], {"requests", "docker"})
    assert asked == ["psycopg2"]


@pytest.mark.parametrize(
    ("more", "unused"),
    [
        ({}, {"requests"}),
        ({"api": {"url": "http://127.0.0.1:8000"}}, set()),
        ({"dagster_url": "http://127.0.0.1:3000"}, set()),
        ({"grafana": {"url": "http://127.0.0.1:3001"}}, set()),
        ({"services": {"manager": "none"}}, {"requests"}),
        ({"database": {"access": "host"}}, {"requests"}),
        ({"database": {"access": "host"}, "services": {"manager": "compose"}}, {"requests"}),
        (
            {"database": {"access": "host"}, "services": {"manager": "systemd"}},
            {"requests", "docker"},
        ),
    ],
)
def test_libraries_of_parts_that_are_not_there_are_not_imported_beforehand(more, unused):
    assert Settings(now=NOW, **more).unused_libraries(["/a", ["/b", "/c"]]) == unused


def test_the_library_of_http_is_imported_for_a_url_of_somebody_else():
    for urls in (["/a", "http://x/b"], ["/a", ["/b", "http://x/c"]]):
        assert Settings(now=NOW).unused_libraries(urls) == set()


def test_only_a_pass_after_more_than_one_attempt_is_flaky():
    assert worker.ProbeResult("pass", "", attempts=2).flaky
    assert not worker.ProbeResult("pass", "", attempts=1).flaky
    assert not worker.ProbeResult("fail", "", attempts=2).flaky


def test_a_run_waits_for_what_its_probe_shares():
    run = worker.ProbeRun("a", "http", {"auth": "token", "url": ["/a", "/b"]})
    assert run.shares == ("shared.token", "shared.routes")
    assert worker.ProbeRun("b", "http", {"url": "/a"}).shares == ()
    assert worker.ProbeRun("c", "sql", {"auth": "token"}).shares == ()


@pytest.mark.parametrize("name", ["attest", "telepathy"])
def test_a_kind_without_code_cannot_be_asked(name):
    with pytest.raises(KeyError):
        probes.function(name)
    with pytest.raises(KeyError):
        probes.fetch(name)
