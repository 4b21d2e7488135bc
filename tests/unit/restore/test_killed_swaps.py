# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Swaps and rollbacks that die at every single point, and what the next run makes of each."""

from __future__ import annotations

import pytest

from tests.unit.restore.conftest import (
    BOOK,
    FORMER,
    FORMER_OID,
    LIVE,
    LIVE_OID,
    SERVICES,
    STAGING,
    STAGING_OID,
)


def points_of(scene, state, incoming=None):
    """Return how many points a run passes that nobody kills."""
    scene.killer.points.clear()
    try:
        scene.run(state, incoming)
    except Exception:  # noqa: BLE001  # a failed probe is a run's end too
        assert scene.problems
    return len(scene.killer.points)


def works(scene, oid):
    """See that database *oid* is the live one, whole, open, writable, with all that runs on it."""
    live = scene.server.databases[LIVE]
    assert live.oid == oid
    assert (live.open, live.read_only, live.comment, live.scheduler) == (True, None, BOOK, True)
    assert scene.up == set(SERVICES)
    marks = [scene.server.mark(name) for name in scene.server.databases]
    assert [mark for mark in marks if "state" in mark] == []
    assert all(each.open for each in scene.server.databases.values())


def nothing_is_left(scene):
    """See that a recovery finds nothing to do, and changes nothing."""
    before = {name: vars(each).copy() for name, each in scene.server.databases.items()}
    again = scene.recover()
    assert again["changed"] == bool(again["waiting"])
    assert {name: vars(each) for name, each in scene.server.databases.items()} == before
    assert scene.journal_file.exists() == bool(again["waiting"])
    left = {path.name for path in scene.journal_file.parent.iterdir()}
    assert left <= {"restore.json", "restore.room", "restore.lock"}


@pytest.mark.long
@pytest.mark.parametrize("lost", [False, True], ids=["journal", "journal lost"])
def test_a_swap_killed_anywhere_is_finished_or_taken_back(scene_of, lost):
    scene = scene_of(staged=True)
    total = points_of(scene, "swapped", STAGING)
    assert total > 50
    finished = taken_back = 0
    for at in range(total):
        scene = scene_of(staged=True)
        assert scene.killed_at(at, "swapped", STAGING)
        committed = "after COMMIT" in scene.killer.points
        last = scene.killer.points[-1]
        assert LIVE in scene.server.databases, f"no live database after {last}"
        if lost:
            scene.journal_file.unlink(missing_ok=True)
        done = scene.recover()
        if scene.server.oid(LIVE) == STAGING_OID:
            finished += 1
            assert committed, last
            works(scene, STAGING_OID)
            (former,) = scene.names("__before_")
            kept = scene.server.databases[former]
            assert (kept.oid, kept.read_only) == (LIVE_OID, "on")
            mark = scene.server.mark(former)
            assert (mark["is"], mark["replaced_by"], mark["comment"]) == (
                "former",
                STAGING_OID,
                BOOK,
            )
            assert scene.server.databases[LIVE].held == []
            if done["finished"]:
                assert done["resumed"]
        else:
            taken_back += 1
            assert not committed, last
            works(scene, LIVE_OID)
            assert done["waiting"] == STAGING
            assert scene.names("__before_") == []
        nothing_is_left(scene)
        if scene.server.oid(LIVE) == STAGING_OID:
            scene.run("rolled_back")
            works(scene, LIVE_OID)
        else:
            scene.run("swapped", STAGING)
            works(scene, STAGING_OID)
    assert finished > 10
    assert taken_back > 20


@pytest.mark.long
@pytest.mark.parametrize("lost", [False, True], ids=["journal", "journal lost"])
def test_a_rollback_killed_anywhere_is_finished_or_taken_back(scene_of, lost):
    scene = scene_of(former=True)
    total = points_of(scene, "rolled_back")
    for at in range(total):
        scene = scene_of(former=True)
        assert scene.killed_at(at, "rolled_back")
        committed = "after COMMIT" in scene.killer.points
        if lost:
            scene.journal_file.unlink(missing_ok=True)
        done = scene.recover()
        assert done["finished"] in (None, "former")
        works(scene, FORMER_OID if committed else LIVE_OID)
        nothing_is_left(scene)
        after = scene.run("rolled_back")  # finished, it changes nothing any more
        assert after["changed"] is not committed
        works(scene, FORMER_OID)
        (undone,) = scene.names("__undone_")
        assert scene.server.oid(undone) == LIVE_OID


@pytest.mark.long
@pytest.mark.parametrize("lost", [False, True], ids=["journal", "journal lost"])
@pytest.mark.parametrize("mended", [False, True], ids=["still broken", "mended meanwhile"])
def test_a_swap_killed_while_it_goes_back_never_leaves_a_broken_pms(scene_of, lost, mended):
    scene = scene_of(staged=True, problems=["the PMS does not answer"])
    total = points_of(scene, "swapped", STAGING)
    ends = set()
    for at in range(total):
        scene = scene_of(staged=True, problems=["the PMS does not answer"])
        assert scene.killed_at(at, "swapped", STAGING)
        # The renames, the default of read-only, the renames back.
        went_back = scene.killer.points.count("after COMMIT") == 3
        if mended:
            scene.problems.clear()
        if lost:
            scene.journal_file.unlink(missing_ok=True)
        scene.recover()
        oid = scene.server.oid(LIVE)
        ends.add(oid)
        works(scene, oid)
        if went_back:
            assert (oid, scene.names("__")) == (LIVE_OID, [STAGING])
            assert scene.server.databases[STAGING].read_only is None
            assert scene.server.databases[STAGING].scheduled == []
        nothing_is_left(scene)
    assert ends == ({LIVE_OID, STAGING_OID} if mended else {LIVE_OID})


@pytest.mark.long
def test_a_swap_without_a_live_database_killed_anywhere_ends_with_one(scene_of):
    scene = scene_of(staged=True, gone=True)
    total = points_of(scene, "swapped", STAGING)
    for at in range(total):
        scene = scene_of(staged=True, gone=True)
        assert scene.killed_at(at, "swapped", STAGING)
        committed = "after COMMIT" in scene.killer.points
        done = scene.recover()
        assert (LIVE in scene.server.databases) is committed
        if not committed:
            assert done["waiting"] == STAGING
            scene.run("swapped", STAGING)
        works(scene, STAGING_OID)
        assert scene.names("__") == []


# Where the first run dies, by what it had just done.
DEATHS = ("before COMMIT", "after COMMIT", "before start api", "after write restore.json")


@pytest.mark.long
@pytest.mark.parametrize("problems", [[], ["the PMS does not answer"]], ids=["well", "broken"])
@pytest.mark.parametrize("death", DEATHS)
def test_a_recovery_that_is_killed_anywhere_is_done_by_the_next_one(scene_of, death, problems):
    scene = scene_of(staged=True, problems=problems)
    points_of(scene, "swapped", STAGING)
    first = len(scene.killer.points) - 1 - scene.killer.points[::-1].index(death)
    scene = scene_of(staged=True, problems=problems)
    scene.killed_at(first, "swapped", STAGING)
    for at in range(500):
        scene = scene_of(staged=True, problems=problems)
        scene.killed_at(first, "swapped", STAGING)
        died = scene.killed_at(at, "recovered")
        scene.recover()
        works(scene, scene.server.oid(LIVE))
        nothing_is_left(scene)
        if not died:
            break
    assert not died
    assert at > 3


def test_a_rollback_to_a_named_database_goes_there(scene_of):
    scene = scene_of(former=True)
    scene.former("pms__before_20260901000000", 3, replaced_by=FORMER_OID)
    done = scene.run("rolled_back", "pms__before_20260901000000")
    assert done["incoming"] == "pms__before_20260901000000"
    works(scene, 3)
    assert FORMER in scene.server.databases
