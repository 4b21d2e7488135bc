# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pms_schedule
import pms_units
import pytest
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.common.timestamps import moment
from ansible.module_utils.pmsops.notify.notifier import Notifier
from ansible.module_utils.pmsops.schedule.calendar import ScheduledJob
from ansible.module_utils.pmsops.schedule.messages import JobNotifier, show
from ansible.module_utils.pmsops.schedule.state import Schedule, exit_number
from ansible.module_utils.testing import patch_module_args

from tests.conftest import PROJECT

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
DAY = timedelta(days=1)


def options(name="backup", **more):
    known = {"name": name, "command": ["true"], "days": "daily", "at": ["22:15"]}
    return known | {"window_minutes": 60} | more


def schedule(folder, *jobs):
    folder.mkdir(exist_ok=True)
    return Schedule([ScheduledJob.from_options(each) for each in jobs], folder, folder / "metrics")


def figures(made):
    text = (made.metrics_folder / "pms_schedule.prom").read_text()
    return dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))


def ran(made, name, when, result="success", status=0):
    made.begin(name, when, f"run {when}")
    made.end(name, when + DAY / 24, f"run {when}", result=result, exit_status=status)


def test_a_job_that_never_ran_has_a_deadline_and_no_success(tmp_path):
    made = schedule(tmp_path / "s", options())
    made.write(made.planned(NOW))
    found = figures(made)
    deadline = found['pms_schedule_deadline_timestamp_seconds{timer="backup"}']
    assert float(deadline) == datetime(2026, 11, 25, 2, 15, tzinfo=UTC).timestamp()
    assert not any("success" in name for name in found)
    assert made.late(NOW) == []
    assert [late["name"] for late in made.late(NOW + DAY)] == ["backup"]


def test_a_good_run_moves_the_deadline_and_a_failed_one_does_not(tmp_path):
    made = schedule(tmp_path / "s", options())
    ran(made, "backup", NOW)
    first = made.records()["backup"]
    ran(made, "backup", NOW + DAY, "exit-code", 2)
    second = made.records()["backup"]
    assert second["fresh_until"] == first["fresh_until"]
    assert second["succeeded_at"] == first["succeeded_at"]
    assert moment(second["failing_since"]) > NOW + DAY
    assert figures(made)['pms_schedule_last_run_success{timer="backup"}'] == "0"
    assert figures(made)['pms_schedule_last_exit_status{timer="backup"}'] == "2"
    ran(made, "backup", NOW + 2 * DAY)
    third = made.records()["backup"]
    assert moment(third["fresh_until"]) - moment(first["fresh_until"]) == 2 * DAY
    assert third["failing_since"] is None


def test_a_run_that_failed_before_it_began_is_recorded_as_failed(tmp_path):
    made = schedule(tmp_path / "s", options())
    made.end("backup", NOW, "another", result="exit-code", exit_status=203)
    record = made.records()["backup"]
    assert (record["result"], record["started_at"]) == ("exit-code", "2026-11-24T12:00:00+00:00")


def test_a_skipped_run_is_no_run(tmp_path):
    made = schedule(tmp_path / "s", options())
    ran(made, "backup", NOW, "timeout", 143)
    made.skip("backup", NOW + DAY)
    made.end("backup", NOW + DAY, "the skipped one", result="success", exit_status=0)
    record = made.records()["backup"]
    assert (record["result"], record["skipped_at"]) == ("timeout", "2026-11-25T12:00:00+00:00")


def test_a_job_that_left_the_list_leaves_nothing_and_the_others_keep_what_they_did(tmp_path):
    both = schedule(tmp_path / "s", options(), options("drill"))
    ran(both, "backup", NOW)
    ran(both, "drill", NOW)
    one = schedule(tmp_path / "s", options())
    one.write(one.planned(NOW + DAY))
    assert list(one.records()) == ["backup"]
    assert one.records()["backup"]["succeeded_at"] is not None
    assert not any("drill" in name for name in figures(one))


def test_signals_have_the_shells_exit_status():
    assert [exit_number(text) for text in ("0", "2", "KILL", "TERM", "odd")] == [
        0,
        2,
        137,
        143,
        255,
    ]


def test_a_damaged_record_is_an_error_with_a_remedy(tmp_path):
    made = schedule(tmp_path / "s", options())
    (tmp_path / "s" / "status.json").write_text('{"jobs": [{')
    with pytest.raises(OpsError) as caught:
        made.records()
    assert caught.value.code == "schedule.status"


# ---------------------------------------------------------------- what people are told


class Heard:
    """A channel that keeps what it was told."""

    name = "heard"

    def __init__(self):
        self.messages = []

    def deliver(self, message, seconds):
        self.messages.append(message)


def notifying(made, now, heard, tmp_path, **more):
    base = Notifier.from_options({"state_dir": str(tmp_path / "n")} | more)
    notifier = type(base)(**{**base.__dict__, "channels": (heard,)})
    return JobNotifier(made, notifier, now=lambda: now, say=lambda _: None)


def test_a_failure_and_the_recovery_are_told_and_a_second_success_is_not(tmp_path):
    made, heard = schedule(tmp_path / "s", options()), Heard()
    ran(made, "backup", NOW, "timeout", 143)
    made.explain("backup", {"code": "database.unreachable", "host": "prod"}, NOW)
    notifying(made, NOW, heard, tmp_path).after_run("backup")
    for day in (1, 2):
        ran(made, "backup", NOW + day * DAY)
        notifying(made, NOW + day * DAY, heard, tmp_path).after_run("backup")
    assert [message.event.kind for message in heard.messages] == ["failure", "recovery"]
    assert "timed out" in heard.messages[0].text
    assert "error: database.unreachable" in heard.messages[0].text


def test_a_job_that_did_not_run_is_noticed_by_another(tmp_path):
    made, heard = schedule(tmp_path / "s", options(), options("drill")), Heard()
    made.write(made.planned(NOW))
    ran(made, "drill", NOW + 2 * DAY)
    notifying(made, NOW + 2 * DAY, heard, tmp_path).after_run("drill")
    assert [(m.event.source, m.event.code) for m in heard.messages] == [
        ("backup (late)", "schedule.late")
    ]


def test_the_digest_names_every_job_and_what_is_wrong(tmp_path):
    made, heard = schedule(tmp_path / "s", options(), options("drill"), options("open")), Heard()
    made.write(made.planned(NOW))
    ran(made, "drill", NOW + DAY)
    ran(made, "open", NOW + DAY, "oom-kill", 137)
    notifying(made, NOW + DAY, heard, tmp_path).digest()
    (message,) = heard.messages
    assert "2 need attention" in message.subject
    assert "backup: late" in message.text and "drill: succeeded" in message.text
    assert "open: was killed because memory ran out" in message.text


def test_the_status_is_one_where_something_is_wrong(tmp_path):
    made, said = schedule(tmp_path / "s", options()), []
    ran(made, "backup", NOW)
    assert show(made, NOW, said.append) == 0
    assert show(made, NOW + 3 * DAY, said.append) == 1
    assert said[0].startswith("ok") and said[1].startswith("FAILED")


# ---------------------------------------------------------------- modules and the script


def called(module, capsys, **args):
    with patch_module_args(args), pytest.raises(SystemExit):
        module.main()
    return json.loads(capsys.readouterr().out)


def test_the_record_follows_the_list_and_is_removed_with_it(tmp_path, capsys):
    folders = {"state_dir": str(tmp_path / "s"), "metrics_dir": str(tmp_path / "s" / "metrics")}
    (tmp_path / "s" / "metrics").mkdir(parents=True)
    for args in ({"jobs": [options()]}, {"state": "absent"}):
        runs = [
            called(pms_schedule, capsys, **folders, **args, _ansible_check_mode=check)["changed"]
            for check in (True, False, True, False)
        ]
        assert runs == [True, True, False, False], args
    assert not (tmp_path / "s").exists()


def test_absent_leaves_what_others_keep_beside_the_record(tmp_path, capsys):
    folders = {"state_dir": str(tmp_path), "metrics_dir": str(tmp_path / "metrics")}
    (tmp_path / "metrics").mkdir()
    called(pms_schedule, capsys, **folders, jobs=[options()])
    (tmp_path / "metrics" / "other.prom").write_text("up 1\n")
    called(pms_schedule, capsys, **folders, state="absent")
    assert [path.name for path in tmp_path.rglob("*")] == ["metrics", "other.prom"]


def units(folder, capsys, files, check=False):
    args = {"folder": str(folder), "mark": "# ours", "files": files, "_ansible_check_mode": check}
    return called(pms_units, capsys, **args)


def test_units_are_written_removed_and_others_left_alone(tmp_path, capsys):
    (tmp_path / "pms-ops-theirs.service").write_text("[Service]\n")
    (tmp_path / "docker.service").write_text("# ours\n")
    expected = {"pms-ops-a.timer": "# ours\n[Timer]\n", "pms-ops-b.timer": "# ours\n[Timer]\n"}
    for files in (expected, {"pms-ops-a.timer": "# ours\n[Timer]\n#\n"}, {}):
        runs = [units(tmp_path, capsys, files, check) for check in (True, False, True, False)]
        assert [run["changed"] for run in runs] == [True, True, False, False], files
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "docker.service",
        "pms-ops-theirs.service",
    ]


def test_a_unit_of_somebody_else_is_not_overwritten(tmp_path, capsys):
    (tmp_path / "pms-ops-a.timer").write_text("[Timer]\n")
    assert units(tmp_path, capsys, {"pms-ops-a.timer": "# ours\n"})["code"] == "schedule.foreign"
    assert (tmp_path / "pms-ops-a.timer").read_text() == "[Timer]\n"


def test_a_folder_that_is_not_there_is_made(tmp_path, capsys):
    """A new machine had none, and root was told to become root."""
    assert units(tmp_path / "new" / "units", capsys, {"pms-ops-a.timer": "# ours\n"})["changed"]
    assert (tmp_path / "new" / "units" / "pms-ops-a.timer").read_text() == "# ours\n"


def test_a_folder_that_cannot_be_is_an_error_with_a_remedy(tmp_path, capsys, monkeypatch):
    (tmp_path / "file").write_text("")
    found = units(tmp_path / "file" / "units", capsys, {"pms-ops-a.timer": "# ours\n"})
    assert found["code"] == "schedule.folder" and "file is no folder" in found["msg"]
    monkeypatch.setattr(os, "access", lambda *_: False)
    found = units(tmp_path / "none", capsys, {"pms-ops-a.timer": "# ours\n"})
    assert found["code"] == "schedule.folder" and "root" in found["remedy"]
    assert "does not exist" in found["msg"] and not (tmp_path / "none").exists()


def script(folder, *arguments, **environment):
    return subprocess.run(
        [sys.executable, PROJECT / "scripts" / "scheduled.py", *arguments],
        env={"PATH": "/usr/bin:/bin", "PMS_OPS_SCHEDULE": str(folder / "schedule.json")}
        | environment,
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_the_script_runs_what_is_due_once_and_records_its_end(tmp_path):
    ran_file = tmp_path / "ran"
    job = options(command=["/bin/sh", "-c", f"echo x >>{ran_file}; exit 3"], days="daily")
    job["at"] = ["00:00"]
    (tmp_path / "schedule.json").write_text(
        json.dumps({"state_dir": str(tmp_path), "metrics_dir": str(tmp_path), "jobs": [job]})
    )
    made = schedule(tmp_path, job)
    document = made.planned(datetime.now(UTC) - 3 * DAY)
    Schedule(made.jobs.values(), tmp_path, tmp_path).write(document)
    unit = {"INVOCATION_ID": "abc"}
    assert script(tmp_path, "run", "backup", **unit).returncode == 3
    again = script(tmp_path, "run", "backup", INVOCATION_ID="def")
    assert again.returncode == 0 and "not due" in again.stdout
    assert ran_file.read_text() == "x\n"
    end = script(tmp_path, "end", "backup", **unit, SERVICE_RESULT="exit-code", EXIT_STATUS="3")
    assert end.returncode == 0, end.stderr
    status = script(tmp_path, "status")
    assert status.returncode == 1 and "ended with an error" in status.stdout
    assert script(tmp_path, "notify", "backup").returncode == 0  # nobody is to be told


def test_a_record_that_cannot_be_kept_does_not_keep_the_job_from_running(tmp_path):
    job = options(command=["/bin/echo", "it runs"])
    (tmp_path / "schedule.json").write_text(
        json.dumps({"state_dir": str(tmp_path), "metrics_dir": str(tmp_path), "jobs": [job]})
    )
    (tmp_path / "status.json").write_text("damaged")
    done = script(tmp_path, "run", "backup", INVOCATION_ID="abc")
    assert done.returncode == 0 and "it runs" in done.stdout
    assert "status.json" in done.stderr


def test_a_schedule_that_cannot_be_read_fails_and_says_what_to_do(tmp_path):
    done = script(tmp_path, "run", "backup", INVOCATION_ID="abc")
    assert done.returncode == 1 and "playbooks/schedule.yml" in done.stderr


def test_a_command_of_a_machine_that_was_replaced_is_refused_and_its_watch_is_silent(tmp_path):
    """Its digest went on telling people that all was well, beside that of the new machine."""
    ran_file = tmp_path / "ran"
    job = options(command=["/bin/sh", "-c", f"echo x >>{ran_file}"], days="daily")
    document = {"state_dir": str(tmp_path), "metrics_dir": str(tmp_path), "jobs": [job]}
    document["watch"] = {"container": "no such one", "slot": "x", "connection": [], "become": []}
    (tmp_path / "schedule.json").write_text(json.dumps(document))
    note = tmp_path / "replaced"
    note.write_text("Another machine took this system over. (system.replaced)\n")
    refused = script(tmp_path, "run", "backup", INVOCATION_ID="abc")
    assert refused.returncode == 1
    assert "system.replaced" in refused.stderr
    watched = script(tmp_path, "watch")
    assert watched.returncode == 0
    assert "system.replaced" in watched.stdout
    assert not ran_file.exists()
    note.unlink()
    assert script(tmp_path, "run", "backup", INVOCATION_ID="abc").returncode == 0
    assert ran_file.exists()
