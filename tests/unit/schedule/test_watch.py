# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The watch: a broken stream is told at once, repaired by the job, and whole only after that."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.schedule import watch
from ansible.module_utils.pmsops.schedule.messages import JobNotifier, show
from ansible.module_utils.pmsops.schedule.state import Schedule
from ansible.module_utils.pmsops.schedule.watch import Seen

from tests.conftest import PROJECT

NOW = datetime(2026, 11, 24, 12, 0, 30, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
JOB = {
    "name": "pitr",
    "title": "The care of continuous protection",
    "command": ["true"],
    "days": "daily",
    "at": ["02:40"],
    "window_minutes": 60,
}
WATCH = {"container": "pms_pitr", "slot": "pms_pitr", "connection": [], "become": []}
LOST = Seen(OpsError("The slot is lost.", "The job repairs it.", code="pitr.slot-lost"), "lost")
FULL = Seen(OpsError("The disk is full.", "Give it room.", code="pitr.archive-full"))
WELL = Seen(None, "reserved", 0)


@pytest.fixture
def schedule(tmp_path):
    """A schedule with the job that repairs, and a watch."""
    folders = {"state_dir": str(tmp_path), "metrics_dir": str(tmp_path / "metrics")}
    (tmp_path / "schedule.json").write_text(json.dumps(folders | {"jobs": [JOB], "watch": WATCH}))
    return Schedule.read(tmp_path / "schedule.json")


def look(schedule, seen, at):
    """Record a look; return the record, and whether the job was asked for."""
    before = watch.read(schedule)
    record = watch.judged(schedule, before, seen, at)
    watch.write(schedule, record)
    return SimpleNamespace(asked=record["asked"] > before["asked"], **{"record": record})


def ran(schedule, at, *, result="success"):
    """Record a run of the job."""
    schedule.begin("pitr", at, "1")
    schedule.end("pitr", at + timedelta(seconds=20), "1", result=result, exit_status=0)


def test_a_lost_slot_asks_for_the_job_at_once_and_the_job_is_due_then(schedule):
    ran(schedule, NOW - 10 * MINUTE)
    assert not watch.asks(schedule, "pitr")
    assert not schedule.is_due("pitr", NOW)
    found = look(schedule, LOST, NOW)
    assert found.asked and watch.asks(schedule, "pitr") and not watch.asks(schedule, "backup")
    schedule.begin("pitr", NOW + timedelta(seconds=1), "2")
    assert not watch.asks(schedule, "pitr")


def test_while_the_problem_stays_the_job_is_asked_for_at_growing_intervals(schedule):
    asked = [minute for minute in range(200) if look(schedule, LOST, NOW + minute * MINUTE).asked]
    assert asked == [0, 5, 15, 35, 95, 155]
    assert watch.read(schedule)["since"] == NOW.isoformat(timespec="seconds")


def test_a_full_disk_is_told_and_no_job_can_help(schedule):
    assert not look(schedule, FULL, NOW).asked
    assert watch.read(schedule)["problem"]["code"] == "pitr.archive-full"
    assert look(schedule, WELL, NOW + MINUTE).record["problem"] is None


def test_a_stream_that_runs_again_is_not_whole_before_the_job_has_succeeded(schedule):
    """Of a lost slot the base backup is still missing."""
    look(schedule, LOST, NOW)
    schedule.begin("pitr", NOW + timedelta(seconds=1), "2")
    half = look(schedule, WELL, NOW + MINUTE)
    assert half.record["problem"]["code"] == watch.UNREPAIRED
    ran(schedule, NOW + timedelta(seconds=1))
    assert look(schedule, WELL, NOW + 2 * MINUTE).record == watch.NEVER | {
        "at": (NOW + 2 * MINUTE).isoformat(timespec="seconds"),
        "slot": "reserved",
        "lag_bytes": 0,
    }


def test_a_job_that_failed_leaves_the_stream_unrepaired_and_is_asked_for_again(schedule):
    look(schedule, LOST, NOW)
    ran(schedule, NOW + timedelta(seconds=1), result="exit-code")
    assert not look(schedule, WELL, NOW + MINUTE).asked
    assert look(schedule, WELL, NOW + 6 * MINUTE).asked


def test_metrics_and_status_show_it(schedule):
    metrics = schedule.metrics_folder / watch.METRICS
    said: list[str] = []
    assert show(schedule, NOW, said.append) == 1 and "has not looked yet" in said[-1]
    look(schedule, LOST, NOW)
    assert 'pms_pitr_watch_up{timer="pitr_watch"} 0' in metrics.read_text()
    assert 'pms_pitr_watch_slot_lost{timer="pitr_watch"} 1' in metrics.read_text()
    assert show(schedule, NOW, said.append) == 1 and "The slot is lost." in said[-1]
    ran(schedule, NOW + timedelta(seconds=1))
    look(schedule, WELL, NOW + MINUTE)
    assert 'pms_pitr_watch_up{timer="pitr_watch"} 1' in metrics.read_text()
    assert show(schedule, NOW + MINUTE, said.append) == 0
    assert show(schedule, NOW + 10 * MINUTE, said.append) == 1 and "has not looked" in said[-1]


class Hook:
    """A channel that keeps what it is given."""

    name = "hook"

    def __init__(self):
        self.messages = []

    def deliver(self, message, seconds):
        self.messages.append((message.event.kind, message.event.source, message.event.code))


@pytest.fixture
def told(schedule, tmp_path):
    """What people are told, and a way to tell them."""
    hook = Hook()
    made = JobNotifier.from_config(tmp_path / "schedule.json", schedule)
    (tmp_path / "n").mkdir()
    state = type(made.notifier.state)(tmp_path / "n")

    def at(now):
        notifier = replace(made.notifier, channels=(hook,), state=state)
        return replace(made, notifier=notifier, now=lambda: now)

    return hook.messages, at


def test_people_are_told_once_of_a_broken_stream_and_once_of_its_end(schedule, told):
    messages, at = told
    for minute in range(3):
        record = look(schedule, LOST, NOW + minute * MINUTE).record
        at(NOW + minute * MINUTE).after_look(record)
    assert messages == [("failure", "pitr_watch", "pitr.slot-lost")]
    # The stream runs, the base backup is on its way: no news.
    at(NOW + 3 * MINUTE).after_look(look(schedule, WELL, NOW + 3 * MINUTE).record)
    assert len(messages) == 1
    ran(schedule, NOW + 4 * MINUTE)
    at(NOW + 5 * MINUTE).after_look(look(schedule, WELL, NOW + 5 * MINUTE).record)
    assert messages[1:] == [("recovery", "pitr_watch", "")]


def test_a_watch_that_no_longer_looks_is_told_by_the_next_job(schedule, told):
    messages, at = told
    look(schedule, WELL, NOW)
    ran(schedule, NOW)
    at(NOW + MINUTE).after_run("pitr")
    assert messages == []
    at(NOW + 10 * MINUTE).after_run("pitr")
    assert messages == [("failure", "pitr_watch (late)", "schedule.late")]
    at(NOW + 10 * MINUTE).digest()
    look(schedule, WELL, NOW + 11 * MINUTE)
    at(NOW + 11 * MINUTE).after_run("pitr")
    assert messages[-1] == ("recovery", "pitr_watch (late)", "")


def test_a_record_that_is_damaged_or_of_nobody_counts_as_empty(schedule):
    for text in ("", "{", "[]"):
        (schedule.state / watch.NAME).write_text(text)
        assert watch.read(schedule) == watch.NEVER


DOCKER = """#!/bin/sh
cat "$(dirname "$0")/answer"
"""


@pytest.fixture
def scheduled(schedule, tmp_path):
    """Run scripts/scheduled.py where `docker exec` answers as a test says."""
    program = tmp_path / "bin" / "docker"
    program.parent.mkdir()
    program.write_text(DOCKER)
    program.chmod(0o755)

    def call(action, *words, answer=""):
        (program.parent / "answer").write_text(answer)
        environment = os.environ | {
            "PATH": f"{program.parent}:{os.environ['PATH']}",
            "PMS_OPS_SCHEDULE": str(tmp_path / "schedule.json"),
            "INVOCATION_ID": "7",
        }
        return subprocess.run(
            [sys.executable, PROJECT / "scripts" / "scheduled.py", action, *words],
            capture_output=True, text=True, env=environment, timeout=60,
        )  # fmt: skip

    return call


def test_the_script_exits_with_1_when_the_job_has_to_run_and_the_job_then_runs(scheduled):
    well = "receiving\nfree 900000\nslot reserved t 0\nserver   \n"
    assert scheduled("watch", answer=well).returncode == 0
    done = scheduled("watch", answer=well.replace("reserved t", "lost f"))
    assert (done.returncode, done.stdout[:3]) == (1, "<3>"), done.stderr
    # The next look asks for nothing, since the job was asked for.
    assert scheduled("watch", answer=well.replace("reserved t", "lost f")).returncode == 0
    assert "not due" not in scheduled("run", "pitr").stdout
    assert "not due" in scheduled("run", "pitr").stdout


def test_a_schedule_without_a_watch_says_so(scheduled, tmp_path):
    file = tmp_path / "schedule.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"watch": {}}))
    done = scheduled("watch")
    assert (done.returncode, done.stdout) == (0, "There is no continuous protection to watch.\n")
