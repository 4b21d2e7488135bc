"""Anchors in files, git repositories, commands, mails; what is due, and what they contradict."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest
from ansible.module_utils.pmsops.anchors import options, run
from ansible.module_utils.pmsops.checks.probes import Deadline, NotGiven
from ansible.module_utils.pmsops.checks.probes import evidence as probe
from ansible.module_utils.pmsops.checks.probes.context import Context, Settings
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.evidence import anchor_notes, ledger

NOW = datetime.now(UTC)


@pytest.fixture
def evidence(tmp_path):
    fill(tmp_path / "e", 3)
    return tmp_path / "e"


def fill(evidence, count, **facts):
    for number in range(count):
        ledger.append(evidence, "gate", {"run": number} | facts, now=datetime.now(UTC))


def no_site(_name, _site):
    raise AssertionError


def ways(evidence, *entries):
    return options.ways(evidence, [{"name": "a"} | each for each in entries], no_site)


def make(evidence, given, **other):
    wanted = {"hours": 24, "force": False, "check": False} | other
    return run.make(evidence, given, "prod", **wanted)


def remote(tmp_path):
    path = tmp_path / "remote.git"
    subprocess.run(["git", "init", "--quiet", "--bare", path], check=True, capture_output=True)
    return str(path)


def every_way(tmp_path):
    """Return an entry of each type that can be asked, without a server."""
    store = tmp_path / "store"
    append = f"import sys; open({str(store)!r}, 'a').write(sys.stdin.read())"
    read = f"print(open({str(store)!r}).read(), end='')"
    return {
        "file": {"type": "file", "path": str(tmp_path / "vault.jsonl")},
        "git": {"type": "git", "url": remote(tmp_path)},
        "command": {
            "type": "command",
            "command": [sys.executable, "-c", append],
            "read_command": [sys.executable, "-c", read],
        },
    }


KINDS = pytest.mark.parametrize("kind", ["file", "git", "command"])


@KINDS
def test_an_outsider_is_sure_up_to_the_last_head_that_left(evidence, tmp_path, kind):
    given = ways(evidence, every_way(tmp_path)[kind])
    make(evidence, given)
    fill(evidence, 2)
    make(evidence, given, force=True)
    fill(evidence, 1)
    found = run.verify(evidence, given, None)
    assert (found["lines"], found["anchors"][0]["lines"]) == (6, 5)
    assert found["anchors"][0]["problems"] == []


@KINDS
@pytest.mark.parametrize("how", ["recomputed", "cut off", "back-dated"])
def test_what_was_done_after_the_anchor_is_named_by_its_line(evidence, tmp_path, kind, how):
    given = ways(evidence, every_way(tmp_path)[kind])
    make(evidence, given)
    if how == "back-dated":
        ledger.append(evidence, "drill", {}, now=NOW - timedelta(days=2))
        line = 4
    else:
        (evidence / ledger.NAME).unlink()
        (evidence / ledger.HEAD).unlink()
        fill(evidence, 5 if how == "recomputed" else 2, other=True)
        line = 3
    assert ledger.verify(evidence) == []
    found = run.verify(evidence, given, None)["anchors"][0]
    assert f"line {line}" in found["problems"][0]


def test_an_anchor_takes_one_head_within_its_hours(evidence, tmp_path):
    given = ways(evidence, {"type": "file", "path": str(tmp_path / "f")})
    assert make(evidence, given)["due"] == ["a"]
    assert make(evidence, given)["due"] == []
    assert make(evidence, given, hours=0)["due"] == ["a"]
    assert len((tmp_path / "f").read_text().splitlines()) == 2


def test_check_mode_anchors_nothing(evidence, tmp_path):
    given = ways(evidence, {"type": "file", "path": str(tmp_path / "f")})
    assert make(evidence, given, check=True)["due"] == ["a"]
    assert not (tmp_path / "f").exists()
    assert anchor_notes.read(evidence) == {}


def test_an_anchor_that_fails_hinders_no_other_one(evidence, tmp_path):
    given = ways(
        evidence,
        {"name": "gone", "type": "file", "path": str(tmp_path / "not mounted" / "f")},
        {"name": "slow", "type": "command", "command": ["/nonexistent"]},
        {"name": "here", "type": "file", "path": str(tmp_path / "f")},
    )
    found = {each["name"]: each for each in make(evidence, given)["anchors"]}
    assert found["gone"]["code"] == found["slow"]["code"] == "anchor.failed"
    assert found["here"]["lines"] == 3
    assert anchor_notes.read(evidence)["gone"]["failed"]["code"] == "anchor.failed"


def test_a_mail_is_left_to_the_control_node_and_compared_by_hand(evidence):
    given = ways(evidence, {"type": "mail", "channel": "risk"})
    made = make(evidence, given)
    assert (made["mails"], made["anchors"]) == (["a"], [])
    run.note(evidence, "a", made["statement"], None)
    text = run.verify(evidence, given, None)["anchors"][0]["text"]
    assert f"compare by hand: line 3 has {made['statement']['sha256']}" in text
    run.note(evidence, "a", made["statement"], "no channel took it")
    assert "no channel took it" in anchor_notes.read(evidence)["a"]["failed"]["why"]


def test_a_git_anchor_never_overwrites_what_another_machine_pushed(evidence, tmp_path):
    entry = every_way(tmp_path)["git"]
    make(evidence, ways(evidence, entry))
    fill(tmp_path / "other", 1)
    make(tmp_path / "other", ways(tmp_path / "other", entry))
    make(evidence, ways(evidence, entry), force=True)
    show = ["git", "-C", entry["url"], "show", "anchors:anchors.jsonl"]
    text = subprocess.run(show, check=True, capture_output=True, text=True).stdout
    assert [json.loads(line)["lines"] for line in text.splitlines()] == [3, 1, 3]


@pytest.mark.parametrize(
    ("entry", "code"),
    [
        ({"type": "rfc3161", "url": "https://tsa.example.com"}, "anchor.options"),
        ({"type": "git", "url": "https://me:secret@git.example.com/x"}, "anchor.secret-in-url"),
        ({"name": "../up", "type": "file", "path": "/f"}, "anchor.options"),
    ],
)
def test_an_entry_that_cannot_work_is_refused_without_its_secret(evidence, entry, code):
    with pytest.raises(OpsError) as caught:
        ways(evidence, entry)
    assert caught.value.code == code
    assert "secret@" not in f"{caught.value} {caught.value.remedy}"


def test_the_gate_names_an_anchor_that_is_overdue_and_a_head_that_it_contradicts(evidence):
    def asked(names):
        facts = {"anchors": {"names": names, "hours": 72}}
        settings = Settings(now=NOW, evidence_root=str(evidence), facts=facts)
        return probe.anchors({}, Context(settings), Deadline.after(5))

    with pytest.raises(NotGiven):
        asked([])
    assert asked(["a"])["overdue"] == "a: none was made"
    chain = ledger.inspect(evidence)
    pin = anchor_notes.Pin(3, chain.sha256, NOW)
    anchor_notes.note_done(evidence, "a", pin, {})
    assert asked(["a"]) == {"anchors": 1, "overdue": "none", "contradicted": "none"}
    old = anchor_notes.Pin(3, chain.sha256, NOW - timedelta(hours=73))
    anchor_notes.note_done(evidence, "a", old, {})
    assert "the last was at" in asked(["a"])["overdue"]
    wrong = anchor_notes.Pin(3, "0" * 64, NOW)
    anchor_notes.note_done(evidence, "a", wrong, {})
    assert "line 3, or one before it, was changed" in asked(["a"])["contradicted"]
