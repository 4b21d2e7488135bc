# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Restores that die at every point between the preflight and the proof, and what comes after."""

from __future__ import annotations

import errno
from contextlib import suppress
from dataclasses import replace

import pytest
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.common.progress import Progress
from ansible.module_utils.pmsops.repository import retention, sets
from ansible.module_utils.pmsops.restore import single_tables
from ansible.module_utils.pmsops.restore.request import Request
from ansible.module_utils.pmsops.restore.run import StagedRestore, restore_set
from ansible.module_utils.pmsops.verify import against_set

from tests.support.fake_server import Killed
from tests.unit.restore.conftest import BOOK, LIVE, LIVE_OID
from tests.unit.restore.test_failing_disk import CODES, Disk


def restored(scene, **options):
    """Restore the set in one process; return the result."""
    request = Request(scene.root, scene.root.parent / "keys", scene.folder, keep=True)
    return restore_set(
        scene.server.database(LIVE), replace(request, **options), progress=Progress()
    )


def killed_restore(scene, at, **options):
    """Restore and die at a point; tell whether the run came there."""
    scene.killer.points.clear()
    scene.killer.at = at
    try:
        with suppress(Killed):
            restored(scene, **options)
        return scene.killer.dead
    finally:
        scene.killer.dead, scene.killer.at = False, None


def untouched(scene):
    """See that the live database is as it was."""
    live = scene.server.databases[LIVE]
    assert (live.oid, live.open, live.comment, live.read_only) == (LIVE_OID, True, BOOK, None)
    assert scene.up == {"api", "worker"}


def test_a_kept_staging_database_is_marked_journalled_and_the_set_verified(restores):
    scene = restores()
    done = restored(scene)
    mark = scene.server.mark(done["side"])
    assert (mark["is"], mark["of"], mark["step"]) == ("copy", LIVE, "proved")
    assert mark["manifest_sha256"] == done["manifest_sha256"] == scene.sha256
    assert scene.journal().state["step"] == "proved"
    assert sets.verification(scene.folder)["tables"] == 0
    assert done["duration_today_seconds"] == pytest.approx(done["duration_seconds"] * 10, abs=0.02)
    assert (done["differences"], done["verified"], done["jobs"]) == (0, "everything", [1000])
    untouched(scene)


def test_a_drill_leaves_nothing(restores):
    scene = restores()
    done = restored(scene, keep=False)
    assert done["side"] is None
    assert list(scene.server.databases) == [LIVE]
    assert not scene.journal_file.exists()


def test_a_staging_database_that_differs_is_dropped_and_the_set_not_verified(restores):
    scene = restores()
    scene.differs = True
    with pytest.raises(OpsError, match="It differs"):
        restored(scene)
    assert list(scene.server.databases) == [LIVE]
    assert not scene.journal_file.exists()
    assert sets.verification(scene.folder) is None


def test_a_kept_database_in_which_something_moved_is_restored_anew(restores):
    """A swap back keeps it; while it was live, a sequence may have moved on."""
    scene = restores()
    staging = restored(scene)["side"]
    oid = scene.server.oid(staging)
    assert scene.recover()["waiting"] == staging
    scene.server.before = lambda statement: (
        setattr(scene, "differs", False) if statement.startswith("DROP") else None
    )
    scene.differs = True
    done = restored(scene)
    assert scene.names("__restore_") == [done["side"]]
    assert scene.server.oid(done["side"]) >= oid
    assert "It differs" not in str(done)
    assert any(sql.startswith("DROP DATABASE") for _, sql in scene.server.statements)
    scene.run("swapped", done["side"])
    assert scene.server.databases[LIVE].open


def test_a_restore_refuses_to_begin_over_an_unfinished_one(restores):
    scene = restores()
    scene.journal().record("aside", live=LIVE, side="pms__restore_20260101000000")
    with pytest.raises(OpsError) as caught:
        restored(scene)
    assert caught.value.code == "restore.unfinished"
    assert scene.journal().state["step"] == "aside"


@pytest.mark.parametrize("keep", [True, False], ids=["restore", "drill"])
@pytest.mark.parametrize("lost", [False, True], ids=["journal", "journal lost"])
def test_a_restore_killed_anywhere_is_done_by_the_next_run(restores, keep, lost):
    at, died = 0, True
    waited = 0
    while died:
        scene = restores()
        died = killed_restore(scene, at, keep=keep)
        untouched(scene)
        if lost:
            scene.journal_file.unlink(missing_ok=True)
        found = scene.recover()
        untouched(scene)
        left = scene.names("__restore_")
        assert left == ([found["waiting"]] if found["waiting"] else [])
        if found["waiting"]:
            waited += 1
            assert "proof" in scene.killer.points or not died
        done = restored(scene)
        assert done["side"] == (found["waiting"] or done["side"])
        scene.run("swapped", done["side"])
        assert scene.server.jobs_run_early == []
        assert scene.server.databases[LIVE].scheduled == [1000]
        assert scene.names("__restore_") == []
        at += 1
    assert at > 15
    assert (waited > 0) is keep


def test_jobs_that_a_killed_swap_released_are_held_again_before_the_proof(restores):
    scene = restores()
    staging = restored(scene)["side"]
    scene.killer.points.clear()
    scene.run("swapped", staging)
    at = scene.killer.points.index('before ALTER DATABASE "pms" ALLOW_CONNECTIONS false')
    scene = restores()
    staging = restored(scene)["side"]
    assert scene.killed_at(at, "swapped", staging)
    assert scene.server.databases[staging].scheduled == [1000]
    assert scene.recover()["waiting"] == staging
    assert restored(scene)["side"] == staging
    assert scene.server.jobs_run_early == []
    assert scene.server.databases[staging].held == [1000]


@pytest.mark.parametrize("keep", [True, False], ids=["restore", "drill"])
def test_retention_does_not_delete_the_set_that_a_restore_reads(restores, keep):
    scene = restores()
    stayed = []

    def prune(statement):
        if statement.startswith("CREATE DATABASE"):
            stayed.append(retention.prune([scene.folder]))

    scene.server.before = prune
    restored(scene, keep=keep)
    ((removed, (why,)),) = stayed
    assert removed == [] and "is being read" in why
    assert sets.verification(scene.folder)


def test_retention_does_not_delete_the_set_that_tables_are_restored_from(restores, monkeypatch):
    scene = restores()
    request = Request(scene.root, scene.root.parent / "keys", scene.folder)

    def fill(*_args):
        retention.remove(scene.folder)

    monkeypatch.setattr(single_tables, "_check", lambda *args: None)
    monkeypatch.setattr(StagedRestore, "fill", fill)
    wanted = single_tables.TableRequest.parse(["book"], "last_night")
    with pytest.raises(OpsError) as caught:
        single_tables.run(scene.server.database(LIVE), request, wanted, progress=Progress())
    assert caught.value.code == "set.in-use"
    untouched(scene)


def test_retention_does_not_delete_the_set_that_a_comparison_reads(restores, monkeypatch):
    scene = restores()
    monkeypatch.setattr(
        sets, "check", lambda chosen, *_args, **_more: retention.remove(chosen.path)
    )
    with pytest.raises(OpsError) as caught:
        against_set.against(
            scene.server.database(LIVE), root=scene.root, keys=scene.root, file=scene.folder
        )
    assert caught.value.code == "set.in-use"


@pytest.mark.parametrize("number", CODES, ids=errno.errorcode.get)
@pytest.mark.parametrize("keep", [True, False], ids=["restore", "drill"])
def test_a_disk_that_fails_during_a_restore_is_told_and_the_next_run_works(
    restores, monkeypatch, number, keep
):
    disk, codes = Disk(monkeypatch), set()
    for good in range(30):
        scene = restores()
        disk.fails_from(good, number)
        try:
            done = restored(scene, keep=keep)
        except OpsError as exc:
            codes.add(exc.code)
            done = None
        untouched(scene)
        finished = not disk.refuses()
        disk.mended()
        if done is None or not keep:
            waiting = scene.recover()["waiting"]
            assert waiting in (None, *scene.server.databases)
            done = restored(scene)
        assert scene.run("swapped", done["side"])["changed"]
        assert scene.server.oid(LIVE) != LIVE_OID
        if finished:
            break
    else:
        pytest.fail("the run writes more often than this test counts")
    assert codes == {CODES[number]}
