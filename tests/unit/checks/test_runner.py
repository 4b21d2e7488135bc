"""The runner: what hangs is ended, nothing else waits for it, and no result is lost."""

from __future__ import annotations

import os
import re
import socket
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.pmsops.checks import probes, runner, worker
from ansible.module_utils.pmsops.checks.probes.context import Settings
from ansible.module_utils.pmsops.checks.runner import Runner
from ansible.module_utils.pmsops.checks.variables import Variables
from ansible.module_utils.pmsops.checks.worker import ProbeResult, ProbeRun
from ansible.module_utils.pmsops.common.exchange_calendar import Clock

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
OK = ({"path": "rc", "eq": 0},)


def run(runs: list[ProbeRun], **options: object) -> dict[str, ProbeResult]:
    variables = Variables(options.pop("variables", {}), Clock(NOW))
    return Runner(Settings(now=NOW, **options.pop("settings", {})), variables, **options).run(runs)


def shell(name: str, script: str, **fields: object) -> ProbeRun:
    fields.setdefault("expect", OK)
    return ProbeRun(id=name, probe="command", params={"argv": ["sh", "-c", script]}, **fields)


def processes() -> list[str]:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found.append(path.read_bytes().replace(b"\0", b" ").decode())
        except OSError:
            continue
    return found


@pytest.fixture
def silent_port():
    """A port that takes connections and never says anything."""
    with socket.create_server(("127.0.0.1", 0), backlog=50) as server:
        yield server.getsockname()[1]


def test_a_process_that_ignores_sigterm_is_ended_with_what_it_started():
    seconds = str(7000 + os.getpid() % 1000)
    script = f"trap '' TERM; setsid sleep {seconds} & (trap '' TERM; sleep {seconds}) & wait"
    started = time.monotonic()
    result = run([shell("hung", script, timeout=0.6)])["hung"]
    assert (result.status, result.overdue) == ("unknown", True)
    assert "did not end in time" in result.finding
    assert time.monotonic() - started < 20
    assert not [line for line in processes() if line.startswith(f"sleep {seconds}")]


def test_a_tcp_connection_that_hangs_costs_its_own_time_out_only(silent_port):
    runs = [
        ProbeRun("hung", "http", {"url": f"http://127.0.0.1:{silent_port}/"}, timeout=4.0),
        *(shell(f"quick{number}", "true") for number in range(20)),
    ]
    seen: dict[str, float] = {}
    started = time.monotonic()
    found = run(runs, report=lambda name, _: seen.update({name: time.monotonic() - started}))
    assert (found["hung"].status, found["hung"].overdue) == ("unknown", True)
    # The probe's own time-out, or on a busy host the runner's, which is as long.
    assert re.search("does not answer in time|no answer within 4 s", found["hung"].finding)
    hung = seen.pop("hung")
    assert 3.9 < hung < 20
    assert all(found[name].status == "pass" for name in seen)
    assert max(seen.values()) < hung  # none of them waited for it


def test_an_answer_that_drips_for_ever_is_ended():
    server = socket.create_server(("127.0.0.1", 0))

    def drip() -> None:
        connection, _ = server.accept()
        with connection:
            connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            try:
                for _ in range(100):
                    connection.sendall(b"x")
                    time.sleep(0.1)
            except OSError:
                return

    thread = threading.Thread(target=drip, daemon=True)
    thread.start()
    started = time.monotonic()
    url = f"http://127.0.0.1:{server.getsockname()[1]}/"
    found = run([ProbeRun("drip", "http", {"url": url}, timeout=0.7)])["drip"]
    server.close()
    assert (found.status, found.overdue) == ("unknown", True)
    assert time.monotonic() - started < 20


def stuck(params: object, context: object, deadline: object) -> None:
    """Wait as a library does that never looks at its own time."""
    time.sleep(60)


def test_a_library_that_never_comes_back_is_ended_from_outside(monkeypatch):
    monkeypatch.setattr(probes, "function", lambda kind: stuck)
    started = time.monotonic()
    found = run([ProbeRun("stuck", "disk", {"path": "/"}, timeout=0.3)])["stuck"]
    assert (found.status, found.overdue) == ("unknown", True)
    assert found.finding == "no answer within 0.3 s"
    assert time.monotonic() - started < 20


def test_a_probe_whose_time_ends_between_two_looks_does_not_hang_until_the_gate_ends(monkeypatch):
    """Seen on a busy host: it hung for 60 s, since the runner waited for the next event only."""
    monkeypatch.setattr(probes, "function", lambda kind: stuck)
    wait, release = runner.wait, Runner._release

    def wake_too_early(pipes: list[Any], timeout: float) -> list[Any]:
        return wait(pipes, max(timeout - 0.05, 0))

    def come_back_too_late(self: Runner, *queues: Any) -> None:
        time.sleep(0.1)
        release(self, *queues)

    monkeypatch.setattr(runner, "wait", wake_too_early)
    monkeypatch.setattr(Runner, "_release", come_back_too_late)
    found = run([ProbeRun("stuck", "disk", {"path": "/"}, timeout=0.3)], deadline_seconds=30)
    assert found["stuck"].finding == "no answer within 0.3 s"
    assert found["stuck"].seconds < 10


def test_more_hung_probes_than_workers_do_not_hold_up_the_others(silent_port):
    url = f"http://127.0.0.1:{silent_port}/"
    runs = [ProbeRun(f"hung{number}", "http", {"url": url}, timeout=2.5) for number in range(12)]
    runs += [shell(f"quick{number}", "true") for number in range(10)]
    started = time.monotonic()
    found = run(runs, workers=4)
    assert time.monotonic() - started < 7.4  # one after the other: 7.5
    assert {found[f"quick{number}"].status for number in range(10)} == {"pass"}


def died(params: object, context: object, deadline: object) -> None:
    os._exit(3)


def test_a_probe_whose_process_dies_is_unknown_and_the_others_go_on(monkeypatch):
    real = probes.function
    monkeypatch.setattr(probes, "function", lambda kind: died if kind == "disk" else real(kind))
    found = run([ProbeRun("dies", "disk", {"path": "/"}), shell("lives", "true")], workers=1)
    assert found["dies"].status == "unknown"
    assert "died" in found["dies"].finding
    assert found["lives"].status == "pass"


def crashed(params: object, context: object, deadline: object) -> None:
    raise ZeroDivisionError("a mistake of ours")


def test_a_mistake_in_a_probe_is_unknown_and_never_a_pass(monkeypatch):
    monkeypatch.setattr(probes, "function", lambda kind: crashed)
    found = run([ProbeRun("wrong", "disk", {"path": "/"})])["wrong"]
    assert (found.status, found.finding) == (
        "unknown",
        "ZeroDivisionError: a mistake of ours",
    )


def test_one_fails_and_what_needs_it_is_unknown_down_to_the_last():
    found = run(
        [
            shell("leaf", "true", needs=("middle", "other")),
            shell("middle", "true", needs=("root",)),
            shell("root", "false"),
            shell("other", "true"),
        ]
    )
    assert {name: result.status for name, result in found.items()} == {
        "root": "fail",
        "middle": "unknown",
        "leaf": "unknown",
        "other": "pass",
    }
    assert found["leaf"].finding == "needs middle"
    assert found["leaf"].needs == ["middle"]


def test_a_need_that_was_never_to_be_run_is_missing_and_not_waited_for():
    started = time.monotonic()
    found = run([shell("a", "true", needs=("nowhere",))])["a"]
    assert (found.status, found.finding) == ("unknown", "needs nowhere")
    assert time.monotonic() - started < 20


def test_what_is_attested_is_good_enough_to_be_needed():
    checks = Runner(Settings(now=NOW), Variables({}, Clock(NOW)))
    known = {"yes": ProbeResult("attested", ""), "no": ProbeResult("unknown", "")}
    found = checks.run(
        [shell("a", "true", needs=("yes",)), shell("b", "true", needs=("no",))], known
    )
    assert (found["a"].status, found["b"].status) == ("pass", "unknown")


def test_a_check_that_passes_at_a_later_try_is_flaky(tmp_path):
    script = f"mkdir {tmp_path}/once 2>/dev/null && exit 1; exit 0"
    found = run([shell("flaky", script, retries=2, retry_delay=0.01), shell("fine", "true")])
    assert (found["flaky"].status, found["flaky"].attempts, found["flaky"].flaky) == (
        "pass",
        2,
        True,
    )
    assert not found["fine"].flaky


def test_retries_end():
    found = run([shell("never", "false", retries=3, retry_delay=0.01)])["never"]
    assert (found.status, found.attempts, found.flaky) == ("fail", 4, False)


def test_the_deadline_of_the_whole_leaves_nothing_running_and_nothing_out():
    seconds = str(8000 + os.getpid() % 1000)
    runs = [
        shell("long", f"sleep {seconds}", timeout=30),
        shell("waiting", "true", needs=("long",)),
        shell("again", "false", retries=9, retry_delay=10),
        shell("quick", "true"),
    ]
    started = time.monotonic()
    found = run(runs, deadline_seconds=0.8)
    assert time.monotonic() - started < 20
    assert {name: result.status for name, result in found.items()} == {
        "long": "unknown",
        "waiting": "unknown",
        "again": "unknown",
        "quick": "pass",
    }
    assert "deadline of 0.8 s" in found["long"].finding
    assert not [line for line in processes() if line.startswith(f"sleep {seconds}")]


def test_a_variable_that_is_not_set_makes_its_check_unknown():
    found = run([ProbeRun("v", "file", {"path": "${nowhere}"}, ({"path": "exists", "eq": True},))])[
        "v"
    ]
    assert (found.status, found.finding) == ("unknown", "variable nowhere is not set")


def test_a_variable_in_an_expectation_is_filled_too():
    asked = shell("v", "exit 3", expect=({"path": "rc", "eq": "${code}"},))
    assert run([asked], variables={"code": 3})["v"].status == "pass"


def test_no_process_of_ours_is_left():
    before = worker.children()
    run([shell(f"c{number}", "true") for number in range(20)])
    assert worker.children() <= before


@pytest.mark.parametrize("workers", [1, 8])
def test_every_run_gets_a_result_whatever_the_number_of_workers(workers):
    runs = [
        ProbeRun(f"d{n}", "disk", {"path": "/"}, ({"path": "total_bytes", "gt": 0},))
        for n in range(90)
    ]
    found = run(runs, workers=workers)
    assert len(found) == 90
    assert {result.status for result in found.values()} == {"pass"}


def test_a_run_imports_no_library_of_a_part_that_is_not_there(monkeypatch):
    given = []
    monkeypatch.setattr(runner, "import_libraries", lambda names, unused: given.append(unused))
    run([], settings={"database": {"access": "host"}, "services": {"manager": "none"}})
    assert given == [{"requests", "docker"}]
