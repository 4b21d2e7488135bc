# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Checkpoints: how they are named, chosen, missed, listed, and what the ledger has of them."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime

import pytest
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.evidence import checkpoints as known
from ansible.module_utils.pmsops.evidence import ledger, status
from ansible.module_utils.pmsops.repository import checkpoints, sets, shrinkage, warm_note

from tests.support.backup_sets import make_set

NAMES = ("2026-11-20_0600", "2026-11-21_0600", "2026-11-22_0600")
NOW = datetime(2026, 11, 23, 6, tzinfo=UTC)


@pytest.fixture
def root(tmp_path):
    for name in NAMES:
        make_set(tmp_path / "backups", tmp_path / "keys", name)
    return tmp_path / "backups"


@pytest.fixture
def evidence(tmp_path):
    return tmp_path / "evidence"


def refused(code, work, *args):
    with pytest.raises(OpsError) as caught:
        work(*args)
    assert caught.value.code == code
    return f"{caught.value} {caught.value.remedy}"


def test_a_checkpoint_is_a_held_set_with_a_note(root):
    checkpoints.make(root / NAMES[0], "release 4.2")
    (root / NAMES[1] / sets.HOLD).write_text('{"reason": "annual audit"}')
    (root / NAMES[2] / sets.HOLD).write_text("[")
    assert checkpoints.listed(root) == [checkpoints.Checkpoint(root / NAMES[0], "release 4.2")]


@pytest.mark.parametrize("note", ["", "  ", "a\nb", "a\x1b[2J", "x" * 121, "latest", NAMES[0]])
def test_a_note_that_could_not_be_told_or_would_mean_something_else_is_refused(note):
    refused("checkpoint.note", checkpoints.require_note, note)


def test_a_note_is_kept_without_the_space_around_it():
    assert checkpoints.require_note(" versão 4.2 ") == "versão 4.2"


def test_the_newest_is_chosen_or_the_one_that_is_named(root, evidence):
    for name, note in zip(NAMES, ("a", "b", "a"), strict=True):
        checkpoints.make(root / name, note)

    def chosen(wanted):
        found, notes = known.choose(root, evidence, wanted)
        return found.id, notes

    assert chosen("latest") == chosen("") == (NAMES[2], [])
    assert chosen("b") == (NAMES[1], [])
    assert chosen(NAMES[0]) == (NAMES[0], [])
    newest, notes = chosen("a")
    assert newest == NAMES[2] and NAMES[0] in notes[0] and "2 checkpoints" in notes[0]
    said = refused("checkpoint.several", known.only, root, evidence, "a")
    assert NAMES[0] in said and NAMES[2] in said
    assert known.only(root, evidence, NAMES[0]).id == NAMES[0]
    assert known.only(root, evidence, "b").id == NAMES[1]


def test_without_a_checkpoint_and_with_an_unknown_note_it_is_said_what_there_is(root, evidence):
    refused("checkpoint.none", known.choose, root, evidence, "latest")
    checkpoints.make(root / NAMES[1], "b")
    said = refused("checkpoint.unknown", known.choose, root, evidence, "c")
    assert "'b'" in said and NAMES[1] in said
    # A set that nobody holds as a checkpoint is none.
    refused("checkpoint.unknown", known.choose, root, evidence, NAMES[0])


def test_one_that_was_let_go_meanwhile_is_told_from_one_that_never_was(root, evidence):
    for name, note in ((NAMES[0], "a"), (NAMES[1], "b")):
        made = checkpoints.make(root / name, note)
        assert known.write(root, evidence, None, made, known.HELD) == []
    (root / NAMES[0] / sets.HOLD).unlink()
    away = (root / NAMES[1]).rename(root / f"{NAMES[1]}.damaged")
    damaged = refused("checkpoint.gone", known.choose, root, evidence, "b")
    assert "quarantined" in damaged
    shutil.rmtree(away)
    lifted = refused("checkpoint.gone", known.choose, root, evidence, "a")
    assert f"pms-ops restore {NAMES[0]}" in lifted and "nobody holds it" in lifted
    gone = refused("checkpoint.gone", known.choose, root, evidence, NAMES[1])
    assert "was let go" in gone and "pms-ops restore" not in gone


def test_a_set_that_is_held_for_something_else_is_not_renamed(root):
    (root / NAMES[0] / sets.HOLD).write_text('{"reason": "annual audit"}')
    assert "annual audit" in refused("checkpoint.held", checkpoints.make, root / NAMES[0], "a")


def test_a_release_lifts_the_hold_but_not_that_of_a_loss_of_rows(root):
    for name in NAMES[:2]:
        checkpoints.make(root / name, "a")
    shrinkage.hold(root / NAMES[1], ["table book lost 90 rows"], NAMES[2])
    for each in checkpoints.listed(root):
        checkpoints.release(each)
    assert checkpoints.listed(root) == []
    assert not (root / NAMES[0] / sets.HOLD).exists()
    held = json.loads((root / NAMES[1] / sets.HOLD).read_text())
    assert held[shrinkage.FLAG] and "lost rows" in held["reason"]


def test_the_ledger_has_each_act_and_gets_what_a_killed_run_left_out(root, evidence):
    first = checkpoints.make(root / NAMES[0], "a")
    assert known.write(root, evidence, None, first, known.HELD, by="Ana") == []
    checkpoints.make(root / NAMES[1], "b")  # killed before its line
    assert len(known.catch_up(root, evidence, None)) == 1
    assert known.catch_up(root, evidence, None) == []
    checkpoints.release(first)  # killed before its line
    assert len(known.catch_up(root, evidence, None)) == 1
    assert known.catch_up(root, evidence, None) == []
    acts = [each["record"] for each in ledger.records(evidence, "hold")]
    assert [(each["act"], each["set"], each.get("seen_later")) for each in acts] == [
        ("held", NAMES[0], None),
        ("held", NAMES[1], True),
        ("lifted", NAMES[0], True),
    ]
    assert ledger.records(evidence, "hold")[0]["record"]["reason"] == "checkpoint: a"


def test_a_hold_by_hand_is_left_to_its_own_line(root, evidence):
    record = {"act": "held", "set": NAMES[0], "reason": "checkpoint: by hand"}
    ledger.append(evidence, "hold", record, now=NOW)
    checkpoints.make(root / NAMES[0], "by hand")
    assert known.catch_up(root, evidence, None) == []
    (root / NAMES[0] / sets.HOLD).unlink()
    refused("checkpoint.gone", known.choose, root, evidence, "by hand")


def test_status_says_of_each_whether_the_way_back_is_short(root, evidence):
    for name, note in zip(NAMES, ("timed", "never", "warm"), strict=True):
        checkpoints.make(root / name, note)
    sets.mark_verified(root / NAMES[0], {"duration_seconds": 31.4})
    sha256 = sets.resolve(root / NAMES[2]).manifest_sha256
    copy = dict.fromkeys(warm_note.KEYS, "x") | {"set": NAMES[2], "manifest_sha256": sha256}
    (root / sets.STATE).mkdir(exist_ok=True)
    warm_note.write(root, [copy | {"kept_at": "2026-11-22T07:00:00Z", "size_bytes": 5}])
    lines = []
    found = status.collect(root, evidence, now=NOW)
    status.describe(found, lambda name, text: lines.append(f"{name}: {text}"))
    shown = [each for each in lines if each.startswith("checkpoint")]
    assert [each["note"] for each in found["checkpoints"]] == ["warm", "never", "timed"]
    assert "warm, set 2026-11-22_0600, 24 h old, warm: rollback" in shown[0]
    assert "not warm" in shown[1] and "never timed" in shown[1]
    assert "not warm" in shown[2] and "31 s the last time" in shown[2]
