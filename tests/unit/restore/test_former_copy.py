# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The former database of the last swap, put in place of a load where it equals the set."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest
from ansible.module_utils.pmsops.common.errors import BrokenProofError, OpsError
from ansible.module_utils.pmsops.restore import former_copy

from tests.unit.restore.conftest import FORMER, FORMER_OID, LIVE, LIVE_OID, PROVED
from tests.unit.restore.test_run import killed_restore, restored, untouched
from tests.unit.restore.test_warm_copy import kept

LATER = "2027-01-01T00:00:00Z"


@pytest.fixture
def equal(monkeypatch):
    """Have every former database equal the set, or not; tell which were looked at."""
    seen = SimpleNamespace(matches=True, looked=[], error=None)

    def matches(database, _document):
        seen.looked.append(database.name)
        return seen.matches

    def of_set(staging, _document, *_args, restored):
        assert restored is False
        if seen.error:
            raise seen.error
        return replace(PROVED, verified=f"all of {staging.name}")

    monkeypatch.setattr(former_copy.comparison, "matches", matches)
    monkeypatch.setattr(former_copy.proof, "of_set", of_set)
    # The set of these tests names no server.
    monkeypatch.setattr(former_copy, "fetch_value", lambda cursor, sql: None)
    return seen


def as_it_was(scene):
    """Return all that a restore may not touch of the former database."""
    return vars(scene.server.databases[FORMER]).copy()


def test_a_former_database_that_equals_the_set_goes_live_as_it_is(restores, equal):
    scene = restores()
    scene.former(since=LATER)
    before = as_it_was(scene)
    done = restored(scene)
    assert done["side"] == done["warm_used"] == FORMER
    assert as_it_was(scene) == before
    assert any("equals the set" in each for each in done["notes"])
    swapped = scene.run("swapped", FORMER)
    assert scene.server.oid(LIVE) == FORMER_OID
    assert scene.server.databases[LIVE].read_only is None
    assert scene.server.oid(swapped["former"]) == LIVE_OID
    back = scene.run("rolled_back")
    assert back["incoming"] == swapped["former"] and scene.server.oid(LIVE) == LIVE_OID


def test_a_rollback_after_it_goes_back_though_an_earlier_one_had_made_the_same_database_live(
    restores, equal
):
    """It said that the last restore was rolled back already."""
    scene = restores()
    scene.former(since=LATER)
    mark = {"is": "undone", "of": LIVE, "since": "2026-10-01T00:00:00Z", "replaced_by": FORMER_OID}
    scene.server.add("pms__undone_20261001000000", 3, mark, read_only="on")
    restored(scene)
    swapped = scene.run("swapped", FORMER)
    assert scene.run("rolled_back")["incoming"] == swapped["former"]
    assert scene.server.oid(LIVE) == LIVE_OID
    assert scene.run("rolled_back")["changed"] is False


@pytest.mark.parametrize(
    ("facts", "looked"),
    [
        ({"since": "2026-11-01T00:00:00Z"}, False),
        ({"since": LATER, "replaced_by": 4711}, False),
        ({"since": LATER, "written": []}, False),
        ({"since": "once"}, False),
        ({"since": LATER}, True),
    ],
    ids=["replaced before the set", "by another", "written to", "no moment", "differs"],
)
def test_a_former_database_that_is_not_the_set_stays_as_it_is(restores, equal, facts, looked):
    scene = restores()
    scene.former(**facts)
    before = as_it_was(scene)
    equal.matches = False
    done = restored(scene)
    assert done["warm_used"] is None and scene.server.mark(done["side"])["is"] == "copy"
    assert as_it_was(scene) == before
    assert equal.looked == ([FORMER] if looked else [])


def test_a_former_database_of_another_server_is_not_looked_at(restores, equal, monkeypatch):
    scene = restores()
    scene.former(since=LATER)
    monkeypatch.setattr(former_copy, "fetch_value", lambda cursor, sql: "1")
    assert restored(scene)["warm_used"] is None and equal.looked == []


@pytest.mark.parametrize("code", ["restore.canary", "database.timeout", "restore.different"])
def test_a_former_database_that_is_not_proved_stays_and_the_set_is_restored(restores, equal, code):
    scene = restores()
    scene.former(since=LATER)
    before = as_it_was(scene)
    equal.error = OpsError("No.", "Look.", code=code)
    assert restored(scene)["warm_used"] is None
    assert as_it_was(scene) == before


def test_a_broken_proof_of_a_former_database_ends_the_run(restores, equal):
    scene = restores()
    scene.former(since=LATER)
    before = as_it_was(scene)
    equal.error = BrokenProofError("Broken.", "Look.", code="proof.broken", record={})
    with pytest.raises(BrokenProofError):
        restored(scene)
    assert as_it_was(scene) == before and not scene.journal_file.exists()


@pytest.mark.parametrize("warm", [False, True], ids=["former database", "warm copy"])
def test_a_set_is_loaded_from_its_files_where_that_is_asked_for(restores, equal, warm):
    scene = restores()
    scene.former(since=LATER)
    names = [kept(scene)] if warm else []
    done = restored(scene, fresh=True)
    assert done["warm_used"] is None and equal.looked == []
    assert any(
        "CREATE DATABASE" in sql and done["side"] in sql for _, sql in scene.server.statements
    )
    assert scene.names("__warm_") == names


def test_a_drill_and_a_warm_set_do_not_look_at_the_former_database(restores, equal):
    scene = restores()
    scene.former(since=LATER)
    name = kept(scene)
    assert restored(scene)["warm_used"] == name
    assert equal.looked == []


@pytest.mark.parametrize("lost", [False, True], ids=["journal", "journal lost"])
def test_a_restore_by_the_former_database_killed_anywhere_never_loses_it(restores, equal, lost):
    """Nor does the next run take it for a staging database, whose leftovers it drops."""
    at, died = 0, True
    while died:
        scene = restores()
        scene.former(since=LATER)
        died = killed_restore(scene, at)
        if lost:
            scene.journal_file.unlink(missing_ok=True)
        untouched(scene)
        if at % 2:
            assert scene.recover()["waiting"] is None
        elif scene.journal_file.exists() and scene.journal().state["step"] != "proved":
            scene.recover()
        scene.journal().close()
        assert scene.server.oid(FORMER) == FORMER_OID
        assert scene.server.mark(FORMER)["is"] == "former"
        done = restored(scene)
        assert done["side"] == FORMER
        scene.run("swapped", FORMER)
        assert scene.server.oid(LIVE) == FORMER_OID
        at += 1
    assert at > 4


def test_a_proved_former_database_in_the_journal_is_no_staging_database(restores, equal):
    """It would be proved as one, and dropped where it differs."""
    scene = restores()
    scene.former(since=LATER)
    restored(scene)
    assert scene.journal().proved
    equal.matches = False
    with pytest.raises(OpsError) as caught:
        restored(scene)
    assert caught.value.code == "restore.unfinished"
    assert scene.server.mark(FORMER)["is"] == "former"
