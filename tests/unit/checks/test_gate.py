"""The gate: what makes a no-go, what people may vouch for, and what never comes out."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pms_gate
import pytest
import yaml
from ansible.module_utils.pmsops.checks import attestations, checklist, gate, second_try, worker
from ansible.module_utils.pmsops.checks.probes.context import Settings
from ansible.module_utils.pmsops.common import playbook_lock, process_lock
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.common.progress_text import describe
from ansible.module_utils.pmsops.reports import terminal
from ansible.module_utils.testing import patch_module_args

from tests.support.gates import NOW, TRUE, broken, document, item, run

WHY = "The drill is planned for Thursday"
WAIVER = {"check": "a", "who": "Ana", "when": "2026-11-20", "until": "2026-12-01", "why": WHY}
ATTESTATION = {"check": "a", "who": "Ana", "when": "2026-11-20", "why": "Reviewed the limits"}
TODAY = date(2026, 11, 23)


def statuses(found: dict) -> dict[str, str]:
    return {result["id"]: result["status"] for result in found["results"]}


def test_a_system_on_which_everything_passes_may_go_live():
    found = run(item("a"), item("b", section="second"))
    assert (found["verdict"], found["exit_code"], found["blocking"]) == ("go", 0, [])
    assert found["counts"]["pass"] == 2
    assert [section["id"] for section in found["sections"]] == ["first", "second"]


@pytest.mark.parametrize(
    ("check", "status"),
    [
        (broken("a"), "fail"),
        (item("a", params={"argv": ["${nowhere}"]}), "unknown"),
        (item("a", "attest"), "unknown"),
        (item("a", "smoke", params={"step": "open"}), "unknown"),
        (
            item("a", "sql", params={"query": "SELECT 1"}, expect=[{"path": "value", "eq": 1}]),
            "unknown",
        ),
    ],
    ids=["fail", "variable", "attest", "smoke", "no database"],
)
def test_a_blocker_that_fails_or_is_unknown_is_a_no_go(check, status):
    found = run(check, item("b"))
    assert statuses(found)["a"] == status
    assert (found["verdict"], found["exit_code"], found["blocking"]) == ("no-go", 1, ["a"])


LACKED = [
    item("a", params={"argv": ["${services.daemon}"]}, optional=True),
    item("a", "sql", params={"query": "SELECT 1"}, expect=TRUE, optional=True),
]


@pytest.mark.parametrize("check", LACKED, ids=["no name", "no address"])
def test_a_part_that_the_system_does_not_have_does_not_block(check):
    found = run(check, item("b"), item("c", needs=["a"], optional=True))
    assert statuses(found) == {"a": "unknown", "b": "pass", "c": "unknown"}
    assert (found["verdict"], found["blocking"]) == ("go", [])
    # What needs it, and is not said to be a part that may be lacking, blocks.
    assert run(check, item("c", needs=["a"]))["blocking"] == ["c"]


def test_a_part_that_the_inventory_says_the_system_lacks_is_not_asked():
    lacked = broken("a", about="timescaledb")
    found = run(lacked, item("b", needs=["a"]), without=frozenset({"timescaledb"}))
    # What needs it is asked all the same: a plain table has foreign keys, too.
    assert statuses(found) == {"a": "unknown", "b": "pass"}
    assert (found["verdict"], found["blocking"]) == ("go", [])
    assert found["results"][0]["finding"] == "this system has no TimescaleDB (pms_without)"
    assert run(lacked, item("b", needs=["a"]))["blocking"] == ["a", "b"]


def test_a_part_that_is_there_after_all_is_a_failure():
    """pms_without would hide a dead extension: only its first check is run, and has to fail."""
    first, second = item("a", about="timescaledb"), item("b", needs=["a"], about="timescaledb")
    found = run(first, second, without=frozenset({"timescaledb"}))
    assert statuses(found) == {"a": "fail", "b": "unknown"}
    assert (found["verdict"], found["blocking"]) == ("no-go", ["a"])
    assert "this system has no TimescaleDB, and it has" in found["results"][0]["finding"]
    assert [each["absent"] for each in found["results"]] == [False, True]


def test_what_a_system_lacks_has_no_remedy_and_is_not_counted_as_unknown():
    found = run(item("b"), broken("a", about="dagster"), without=frozenset({"dagster"}))
    assert terminal.table(found, short=True) == [
        "First <section>  1 of 1",
        "",
        "Not in the inventory, so not checked: a",
        "",
        "GO: 1 passed, 1 not in the inventory.",
    ]


def test_a_part_that_may_be_lacking_and_fails_is_a_no_go():
    assert run(broken("a") | {"optional": True}, item("b"))["blocking"] == ["a"]


@pytest.mark.parametrize("severity", ["warning", "info"])
def test_what_is_no_blocker_blocks_nothing(severity):
    found = run(broken("a", severity=severity), item("b"))
    assert (found["verdict"], statuses(found)["a"]) == ("go", "fail")


def test_a_waived_blocker_lets_go_and_still_says_what_was_found():
    found = run(broken("a"), attestations={"waivers": [WAIVER]})
    assert (found["verdict"], statuses(found)["a"]) == ("go", "waived")
    assert found["results"][0]["found"] == "fail"
    assert found["results"][0]["waiver"]["who"] == "Ana"


def test_a_waiver_of_what_passes_changes_nothing():
    assert statuses(run(item("a"), attestations={"waivers": [WAIVER]}))["a"] == "pass"


def test_a_waived_check_still_blocks_what_needs_it():
    found = run(broken("a"), item("b", needs=["a"]), attestations={"waivers": [WAIVER]})
    assert statuses(found) == {"a": "waived", "b": "unknown"}
    assert found["verdict"] == "no-go"


def test_an_attestation_is_named_with_who_and_when():
    found = run(item("a", "attest"), attestations={"attestations": [ATTESTATION]})
    assert statuses(found)["a"] == "attested"
    assert "Ana on 2026-11-20: Reviewed the limits" in found["results"][0]["finding"]


@pytest.mark.parametrize(
    ("kind", "change", "says"),
    [
        ("waivers", {"until": "2026-11-22"}, "expired on 2026-11-22"),
        ("waivers", {"when": "2026-11-24"}, "lies in the future"),
        ("waivers", {"who": " "}, "who is missing"),
        ("waivers", {"until": None}, "until is missing"),
        ("waivers", {"why": "because"}, "says too little"),
        ("waivers", {"check": "zz"}, "no such check"),
        ("waivers", {"until": "2027-11-20"}, "at most 90 days"),
        ("waivers", {"until": "2026-11-01"}, "ends before it begins"),
        ("waivers", {"when": "yesterday"}, "no date"),
        ("waivers", {"note": "x"}, "unknown field note"),
        ("waivers", {"check": "person"}, "takes an attestation"),
        ("attestations", {"check": "a"}, "a probe answers this check"),
        ("attestations", {"check": "person", "when": "2026-11-24"}, "lies in the future"),
        ("attestations", {"check": "person", "until": "2026-11-22"}, "expired"),
        ("attestations", {"check": "person", "when": "2026-09-01"}, "83 days old"),
        ("attestations", {"check": "person", "who": None}, "who is missing"),
    ],
    ids=str,
)
def test_a_void_statement_is_an_error_and_nothing_is_checked(kind, change, says):
    entry = (WAIVER if kind == "waivers" else ATTESTATION) | change
    loaded = checklist.load(document(item("a"), item("person", "attest", window="60d")))
    with pytest.raises(OpsError, match=says) as caught:
        attestations.load({kind: [entry]}, loaded, TODAY)
    assert caught.value.code == "gate.attestations"


@pytest.mark.parametrize("source", ["text.yml", {"waiver": []}, {"waivers": {}}], ids=str)
def test_something_that_is_no_list_of_statements_is_an_error(source, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text.yml").write_text("- just\n- a list\n")
    loaded = checklist.load(document(item("a")))
    with pytest.raises(OpsError):
        attestations.load(source, loaded, TODAY)


@pytest.mark.parametrize("name", [5, ["5"]], ids=str)
def test_a_statement_whose_check_is_no_text_is_an_error_and_never_passed_over(name):
    loaded = checklist.load(document(item("5")))
    with pytest.raises(OpsError, match="no such check"):
        attestations.load({"waivers": [WAIVER | {"check": name}]}, loaded, TODAY)


def test_two_statements_about_one_check_are_an_error():
    loaded = checklist.load(document(item("a")))
    with pytest.raises(OpsError, match="has one already"):
        attestations.load({"waivers": [WAIVER, WAIVER]}, loaded, TODAY)


def test_only_the_wanted_sections_run_with_what_they_need():
    items = (item("a"), item("b"), item("c", section="second", needs=["b"]))
    found = run(*items, sections=["second"])
    assert set(statuses(found)) == {"b", "c"}
    assert found["partial"]
    assert terminal.table(found)[-1].startswith(f"{terminal.PARTIAL}: 2 passed")
    with pytest.raises(OpsError, match="no section third"):
        run(*items, sections=["third"])


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"version": 2}, "version is 2"),
        ({"checks": []}, "no check"),
        ({"checks": "x"}, "list `checks`"),
        ({"sections": []}, "section first is not among"),
        ({"checks": [item("a"), item("a")]}, "used twice"),
        ({"checks": [item("a", needs=["b"]), item("b", needs=["a"])]}, "in a circle"),
        ({"checks": [item("a", needs=["a"])]}, "in a circle"),
        ({"checks": [item("a", expect=[])]}, "cannot fail"),
        ({"checks": [item("a", timeout=0)]}, "timeout"),
        ({"checks": [item("a", timeout="5")]}, "timeout"),
        ({"checks": [item("a", retries=1.5)]}, "retries"),
        ({"checks": [item("a", window="3d")]}, "window"),
        ({"checks": [item("A b")]}, "the id may hold"),
        ({"checks": [item("a", params={"argv": ["x"], "shell": True})]}, "no parameter shell"),
        ({"checks": [item("a", params={})]}, "exactly one of argv"),
        ({"checks": [item("a", "attest", expect=[TRUE])]}, "a person is the evidence"),
        ({"checks": [item("a", remedy="")]}, "remedy is missing"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_checklist_that_cannot_be_used_is_refused(change, says):
    with pytest.raises(OpsError, match=says) as caught:
        checklist.load(document(item("a")) | change)
    assert caught.value.code == "gate.checklist"


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("x.yml", "a: [", "no valid YAML"),
        ("x.json", "{", "no valid JSON"),
        ("x.yml", None, "cannot be read"),
        ("x.yml", "just text", "list `checks`"),
    ],
)
def test_a_checklist_file_that_cannot_be_read_is_refused(tmp_path, name, content, says):
    if content is not None:
        (tmp_path / name).write_text(content)
    with pytest.raises(OpsError, match=says):
        checklist.load(str(tmp_path / name))


def test_a_checklist_is_taken_in_as_text_too():
    text = yaml.safe_dump(document(item("a")))
    assert checklist.load(text) == checklist.load(document(item("a")))
    with pytest.raises(OpsError, match="the text given is no valid YAML"):
        checklist.load("a: [\n")


def test_no_password_comes_out_even_where_a_program_repeats_it():
    secret = "correct-horse-battery"
    script = f"echo {secret}; echo {secret} >&2"
    check = item(
        "a",
        params={"argv": ["sh", "-c", script]},
        expect=[
            {"path": "stdout", "eq": "something else"},
            {"path": "stderr", "contains": "horse"},
        ],
    )
    for place in ("database", "redis", "api", "grafana"):
        found = run(check, settings={place: {"password": secret, "name": "x", "host": "h"}})
        assert secret not in json.dumps(found)
        assert "********" in found["results"][0]["finding"]


def test_the_variables_of_a_checklist_hold_no_password():
    check = item("a", params={"argv": ["echo", "${api.password}"]})
    found = run(check, settings={"api": {"password": "hunter22", "url": "http://x"}})
    assert found["results"][0]["finding"] == "pms_api_password is not set"


@pytest.mark.parametrize(
    ("folder", "program"), [(".venv", "{}/.venv/bin/python"), ("venv", "{}/venv/bin/python")]
)
def test_a_script_of_the_pms_runs_with_the_pms_s_own_python(tmp_path, folder, program):
    check = item(
        "a", params={"argv": ["echo", "${app_python}"]}, expect=[{"path": "stdout", "eq": "-"}]
    )
    settings = {"app_dir": str(tmp_path)}
    assert "python3" in run(check, settings=settings)["results"][0]["finding"]
    own = tmp_path / folder / "bin" / "python"
    own.parent.mkdir(parents=True)
    own.touch()
    assert program.format(tmp_path) in run(check, settings=settings)["results"][0]["finding"]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("app_dir", "pms_app_dir"),
        ("database.container", "pms_db_container"),
        ("services.api", "golive_services.api"),
        ("backup_root", "variable backup_root"),
    ],
)
def test_an_operator_is_told_the_variable_of_the_inventory(name, words):
    check = item("a", params={"argv": ["echo", "${" + name + "}"]})
    assert run(check)["results"][0]["finding"] == f"{words} is not set"


@pytest.mark.parametrize(
    ("why", "end"), [("it waits 90 s.", "it waits 90 s"), ("cut...", "cut...")]
)
def test_a_finding_ends_no_sentence_twice(why, end):
    check = checklist.load(document(item("a"))).checks[0]
    nothing = attestations.Statements({}, {})
    assert gate._result(check, worker.ProbeResult("fail", why), nothing)["finding"] == end


def module(capsys: pytest.CaptureFixture[str], **arguments: object) -> dict:
    database = {"name": "x", "user": "x", "password": "correct-horse", "container": "c"}
    with patch_module_args({"database": database, **arguments}), pytest.raises(SystemExit):
        pms_gate.main()
    printed = capsys.readouterr().out
    assert "correct-horse" not in printed
    return json.loads(printed)


def test_the_module_reports_a_no_go_and_changes_nothing(capsys):
    found = module(capsys, checklist=document(broken("a"), item("b")))
    assert (found["changed"], found["verdict"], found["exit_code"]) == (False, "no-go", 1)
    assert found["table"][-1].startswith("NO-GO because of 1 blocker: 1 passed, 1 failed")
    # Ansible would send the whole checklist back for each host.
    assert found["invocation"]["module_args"]["checklist"] == "not repeated here"


def test_a_no_go_has_the_reasons_that_its_sentence_names(capsys):
    items = [broken("a"), item("b", needs=["a"]), item("c", needs=["b"]), item("d")]
    found = module(capsys, checklist=document(*items))
    assert found["blocking"] == ["a", "b", "c"]
    assert found["reasons"] == {"checks": ["a"], "silent": [], "shared": [], "after": 2}


def test_checks_without_an_answer_are_one_reason_for_each_cause():
    one, other = "the host is busy: load 9", "the engine is busy"
    blocking = [
        {"id": "own", "needs": [], "cause": ""},
        {"id": "first", "needs": [], "cause": one},
        {"id": "waits", "needs": ["own"], "cause": ""},
        {"id": "second", "needs": [], "cause": other},
        {"id": "third", "needs": [], "cause": one},
    ]
    assert second_try.reasons(blocking) == {
        "checks": ["own"],
        "silent": ["first", "second", "third"],
        "shared": [
            f"3 unknown without an answer in time, {one}",
            f"3 unknown without an answer in time, {other}",
        ],
        "after": 1,
    }


def test_the_module_refuses_a_broken_checklist_with_a_remedy(capsys):
    found = module(capsys, checklist={"version": 1})
    assert found["failed"]
    assert (found["code"], found["remedy"][:7]) == ("gate.checklist", "Correct")


def held_by_another(path: Path) -> None:
    now = datetime.now(UTC)
    playbook_lock.take(path, "go-live", process_lock.process(1), lease=timedelta(hours=1), now=now)


def test_the_module_gives_no_verdict_on_what_another_run_changes(capsys, tmp_path):
    lock = tmp_path / "lock"
    assert module(capsys, checklist=document(item("a")), lock=str(lock))["verdict"] == "go"
    assert not lock.exists()
    held_by_another(lock)
    found = module(capsys, checklist=document(item("a")), lock=str(lock))
    assert (found["failed"], found["code"]) == (True, "lock.run")
    assert "Cannot start verdict on x" in found["msg"]


def test_the_module_gives_no_verdict_where_another_run_began_meanwhile(capsys, tmp_path):
    ready, lock = tmp_path / "ready", tmp_path / "lock"
    held_by_another(ready)
    begins = item("a", params={"argv": ["cp", str(ready), str(lock)]})
    found = module(capsys, checklist=document(begins), lock=str(lock))
    assert (found["failed"], found["code"]) == (True, "lock.run")


def test_the_table_ends_with_the_failures_their_remedies_and_the_verdict():
    found = run(
        item("fine"),
        broken("root"),
        item("leaf", needs=["root"]),
        broken("minor", severity="info"),
        broken("waived"),
        attestations={"waivers": [WAIVER | {"check": "waived"}]},
    )
    lines = terminal.table(found, report="/r/report.html")
    assert all(len(line) <= terminal.WIDTH for line in lines[:-2])
    assert lines[-1] == "Report: /r/report.html"
    assert lines[-2].startswith(
        "NO-GO because of 2 blockers: 1 passed, 1 waived, 1 unknown, 2 failed"
    )
    wrong = lines[lines.index("Not passed") :]
    order = [line.split("[")[1].rstrip("]").split(", ")[1] for line in wrong if "  [" in line]
    assert order == ["waived", "minor", "root"]
    assert "  UNKNOWN  1 check not run, blocked by those below" in wrong
    assert any("root, blocks 1 other check]" in line for line in wrong)
    assert "-> Mend root with `mend`." in " ".join(wrong[-6:])


def test_the_go_live_fits_on_a_screen_and_has_one_time():
    found = run(*(item(f"a{number}") for number in range(40)), broken("root"))
    lines = terminal.table(found, short=True)
    assert len(lines) < 12 and not any("a7" in line for line in lines)
    assert "-> Mend root with `mend`." in " ".join(lines)
    assert not any(" s." in line for line in lines)


def test_while_it_runs_a_file_says_how_many_checks_are_done(tmp_path, monkeypatch):
    """The last state before the end: both are done, one did not pass; then the file is gone."""
    monkeypatch.setattr("ansible.module_utils.pmsops.common.progress.INTERVAL_SECONDS", 0.0)
    path, states = tmp_path / "progress", []
    update = gate.Progress.update

    def noted(self, *args, **options):
        update(self, *args, **options)
        states.append(describe(json.loads(path.read_text())))

    monkeypatch.setattr(gate.Progress, "update", noted)
    checks = document(item("a"), broken("b"))
    gate.run(checks, Settings(now=NOW), gate.Options(workers=1), progress=path)
    assert [state.rpartition(",")[0] for state in states] == [
        "checks, 1 of 2 done",
        "checks, 2 of 2 done, 1 not passed",
    ]
    assert not path.exists()


def test_without_a_folder_for_it_there_is_no_progress_and_no_error(tmp_path):
    path = tmp_path / "missing" / "progress"
    found = gate.run(document(item("a")), Settings(now=NOW), gate.Options(), progress=path)
    assert found["verdict"] == "go"
