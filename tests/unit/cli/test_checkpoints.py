# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The commands about checkpoints, as they become playbooks, and their list."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from ansible.module_utils.pmsops.repository import checkpoints

from pmsops_cli import commands, hosts, inspect
from pmsops_cli.__main__ import main
from pmsops_cli.exit_status import DONE, FAILED, USAGE

OLD, NEW = "2026-11-20_0600", "2026-11-21_0600"


@pytest.fixture
def noted(backups):
    (backups / OLD / "hold.json").unlink()
    for name, note in ((OLD, "release 4.1"), (NEW, "release 4.2")):
        checkpoints.make(backups / name, note)
    return backups


@pytest.mark.parametrize(
    ("argv", "variables"),
    [
        (["--note", "release 4.2"], {"note": "release 4.2"}),
        (["--note", "it's 100%"], {"note": "it's 100%"}),
        (["--release", "release 4.1"], {"release": "release 4.1"}),
        (
            ["--note", "release 4.2", "--database", "runs"],
            {"note": "release 4.2", "other_database": "runs"},
        ),
    ],
)
def test_a_checkpoint_is_made_and_released_by_its_playbook(ran, argv, variables):
    assert main(["checkpoint", *argv], Path.cwd()) == DONE
    assert ran == [("checkpoint.yml", variables)]


@pytest.mark.parametrize("argv", [[], ["--note", "a", "--list"], ["--note"], ["--release"]])
def test_a_checkpoint_is_made_listed_or_released_one_at_a_time(ran, argv):
    assert main(["checkpoint", *argv], Path.cwd()) == USAGE
    assert ran == []


@pytest.mark.parametrize(
    ("argv", "name"),
    [([], NEW), (["release 4.1"], OLD), ([OLD], OLD), (["latest"], NEW)],
)
def test_a_rollback_to_a_checkpoint_is_of_one_set_and_asks(ran, noted, argv, name):
    given = ["rollback", "--checkpoint", *argv, "--confirm", "fund"]
    assert main(given, Path.cwd()) == DONE
    assert ran == [("dr_restore.yml", {"checkpoint": name, "confirm": "fund"})]


def test_a_rollback_to_a_checkpoint_without_a_confirmation_changes_nothing(
    ran,
    noted,
    capsys,
):
    assert main(["rollback", "--checkpoint"], Path.cwd()) != DONE
    assert ran == []
    said = capsys.readouterr().err
    assert "checkpoint 'release 4.2' (set 2026-11-21_0600)" in said and "--confirm fund" in said


@pytest.mark.parametrize(
    ("argv", "said"),
    [([], "no checkpoint"), (["release 9"], "'release 9'"), ([OLD], OLD)],
)
def test_a_checkpoint_that_is_not_there_is_said_before_anything_runs(
    ran,
    backups,
    capsys,
    argv,
    said,
):
    status = main(["rollback", "--checkpoint", *argv, "--confirm", "fund"], Path.cwd())
    assert (status, ran) == (FAILED, [])
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("more", [["--to", "fund__before_1"], ["--parts", "redis"]])
def test_a_checkpoint_is_not_mixed_with_another_way_back(ran, noted, capsys, more):
    assert main(["rollback", "--checkpoint", NEW, *more], Path.cwd()) == USAGE
    assert ran == []


def test_a_rollback_without_a_checkpoint_is_what_it_was(ran, noted):
    assert main(["rollback", "--confirm", "fund"], Path.cwd()) == DONE
    assert ran == [("dr_restore.yml", {"rollback": True, "confirm": "fund"})]


def test_on_another_machine_the_playbook_chooses(ran, tmp_path, monkeypatch):
    far = hosts.System("far", False, "fund", tmp_path / "b", tmp_path / "e")
    monkeypatch.setattr(commands.Session, "systems", [far])
    assert main(["rollback", "--checkpoint", "--confirm", "fund"], Path.cwd()) == DONE
    assert ran == [("dr_restore.yml", {"checkpoint": "latest", "confirm": "fund"})]
    asked = {"status": {"far": {"checkpoints": [{"note": "a", "set": OLD, "age_seconds": 60.0}]}}}
    asked["status"]["far"]["checkpoints"][0] |= {"warm": False, "restore_seconds": 12.0}
    monkeypatch.setattr(inspect, "ask_hosts", lambda *_args, **_options: asked)
    assert main(["checkpoint", "--list"], Path.cwd()) == DONE


def test_the_list_has_the_newest_first(ran, noted, capsys):
    assert main(["checkpoint", "--list"], Path.cwd()) == DONE
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "one: 2 checkpoints"
    assert lines[1].startswith(f"  release 4.2, set {NEW}") and "not warm" in lines[1]
    assert lines[2].startswith(f"  release 4.1, set {OLD}")
    assert main(["checkpoint", "--list", "--json"], Path.cwd()) == DONE
    found = json.loads(capsys.readouterr().out)["hosts"]["one"]
    assert [each["note"] for each in found] == ["release 4.2", "release 4.1"]
    assert ran == []
