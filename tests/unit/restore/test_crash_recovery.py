# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""What recovery finds besides a swap: leftovers, closed databases, staging databases, sessions."""

from __future__ import annotations

import psycopg2.errors
import pytest
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.restore import crash_recovery, scratch

from tests.unit.restore.conftest import LIVE, LIVE_OID, STAGING, STAGING_OID


def test_with_nothing_left_there_is_nothing_to_say(scene):
    done = scene.recover()
    assert (done["changed"], done["recovered"], done["waiting"]) == (False, [], None)


def test_a_staging_database_of_a_dead_restore_is_dropped_marked_or_not(scene):
    scene.stage(step="restoring")
    scene.journal().record("aside", live=LIVE, side=STAGING)
    scene.server.add("pms__restore_20260101000000", 60)
    scene.server.add("pms__restore_mine", 61)
    done = scene.recover()
    assert done["waiting"] is None
    assert scene.names("__") == ["pms__restore_mine"]
    assert done["recovered"][0] == "The previous run ended in step 'aside'."
    assert len([line for line in done["recovered"] if "was dropped" in line]) == 2
    assert not scene.journal_file.exists()


def test_a_proved_staging_database_waits_only_for_a_restore_of_its_own_set(scene):
    scene.stage()
    assert scene.recover()["waiting"] == STAGING
    assert scene.journal().state["side"] == STAGING
    scene.stage(manifest_sha256="of another set")
    assert scene.recover()["waiting"] is None
    assert scene.names("__") == []


def test_a_staging_database_whose_probe_failed_does_not_wait(scene):
    scene.stage(step="rejected")
    assert scene.recover()["waiting"] is None


@pytest.mark.parametrize("file", ["", "gone", "notes.txt"])
def test_without_a_set_nothing_waits(scene, file):
    scene.stage()
    path = scene.root / file if file else None
    if file == "notes.txt":
        path.write_text("SELECT 1")
    try:
        done = scene.run("recovered", resume=path)
    finally:
        (scene.root / "notes.txt").unlink(missing_ok=True)
    assert (done["waiting"], done["resumed"]) == (None, False)
    assert scene.names("__") == []


def test_a_live_database_that_refuses_connections_is_opened(scene):
    scene.server.databases[LIVE].open = False
    done = scene.recover()
    assert scene.server.databases[LIVE].open
    assert done["recovered"] == ["pms refused connections; it accepts them again."]


def test_files_of_a_dead_run_are_removed(scene):
    with scratch.folder(scene.root) as folder:
        left = folder.with_name(folder.name + "x")
    left.mkdir()
    (left / "plain.pgdump").write_bytes(b"secret")
    state = scene.journal_file.parent
    for name in ("restore.progress", "restore.77.tmp", ".restore.json.77", "postponed-jobs.json"):
        (state / name).write_text("{}")
    done = scene.recover()
    assert done["recovered"] == [f"{left} was removed."]
    assert not left.exists()
    assert {path.name for path in state.iterdir()} == {"postponed-jobs.json", "restore.lock"}


def test_sessions_of_a_dead_run_are_ended_before_anything_else(scene, monkeypatch):
    scene.journal().record("aside", live=LIVE, side=STAGING)
    monkeypatch.setattr(crash_recovery.time, "sleep", lambda seconds: None)
    asked = []

    def appear(statement):
        if "pid <> pg_backend_pid()" in statement:
            asked.append(statement)
            if len(asked) == 2:  # the server had gone on with a CREATE DATABASE of the dead run
                scene.server.add(STAGING, STAGING_OID)

    scene.server.before = appear
    scene.server.dying = 2
    scene.recover()
    assert len(asked) == 3
    assert scene.names("__") == []


def test_the_wait_for_sessions_has_an_end(scene, monkeypatch):
    scene.journal().record("aside", live=LIVE, side=STAGING)
    monkeypatch.setattr(crash_recovery, "SESSIONS_END_SECONDS", 0.02)
    monkeypatch.setattr(crash_recovery.time, "sleep", lambda seconds: None)
    scene.server.dying = 10**9
    assert scene.recover()["changed"]


def test_sidecars_of_a_dead_run_are_removed_where_the_tools_run_in_containers(scene, monkeypatch):
    removed = []
    monkeypatch.setattr(crash_recovery.sidecar, "remove_dead", lambda: removed.append(True))
    scene.recover()
    assert removed == []
    scene.access = "container"
    scene.recover()
    assert removed == [True]


def test_a_clean_up_that_fails_blocks_no_restore_and_says_what_to_type(scene, monkeypatch):
    """A leftover that could not be removed ended each later drill and restore."""
    with scratch.folder(scene.root) as folder:
        left = folder.with_name(folder.name + "x")
    left.mkdir()
    scene.journal().record("aside", live=LIVE, side=STAGING)
    scene.stage()
    monkeypatch.setattr(scratch.shutil, "rmtree", lambda path, **options: None)
    scene.access = "container"

    def no_engine():
        raise ConnectionError("the engine does not answer")

    monkeypatch.setattr(crash_recovery.sidecar, "remove_dead", no_engine)

    def refuse(statement):
        if statement.startswith("DROP DATABASE"):
            raise psycopg2.errors.ObjectInUse("it is used by an active logical replication slot")
        if "application_name = 'pms-ops' AND pid <>" in statement:
            raise psycopg2.errors.InsufficientPrivilege("permission denied to terminate process")

    scene.server.before = refuse
    try:
        said = "\n".join(scene.run("recovered")["recovered"])
    finally:
        left.rmdir()
    assert f"rm -r {left}" in said
    assert "was removed" not in said
    assert "docker rm -f $(docker ps -aq --filter label=pms-ops.client-of)" in said
    assert "SELECT pg_terminate_backend(pid)" in said
    assert f"The database {STAGING} stays" in said
    assert not scene.journal_file.exists()
    scene.server.before = lambda statement: None
    scene.stage()
    assert scene.run("swapped", STAGING)["changed"]


@pytest.mark.parametrize("step", ["stop services", "start services"])
def test_what_does_not_start_stops_the_recovery_and_the_next_one_goes_on(scene_of, step):
    scene = scene_of(staged=True)
    scene.killer.points.clear()
    scene.run("swapped", STAGING)
    point = "after stop api" if step == "stop services" else "before start api"
    at = scene.killer.points.index(point)
    scene = scene_of(staged=True)
    scene.killed_at(at, "swapped", STAGING)
    scene.broken["start api"] = OpsError("api is not healthy.", "Look.", code="services.unhealthy")
    if step == "stop services":
        with pytest.raises(OpsError, match="api is not healthy") as caught:
            scene.recover()
        assert caught.value.code == "restore.not-revived"
        scene.broken.clear()
        assert scene.recover()["waiting"] == STAGING
        assert scene.up == {"api", "worker"}
    else:  # the renames had happened: the swap is taken back
        scene.recover()
        assert scene.server.oid(LIVE) == LIVE_OID
        scene.broken.clear()
        scene.recover()


def test_a_new_database_that_does_not_work_stays_where_none_was_before(scene_of):
    scene = scene_of(staged=True, gone=True)
    scene.run("swapped", STAGING)
    at = scene.killer.points.index("before start api")
    scene = scene_of(staged=True, gone=True, problems=["broken"])
    scene.killed_at(at, "swapped", STAGING)
    with pytest.raises(OpsError, match="broken") as caught:
        scene.recover()
    assert caught.value.code == "restore.not-revived"
    assert scene.server.oid(LIVE) == STAGING_OID
    scene.problems.clear()
    assert scene.recover()["resumed"]
