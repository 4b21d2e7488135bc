# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Messages of the schedule: the configuration next to it, undelivered ones, lines for a log."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.notify.notifier import Delivery, Notifier
from ansible.module_utils.pmsops.schedule import timers
from ansible.module_utils.pmsops.schedule.calendar import ScheduledJob, calendars
from ansible.module_utils.pmsops.schedule.messages import JobNotifier, lines, show
from ansible.module_utils.pmsops.schedule.state import Schedule

from tests.support.web import SECRET, Web, answers, web_channel

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
DAY = timedelta(days=1)
JOB = {
    "name": "backup",
    "command": ["true"],
    "days": "daily",
    "at": ["22:15"],
    "window_minutes": 60,
}


@pytest.fixture
def schedule(tmp_path):
    """A schedule of one job, as its file says."""
    folders = {"state_dir": str(tmp_path), "metrics_dir": str(tmp_path / "metrics")}
    (tmp_path / "schedule.json").write_text(json.dumps(folders | {"jobs": [JOB]}))
    return Schedule.read(tmp_path / "schedule.json")


def test_without_a_configuration_nothing_is_sent(schedule, tmp_path):
    made = JobNotifier.from_config(tmp_path / "schedule.json", schedule)
    assert made.notifier.channels == ()
    made.digest()


def test_the_configuration_next_to_the_schedule_is_read(schedule, tmp_path):
    channel = {"name": "hook", "type": "webhook", "url": "https://hooks.example/x"}
    (tmp_path / "notify.json").write_text(json.dumps({"channels": [channel], "system": "prod"}))
    made = JobNotifier.from_config(tmp_path / "schedule.json", schedule)
    assert ([each.name for each in made.notifier.channels], made.notifier.system) == (
        ["hook"],
        "prod",
    )


def test_a_configuration_that_cannot_be_read_is_an_error_without_its_text(schedule, tmp_path):
    (tmp_path / "notify.json").write_text('{"channels": "https://hooks.example/SECRET')
    with pytest.raises(OpsError, match="cannot be read") as caught:
        JobNotifier.from_config(tmp_path / "schedule.json", schedule)
    assert caught.value.code == "notify.config" and "SECRET" not in str(caught.value)


def test_the_digest_names_channels_that_messages_do_not_reach(schedule, tmp_path):
    class Hook:
        name = "hook"

        def __init__(self):
            self.messages = []

        def deliver(self, message, seconds):
            self.messages.append(message)

    hook = Hook()
    made = JobNotifier.from_config(tmp_path / "schedule.json", schedule)
    kept = made.notifier.state
    (tmp_path / "n").mkdir()
    notifier = replace(made.notifier, channels=(hook,), state=type(kept)(tmp_path / "n"))
    with notifier.state.changed() as document:
        document["channels"]["mail"] = {
            "delivered_at": None,
            "undelivered": 3,
            "problem": "no answer",
            "failing_since": "2026-11-23T12:00:00+00:00",
        }
    JobNotifier(schedule, notifier, now=lambda: NOW, say=lambda _: None).digest()
    (message,) = hook.messages
    assert "1 need attention" in message.subject
    assert "channel mail: 3 messages undelivered since 2026-11-23 09:00: no answer" in message.text
    assert "backup: not due yet; must succeed by" in message.text


@pytest.mark.parametrize(("result", "pinged"), [("success", ["/{}/backup"]), ("timeout", [])])
def test_only_a_success_pings_the_heartbeat(schedule, tmp_path, result, pinged):
    with Web(answers(200)) as switch:
        channel = web_channel(f"{switch.url}/{{job}}", "heartbeat")
        (tmp_path / "notify.json").write_text(
            json.dumps({"channels": [channel], "state_dir": str(tmp_path / "n")})
        )
        said = []
        schedule.begin("backup", NOW, "one")
        schedule.end("backup", NOW, "one", result=result, exit_status=0)
        made = JobNotifier.from_config(tmp_path / "schedule.json", schedule)
        replace(made, now=lambda: NOW, say=said.append).after_run("backup")
    assert [path for path, _headers, _body in switch.got] == [
        each.format(SECRET) for each in pinged
    ]
    assert said == ["heartbeat of backup: heartbeat: delivered"] * len(pinged)


def test_a_job_that_never_ran_or_only_began_sends_nothing(schedule):
    said = []
    made = JobNotifier(schedule, Notifier.from_options({}), now=lambda: NOW, say=said.append)
    made.after_run("backup")
    schedule.begin("backup", NOW, "one")
    made.after_run("backup")
    assert said == []
    with pytest.raises(OpsError, match="has no job drill; it has backup"):
        made.after_run("drill")


@pytest.mark.parametrize(
    ("delivery", "expected"),
    [
        (
            Delivery(True, 0, {"mail": None, "hook": "it answered 500"}),
            ["failure of x: mail: delivered", "failure of x: hook: it answered 500"],
        ),
        (Delivery(False, 4, {}), ["failure of x: already sent, 4 suppressed since"]),
        (Delivery(False, 0, {}), []),
        (Delivery(True, 0, {}, "OSError"), ["failure of x: could not be recorded (OSError)"]),
    ],
    ids=["sent", "suppressed", "nothing", "unrecorded"],
)
def test_the_log_has_a_line_for_each_channel_and_each_trouble(delivery, expected):
    assert lines("failure", "x", delivery) == expected


def test_a_failing_job_says_how_it_failed_and_since_when(schedule):
    said = []
    schedule.begin("backup", NOW, "one")
    schedule.end("backup", NOW, "one", result="odd-result", exit_status=9)
    assert show(schedule, NOW, said.append) == 1
    assert said[0].endswith("odd-result; failing since 2026-11-24 09:00")


@pytest.mark.parametrize(
    ("content", "says"),
    [("{", "cannot be read"), ('{"jobs": []}', "cannot be read"), ("[]", "cannot be read")],
)
def test_a_schedule_that_cannot_be_read_is_an_error_with_a_remedy(tmp_path, content, says):
    (tmp_path / "schedule.json").write_text(content)
    with pytest.raises(OpsError, match=says) as caught:
        Schedule.read(tmp_path / "schedule.json")
    assert caught.value.code == "schedule.config" and "schedule.yml" in caught.value.remedy


def test_a_job_is_due_once_after_each_due_moment(schedule):
    assert schedule.is_due("backup", NOW)  # no record yet
    schedule.write(schedule.planned(NOW))
    assert not schedule.is_due("backup", NOW)
    assert schedule.is_due("backup", NOW + DAY)
    schedule.begin("backup", NOW + DAY, "one")
    assert not schedule.is_due("backup", NOW + DAY)


@pytest.mark.parametrize(
    ("days", "event"),
    [
        ("daily", "*-*-* 22:15:00"),
        ("Sat", "Sat *-*-* 22:15:00"),
        ("business_days", "Mon..Fri *-*-* 22:15:00"),
        ("week_start", "Mon..Fri *-*-* 22:15:00"),
        ("month_start", "Mon..Fri *-*-01..10 22:15:00"),
    ],
)
def test_a_timer_fires_on_every_day_that_may_be_one(days, event):
    job = ScheduledJob.from_options(JOB | {"days": days})
    assert calendars(job) == [f"{event} America/Sao_Paulo"]


def planned(tmp_path, **more) -> Schedule:
    """Return a schedule as the role writes it now."""
    folders = {"state_dir": str(tmp_path), "metrics_dir": str(tmp_path / "metrics")}
    (tmp_path / "schedule.json").write_text(json.dumps(folders | {"jobs": [JOB]} | more))
    return Schedule.read(tmp_path / "schedule.json")


def test_a_job_that_nothing_will_ever_start_is_not_said_to_be_not_due_yet(tmp_path):
    said = []
    assert show(planned(tmp_path, timers=False), NOW, said.append) == 1
    assert said[0].startswith("FAILED backup")
    assert said[0].endswith(
        "nothing starts it: it was scheduled without timers; last success never"
    )


def test_a_timer_that_is_not_active_is_named(tmp_path, monkeypatch):
    schedule = planned(tmp_path, timers=True, unit_prefix="pms-ops-second-")
    no_systemd = timers.problem(schedule, "backup", systemd=tmp_path / "none")
    assert no_systemd == "nothing starts it: this machine does not run systemd"
    asked = []

    def systemctl(command, **_options):
        asked.append(command[-1])
        return subprocess.CompletedProcess(command, len(asked) - 1)

    monkeypatch.setattr(timers.subprocess, "run", systemctl)
    assert timers.problem(schedule, "backup", systemd=tmp_path) == ""
    inactive = "nothing starts it: pms-ops-second-backup.timer is not active"
    assert timers.problem(schedule, "backup", systemd=tmp_path) == inactive
    assert asked == ["pms-ops-second-backup.timer"] * 2
