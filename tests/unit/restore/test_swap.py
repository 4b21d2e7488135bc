# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Swaps and rollbacks in one process: what they change, what they refuse, how they end."""

from __future__ import annotations

import psycopg2
import psycopg2.errors
import pytest
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.restore import database_lock, former_retention, renames, swap
from ansible.module_utils.pmsops.restore.swap_run import SwapRun

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


def refused(scene, state, incoming=None):
    """Return the error of a run, after which the live database is as it was."""
    with pytest.raises(OpsError) as caught:
        scene.run(state, incoming)
    live = scene.server.databases[LIVE]
    assert (live.oid, live.open, live.comment, live.scheduler) == (LIVE_OID, True, BOOK, True)
    assert scene.up == set(SERVICES)
    return caught.value


def test_a_swap_renames_in_one_transaction_with_the_services_down(scene):
    scene.stage()
    done = scene.run("swapped", STAGING)
    assert done["changed"]
    assert (done["live"], done["incoming"]) == (LIVE, STAGING)
    points = scene.killer.points
    renames = [number for number, each in enumerate(points) if "RENAME" in each]
    stopped = max(number for number, each in enumerate(points) if each.startswith("after stop"))
    started = min(number for number, each in enumerate(points) if each.startswith("before start"))
    assert stopped < renames[0] < renames[-1] < points.index("after COMMIT") < started
    # The second one gives the default of read-only back.
    assert points.count("after COMMIT") == 2
    assert scene.server.oid(LIVE) == STAGING_OID
    assert scene.server.oid(done["former"]) == LIVE_OID
    assert list(done["phases"]) == [
        "stop services", "rename", "open", "workers", "start services", "probe", "services",
    ]  # fmt: skip
    assert done["diff"] == {
        "before": f"{LIVE}\n{STAGING}\n",
        "after": f"{done['former']}\n{LIVE}\n",
    }


def test_a_failed_probe_swaps_back_and_the_next_try_begins_with_the_swap(scene):
    scene.stage()
    scene.problems.append("the PMS serves 3 open positions, the database holds 4")
    error = refused(scene, "swapped", STAGING)
    assert error.code == "restore.probe"
    assert "serves 3 open positions" in str(error)
    assert f"Nothing was written to the new one: the staging database {STAGING} stays" in str(error)
    assert "-e restore_probe_writes=true" in error.remedy
    assert not scene.journal_file.exists()
    kept = scene.server.databases[STAGING]
    assert (kept.oid, kept.read_only, kept.held) == (STAGING_OID, None, [1000])
    scene.problems.clear()
    assert scene.recover()["waiting"] == STAGING
    scene.run("swapped", STAGING)
    assert scene.server.oid(LIVE) == STAGING_OID


def test_a_failed_probe_after_a_rollback_keeps_the_former_database(scene):
    scene.former()
    scene.problems.append("broken")
    assert refused(scene, "rolled_back").code == "restore.probe"
    kept = scene.server.databases[FORMER]
    assert (kept.oid, kept.open) == (FORMER_OID, True)
    assert scene.server.mark(FORMER)["is"] == "former"
    assert scene.names("__undone_") == []


def test_a_failed_probe_without_a_database_before_leaves_the_new_one_live(scene_of):
    scene = scene_of(staged=True, gone=True, problems=["broken"])
    with pytest.raises(OpsError, match="It stays live") as caught:
        scene.run("swapped", STAGING)
    assert caught.value.code == "restore.probe-only"
    assert scene.server.oid(LIVE) == STAGING_OID
    assert not scene.journal_file.exists()


def test_a_pms_that_cannot_log_in_is_told_of_the_roles_without_a_password(scene_of):
    scene = scene_of(staged=True, gone=True, problems=["/health answers 503."])
    scene.server.without_password = ["dagster_user", "macro_user"]
    with pytest.raises(OpsError) as caught:
        scene.run("swapped", STAGING)
    assert caught.value.code == "restore.probe-only"
    assert str(caught.value) == (
        "The PMS did not work on the new database: /health answers 503. It stays live, because"
        " there is no former database. A likely cause: Roles without a password: dagster_user,"
        " macro_user. No set has passwords: set restore_role_passwords in the inventory, and run"
        " the same command again."
    )


def test_services_that_were_down_are_started_if_there_was_no_database_before(scene_of):
    scene = scene_of(staged=True, gone=True)
    scene.up.clear()  # they stopped when their database went away
    scene.run("swapped", STAGING)
    assert scene.up == set(SERVICES)


def test_a_probe_gets_time_until_the_pms_is_up(scene, monkeypatch):
    scene.stage()
    scene.problems.append("not up yet")
    monkeypatch.setattr(swap, "PROBE_SECONDS", 60)
    monkeypatch.setattr(swap.time, "sleep", lambda seconds: scene.problems.clear())
    assert scene.run("swapped", STAGING)["changed"]


def test_a_session_that_is_slow_to_end_delays_the_rename(scene):
    scene.stage()
    scene.server.sessions = 2
    assert scene.run("swapped", STAGING)["changed"]
    assert scene.server.oid(LIVE) == STAGING_OID
    assert len([each for each in scene.killer.points if "before ALTER" in each and "RENAME" in each]
               ) == 4  # fmt: skip


def test_a_session_that_does_not_end_refuses_the_swap_and_the_proof_is_kept(scene, monkeypatch):
    scene.stage()
    scene.server.sessions = 1000
    monkeypatch.setattr(renames, "RENAME_SECONDS", 0)
    error = refused(scene, "swapped", STAGING)
    assert error.code == "restore.not-swapped"
    assert "accessed by other users" in str(error)
    assert scene.recover()["waiting"] == STAGING


def test_an_error_of_the_rename_is_not_tried_again(scene):
    scene.stage()

    def full(statement):
        if "RENAME" in statement:
            raise psycopg2.errors.DiskFull("could not write")

    scene.server.before = full
    assert refused(scene, "swapped", STAGING).code == "restore.not-swapped"


def test_what_does_not_start_after_a_refused_swap_is_named_too(scene, monkeypatch):
    scene.stage()
    scene.server.sessions = 1000
    monkeypatch.setattr(renames, "RENAME_SECONDS", 0)
    scene.broken["start api"] = OpsError("api is not healthy.", "Look.", code="services.unhealthy")
    with pytest.raises(OpsError, match=r"could not be renamed.*Then: api is not healthy") as caught:
        scene.run("swapped", STAGING)
    assert caught.value.code == "restore.not-swapped"


def test_a_service_that_does_not_stop_refuses_the_swap(scene):
    scene.stage()
    scene.broken["stop worker"] = OpsError("worker hangs.", "Kill it.", code="services.unhealthy")
    assert refused(scene, "swapped", STAGING).code == "services.unhealthy"
    assert scene.names("__before_") == []


def test_a_service_that_hangs_does_not_stop_the_way_back(scene):
    scene.stage()
    scene.problems.append("broken")

    def hang_from_now_on(statement):
        if "RENAME" in statement:
            scene.broken["stop api"] = OpsError("api hangs.", "Kill it.", code="services.unhealthy")

    scene.server.before = hang_from_now_on
    assert refused(scene, "swapped", STAGING).code == "restore.probe"


def test_services_and_workers_that_do_not_start_are_a_failed_probe(scene):
    scene.stage()
    failures = [psycopg2.OperationalError("server closed the connection")]

    def fail_once(statement):
        if "NOT datallowconn" in statement and failures:
            raise failures.pop()

    scene.server.before = fail_once
    error = refused(scene, "swapped", STAGING)
    assert error.code == "restore.probe"
    assert "ended the connection to database pms" in str(error)


def test_only_services_that_ran_are_started_again(scene):
    scene.stage()
    scene.up.remove("worker")
    scene.run("swapped", STAGING)
    assert scene.up == {"api"}


def test_an_incoming_database_without_a_mark_is_swapped_too(scene):
    scene.server.add("by_hand", 50)
    assert scene.run("swapped", "by_hand")["changed"]
    assert scene.server.oid(LIVE) == 50


def test_a_read_only_setting_of_the_live_database_comes_back_with_it(scene):
    scene.stage()
    scene.server.databases[LIVE].read_only = "off"
    scene.run("swapped", STAGING)
    scene.run("rolled_back")
    assert scene.server.databases[LIVE].read_only == "off"
    assert scene.server.oid(LIVE) == LIVE_OID


def test_a_staging_database_that_is_gone_is_refused(scene):
    assert refused(scene, "swapped", STAGING).code == "restore.missing-copy"


def test_a_rollback_without_a_former_database_is_refused(scene):
    assert refused(scene, "rolled_back").code == "restore.no-former"
    assert refused(scene, "rolled_back", "postgres").code == "restore.no-former"


def test_a_database_of_another_pms_is_no_target_of_a_rollback(scene):
    scene.former("other__before_20261101000000", 9, of="other")
    error = refused(scene, "rolled_back", "other__before_20261101000000")
    assert error.code == "restore.no-former"


def test_another_machine_at_work_is_respected(scene, monkeypatch):
    scene.stage()
    scene.server.locked_elsewhere = True
    monkeypatch.setattr(database_lock, "ATTEMPT_SECONDS", 0)
    assert refused(scene, "swapped", STAGING).code == "restore.elsewhere"


def test_a_broken_connection_is_explained(scene):
    def broken(statement):
        if "shobj_description" in statement:
            raise psycopg2.OperationalError("server closed the connection unexpectedly")

    scene.server.before = broken
    with pytest.raises(OpsError) as caught:
        scene.run("rolled_back")
    # The server takes another connection: it is up.
    assert caught.value.code == "database.session-ended"


def test_old_former_databases_are_dropped_after_a_swap_and_never_after_a_failed_one(scene):
    scene.policy = former_retention.Policy(count=2)
    for number in (1, 2, 3):
        name = f"pms__before_2026010{number}000000"
        scene.former(name, number, since=f"2026-01-0{number}T00:00:00Z", replaced_by=None)
    scene.stage()
    scene.problems.append("broken")
    refused(scene, "swapped", STAGING)
    assert len(scene.names("__before_")) == 3
    scene.problems.clear()
    scene.stage()
    done = scene.run("swapped", STAGING)
    assert done["pruned"] == ["pms__before_20260101000000", "pms__before_20260102000000"]
    assert sorted(scene.names("__before_")) == ["pms__before_20260103000000", done["former"]]


# --- Plans ----------------------------------------------------------------------------------------


def planned(scene, state, incoming=None):
    """Return the plan of a run, which changes nothing."""
    scene.killer.points.clear()
    plan = scene.swap_run().plan(state, incoming)
    assert scene.killer.points == []
    return plan


def test_a_plan_names_what_would_be_renamed(scene):
    scene.stage()
    plan = planned(scene, "swapped", STAGING)
    assert plan["changed"]
    assert plan["since"] == "2026-11-23T06:00:00Z"
    assert plan["former"].startswith("pms__before_")
    assert plan["diff"]["after"] == f"{plan['former']}\n{LIVE}\n"
    assert planned(scene, "swapped", "not_there_yet")["since"] is None


def test_a_plan_of_a_rollback_names_the_former_database_and_nothing_after_one(scene):
    scene.former()
    plan = planned(scene, "rolled_back")
    assert (plan["incoming"], plan["former"][:12]) == (FORMER, "pms__undone_")
    scene.run("rolled_back")
    assert planned(scene, "rolled_back")["changed"] is False


def test_a_plan_of_a_recovery_says_whether_there_is_something_to_do(scene):
    assert planned(scene, "recovered") == planned(scene, "recovered") | {
        "changed": False,
        "recovered": [],
    }
    scene.server.add("pms__restore_20260101000000", 60)
    plan = planned(scene, "recovered")
    assert plan["changed"]
    assert plan["recovered"] == ["An interrupted run would be finished or cleaned up first."]


def test_a_plan_without_a_live_database_renames_one_only(scene_of):
    plan = planned(scene_of(staged=True, gone=True), "swapped", STAGING)
    assert plan["former"] is None
    assert plan["diff"] == {"before": f"\n{STAGING}\n", "after": f"\n{LIVE}\n"}


def test_a_run_is_made_from_the_options_of_the_module(tmp_path):
    made = SwapRun.from_options(
        {
            "database": {"host": "h", "port": 1, "name": LIVE, "user": "u"},
            "services": None,
            "redis": None,
            "api": None,
            "root": str(tmp_path),
            "keep_former": 3,
            "keep_former_days": 7,
            "slots": "drop",
            "evidence_root": str(tmp_path / "evidence"),
            "record": {"set": "s"},
            "probe_seconds": 60,
            "restart_seconds": 300,
            "probe_writes": True,
        }
    )
    assert (made.probe_seconds, made.restart_seconds, made.probe_writes) == (60, 300, True)
    assert (made.database.name, made.services.names, made.url) == (LIVE, (), None)
    assert made.policy == former_retention.Policy(3, 7)
    assert made.slots == "drop"
    assert (made.evidence_root, made.record) == (tmp_path / "evidence", {"set": "s"})
