# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The ledger's line of each swap: written by the module, or seen later, once and never twice."""

from __future__ import annotations

import errno

import pytest
from ansible.module_utils.pmsops.common import files
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.evidence import ledger

from tests.unit.restore.conftest import FORMER, LIVE, LIVE_OID, STAGING, STAGING_OID
from tests.unit.restore.test_killed_swaps import nothing_is_left, works

RECORD = {"set": "2026-11-22_0600", "manifest_sha256": "abc", "duration_seconds": 8.3}


@pytest.fixture
def recorded(scene_of):
    """Give a function that makes a Scene with a ledger of its own."""
    made = []

    def make(**options):
        scene = scene_of(**options)
        made.append(scene)
        scene.evidence = scene.root.parent / f"evidence{len(made)}"
        scene.record = RECORD
        return scene

    return make


def lines(scene):
    """Return kind and record of each line; the chain has to be whole."""
    assert ledger.verify(scene.evidence) == []
    return [(each["kind"], each["record"]) for each in ledger.records(scene.evidence)]


def test_the_module_itself_records_a_swap_and_a_rollback(recorded):
    scene = recorded(staged=True)
    done = scene.run("swapped", STAGING)
    ((kind, record),) = lines(scene)
    assert kind == "restore"
    assert record | RECORD == record
    assert (record["former"], record["incoming"], record["pruned"]) == (done["former"], STAGING, [])
    assert "rename" in record["swap_seconds"] and "seen_later" not in record
    assert record["down_seconds"] == done["down_seconds"] >= 0
    back = scene.run("rolled_back")
    kind, record = lines(scene)[1]
    assert kind == "rollback"
    assert (record["brought_back"], record["undone"]) == (back["incoming"], back["former"])
    scene.recover()
    assert len(lines(scene)) == 2


@pytest.mark.long
@pytest.mark.parametrize("lost", [False, True], ids=["journal", "journal lost"])
def test_a_swap_killed_anywhere_has_one_line_after_the_next_run(recorded, lost):
    later = 0
    for at in range(1000):
        scene = recorded(staged=True)
        if not scene.killed_at(at, "swapped", STAGING):
            break
        if lost:
            scene.journal_file.unlink(missing_ok=True)
        scene.recover()
        swapped = scene.server.oid(LIVE) == STAGING_OID
        works(scene, STAGING_OID if swapped else LIVE_OID)
        found = lines(scene)
        assert [kind for kind, _ in found] == ["restore"] * swapped
        for _, record in found:
            (former,) = scene.names("__before_")
            assert record["former"] == former
            later += record.get("seen_later", False)
            assert record.get("set") == RECORD["set"] or lost
        nothing_is_left(scene)
        assert len(lines(scene)) == len(found)
    assert later > 10


def test_a_swap_without_a_live_database_that_was_killed_is_seen_later(recorded):
    for at in range(1000):
        scene = recorded(staged=True, gone=True)
        if not scene.killed_at(at, "swapped", STAGING):
            break
        committed = "after COMMIT" in scene.killer.points
        scene.recover()
        assert len(lines(scene)) == committed
        assert all(record["incoming"] == STAGING for _, record in lines(scene))


def test_a_swap_that_an_older_release_did_not_record_is_seen_later(recorded):
    """Its playbook was killed, and its module went on: the marks of the databases tell of it."""
    scene = recorded(former=True)
    done = scene.recover()
    ((kind, record),) = lines(scene)
    assert (kind, record["former"], record["seen_later"]) == ("restore", FORMER, True)
    assert record["swapped_at"] == "2026-11-01T00:00:00Z"
    assert FORMER in done["recovered"][-1]
    assert scene.recover()["recovered"] == []


def test_an_evidence_folder_that_takes_no_line_is_found_before_the_swap(recorded, monkeypatch):
    scene = recorded(staged=True)
    replace = files.replace

    def read_only(path, content, **options):
        if path.parent == scene.evidence:
            raise OSError(errno.EROFS, "Read-only file system")
        replace(path, content, **options)

    monkeypatch.setattr(files, "replace", read_only)
    for state, incoming in (("recovered", None), ("swapped", STAGING)):
        with pytest.raises(OpsError, match="Read-only file system") as caught:
            scene.run(state, incoming)
        assert caught.value.code == "ledger.unwritable"
        works(scene, LIVE_OID)
        scene.stage() if STAGING not in scene.server.databases else None
    assert not [point for point in scene.killer.points if "RENAME" in point or "stop" in point]


def test_a_ledger_that_fails_during_the_swap_undoes_nothing_and_is_made_up_for(
    recorded, monkeypatch
):
    scene = recorded(staged=True)
    append = ledger.append

    def full(*_args, **_options):
        raise OpsError("No space left on device.", "Free space.", code="ledger.unwritable")

    monkeypatch.setattr(ledger, "append", full)
    done = scene.run("swapped", STAGING)
    assert done["changed"]
    assert "The ledger lacks this restore" in done["warnings"][0]
    works(scene, STAGING_OID)
    monkeypatch.setattr(ledger, "append", append)
    scene.recover()
    ((_, record),) = lines(scene)
    assert record["seen_later"] and record["former"] == done["former"]


def test_a_swap_that_was_undone_has_a_line_that_says_so_and_none_of_a_restore(recorded):
    scene = recorded(staged=True, problems=["the page is slow"])
    with pytest.raises(OpsError):
        scene.run("swapped", STAGING)
    scene.problems.clear()
    scene.recover()
    ((kind, record),) = lines(scene)
    assert (kind, record["outcome"], record["code"]) == ("restore", "undone", "restore.probe")
    assert (record["set"], record["incoming"]) == (RECORD["set"], STAGING)
    assert "the page is slow" in record["why"] and "former" not in record
    scene.run("swapped", STAGING)
    assert [record.get("outcome") for _, record in lines(scene)] == ["undone", None]


def test_a_swap_and_a_rollback_that_were_refused_have_lines_that_say_so(recorded):
    scene = recorded(former=True)
    scene.broken["stop api"] = OpsError("api hangs.", "Kill it.", code="services.unhealthy")
    for state, incoming in (("rolled_back", None), ("swapped", "pms__restore_gone")):
        with pytest.raises(OpsError):
            scene.run(state, incoming)
    scene.broken.clear()
    found = [
        (kind, record["outcome"], record["code"])
        for kind, record in lines(scene)
        if "outcome" in record
    ]
    assert found == [
        ("rollback", "failed", "services.unhealthy"),
        ("restore", "failed", "restore.missing-copy"),
    ]


@pytest.mark.long
@pytest.mark.parametrize("lost", [False, True], ids=["journal", "journal lost"])
def test_a_swap_that_was_killed_and_is_undone_by_the_next_run_has_a_line(recorded, lost):
    undone = 0
    for at in range(1000):
        scene = recorded(staged=True, problems=["broken"])
        try:
            scene.killed_at(at, "swapped", STAGING)
        except OpsError:
            break
        committed = scene.killer.points.count("after COMMIT")
        ended = scene.journal_file.exists() is False
        if lost:
            scene.journal_file.unlink(missing_ok=True)
        scene.recover()
        found = [record["outcome"] for _, record in lines(scene) if "outcome" in record]
        undone += found == ["undone"]
        if committed and not ended and not lost:
            assert found == ["undone"], (at, scene.killer.points[-1])
    assert undone > 10


def test_how_long_the_pms_was_down_is_the_time_from_stop_to_probe():
    from ansible.module_utils.pmsops.restore import swap_record

    phases = {"stop services": 2.0, "rename": 0.5, "probe": 3.0, "slots": 9.0, "services": 40.0}
    assert swap_record.down_seconds(phases) == 5.5
    assert swap_record.down_seconds(phases | {"restart it": 60.0}, "restart it") == 65.5
