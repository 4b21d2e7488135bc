# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Swaps that are refused: no acknowledged write is lost, and what was written is kept."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.restore import former_retention, swap
from ansible.module_utils.pmsops.services import manager

from tests.unit.restore.conftest import FORMER, LIVE, LIVE_OID, STAGING, STAGING_OID
from tests.unit.restore.test_killed_swaps import points_of

MODES = ["compose", "systemd", "none"]


def write_at_every_point(scene, mode, clients=8):
    """Have clients write whenever a run does anything; those of services only while these run."""
    passed = scene.killer.passed

    def written(name):
        passed(name)
        for number in range(clients):
            if mode == "none" or number % 2 or "worker" in scene.up:
                scene.server.write(LIVE)

    scene.killer.passed = written


def kept_writes(scene):
    """Return how many acknowledged writes a database still has, by the database's name."""
    return {name: len(each.rows) for name, each in scene.server.databases.items() if each.rows}


@pytest.mark.parametrize("mode", MODES)
def test_a_refused_swap_loses_no_acknowledged_write(scene, mode):
    scene.stage()
    scene.problems.append("the PMS does not answer")
    write_at_every_point(scene, mode)
    with pytest.raises(OpsError, match="Nothing was written to the new one"):
        scene.run("swapped", STAGING)
    assert scene.server.acknowledged > 50
    assert kept_writes(scene) == {LIVE: scene.server.acknowledged}
    assert scene.server.oid(LIVE) == LIVE_OID
    assert scene.server.locks == {}


@pytest.mark.parametrize("mode", MODES)
def test_an_accepted_swap_lets_the_writes_go_on(scene, mode):
    scene.stage()
    write_at_every_point(scene, mode)
    former = scene.run("swapped", STAGING)["former"]
    found = kept_writes(scene)
    assert set(found) == {LIVE, former}
    assert sum(found.values()) == scene.server.acknowledged


@pytest.mark.long
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("problems", [[], ["broken"]], ids=["well", "broken"])
def test_a_swap_that_is_killed_anywhere_loses_no_acknowledged_write(scene_of, mode, problems):
    total = points_of(scene_of(staged=True, problems=problems), "swapped", STAGING)
    brought = set()
    for at in range(0, total, 3):
        scene = scene_of(staged=True, problems=problems)
        write_at_every_point(scene, mode, clients=2)
        scene.killed_at(at, "swapped", STAGING)
        for _ in range(3):  # the run is dead, and the PMS goes on
            scene.server.write(LIVE)
        scene.recover()
        scene.run("recovered")  # another set is restored next: staging databases are dropped
        assert sum(kept_writes(scene).values()) == scene.server.acknowledged, at
        brought |= set(kept_writes(scene))
    assert any("__undone_" in name for name in brought) is bool(problems)


def test_what_was_written_is_named_counted_and_kept_from_retention(scene):
    scene.stage()
    scene.problems.append("broken")
    run = replace(scene.swap_run(), probe_writes=True)
    write_at_every_point(scene, "none", clients=1)
    with pytest.raises(OpsError, match=r"public\.t: \d+ rows inserted or changed") as caught:
        run.run("swapped", STAGING)
    (kept,) = scene.names("__undone_")
    assert f"The new one is kept as {kept}" in str(caught.value)
    assert f"psql -d {kept} -c 'COPY (SELECT id FROM public.t" in caught.value.remedy
    assert scene.server.mark(kept)["written"][0]["table"] == "public.t"
    assert (scene.server.oid(kept), scene.server.databases[kept].read_only) == (STAGING_OID, "on")
    assert sum(kept_writes(scene).values()) == scene.server.acknowledged
    scene.problems.clear()
    scene.policy = former_retention.Policy(1)
    mark = scene.server.mark(kept) | {"since": "2026-01-01T00:00:00Z"}
    scene.server.databases[kept].comment = f"pms-ops: {json.dumps(mark)}"
    for number in range(3):
        scene.stage()
        scene.server.databases[STAGING].oid = 60 + number
        done = scene.run("swapped", STAGING)
    assert kept in scene.server.databases
    assert len(done["pruned"]) == 1
    assert any(kept in each for each in done["not_dropped"])


def test_a_client_that_asks_for_a_writing_transaction_before_the_locks_is_counted(scene):
    scene.stage()
    scene.problems.append("broken")
    scene.server.bypassing.add(STAGING_OID)
    write_at_every_point(scene, "none", clients=1)
    with pytest.raises(OpsError, match=r"public\.t: \d+ rows inserted or changed"):
        scene.run("swapped", STAGING)
    assert sum(kept_writes(scene).values()) == scene.server.acknowledged
    assert len(scene.names("__undone_")) == 1


def test_a_former_database_that_a_failed_rollback_wrote_to_says_so(scene):
    scene.former()
    scene.problems.append("broken")
    run = replace(scene.swap_run(), probe_writes=True)
    write_at_every_point(scene, "none", clients=1)
    with pytest.raises(OpsError, match=f"kept as {FORMER}.*public.t"):
        run.run("rolled_back", None)
    assert scene.server.mark(FORMER)["written"]
    assert scene.server.mark(FORMER)["is"] == "former"


def test_who_connects_after_the_locks_are_there_unseals_nothing(scene):
    scene.stage()
    run = scene.swap_run()

    def reconnected(statement):
        if "AND NOT datallowconn" in statement:  # the step after the renames
            scene.server.bypassing.add(STAGING_OID)

    scene.server.before = reconnected
    made = []
    real = swap.Swap.__post_init__

    def noted(self):
        real(self)
        made.append(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(swap.Swap, "__post_init__", noted)
        run.run("swapped", STAGING)
    assert scene.server.bypassing
    assert any(each.writes.sealed for each in made)


def test_writes_that_could_not_be_held_back_are_counted(scene):
    scene.stage()
    scene.problems.append("broken")
    scene.server.lock_refused = True
    write_at_every_point(scene, "none", clients=1)
    with pytest.raises(OpsError, match="were not held back") as caught:
        scene.run("swapped", STAGING)
    assert "rows inserted or changed" in str(caught.value)
    assert sum(kept_writes(scene).values()) == scene.server.acknowledged


# --- Only the PMS undoes a swap -------------------------------------------------------------------


def with_url(scene, **options):
    return replace(scene.swap_run(), url="http://127.0.0.1:1", **options)


@pytest.mark.parametrize("what", ["start worker", "health worker"])
def test_a_slow_page_of_dagster_is_a_warning_and_no_reason_to_go_back(scene, what):
    scene.stage()
    scene.broken[what] = OpsError("the page is slow.", "Wait.", code="services.unhealthy")
    done = with_url(scene).run("swapped", STAGING)
    assert scene.server.oid(LIVE) == STAGING_OID
    assert any("Service worker is" in each for each in done["warnings"])


def test_a_service_that_is_down_at_first_is_started_again(scene, monkeypatch):
    scene.stage()
    scene.broken["start worker"] = OpsError("busy.", "Wait.", code="services.unhealthy")
    monkeypatch.setattr(swap, "READY_SECONDS", 5)
    monkeypatch.setattr(manager.time, "sleep", lambda seconds: None)
    passed = scene.killer.passed

    def mended(name):
        passed(name)
        if name == "probe":
            scene.broken.clear()

    scene.killer.passed = mended
    done = with_url(scene).run("swapped", STAGING)
    assert scene.up == {"api", "worker"}
    assert not any("Service worker" in each for each in done["warnings"])


def test_timescaledbs_workers_that_do_not_start_are_a_warning(scene, monkeypatch):
    scene.stage()

    def refused(*_args):
        raise OpsError("no free worker.", "Raise it.", code="restore.no-scheduler")

    monkeypatch.setattr(swap.timescaledb_workers, "start_workers", refused)
    done = scene.run("swapped", STAGING)
    assert "no free worker." in done["warnings"]


def test_without_an_api_a_service_that_is_down_undoes_the_swap(scene):
    scene.stage()
    scene.broken["start api"] = OpsError("it crashes.", "Look.", code="services.unhealthy")
    with pytest.raises(OpsError, match="Service api is down"):
        scene.run("swapped", STAGING)
    assert scene.server.oid(LIVE) == LIVE_OID


@pytest.mark.parametrize("wanted", ["swapped", "rolled_back"])
def test_a_redis_that_keeps_the_former_book_is_told_after_the_swap(scene, wanted):
    scene.stage() if wanted == "swapped" else scene.former()
    scene.cache_problem = "Redis at redis:6379 was not cleared (MISCONF)."
    incoming = STAGING if wanted == "swapped" else FORMER
    assert scene.run(wanted, incoming)["warnings"].count(scene.cache_problem) == 1


# --- Services by hand -----------------------------------------------------------------------------


def by_hand(scene, **options):
    services = manager.Services("none", ("api", "dagster"))
    return replace(with_url(scene, **options), services=services)


def test_a_swap_waits_until_a_person_has_restarted_the_pms(scene, monkeypatch):
    scene.stage()
    scene.problems.append("the PMS serves the old book")
    said = []

    def restarted(_seconds):
        said.append((scene.root / ".pms-ops" / "restore.progress").read_text())
        if len(said) == 3:
            scene.problems.clear()

    monkeypatch.setattr(swap.time, "sleep", restarted)
    done = by_hand(scene, restart_seconds=60).run("swapped", STAGING)
    assert scene.server.oid(LIVE) == STAGING_OID
    assert "restart api, dagster NOW by hand" in said[0]
    assert done["warnings"] == []


def test_nobody_restarts_the_pms_and_the_former_database_is_live_again(scene):
    scene.stage()
    scene.problems.append("the PMS serves the old book")
    with pytest.raises(OpsError, match="serves the old book"):
        by_hand(scene, restart_seconds=0).run("swapped", STAGING)
    assert scene.server.oid(LIVE) == LIVE_OID
    assert STAGING in scene.server.databases


def test_the_plan_says_what_a_person_restarts_and_an_empty_url_is_no_way_around(scene):
    scene.stage()
    run = by_hand(scene, restart_seconds=900)
    text = " ".join(run.plan("swapped", STAGING)["by_hand"])
    assert "restart api, dagster" in text
    assert "waits up to 900 s" in text
    blind = replace(run, url=None)
    assert "cannot see whether" in " ".join(blind.plan("swapped", STAGING)["by_hand"])
    (warning,) = blind.run("swapped", STAGING)["warnings"]
    assert "Restart api, dagster now" in warning
    scene.stage()
    assert with_url(scene).plan("swapped", STAGING)["by_hand"] == []
