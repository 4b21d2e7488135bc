# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import io
import json
import os
import shlex
import shutil
import stat
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from ansible.module_utils.pmsops.evidence import ledger

from pmsops_cli import (
    arguments,
    commands,
    completion,
    confirm,
    console,
    hosts,
    inventory,
    playbooks,
    project,
    runs,
)
from pmsops_cli.__main__ import main
from pmsops_cli.exit_status import (
    BROKEN,
    COULD_NOT_RUN,
    DONE,
    FAILED,
    USAGE,
    Stop,
    from_hosts,
    from_playbook,
)
from pmsops_cli.run_summary import RunSummary
from tests.conftest import PROJECT


@pytest.fixture(autouse=True)
def at_home(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    for name in inventory.VARIABLES:
        monkeypatch.delenv(name, raising=False)
    here = Path.cwd()
    yield
    os.chdir(here)


def launcher(folder: Path) -> Path:
    """Copy the launcher into a project of its own, without .venv."""
    target = folder / "project" / "scripts" / "pms-ops"
    target.parent.mkdir(parents=True)
    shutil.copy(PROJECT / "scripts" / "pms-ops", target)
    return target


def test_without_a_virtual_environment_it_says_what_to_do_and_exits_3(tmp_path):
    done = subprocess.run([launcher(tmp_path), "status"], capture_output=True, text=True)
    assert done.returncode == COULD_NOT_RUN
    assert f"make -C {tmp_path}/project setup" in done.stderr


def test_the_launcher_finds_its_project_through_a_link_from_another_folder(tmp_path, monkeypatch):
    monkeypatch.delenv("PMS_TEST_PYTHONPATH")
    target = launcher(tmp_path)
    venv = tmp_path / "project" / ".venv" / "bin"
    venv.mkdir(parents=True)
    (venv / "python").write_text('#!/bin/sh\necho "$PYTHONPATH" "$PWD" "$@"\n')
    (venv / "python").chmod(0o755)
    link = tmp_path / "bin" / "pms-ops"
    link.parent.mkdir()
    link.symlink_to(target)
    done = subprocess.run([link, "a b"], cwd="/", capture_output=True, text=True)
    assert done.stdout == f"{tmp_path}/project / -P -m pmsops_cli a b\n"
    # Without the cache of the tests, a command of a test took 1.7 times the processor.
    monkeypatch.setenv("PMS_TEST_PYTHONPATH", "/cache")
    done = subprocess.run([link], cwd="/", capture_output=True, text=True)
    assert done.stdout == f"{tmp_path}/project:/cache / -P -m pmsops_cli\n"


def test_a_command_runs_without_anybody_else_s_search_path():
    done = subprocess.run(
        [sys.executable, "-P", "-m", "pmsops_cli", "dr"],
        cwd="/",
        env=os.environ | {"PYTHONPATH": str(PROJECT)},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, "redis" in done.stdout) == (0, True), done.stderr


def test_the_inventory_is_the_given_one_then_the_environment_s_then_the_lab(tmp_path):
    (tmp_path / "mine").mkdir()
    environment = {"PMS_OPS_INVENTORY": "example", "ANSIBLE_INVENTORY": str(tmp_path)}
    assert inventory.find(["mine"], tmp_path, environment) == [str(tmp_path / "mine")]
    assert inventory.find([], tmp_path, environment) == [str(PROJECT / "inventory" / "example")]
    del environment["PMS_OPS_INVENTORY"]
    assert inventory.find([], tmp_path, environment) == [str(tmp_path)]
    assert inventory.find([], tmp_path, {}) == [str(PROJECT / "inventory" / "lab")]
    assert inventory.find(["a.example,"], tmp_path, {}) == ["a.example,"]


def test_an_inventory_that_is_not_there_is_named_with_those_that_are(tmp_path):
    with pytest.raises(Stop, match="no inventory prud") as caught:
        inventory.find(["prud"], tmp_path, {})
    assert "example, lab" in caught.value.remedy


def test_the_generated_vault_password_is_used_unless_the_operator_has_one(tmp_path):
    file = inventory.vault_password_file("prod")
    assert inventory.vault_arguments(["/x/prod"], {}) == []
    file.parent.mkdir(parents=True)
    file.touch()
    assert inventory.vault_arguments(["/x/prod"], {}) == [f"--vault-id=prod@{file}"]
    assert inventory.vault_arguments(["/x/prod"], {"ANSIBLE_VAULT_PASSWORD_FILE": "mine"}) == []


def test_options_count_before_the_command_and_after_it():
    given = arguments.parse(["-i", "a", "-e", "x=1", "backup", "-e", "y=2", "--check", "--", "-vv"])
    assert given.inventory == ["a"]
    assert given.extra_vars == ["x=1", "y=2"]
    assert given.check and given.passed == ["-vv"]
    assert arguments.parse(["--json", "status"]).json
    assert arguments.parse(["status", "--json"]).json


@pytest.mark.parametrize(
    "argv",
    [[], ["nonsense"], ["restore"], ["golive", "--nonsense"], ["ledger"], ["completion", "csh"],
     ["--che", "backup"]],
)  # fmt: skip
def test_wrong_use_exits_2(argv, capsys):
    assert main(argv, Path.cwd()) == USAGE
    assert "usage:" in capsys.readouterr().err


@pytest.mark.parametrize("command", sorted(arguments.commands(arguments.parser())))
def test_every_command_has_a_help_with_examples_that_can_be_typed(command, capsys):
    assert main([command, "--help"], Path.cwd()) == DONE
    text = capsys.readouterr().out
    examples = [line.split("   ")[0] for line in text.splitlines() if line.startswith("  pms-ops")]
    assert examples
    for example in examples:
        words = [word for word in shlex.split(example)[1:] if word not in ("|", ">")]
        arguments.parse([w for w in words if not w.startswith("~")])


WELL = {"ok": 3, "failures": 0, "unreachable": 0}
FAILED_ONE = WELL | {"failures": 1}
GONE = WELL | {"unreachable": 1}


@pytest.mark.parametrize(
    ("rc", "stats", "status"),
    [
        (0, {"a": WELL}, DONE),
        (0, {}, COULD_NOT_RUN),  # no host matched: Ansible calls that a success
        (2, {"a": FAILED_ONE}, FAILED),
        (4, {"a": FAILED_ONE}, FAILED),  # the number of one that failed is not always 2
        (2, {"a": GONE}, COULD_NOT_RUN),  # and that of one out of reach not always 4
        (4, {"a": GONE}, COULD_NOT_RUN),
        (2, {"a": WELL}, FAILED),  # any_errors_fatal: no host of the recap has failed
        (8, {"a": WELL}, FAILED),
        (4, {"a": WELL}, COULD_NOT_RUN),
        (4, {}, COULD_NOT_RUN),  # a file of tasks that does not exist, before 2.21
        (1, {}, COULD_NOT_RUN),
        (1, {"a": WELL}, COULD_NOT_RUN),
        (250, {"a": FAILED_ONE}, COULD_NOT_RUN),
        (None, {}, COULD_NOT_RUN),
    ],
)
def test_the_exit_status_tells_a_broken_promise_from_a_run_that_was_none(rc, stats, status):
    assert from_playbook(rc, hosts=len(stats), found=from_hosts(stats)) == status


@pytest.mark.parametrize(
    ("rc", "hosts", "status"),
    [
        (0, (WELL, WELL), DONE),
        (2, (FAILED_ONE, WELL), FAILED),
        (4, (FAILED_ONE, WELL), FAILED),
        (2, (WELL, WELL), FAILED),
        (4, (WELL, WELL), COULD_NOT_RUN),
        (4, (FAILED_ONE, GONE), COULD_NOT_RUN),
    ],
)
def test_of_several_systems_events_count_and_no_bad_status_is_good(rc, hosts, status):
    summary = RunSummary(stats=dict(zip("ab", hosts, strict=True)), rc=rc)
    assert summary.status == status


@pytest.fixture
def shown(monkeypatch):
    """A screen without a terminal, and the lines that it has printed."""
    one = console.Display("restore", as_json=False, verbose=True)
    lines: list[str] = []
    monkeypatch.setattr(one.err, "print", lambda text, **_: lines.append(text[8:]))
    return one, lines


def feed(one, *events):
    outcome = RunSummary()
    with one.live():
        for kind, name in events:
            outcome.take({"event": kind, "event_data": {"name": name, "res": {}}})
            one.show(outcome)


def test_a_task_that_is_skipped_is_not_said_to_have_run(shown):
    one, lines = shown
    feed(
        one,
        ("playbook_on_task_start", "Swap the staging database with the live one"),
        ("runner_on_ok", ""),
        ("playbook_on_task_start", "Roll back to the former database"),
        ("runner_on_skipped", ""),
        ("playbook_on_stats", ""),
    )
    assert lines == ["Swap the staging database with the live one"]


def test_a_task_that_takes_long_is_shown_while_it_is_at_work(shown, monkeypatch):
    monkeypatch.setattr(console, "AT_WORK_SECONDS", 0.05)
    one, lines = shown
    outcome = RunSummary()
    with one.live():
        outcome.take({"event": "playbook_on_task_start", "event_data": {"name": "Wait"}})
        one.show(outcome)
        end = time.monotonic() + 5
        while not lines and time.monotonic() < end:
            time.sleep(0.01)
        assert lines == ["Wait"]
        outcome.take({"event": "runner_on_ok", "event_data": {"res": {}}})
        one.show(outcome)
    assert lines == ["Wait"]


def test_a_listing_names_what_to_type_first_and_every_argument(capsys, tmp_path):
    assert main(["-i", "inventory/example", "dr"], tmp_path) == DONE
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("triage ")
    (position,) = [line.strip() for line in lines if "dr position" in line]
    assert position.startswith("pms-ops -i inventory/example dr position -e position_id=17 -e ")
    assert position.endswith("-e price=5.41")
    assert main(["ops"], tmp_path) == DONE
    blocks = [line.split()[0] for line in capsys.readouterr().out.splitlines() if line[0] != " "]
    assert blocks[:4] == ["premarket", "open", "intraday", "close"]


@pytest.mark.parametrize(
    ("said", "typed"),
    [
        ("type: ansible-playbook playbooks/dr_redis.yml", "type: pms-ops dr redis"),
        (
            "ansible-playbook -i inventory/prod playbooks/dr_mtm.yml -e source=PTAX",
            "pms-ops -i inventory/prod dr mtm -e source=PTAX",
        ),
        ("ansible-playbook -i a -i b golive.yml says more.", "pms-ops -i a -i b golive says more."),
        ("again: scripts/pms-ops golive --only x", "again: pms-ops golive --only x"),
        ("ansible-playbook playbooks/dr_restore.yml", "ansible-playbook playbooks/dr_restore.yml"),
        ("ansible-playbook golive.yml -e x=1", "ansible-playbook golive.yml -e x=1"),
    ],
)
def test_what_a_playbook_says_to_type_is_said_as_a_command_of_ours(said, typed, tmp_path):
    outcome = RunSummary(said={"lab": [said]})
    told = console.document("dr", tmp_path, outcome, tmp_path, status=DONE, check=False)
    assert told["messages"] == [typed]


def test_a_scenario_is_confirmed_only_by_who_gives_the_name(bare, monkeypatch):
    ran = []
    monkeypatch.setattr(
        commands.Session, "run", lambda _self, name, _path, given: ran.append((name, given)) or DONE
    )
    assert main(["-i", "bare.yml", "dr", "database"], bare) == DONE
    assert main(["-i", "bare.yml", "dr", "database", "--confirm", "fund"], bare) == DONE
    assert main(["-i", "bare.yml", "dr", "api", "--confirm", "fund"], bare) == DONE
    assert main(["-i", "bare.yml", "dr", "database", "--confirm", "other"], bare) == USAGE
    given = {"confirm": "fund"}
    assert ran == [("dr_database", {}), ("dr_database", given), ("dr_api", given)]


def test_scenarios_are_found_by_their_files_and_described_by_their_comments(tmp_path):
    (tmp_path / "dr_restore.yml").write_text("---\n# When:  never\n")
    (tmp_path / "dr_redis.yml").write_text(
        "---\n# When:      Redis is gone.\n# Destroys:  nothing that is not\n"
        "#            elsewhere.\n# Takes:     seconds.\n#\n# -e confirm=<database>\n- hosts: x\n"
    )
    (tmp_path / "dr_bad_backup.yml").write_text("- hosts: x\n")
    found = {each.name: each for each in playbooks.listed("dr", tmp_path)}
    assert set(found) == {"redis", "bad_backup"}
    assert found["redis"].when == "Redis is gone."
    assert found["redis"].fields["Destroys"] == "nothing that is not elsewhere."
    assert found["redis"].confirms and not found["bad_backup"].confirms
    assert playbooks.chosen("dr", "bad-backup", tmp_path).name == "bad_backup"
    with pytest.raises(Stop) as caught:
        playbooks.chosen("dr", "mars", tmp_path)
    assert "bad_backup, redis" in caught.value.remedy


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_the_confirmation_is_typed_at_a_terminal_only(capsys):
    assert confirm.ask("fund", None, what="x", stream=Terminal("fund\n")) == "fund"
    assert confirm.ask("fund", "fund", what="x", stream=io.StringIO()) == "fund"
    for given, stream in (
        (None, io.StringIO("fund\n")),  # nobody typed it: it came through a pipe
        (None, Terminal("found\n")),
        (None, Terminal("")),
        ("other", Terminal("fund\n")),
    ):
        with pytest.raises(Stop, match=r"^Nothing was changed\.") as caught:
            confirm.ask("fund", given, what="x", stream=stream)
        assert caught.value.status == USAGE


def test_logs_are_private_and_only_the_newest_are_kept():
    logs = [runs.new_log("backup", datetime(2026, 11, day, tzinfo=UTC)) for day in (1, 2, 2, 3)]
    assert len({path.name for path in logs}) == 4
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in logs)
    assert stat.S_IMODE(runs.folder().stat().st_mode) == 0o700
    for age, path in enumerate(reversed(logs)):
        os.utime(path, (1000 - age, 1000 - age))
    assert runs.prune(2) == logs[:2]
    assert sorted(runs.folder().iterdir()) == sorted(logs[2:])


def event(kind: str, **data):
    return {"event": kind, "event_data": {"host": "lab", "task": "Try", **data}}


def stats(**counts):
    return event("playbook_on_stats", **{name: {"lab": n} for name, n in counts.items()})


def test_a_warning_of_a_module_reaches_the_summary_once():
    outcome = RunSummary()
    for action, res in [
        ("pms_restore", {"warnings": ["Roles without\n a password: a."]}),
        ("pms_swap", {"warnings": ["Roles without a password: a."]}),
        ("command", {"warnings": ["Consider another module."]}),
        ("pms_swap", {}),
    ]:
        data = {"host": "prod", "task_action": action, "res": res}
        outcome.take({"event": "runner_on_ok", "event_data": data})
    assert outcome.messages == ["WARNING: Roles without a password: a."]


def test_the_empty_lines_of_a_page_part_its_sections_on_the_terminal_too():
    """The page of the envelope was printed without them: its sections ran together."""
    outcome = RunSummary()
    for message in (["SYSTEM fund", "", "Site vault\n  password"], "", "said"):
        outcome.take(event("runner_on_ok", task_action="debug", res={"msg": message}))
    assert outcome.messages == ["SYSTEM fund", "", "Site vault", "  password", "said"]


def test_a_failure_comes_with_its_remedy_and_a_rescued_one_is_none():
    outcome = RunSummary()
    outcome.take(event("runner_on_failed", res={"msg": "rescued"}))
    outcome.take(event("runner_on_failed", res={"msg": "no room", "remedy": "Free 2 GB.",
                                                "code": "disk.full"}))  # fmt: skip
    outcome.take(stats(ok=3, failures=1, rescued=1))
    assert [(each["what"], each["remedy"], each["code"]) for each in outcome.failed] == [
        ("no room", "Free 2 GB.", "disk.full")
    ]
    whole = RunSummary()
    whole.take(event("runner_on_failed", res={"msg": "rescued"}))
    whole.take(stats(ok=3, rescued=1))
    assert whole.failed == []


def test_the_items_of_a_loop_that_failed_are_named():
    outcome = RunSummary()
    items = [{"msg": "good"}, {"msg": "the port is 0", "failed": True}]
    outcome.take(event("runner_on_failed", res={"msg": "One or more", "results": items}))
    outcome.take(stats(failures=1))
    assert [each["what"] for each in outcome.failed] == ["the port is 0"]


def test_facts_and_messages_of_a_run_are_gathered():
    outcome = RunSummary()
    outcome.take(event("runner_on_ok", task_action="pms_backup",
                       res={"changed": True, "set": "/b/1"}))  # fmt: skip
    outcome.take(event("runner_on_ok", task_action="ansible.builtin.debug", res={"msg": ["a\nb"]}))
    outcome.take({"event": "verbose", "stdout": "  dump, 2 MB, 3 s so far"})
    assert outcome.facts == {"set": "/b/1"}
    assert outcome.changed == [{"host": "lab", "task": "Try"}]
    assert outcome.messages == ["a", "b"]
    assert outcome.progress == "dump, 2 MB, 3 s so far"
    outcome.take({"event": "error", "stdout": "[ERROR]: User interrupted execution"})
    outcome.take({"event": "error", "stdout": "[ERROR]: Task failed: its own event says it"})
    assert outcome.errors == ["User interrupted execution"]


def of_host(kind: str, host: str, **more: object) -> dict:
    return {"event": kind, "event_data": {"host": host, "task": "Try", **more}}


def test_a_run_over_several_systems_ends_with_the_status_of_the_worst(capsys):
    outcome = RunSummary()
    outcome.take(of_host("runner_on_ok", "a", task_action="pms_gate", res={"verdict": "go"}))
    outcome.take(of_host("runner_on_ok", "b", task_action="pms_gate", res={"verdict": "broken"}))
    outcome.take(of_host("runner_on_failed", "b", res={"msg": "BROKEN"}))
    outcome.take(of_host("runner_on_unreachable", "c", res={"msg": "no route"}))
    for host in ("a", "b"):
        outcome.take(of_host("runner_on_ok", host, task_action="debug", res={"msg": f"I, {host}"}))
    ended = {"ok": {"a": 2, "b": 1, "c": 0}, "failures": {"b": 1}, "dark": {"c": 1}}
    outcome.take({"event": "playbook_on_stats", "event_data": ended})
    outcome.rc = 4
    assert outcome.status == BROKEN
    found = console.document(
        "golive", Path("x.yml"), outcome, Path("log"), status=outcome.status, check=False
    )
    assert [each["system"] for each in found["systems"]] == ["b", "c", "a"]
    assert "verdict" not in found["facts"]
    assert found["messages"] == ["a:", "  I, a", "b:", "  I, b"]
    console.Display("golive", as_json=False).end(found)
    said = capsys.readouterr().out
    assert said.index("b       BROKEN") < said.index("c       unreachable  no route")
    assert "golive: broken" in said


def test_a_broken_gate_of_one_system_is_shown_and_no_fault_of_the_front_door(capsys):
    outcome = RunSummary()
    outcome.take(event("runner_on_ok", task_action="pms_gate", res={"verdict": "broken"}))
    outcome.take(event("runner_on_failed", res={"msg": "BROKEN"}))
    outcome.take(stats(failures=1))
    outcome.rc = 2
    assert outcome.status == BROKEN
    found = console.document(
        "golive", Path("x.yml"), outcome, Path("log"), status=outcome.status, check=False
    )
    assert found["status"] == "broken" and found["facts"]["verdict"] == "broken"
    console.Display("golive", as_json=False).end(found)
    assert "golive: broken" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("task", "broken"),
    [
        ({"event": "runner_on_ok", "action": "pms_gate", "res": {"verdict": "broken"}}, True),
        ({"event": "runner_on_ok", "action": "pms_gate", "res": {"verdict": "no-go"}}, False),
        (
            {"event": "runner_on_failed", "action": "pms_restore", "res": {"code": "proof.broken"}},
            True,
        ),
        (
            {"event": "runner_on_failed", "action": "pms_restore", "res": {"code": "set.damaged"}},
            False,
        ),
    ],
)
def test_a_broken_gate_or_proof_is_told_from_a_failed_one(task, broken):
    outcome = RunSummary()
    data = {"host": "h", "task": "t", "task_action": task["action"], "res": task["res"]}
    outcome.take({"event": task["event"], "event_data": data})
    assert outcome.broken is broken


def test_completion_names_commands_options_and_scenarios(monkeypatch, tmp_path):
    assert completion.candidates(["res"]) == ["restore"]
    assert {"restore", "report", "rollback"} <= set(completion.candidates(["r"]))
    assert completion.candidates(["restore", "--conf"]) == ["--confirm"]
    assert completion.candidates(["ledger", "v"]) == ["verify"]
    assert completion.candidates(["schedule", "i"]) == ["install"]
    assert completion.candidates(["hold", "--r"]) == ["--reason"]
    assert "example" in completion.candidates(["-i", ""])
    (tmp_path / "dr_redis.yml").write_text("---\n")
    listed = playbooks.listed
    monkeypatch.setattr(playbooks, "listed", lambda kind: listed(kind, tmp_path))
    assert completion.candidates(["dr", "r"]) == ["redis"]


def test_bash_completes_by_the_script_that_is_printed(tmp_path):
    command = PROJECT / "scripts" / "pms-ops"
    script = f"""
        source <({command} completion bash)
        COMP_WORDS=({command} restore --con) COMP_CWORD=2
        _pms_ops; echo "${{COMPREPLY[*]}}"
        cd {tmp_path}; touch one.pgdump
        COMP_WORDS=({command} restore one) COMP_CWORD=2
        _pms_ops; echo "${{COMPREPLY[*]}}"
    """
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=60)
    assert done.stdout == "--confirm\none.pgdump\n"


def test_an_error_is_one_json_document_where_that_is_asked_for(capsys, tmp_path):
    assert main(["-i", "nowhere", "backup", "--json"], tmp_path) == USAGE
    document = json.loads(capsys.readouterr().out)
    assert document["exit_code"] == USAGE
    assert "nowhere" in document["error"]


def test_an_inventory_without_our_hosts_could_not_be_run(capsys, tmp_path):
    (tmp_path / "hosts.yml").write_text("others: {hosts: {a: }}\n")
    assert main(["-i", "hosts.yml", "status"], tmp_path) == COULD_NOT_RUN
    assert "no host in group pms" in capsys.readouterr().err


def test_a_playbook_whose_hosts_are_not_there_is_no_success(tmp_path):
    (tmp_path / "hosts.yml").write_text("others: {hosts: {a: }}\n")
    playbook = Path(sys.executable).with_name("ansible-playbook")
    done = subprocess.run(
        [playbook, "-i", tmp_path / "hosts.yml", "playbooks/backup.yml"],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode != 0
    assert "Could not match" in done.stdout + done.stderr


@pytest.mark.parametrize("given", ["C", "xx_YY.UTF-8"])
def test_a_locale_that_the_host_lacks_stops_no_command(given, tmp_path):
    host = {"ansible_connection": "local", "evidence_root": "/nowhere/evidence"}
    (tmp_path / "hosts.yml").write_text(json.dumps({"pms": {"hosts": {"a": host}}}))
    done = subprocess.run(
        [sys.executable, "-m", "pmsops_cli", "-i", tmp_path, "report", "--json"],
        cwd=PROJECT,
        env=os.environ | {"LC_ALL": given, "LANG": given},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert "locale" not in done.stderr
    assert done.returncode == FAILED and "report.html" in done.stdout


def test_a_clone_that_everybody_may_write_to_works_and_is_told(tmp_path, monkeypatch, capsys):
    clone = tmp_path / "clone"
    clone.mkdir()
    monkeypatch.setattr(project, "PROJECT", clone)
    monkeypatch.setattr(os, "chdir", lambda _: None)
    monkeypatch.setattr(os, "environ", dict(os.environ))
    project.enter()
    assert capsys.readouterr().err == ""
    clone.chmod(0o777)
    project.enter()
    assert f"chmod o-w {clone}" in capsys.readouterr().err
    assert os.environ["ANSIBLE_CONFIG"] == str(clone / "ansible.cfg")


def test_cron_mails_the_reason_of_a_failure_and_nothing_else(capsys):
    one = console.Display("backup", as_json=False)
    feed(one, ("playbook_on_task_start", "backup : Make a backup set"), ("runner_on_ok", ""))
    failure = {"host": "a", "task": "backup", "what": "no room", "remedy": "free it", "code": "x.y"}
    result = {
        "messages": ["looked"], "systems": [], "changed": [], "failed": [], "errors": [],
        "exit_code": DONE, "check": False, "seconds": 1, "facts": {}, "log": "x.log",
    }  # fmt: skip
    one.end(result)
    assert capsys.readouterr().err == ""
    for as_json in (False, True):
        one = console.Display("backup", as_json=as_json)
        one.end(result | {"failed": [failure], "errors": ["no host"], "exit_code": FAILED})
        said = capsys.readouterr()
        assert "no room" in said.err and "-> free it" in said.err and "no host" in said.err
        assert "looked" not in said.err


def test_a_path_that_holds_the_name_of_the_command_stays_whole(tmp_path):
    session = commands.Session(arguments.parse(["-i", "example", "status"]), tmp_path)
    text = "df /srv/pms-ops/prod; pms-ops drill, then pms-ops.service"
    right = "df /srv/pms-ops/prod; pms-ops -i example drill, then pms-ops.service"
    assert session.again(text) == right
    said = console._ours("scripts/pms-ops status; ls /opt/scripts/pms-ops")
    assert said == "pms-ops status; ls /opt/scripts/pms-ops"


@pytest.fixture
def bare(tmp_path):
    """An inventory of this machine with empty folders."""
    lines = f"backup_root: {tmp_path}/b, evidence_root: {tmp_path}/e, pms_db_name: fund"
    text = f"pms: {{hosts: {{here: {{ansible_connection: local, {lines}}}}}}}\n"
    (tmp_path / "bare.yml").write_text(text)
    return tmp_path


def test_status_of_empty_folders_names_all_that_is_due_and_changes_nothing(bare, capsys):
    assert main(["-i", "bare.yml", "status", "--json"], bare) == FAILED
    found = json.loads(capsys.readouterr().out)["hosts"]["here"]
    assert [each["next"] for each in found["due"]] == [
        "pms-ops -i bare.yml backup", "pms-ops -i bare.yml drill", "pms-ops -i bare.yml golive",
    ]  # fmt: skip
    assert main(["-i", "bare.yml", "status"], bare) == FAILED
    assert (
        "To check that the PMS is healthy: pms-ops -i bare.yml dr triage" in capsys.readouterr().out
    )
    assert not (bare / "b").exists() and not (bare / "e").exists()


def test_status_sees_an_open_incident_and_a_damaged_ledger(bare, capsys):
    requests = bare / "e" / "incidents" / "requests"  # what was asked of the PMS: no incident
    requests.mkdir(parents=True)
    (requests / "mark_1.json").write_text("{}")
    (bare / "e" / "incidents" / "2026-11-25_redis").mkdir(parents=True)
    closed = bare / "e" / "incidents" / "2026-11-24_api"
    closed.mkdir()
    (closed / "incident.json").write_text('{"state": "closed"}')
    (bare / "e" / "ledger.jsonl").write_text('{"seq": 1}\n')
    assert main(["-i", "bare.yml", "status", "--json"], bare) == FAILED
    found = json.loads(capsys.readouterr().out)["hosts"]["here"]
    assert [each["id"] for each in found["incidents"]] == ["2026-11-25_redis"]
    assert found["ledger"]["problems"]
    assert main(["-i", "bare.yml", "ledger", "verify"], bare) == FAILED
    assert "DAMAGED" in capsys.readouterr().out


def test_an_overdue_deficiency_is_named_by_its_list_and_by_the_status(bare, capsys):
    opened = {"act": "opened", "title": "Redis is in no set", "owner": "Ana"}
    for name, due in (("D-1", "2026-01-02"), ("D-2", "2999-01-02"), ("D-3", "2026-01-02")):
        record = opened | {"id": name, "due": due}
        ledger.append(bare / "e", "deficiency", record, now=datetime.now(UTC))
    shown = {"line": 1, "kind": "drill", "at": "2026-01-03T06:00:00Z", "sha256": "0" * 64}
    closed = {"act": "closed", "id": "D-3", "closed_by": "Ana", "record": shown}
    ledger.append(bare / "e", "deficiency", closed, now=datetime.now(UTC))
    assert main(["-i", "bare.yml", "deficiency", "list"], bare) == FAILED
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "here:" and len(said) == 3
    assert said[1].split() == [
        "D-1",
        "due",
        "2026-01-02,",
        "OVERDUE",
        "Ana:",
        "Redis",
        "is",
        "in",
        "no",
        "set",
    ]
    assert main(["-i", "bare.yml", "deficiency", "list", "--all", "--json"], bare) == FAILED
    found = json.loads(capsys.readouterr().out)["hosts"]["here"]
    assert [each["id"] for each in found] == ["D-1", "D-2", "D-3"]
    assert main(["-i", "bare.yml", "status"], bare) == FAILED
    said = capsys.readouterr().out
    assert "2 open, 1 overdue: D-1, D-2" in said
    assert "deficiency D-1 (Redis is in no set) of Ana, due 2026-01-02, is overdue" in said
    assert "pms-ops -i bare.yml deficiency close D-1 --record LINE" in said


@pytest.mark.parametrize(
    "words",
    [
        ["open", "--title", "t", "--owner", "o"],
        ["open", "--title", "t", "--owner", "o", "--due", "2026-12-15", "--record", "5"],
        ["close", "D-1"],
        ["close", "--record", "5"],
        ["list", "D-1"],
        ["list", "--owner", "o"],
    ],
)
def test_a_deficiency_takes_what_belongs_to_the_act_and_nothing_else(bare, words):
    assert main(["-i", "bare.yml", "deficiency", *words], bare) == USAGE


def test_a_restore_without_a_terminal_is_refused_before_anything_runs(bare, capsys, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO("fund\n"))
    (bare / "one.pgdump").write_bytes(b"PGDMP")
    assert main(["-i", "bare.yml", "restore", "one.pgdump"], bare) == USAGE
    assert "--confirm fund" in capsys.readouterr().err
    assert main(["-i", "bare.yml", "rollback", "--confirm", "other"], bare) == USAGE
    assert main(["-i", "bare.yml", "restore", "two.pgdump", "--confirm", "fund"], bare) == USAGE
    assert not project.state_folder().exists()


def test_tables_go_into_a_schema_or_in_place_which_needs_a_confirmation(bare, capsys, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO("fund\n"))
    (bare / "one.pgdump").write_bytes(b"PGDMP")
    tables = ["-i", "bare.yml", "restore", "one.pgdump", "--tables", "a,b"]
    ran = []
    monkeypatch.setattr(commands.Session, "run", lambda *given: ran.append(given[-1]) or DONE)
    for wrong in ([], ["--into", "x", "--in-place"], ["--in-place"]):
        assert main([*tables, *wrong], bare) == USAGE
    assert main([*tables[:4], "--in-place", "--confirm", "fund"], bare) == USAGE
    assert ran == []
    assert main([*tables, "--into", "x"], bare) == DONE
    assert main([*tables, "--in-place", "--confirm", "fund"], bare) == DONE
    given = {"file": str(bare / "one.pgdump"), "tables": ["a", "b"]}
    assert ran == [given | {"into": "x"}, given | {"in_place": True, "confirm": "fund"}]


def test_what_differs_alone_needs_a_confirmation_and_may_be_narrowed(bare, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO("fund\n"))
    (bare / "one.pgdump").write_bytes(b"PGDMP")
    only = ["-i", "bare.yml", "restore", "one.pgdump", "--only", "different"]
    ran = []
    monkeypatch.setattr(commands.Session, "run", lambda *given: ran.append(given[-1]) or DONE)
    for wrong in (["--into", "x"], ["--in-place"], ["--parts", "redis"], []):
        assert main([*only, *wrong], bare) == USAGE
    assert ran == []
    assert main([*only, "--confirm", "fund"], bare) == DONE
    assert main([*only, "--tables", "a,b", "--confirm", "fund"], bare) == DONE
    given = {"file": str(bare / "one.pgdump"), "only": "different", "confirm": "fund"}
    assert ran == [given, given | {"tables": ["a", "b"]}]


def test_parts_go_with_the_database_or_alone_and_both_need_a_confirmation(bare, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO("fund\n"))
    (bare / "one.pgdump").write_bytes(b"PGDMP")
    restore = ["-i", "bare.yml", "restore", "one.pgdump"]
    ran = []
    monkeypatch.setattr(commands.Session, "run", lambda *given: ran.append(given[-1]) or DONE)
    assert main([*restore, "--parts-only", "--confirm", "fund"], bare) == USAGE
    assert main([*restore, "--parts-only", "--parts", "compose"], bare) == USAGE
    assert ran == []
    assert main([*restore, "--parts", "dagster,redis", "--confirm", "fund"], bare) == DONE
    alone = ["--parts-only", "--parts", "compose", "--confirm", "fund"]
    assert main([*restore, *alone], bare) == DONE
    assert main(["-i", "bare.yml", "rollback", *alone], bare) == DONE
    given = {"file": str(bare / "one.pgdump"), "confirm": "fund"}
    assert ran == [
        given | {"parts": ["dagster", "redis"]},
        given | {"parts": ["compose"], "parts_only": True},
        {"rollback": True, "parts": ["compose"], "parts_only": True, "confirm": "fund"},
    ]


def test_latest_is_the_newest_set_of_the_system_by_name(bare, capsys, monkeypatch):
    argv = ["-i", "bare.yml", "restore", "latest", "--check"]
    assert main(argv, bare) == FAILED
    assert "holds no backup set" in capsys.readouterr().err
    for name in ("2026-11-22_0600", "2026-11-23_0600"):
        (bare / "b" / name).mkdir(parents=True)
        (bare / "b" / name / "manifest.json").touch()
    ran = []
    monkeypatch.setattr(commands.Session, "run", lambda *given: ran.append(given[-1]) or DONE)
    assert main(argv, bare) == DONE
    assert ran == [{"file": str(bare / "b" / "2026-11-23_0600")}]


def test_a_report_is_named_and_one_that_is_missing_exits_1(bare, capsys):
    assert main(["-i", "bare.yml", "report"], bare) == FAILED
    page = bare / "e" / "latest" / "report.html"
    page.parent.mkdir(parents=True)
    page.touch()
    assert main(["-i", "bare.yml", "report"], bare) == DONE
    assert capsys.readouterr().out == f"{page}\n"


def test_another_database_has_its_own_sets_and_its_own_name_as_confirmation(bare, monkeypatch):
    """Dagster's database was in no set, and no command brought it back: issue 18, A19."""
    own = bare / "b/other_databases/runs/2026-11-22_0600"
    own.mkdir(parents=True)
    (own / "manifest.json").touch()
    ran = []
    monkeypatch.setattr(commands.Session, "run", lambda *given: ran.append(given[-1]) or DONE)
    argv = ["-i", "bare.yml", "restore", "latest", "--database", "runs", "--confirm"]
    assert main([*argv, "fund"], bare) == USAGE
    assert main([*argv, "runs"], bare) == DONE
    assert main(["-i", "bare.yml", "drill", own.name, "--database", "runs"], bare) == DONE
    given = {"file": str(own), "other_database": "runs"}
    assert ran == [given | {"confirm": "runs"}, given]


def test_former_tables_are_dropped_by_one_command_that_is_confirmed(bare, monkeypatch):
    """The schemas of former tables stayed for good: issue 18, A18."""
    ran = []
    monkeypatch.setattr(commands.Session, "run", lambda *given: ran.append(given[-1]) or DONE)
    argv = ["-i", "bare.yml", "rollback", "--drop-tables", "all", "--confirm"]
    assert main([*argv, "other"], bare) == USAGE
    assert main([*argv, "fund"], bare) == DONE
    assert ran == [{"drop_former_tables": ["all"], "confirm": "fund"}]


def test_a_former_server_is_removed_by_one_command_that_is_confirmed(bare, monkeypatch):
    ran = []
    monkeypatch.setattr(commands.Session, "run", lambda *given: ran.append(given[-1]) or DONE)
    argv = ["-i", "bare.yml", "rollback", "--drop-server", "db_before_1", "--confirm"]
    assert main([*argv, "other"], bare) == USAGE
    assert main([*argv, "fund"], bare) == DONE
    assert ran == [{"drop_former_server": "db_before_1", "confirm": "fund"}]


def test_the_set_of_a_backup_is_the_pms_s_and_not_that_of_another_database():
    names = ("/b/2026-11-22_0600", "/b/other_databases/runs/2026-11-22_0600")
    for order in (names, names[::-1]):
        one = RunSummary()
        for name in order:
            one.take(event("runner_on_ok", task_action="pms_backup", res={"set": name}))
        assert one.facts["set"] == "/b/2026-11-22_0600"
    of_other = RunSummary()
    of_other.take(event("runner_on_ok", task_action="pms_backup", res={"set": names[1]}))
    assert of_other.facts["set"] == names[1]


def test_a_vault_without_its_password_is_told_with_the_file_that_is_looked_for(tmp_path):
    """Only Ansible's words were shown: no vault secrets found."""
    outcome = RunSummary()
    said = "Attempting to decrypt but no vault secrets found."
    outcome.take(event("runner_on_failed", res={"msg": said}))
    assert outcome.locked_vault and not RunSummary().locked_vault
    folder = tmp_path / "prod"
    folder.mkdir()
    file = inventory.vault_password_file("prod")
    advice = inventory.vault_advice([str(folder)])
    assert f"{file} (is missing)" in advice and "--vault-password-file" in advice
    (folder / "group_vars").mkdir()
    (folder / "hosts.yml").write_text("pms:\n  hosts:\n    fund:\n")
    locked = "$ANSIBLE_VAULT;1.1;AES256\n3030\n"
    (folder / "group_vars" / "pms.yml").write_text(locked)
    with pytest.raises(Stop) as caught:
        hosts.read(hosts.Sources(inventories=[str(folder)], extra=[], limit=None))
    assert str(file) in caught.value.remedy


@pytest.mark.parametrize(
    ("status", "verdict", "said"),
    [
        (DONE, "go", "it has taken over."),
        (FAILED, "no-go", "it has taken over; the checklist says no-go."),
        (FAILED, None, "it has taken over; what failed came after that."),
    ],
)
def test_a_new_machine_that_has_taken_over_is_told_last(capsys, status, verdict, said):
    """A no-go of the checklist read as if there were no machine."""
    outcome = RunSummary()
    taken = {"done": ["fetched", "finished"], "set": "2026-11-28_0115", "moment_at": None}
    outcome.take(event("runner_on_ok", task_action="pms_host", res=taken))
    if verdict:
        outcome.take(event("runner_on_ok", task_action="pms_gate", res={"verdict": verdict}))
    outcome.take(stats(failures=int(status == FAILED)))
    found = console.document("dr_host", Path("x"), outcome, Path("log"), status=status, check=False)
    console.Display("dr_host", as_json=False).end(found)
    shown = capsys.readouterr().out
    assert f"The machine is back, as of set 2026-11-28_0115: {said}" in shown
    assert shown.index("dr_host:") < shown.index("The machine is back")


def test_a_new_machine_tells_its_steps_without_a_terminal(monkeypatch, tmp_path):
    """Nothing was printed for minutes."""
    asked = {}

    def display(name, *, as_json, verbose):
        asked[name] = verbose
        raise Stop("enough", "")

    monkeypatch.setattr(console, "Display", display)
    for scenario in ("host", "redis"):
        main(["-i", "inventory/lab", "dr", scenario], tmp_path)
    assert asked == {"dr_host": True, "dr_redis": False}
