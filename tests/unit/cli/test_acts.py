# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Acts that were playbooks with JSON in quotes, as commands; and the list of sets."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from ansible.module_utils.pmsops.evidence import set_list, status

from pmsops_cli import commands, hosts, inspect
from pmsops_cli.__main__ import main
from pmsops_cli.exit_status import DONE, FAILED, USAGE


@pytest.mark.parametrize(
    ("argv", "playbook", "variables"),
    [
        (
            ["ops", "open", "--price", "USDBRL=5.46", "--price", "EURUSD=1.1", "--source", "PTAX"],
            "ops_open.yml",
            {"prices": {"USDBRL": 5.46, "EURUSD": 1.1}, "source": "PTAX"},
        ),
        (
            ["ops", "open", "--done", "open.execute,open.mark", "--by", "Maria D'Ávila"],
            "ops_open.yml",
            {"done": ["open.execute", "open.mark"], "done_by": "Maria D'Ávila"},
        ),
        (["ops", "close", "--price", "market"], "ops_close.yml", {"prices": "market"}),
        (
            ["dr", "mtm", "--price", "USDBRL=5.46", "--source", "PTAX", "--fx-rate", "5.4"],
            "dr_mtm.yml",
            {"prices": {"USDBRL": 5.46}, "source": "PTAX", "fx_rate": "5.4"},
        ),
        (
            ["signoff", "--role", "risk officer", "--by", "Ana", "--decision", "no-go"],
            "signoff.yml",
            {"role": "risk officer", "name": "Ana", "decision": "no-go"},
        ),
        (["notify", "test"], "notify_test.yml", {}),
        (["schedule", "install"], "schedule.yml", {}),
        (["schedule", "remove"], "schedule.yml", {"schedule_state": "absent"}),
        (["pitr", "enable"], "pitr.yml", {"pitr_action": "enable"}),
        (
            ["pitr", "backup", "--incremental"],
            "pitr.yml",
            {"pitr_action": "backup", "pitr_kind": "incremental"},
        ),
        (["offsite"], "offsite.yml", {"offsite_action": "list"}),
        (["prepare", "--host", "drill1"], "prepare.yml", {"drill_host": "drill1"}),
        (["drill", "--host", "drill1"], "drill.yml", {"drill_host": "drill1"}),
        (  # the host asks a site for it: there need be no such set here
            ["drill", "backups/2026-11-21_0600", "--host", "drill1", "--database", "runs"],
            "drill.yml",
            {"drill_host": "drill1", "file": "2026-11-21_0600", "other_database": "runs"},
        ),
        (
            ["offsite", "fetch", "proved", "--site", "vault", "--into", "/srv/x"],
            "offsite.yml",
            {
                "offsite_action": "fetch",
                "offsite_site": "vault",
                "file": "proved",
                "into": "/srv/x",
            },
        ),
        (
            ["offsite", "accept", "--reason", "all is well"],
            "offsite.yml",
            {"offsite_action": "accept", "reason": "all is well"},
        ),
        (["restore", "--at", "latest", "--check"], "dr_restore.yml", {"at": "latest"}),
        (
            ["restore", "--at", "2026-11-27 14:59", "--tables", "book,pnl", "--into", "friday"],
            "dr_restore.yml",
            {"at": "2026-11-27 14:59", "tables": ["book", "pnl"], "into": "friday"},
        ),
        (
            ["restore", "--at", "latest", "--whole-server", "--check"],
            "dr_restore.yml",
            {"at": "latest", "whole_server": True},
        ),
        (["drill", "--at", "random"], "drill.yml", {"drill_at": "random"}),
        (
            [*("deficiency", "open", "--title", "t", "--owner", "Ana"), "--due", "2026-12-15"],
            "deficiency.yml",
            {"title": "t", "owner": "Ana", "due": "2026-12-15"},
        ),
        (
            ["deficiency", "close", "D-42", "--record", "57", "--by", "Ana"],
            "deficiency.yml",
            {"deficiency": "D-42", "record": "57", "name": "Ana"},
        ),
        (
            ["evidence", "export", "--since", "2026-01-01", "--until", "2026-12-31"],
            "evidence_export.yml",
            {"since": "2026-01-01", "until": "2026-12-31", "lang": "en"},
        ),
    ],
)
def test_an_act_needs_no_json_in_quotes(ran, tmp_path, argv, playbook, variables):
    assert main(argv, tmp_path) == DONE
    assert ran == [(playbook, variables)]


def test_a_set_is_held_by_its_name_and_let_go_again(ran, tmp_path, backups):
    file = str(backups / "2026-11-21_0600")
    assert main(["hold", "2026-11-21_0600", "--reason", "audit"], tmp_path) == DONE
    assert main(["hold", "2026-11-21_0600", "--lift"], tmp_path) == DONE
    assert ran == [
        ("hold.yml", {"file": file, "reason": "audit"}),
        ("hold.yml", {"file": file, "hold_state": "absent"}),
    ]
    assert main(["hold", "2026-11-21_0600"], tmp_path) == USAGE
    assert main(["hold", "2026-11-21_0600", "--lift", "--reason", "x"], tmp_path) == USAGE


def test_a_restore_is_of_a_set_or_of_a_moment_and_an_incremental_one_is_a_backup(ran, tmp_path):
    assert main(["restore", "2026-11-21_0600", "--at", "latest"], tmp_path) == USAGE
    assert main(["pitr", "enable", "--incremental"], tmp_path) == USAGE
    assert main(["restore", "2026-11-21_0600", "--whole-server"], tmp_path) == USAGE
    assert main(["restore", "--at", "latest", "--replace-live"], tmp_path) == USAGE
    assert main(["drill", "2026-11-21_0600", "--at", "random"], tmp_path) == USAGE
    assert main(["drill", "--database", "dagster_storage", "--at", "random"], tmp_path) == USAGE
    assert ran == []


def test_an_act_on_the_sites_takes_what_belongs_to_it_and_nothing_else(ran, tmp_path):
    assert main(["drill", "--host", "drill1", "--at", "random"], tmp_path) == USAGE
    assert main(["offsite", "fetch"], tmp_path) == USAGE
    assert main(["offsite", "check", "--into", "/srv/x"], tmp_path) == USAGE
    assert main(["offsite", "accept"], tmp_path) == USAGE
    assert main(["offsite", "prune", "--reason", "x"], tmp_path) == USAGE
    assert main(["offsite", "check", "2026-11-21_0600"], tmp_path) == USAGE
    assert ran == []


@pytest.mark.parametrize("price", ["USDBRL", "USDBRL=5,46", "=5", "market=x"])
def test_a_price_that_is_none_changes_nothing(ran, tmp_path, price, capsys):
    assert main(["ops", "open", "--price", price], tmp_path) == USAGE
    assert ran == [] and "no price" in capsys.readouterr().err


def names(argv: list[str], tmp_path, capsys) -> list[str]:
    assert main(["sets", "--json", *argv], tmp_path) == DONE
    return [each["id"] for each in json.loads(capsys.readouterr().out)["hosts"]["one"]]


def test_the_sets_are_listed_with_age_proof_hold_and_what_is_wrong(ran, tmp_path, backups, capsys):
    everything = ["2026-11-22_0600.damaged", "2026-11-21_0600", "2026-11-20_0600"]
    assert names([], tmp_path, capsys) == everything
    assert names(["--held"], tmp_path, capsys) == everything[2:]
    assert names(["--damaged"], tmp_path, capsys) == everything[:1]
    assert names(["--older", "30d"], tmp_path, capsys) == everything[2:]
    assert names(["--newer", "1w"], tmp_path, capsys) == everything[:2]
    assert names(["--verified"], tmp_path, capsys) == []
    assert names(["*-21_*", "--unverified"], tmp_path, capsys) == everything[1:2]
    assert main(["sets", "--older", "soon"], tmp_path) == USAGE
    assert main(["sets"], tmp_path) == DONE
    shown = capsys.readouterr().out.splitlines()
    assert shown[0] == "one: 3 sets" and "annual audit" in shown[-1]
    assert "quarantined" in shown[2] and "40 d" in shown[-1]


def test_a_set_that_cannot_be_read_is_listed_and_a_hold_that_cannot_holds(backups):
    broken = backups / "2026-11-21_0600"
    (broken / "manifest.json").write_text("{")
    (broken / "hold.json").write_text("{")
    found = {each["id"]: each for each in set_list.collect(backups, now=datetime.now(UTC))}
    assert found[broken.name]["problem"] and found[broken.name]["held"]
    assert found[broken.name]["age_seconds"] is None


def test_the_state_of_the_schedule_needs_no_path_of_a_script(ran, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("PMS_OPS_SCHEDULE", str(tmp_path / "none.json"))
    assert main(["schedule", "status"], tmp_path) == FAILED
    assert "none.json" in capsys.readouterr().err


def test_uninstall_names_roles_schema_folders_keys_and_units_and_removes_nothing(
    ran, tmp_path, backups, capsys
):
    assert main(["uninstall"], tmp_path) == DONE
    said = capsys.readouterr().out
    for each in (
        *("pms-ops schedule remove", "/etc/systemd/system/pms-ops-*", "/etc/pms-ops"),
        *("DROP ROLE pms_ops", "DROP ROLE pms_restore", "DROP SCHEMA IF EXISTS pms_ops"),
        *(
            "^fund__(restore|before|undone|trial|warm)_",
            "prepare --remove",
            "signing keys",
            "label=pms-ops.",
        ),
        *(str(tmp_path / "backups"), str(tmp_path / "evidence"), str(tmp_path / "config")),
    ):
        assert each in said, each
    assert ran == [] and backups.is_dir()
    assert main(["uninstall", "--json"], tmp_path) == DONE
    assert set(json.loads(capsys.readouterr().out)["places"]) == {"one", "this machine"}


def test_the_status_looks_at_continuous_protection_and_says_what_was_seen_in_an_outage(
    ran, tmp_path, monkeypatch, capsys
):
    for name in ("backups", "evidence"):
        (tmp_path / name).mkdir()
    asked = []
    answers = [FAILED, DONE]
    live = status.collect(tmp_path / "backups", tmp_path / "evidence", now=datetime.now(UTC))

    def quiet_run(self, name, playbook, variables, *, check=None):
        asked.append(playbook.name)
        document = {"failed": [], "errors": ["down"], "log": "", "facts": {"status": {"one": live}}}
        return answers.pop(0), document, None

    monkeypatch.setattr(commands.Session, "quiet_run", quiet_run)
    monkeypatch.setattr(commands.Session, "split", lambda self: [self])
    assert main(["status"], tmp_path) == FAILED
    assert asked == []  # it is off: folders say all there is
    assert "any moment  off" in capsys.readouterr().out
    system = hosts.System(
        "one", True, "fund", tmp_path / "backups", tmp_path / "evidence", protected=True
    )
    monkeypatch.setattr(commands.Session, "systems", [system])
    main(["status"], tmp_path)
    assert asked == ["status.yml"]
    assert "any moment  never seen" in capsys.readouterr().out  # of the folders
    main(["status"], tmp_path)
    assert "any moment  off" in capsys.readouterr().out  # of the host's answer


def test_the_page_over_all_runs_is_named_by_its_path_and_opened_where_it_is_here(
    ran, tmp_path, monkeypatch, capsys
):
    page = {"path": "/srv/evidence/site/index.html", "problems": ["Run x: it is gone"]}
    asked, opened = [], []

    def quiet_run(self, name, playbook, variables, *, check):
        asked.append((name, playbook.name, variables, check))
        return DONE, {"facts": {"pages": {"one": page}}}, None

    monkeypatch.setattr(commands.Session, "quiet_run", quiet_run)
    monkeypatch.setattr(commands.Session, "split", lambda self: [self])
    monkeypatch.setattr(inspect.subprocess, "Popen", lambda argv, **_: opened.append(argv))
    monkeypatch.setenv("BROWSER", "firefox --new-tab")
    assert main(["site", "--open"], tmp_path) == DONE
    assert asked == [("site", "site.yml", {}, False)]
    assert opened == [["firefox", "--new-tab", page["path"]]]
    assert capsys.readouterr().out == f"{page['path']}\n  Run x: it is gone\n"
    assert main(["site", "--check", "--json"], tmp_path) == DONE
    assert json.loads(capsys.readouterr().out)["pages"] == {"one": page}
    assert asked[1][3] is True
    far = hosts.System("one", False, "fund", tmp_path / "backups", tmp_path / "evidence")
    monkeypatch.setattr(commands.Session, "systems", [far])
    assert main(["site", "--open"], tmp_path) == USAGE
    said = capsys.readouterr()
    assert said.out.startswith(f"one:{page['path']}") and "another machine" in said.err
    assert len(opened) == 1
