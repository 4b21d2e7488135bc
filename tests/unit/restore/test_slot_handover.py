# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Logical slots and prepared transactions at swaps, rollbacks and drops that may die anywhere."""

from __future__ import annotations

import pytest
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.restore import former_retention

from tests.unit.restore.conftest import FORMER, LIVE, LIVE_OID, SERVICES, STAGING, STAGING_OID


def with_slots(scene, handling):
    scene.server.slots = {"cdc": ("pgoutput", LIVE_OID), "other": ("wal2json", 99)}
    scene.slots = handling
    return scene


def places(scene):
    """Return the OID of the database of each slot."""
    return {name: oid for name, (_plugin, oid) in scene.server.slots.items()}


def test_slots_refuse_a_swap_before_anything_changes(scene):
    with_slots(scene, "refuse").stage()
    with pytest.raises(OpsError, match=r"cdc \(pgoutput, idle\)") as caught:
        scene.run("swapped", STAGING)
    assert caught.value.code == "restore.slots"
    assert "restore_slots=recreate" in caught.value.remedy
    assert not any("stop" in each or "ALTER" in each for each in scene.killer.points)
    assert places(scene) == {"cdc": LIVE_OID, "other": 99}


@pytest.mark.parametrize(("handling", "left"), [("drop", {}), ("recreate", {"cdc": STAGING_OID})])
def test_slots_are_handed_over_once_the_pms_works(scene, handling, left):
    with_slots(scene, handling).stage()
    done = scene.run("swapped", STAGING)
    assert places(scene) == left | {"other": 99}
    assert [(each["name"], each["outcome"]) for each in done["slots"]] == [
        ("cdc", {"drop": "dropped", "recreate": "recreated"}[handling])
    ]
    assert "read all tables again" in done["slots"][0]["text"]
    points = scene.killer.points
    assert points.index("probe") < points.index("before drop of slot cdc")


@pytest.mark.parametrize("handling", ["drop", "recreate"])
def test_a_failed_probe_leaves_the_slots_alone(scene, handling):
    with_slots(scene, handling).stage()
    scene.problems.append("broken")
    with pytest.raises(OpsError, match="broken"):
        scene.run("swapped", STAGING)
    assert places(scene) == {"cdc": LIVE_OID, "other": 99}
    assert not any("of slot" in each for each in scene.killer.points)


@pytest.mark.long
@pytest.mark.parametrize("lost", [False, True], ids=["journal", "journal lost"])
@pytest.mark.parametrize("broken", [False, True], ids=["works", "broken"])
@pytest.mark.parametrize("handling", ["drop", "recreate"])
def test_no_slot_is_lost_in_silence_wherever_a_swap_dies(scene_of, handling, broken, lost):
    """*broken*: the PMS does not work when the next run looks, so that the swap is reverted."""
    scene = with_slots(scene_of(staged=True), handling)
    scene.killer.points.clear()
    scene.run("swapped", STAGING)
    total, handed_over, given_back = len(scene.killer.points), 0, 0
    for at in range(total):
        scene = with_slots(scene_of(staged=True), handling)
        assert scene.killed_at(at, "swapped", STAGING)
        if lost:
            scene.journal_file.unlink(missing_ok=True)
        scene.problems += ["broken"] * broken
        scene.slots = "refuse"  # what was decided is in the journal
        scene.recover()
        if scene.server.oid(LIVE) == STAGING_OID:
            handed_over += 1
            expected = {"cdc": STAGING_OID} if handling == "recreate" else {}
        else:
            given_back += 1
            expected = {"cdc": LIVE_OID}
        assert places(scene) == expected | {"other": 99}, scene.killer.points[:1]
        assert scene.up == set(SERVICES)
    assert given_back > 20
    assert handed_over >= (1 if broken else 5)


def test_a_slot_that_cannot_be_made_is_an_outcome_and_names_the_statement(scene):
    with_slots(scene, "recreate").stage()

    def refuse(statement):
        if "SELECT pg_create_logical" in statement:
            raise OpsError("all replication slots are in use", "Free one.", code="x.y")

    scene.server.before = refuse
    (slot,) = scene.run("swapped", STAGING)["slots"]
    assert slot["outcome"] == "failed"
    assert "SELECT pg_create_logical_replication_slot('cdc', 'pgoutput')" in slot["text"]
    assert scene.server.oid(LIVE) == STAGING_OID


@pytest.mark.parametrize("where", [LIVE, STAGING])
def test_prepared_transactions_refuse_a_swap_before_anything_changes(scene, where):
    scene.stage()
    scene.server.prepared.append(("order 'seven'", where))
    with pytest.raises(OpsError, match=r"'order ''seven''' of macro_user") as caught:
        scene.run("swapped", STAGING)
    assert caught.value.code == "restore.prepared-transactions"
    assert "ROLLBACK PREPARED 'order ''seven'''" in caught.value.remedy
    assert not any("stop" in each or "ALTER" in each for each in scene.killer.points)
    assert scene.recover()["waiting"] == STAGING


def test_a_former_database_with_a_slot_is_not_dropped_and_named(scene):
    scene.stage()
    scene.former(replaced_by=1)
    scene.server.slots = {"old": ("pgoutput", scene.server.oid(FORMER))}
    scene.policy = former_retention.Policy(count=1)
    done = scene.run("swapped", STAGING)
    assert done["pruned"] == []
    (told,) = done["not_dropped"]
    assert FORMER in told
    assert "pg_drop_replication_slot('old')" in told
    assert FORMER in scene.server.databases


def test_a_staging_database_that_cannot_be_dropped_blocks_nothing(scene):
    scene.stage(step="restoring")
    scene.server.prepared.append(("late", STAGING))
    done = scene.recover()
    assert any("stays" in line and "ROLLBACK PREPARED 'late'" in line for line in done["recovered"])
    assert not scene.journal_file.exists()


def test_the_plan_names_slots_and_prepared_transactions(scene):
    with_slots(scene, "refuse").former()
    scene.server.prepared.append(("late", LIVE))
    plan = scene.swap_run().plan("rolled_back", None)
    assert [each["name"] for each in plan["slots"]] == ["cdc"]
    assert "would be refused" in plan["slots"][0]["text"]
    assert "'late' of macro_user" in plan["prepared_transactions"][0]
