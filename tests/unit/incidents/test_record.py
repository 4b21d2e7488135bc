# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Incidents on disk: opened once, taken up again, closed with a page and a line in the ledger."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pms_incident
import pytest
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.evidence import ledger
from ansible.module_utils.pmsops.incidents import page as incident_page
from ansible.module_utils.pmsops.incidents import record
from ansible.module_utils.testing import patch_module_args

NOW = datetime(2026, 11, 23, 6, 0, tzinfo=UTC)
SIGN = {"id": "redis.answers", "title": "Redis answers", "finding": "nobody answers"}


def begun(root, scenario="redis", **more):
    return record.begin(root, scenario, title="Redis", symptoms=[SIGN], began_at=NOW, **more)


def called(capsys, **args):
    with patch_module_args(args), pytest.raises(SystemExit):
        pms_incident.main()
    return json.loads(capsys.readouterr().out)


def test_an_open_incident_is_taken_up_again_and_counts_the_runs(tmp_path):
    first, resumed = begun(tmp_path)
    again, resumed_again = begun(tmp_path)
    assert (resumed, resumed_again) == (False, True)
    assert again.folder == first.folder
    assert len(again.document["runs"]) == 2
    assert again.document["began_at"] == first.document["began_at"]


def test_another_scenario_or_subject_is_another_incident(tmp_path):
    first, _ = begun(tmp_path, "position", subject={"position_id": 1})
    other, _ = begun(tmp_path, "position", subject={"position_id": 2})
    third, _ = begun(tmp_path, "redis")
    assert len({first.folder, other.folder, third.folder}) == 3
    assert record.find_open(tmp_path, "position", {"position_id": 1}).folder == first.folder
    assert record.find_open(tmp_path, "position", {"position_id": 9}) is None


def test_a_closed_incident_is_not_taken_up_again(tmp_path):
    first, _ = begun(tmp_path)
    record.end(first.folder, "recovered", facts={}, checks=[], verified_at=NOW, now=NOW)
    assert record.find_open(tmp_path, "redis") is None
    again, resumed = begun(tmp_path)
    assert not resumed and again.folder != first.folder


def test_what_was_not_recovered_stays_open(tmp_path):
    first, _ = begun(tmp_path)
    record.end(first.folder, "not_recovered", facts={}, checks=[], verified_at=NOW, now=NOW)
    assert record.find_open(tmp_path, "redis").folder == first.folder


def test_an_action_is_on_the_disk_before_it_begins(tmp_path):
    first, _ = begun(tmp_path)
    with record.action(first.folder, "recover", "Start it") as action:
        under_way = record.read(first.folder).document["actions"]
        assert under_way[0]["action"] == "Start it" and under_way[0]["ended_at"] is None
        action.result = "well after 1 s"
    done = record.read(first.folder).document["actions"][0]
    assert done["status"] == "done" and done["result"] == "well after 1 s" and done["ended_at"]


def test_an_action_that_failed_says_why(tmp_path):
    first, _ = begun(tmp_path)
    with (
        pytest.raises(OpsError),
        record.action(first.folder, "recover", "Start it"),
    ):
        raise OpsError("it does not start", "Look.", code="services.unhealthy")
    action = record.read(first.folder).document["actions"][0]
    assert (action["status"], action["result"]) == ("failed", "it does not start")


def test_an_action_without_an_incident_is_just_done():
    with record.action(None, "recover", "Start it") as action:
        action.result = "well"


def test_a_killed_writer_leaves_what_was_there(tmp_path, monkeypatch):
    first, _ = begun(tmp_path)

    def killed(*_args, **_options):
        raise KeyboardInterrupt

    monkeypatch.setattr(record.files, "replace", killed)
    with pytest.raises(KeyboardInterrupt), record.editing(first.folder) as document:
        document["actions"].append("half")
    assert record.read(first.folder).document["actions"] == []


@pytest.mark.parametrize("name", ["", "../up", "Redis", "a b"])
def test_a_scenario_that_would_be_a_path_is_refused(tmp_path, name):
    with pytest.raises(OpsError) as caught:
        begun(tmp_path, name)
    assert caught.value.code == "incident.scenario"
    assert not (tmp_path / record.FOLDER).exists()


def test_what_cannot_be_written_is_said(tmp_path):
    (tmp_path / record.FOLDER).write_text("a file in the place of the folder")
    with pytest.raises(OpsError) as caught:
        begun(tmp_path)
    assert caught.value.code == "incident.unwritable" and caught.value.remedy


def test_the_page_tells_symptoms_actions_times_loss_and_checks(tmp_path):
    first, _ = begun(tmp_path, subject={"position_id": 7})
    with record.action(first.folder, "recover", "Start a|b"):
        pass
    record.editing(first.folder)
    ended = record.end(
        first.folder,
        "recovered",
        facts={"cause": "it was stopped", "data_loss": "two minutes", "journal": "Entry 5."},
        checks=[{"id": "infra.redis.ping", "status": "pass", "finding": "reply is PONG"}],
        verified_at=NOW + timedelta(seconds=12.5),
        now=NOW + timedelta(seconds=13),
    )
    page = incident_page.page(ended)
    for text in (
        "nobody answers",
        "it was stopped",
        "two minutes",
        "Start a\\|b",
        "12.5 s from detection",
        "infra.redis.ping | pass",
        "Entry 5.",
        "position_id | 7",
    ):
        assert text in page, page


def test_an_action_under_way_when_the_run_was_killed_shows_as_that(tmp_path):
    first, _ = begun(tmp_path)
    with record.editing(first.folder) as document:
        document["actions"].append(
            {"movement": "recover", "action": "Start", "began_at": record.stamp(NOW)}
        )
    page = incident_page.page(record.read(first.folder))
    assert "in progress when the run was killed" in page
    # What nobody measured is not told as if somebody had.
    assert "| The failure began | Not measured: nobody recorded it. |" in page
    assert "Not measured: this run noted no loss, and did not compare each row." in page


def test_an_action_that_a_failed_run_left_is_not_said_to_have_been_killed(tmp_path):
    first, _ = begun(tmp_path)
    with record.editing(first.folder) as document:
        document["actions"].append(
            {"movement": "recover", "action": "Start", "began_at": record.stamp(NOW)}
        )
    later = NOW + timedelta(seconds=9)
    ended = record.end(
        first.folder,
        "not_recovered",
        facts={"why": "no role"},
        checks=[],
        verified_at=later,
        now=later,
    )
    page = incident_page.page(ended)
    assert "it did not end: the run failed" in page
    assert "killed" not in page


def test_the_module_opens_once_closes_once_and_writes_the_ledger(tmp_path, capsys):
    root = str(tmp_path / "evidence")
    common = {"evidence_root": root, "scenario": "redis"}
    assert called(capsys, **common)["folder"] is None
    planned = called(capsys, **common, state="open", _ansible_check_mode=True)
    assert planned["folder"] is None and not (tmp_path / "evidence").exists()
    opened = called(capsys, **common, state="open", title="Redis", signs=[SIGN], began_at=1e9)
    again = called(capsys, **common, state="open", title="Redis", began_at=1e9)
    assert opened["folder"] == again["folder"] and again["resumed"]
    closed = called(capsys, **common, state="closed", verified_at=1e9 + 4, facts={"cause": "x"})
    assert closed["recovery_seconds"] == 4.0
    assert "# Incident" in Path(closed["page"]).read_text()
    (line,) = ledger.records(tmp_path / "evidence", "incident")
    assert line["record"]["incident"] == opened["id"]
    assert line["record"]["outcome"] == "recovered"
    assert ledger.verify(tmp_path / "evidence") == []


def test_the_module_refuses_to_close_what_is_not_open(tmp_path, capsys):
    found = called(capsys, evidence_root=str(tmp_path), scenario="redis", state="closed")
    assert found["failed"] and found["code"] == "incident.none" and found["remedy"]


def test_what_another_role_does_is_noted_when_it_begins_and_when_it_has_ended(tmp_path):
    first, _ = begun(tmp_path, "database")
    record.record_action(
        first.folder, "recover", "Restore", finished=False, facts={"data_loss": "an hour"}
    )
    (action,) = record.read(first.folder).document["actions"]
    assert action["ended_at"] is None
    record.record_action(first.folder, "recover", "Restore", finished=True)
    (action,) = record.read(first.folder).document["actions"]
    assert (action["status"], bool(action["ended_at"])) == ("done", True)


def test_what_was_lost_is_known_to_the_run_after_a_kill(tmp_path, capsys):
    first, _ = begun(tmp_path, "database")
    record.record_action(first.folder, "recover", "", finished=True, facts={"data_loss": "an hour"})
    args = {"evidence_root": str(tmp_path), "scenario": "database"}
    assert called(capsys, **args)["data_loss"] == "an hour"
    closed = called(capsys, **args, state="closed", facts={"data_loss": "", "cause": "a kill"})
    assert closed["data_loss"] == "an hour"
    assert "an hour" in Path(closed["page"]).read_text()
    assert ledger.records(tmp_path, "incident")[-1]["record"]["data_loss"] == "an hour"


def test_without_an_incident_a_note_goes_nowhere(tmp_path, capsys):
    args = {"evidence_root": str(tmp_path), "scenario": "database", "state": "noted"}
    assert called(capsys, **args, action="Restore")["changed"] is False


def test_why_a_run_did_not_recover_is_forgotten_when_the_next_one_did(tmp_path):
    first, _ = begun(tmp_path)
    options = {"checks": [], "verified_at": NOW, "now": NOW}
    record.end(first.folder, "not_recovered", facts={"why": "no room"}, **options)
    assert "no room" in incident_page.page(record.read(first.folder))
    record.end(first.folder, "recovered", facts={"cause": "a full disk"}, **options)
    page = incident_page.page(record.read(first.folder))
    assert "no room" not in page and "a full disk" in page
