# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Warm copies on a server in memory: kept, replaced, used, refused, and killed at every point."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from ansible.module_utils.pmsops.common.errors import BrokenProofError, InterruptError, OpsError
from ansible.module_utils.pmsops.evidence import set_list
from ansible.module_utils.pmsops.repository import warm_note
from ansible.module_utils.pmsops.restore import (
    preflight,
    registry,
    warm_copies,
    warm_copy,
    warm_rule,
)
from ansible.module_utils.pmsops.restore.request import Request
from ansible.module_utils.pmsops.restore.run import StagedRestore

from tests.unit.restore.conftest import LIVE
from tests.unit.restore.test_run import killed_restore, restored, untouched

OLD, NEW = "pms__warm_20260101000000", "pms__warm_20260201000000"
DRILL = {"keep": False, "warm": True}


def kept(scene, **options):
    """Make a drill that keeps its copy; return the copy's name."""
    return restored(scene, **DRILL | options)["warm_kept"]


def whole_copies(scene):
    """Return the warm copies; each is closed, marked as proved, and of the set."""
    names = scene.names("__warm_")
    for name in names:
        mark = scene.server.mark(name)
        assert not scene.server.databases[name].open
        assert (mark["is"], mark["oid"]) == ("warm", scene.server.oid(name))
        assert (mark["manifest_sha256"], mark["objects_sha256"]) == (scene.sha256, scene.objects)
        assert scene.server.databases[name].held == [1000]
    return names


def note(scene):
    return warm_note.read(scene.root)


def test_a_drill_keeps_its_copy_closed_with_its_jobs_held(restores):
    scene = restores()
    name = kept(scene)
    assert whole_copies(scene) == [name]
    assert note(scene)["set"] == scene.folder.name
    assert note(scene)["database"] == name
    assert not scene.journal_file.exists()
    untouched(scene)
    assert scene.recover()["recovered"] == []
    assert whole_copies(scene) == [name]


def test_the_copy_before_goes_once_the_new_one_is_proved(restores):
    scene = restores()
    first = kept(scene)
    at_rename = []
    scene.server.before = lambda sql: (
        at_rename.append(scene.names("__warm_")) if "RENAME TO" in sql else None
    )
    second = kept(scene)
    assert at_rename == [[first]]
    assert whole_copies(scene) == [second] != [first]


def test_a_drill_that_fails_leaves_the_copy_before(restores):
    scene = restores()
    name = kept(scene)
    scene.differs = True
    with pytest.raises(OpsError):
        restored(scene, **DRILL)
    assert whole_copies(scene) == [name]


def test_a_drill_that_keeps_none_leaves_none(restores):
    scene = restores()
    kept(scene)
    assert restored(scene, keep=False)["warm_kept"] is None
    assert list(scene.server.databases) == [LIVE]
    assert note(scene) is None


@pytest.mark.parametrize("lost", [False, True], ids=["journal", "journal lost"])
def test_a_drill_killed_anywhere_leaves_the_old_copy_or_the_new_one_whole_or_none(restores, lost):
    at, died, seen = 0, True, set()
    while died:
        scene = restores()
        first = kept(scene)
        died = killed_restore(scene, at, **DRILL)
        untouched(scene)
        if lost:
            scene.journal_file.unlink(missing_ok=True)
        scene.recover()
        untouched(scene)
        assert scene.names("__restore_") == []
        names = whole_copies(scene)
        assert len(names) <= 1
        seen.add(names == [first])
        assert (note(scene) or {}).get("database") == (names[0] if names else None)
        assert len(scene.server.databases) == 1 + len(names)
        at += 1
    assert at > 20 and seen == {True, False}


def test_a_restore_of_the_set_proves_the_copy_again_and_loads_nothing(restores):
    scene = restores()
    name = kept(scene)
    oid = scene.server.oid(name)
    scene.killer.points.clear()
    done = restored(scene)
    assert done["warm_used"] == name
    assert scene.server.oid(done["side"]) == oid
    assert scene.killer.points.count("proof") == 1
    assert not [sql for sql in scene.killer.points if "CREATE DATABASE" in sql]
    mark = scene.server.mark(done["side"])
    assert (mark["is"], mark["step"]) == ("copy", "proved")
    assert scene.names("__warm_") == [] and note(scene) is None
    scene.run("swapped", done["side"])
    assert scene.server.oid(LIVE) == oid
    assert scene.server.databases[LIVE].scheduled == [1000]
    assert scene.server.jobs_run_early == []
    assert scene.run("rolled_back")["changed"]


def test_a_drill_restores_from_the_files_though_the_copy_is_there(restores):
    scene = restores()
    kept(scene)
    scene.server.statements.clear()
    kept(scene)
    assert any("CREATE DATABASE" in sql for _, sql in scene.server.statements)


@pytest.mark.parametrize("lost", [False, True], ids=["journal", "journal lost"])
def test_a_restore_of_a_copy_killed_anywhere_is_done_by_the_next_run(restores, lost):
    at, died, again = 0, True, set()
    while died:
        scene = restores()
        name = kept(scene)
        died = killed_restore(scene, at)
        untouched(scene)
        if lost:
            scene.journal_file.unlink(missing_ok=True)
        waiting = scene.recover()["waiting"]
        untouched(scene)
        assert scene.names("__restore_") == ([waiting] if waiting else [])
        assert whole_copies(scene) == ([] if waiting else [name])
        done = restored(scene)
        again.add(done["warm_used"])
        assert done["side"] == (waiting or done["side"])
        scene.run("swapped", done["side"])
        assert scene.server.jobs_run_early == []
        assert scene.server.databases[LIVE].scheduled == [1000]
        assert scene.names("__") == scene.names("__before_")
        at += 1
    assert at > 15 and len(again) > 1


def changed_proof(monkeypatch, change):
    """Have the next proof be of a changed copy, and those after it as they are."""
    prove = StagedRestore._prove

    def proving(self, staging):
        monkeypatch.setattr(StagedRestore, "_prove", prove)
        return change(prove(self, staging))

    monkeypatch.setattr(StagedRestore, "_prove", proving)


def raising(error):
    def change(_proved):
        raise error

    return change


def test_a_copy_whose_rows_differ_is_dropped_and_the_set_restored_from_its_files(
    restores, monkeypatch
):
    scene = restores()
    name = kept(scene)
    differs = OpsError("It differs in one row.", "Take another.", code="restore.different")
    changed_proof(monkeypatch, raising(differs))
    done = restored(scene)
    assert done["warm_used"] is None
    (said,) = (each for each in done["warnings"] if name in each)
    assert "It differs in one row. It was dropped. The set was restored from its files." in said
    assert scene.names("__warm_") == [] and note(scene) is None
    assert scene.server.mark(done["side"])["step"] == "proved"


def test_a_copy_that_differs_in_what_a_comparison_makes_allowances_for_is_not_used(restores):
    """A member of an extension, a held job: the set says nothing of these, the drill does."""
    scene = restores()
    name = kept(scene)
    scene.objects = "otherwise"
    done = restored(scene)
    assert done["warm_used"] is None and scene.names("__warm_") == []
    assert any(name in each and "not as the drill left it" in each for each in done["warnings"])


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({"oid": 4711}, "its mark is that of another database"),
        ({"server": {"system_identifier": "78", "version": "17.6"}}, "another server"),
        ({"server": {"system_identifier": "77", "version": "17.5"}}, "PostgreSQL 17.5"),
        ({"server": None}, "another server"),
        ({"release": "0.1.0"}, "release 0.1.0"),
    ],
)
def test_a_copy_that_can_never_be_used_is_dropped_and_said(restores, facts, said):
    scene = restores()
    name = kept(scene)
    registry.set_mark(scene.server.database(LIVE), name, scene.server.mark(name) | facts)
    done = restored(scene)
    assert done["warm_used"] is None and scene.names("__warm_") == []
    assert any(name in each and said in each for each in done["warnings"])


def test_a_copy_of_another_set_stays_and_is_not_looked_into(restores):
    scene = restores()
    name = kept(scene)
    other = {"set": "2026-01-01_0600", "manifest_sha256": "0" * 64}
    registry.set_mark(scene.server.database(LIVE), name, scene.server.mark(name) | other)
    done = restored(scene)
    assert done["warm_used"] is None and done["warnings"] == []
    assert scene.names("__warm_") == [name]
    assert not scene.server.databases[name].open


def test_a_copy_without_the_extensions_that_are_left_out_now_stays(restores):
    scene = restores()
    name = kept(scene)
    mark = scene.server.mark(name) | {"without_extensions": ["pg_cron"]}
    registry.set_mark(scene.server.database(LIVE), name, mark)
    done = restored(scene)
    assert done["warm_used"] is None
    assert any("other extensions left out" in each for each in done["warnings"])
    assert whole_copies(scene) == [name]


@pytest.mark.parametrize(
    ("error", "closed"),
    [
        (BrokenProofError("Broken.", "Look.", code="proof.broken", record={}), True),
        (InterruptError("Ended by SIGTERM.", "Again.", code="run.interrupted"), True),
    ],
    ids=["broken proof", "signal"],
)
def test_a_proof_that_says_nothing_of_the_copy_ends_the_run_and_closes_it(
    restores, monkeypatch, error, closed
):
    scene = restores()
    name = kept(scene)
    changed_proof(monkeypatch, raising(error))
    with pytest.raises(type(error)) as caught:
        restored(scene)
    assert caught.value.code == error.code
    assert whole_copies(scene) == [name]
    assert scene.names("__restore_") == []


def test_a_copy_that_could_not_be_read_stays_closed_and_the_set_is_restored(restores, monkeypatch):
    scene = restores()
    name = kept(scene)
    changed_proof(monkeypatch, raising(OpsError("Busy.", "Later.", code="database.timeout")))
    done = restored(scene)
    assert done["warm_used"] is None and whole_copies(scene) == [name]


def test_what_is_odd_among_the_copies_is_set_right_and_told(restores, monkeypatch):
    scene = restores()
    name = kept(scene)
    scene.server.add(OLD, 50, scene.server.mark(name) | {"oid": 50, "since": "2026-01-01"})
    scene.server.databases[name].open = True
    scene.server.databases[NEW] = scene.server.databases[LIVE].copy()
    scene.server.databases["pms__warm_20260301000000"] = scene.server.databases[LIVE].copy()
    monkeypatch.setattr(
        registry, "half_dropped", lambda cursor, live, kind: ["pms__warm_20260301000000"]
    )
    lines = scene.recover()["recovered"]
    assert any(f"{OLD}, which an interrupted run had left, was dropped" in each for each in lines)
    assert any("20260301000000, which an interrupted" in each for each in lines)
    assert any(f"{name} accepted connections" in each for each in lines)
    odd = f'it is not used. Look into it, then drop it: DROP DATABASE "{NEW}"'
    assert any(f"{NEW} has the name of a warm copy and no mark" in each for each in lines)
    assert any(odd in each for each in lines)
    assert sorted(scene.names("__warm_")) == sorted([name, NEW])
    assert not scene.server.databases[name].open


@pytest.mark.parametrize(
    ("free", "keeps", "said"),
    [(210, True, None), (209, False, "twice the database and a tenth"), (None, False, "unknown")],
)
def test_a_copy_is_kept_where_the_disk_has_the_room(restores, monkeypatch, free, keeps, said):
    scene = restores()
    check = StagedRestore.check

    def checked(self):
        check(self)
        self.server = preflight.ServerState([], {}, [], [], 100, free)

    monkeypatch.setattr(StagedRestore, "check", checked)
    done = restored(scene, **DRILL)
    assert bool(done["warm_kept"]) is keeps
    assert said is None or any(said in each for each in done["notes"])
    assert len(scene.names("__warm_")) == keeps
    assert scene.names("__restore_") == []


def test_room_that_the_copy_takes_counts_as_free_for_the_next(restores):
    assert warm_rule.too_little_room(1100, 1000, 1000) is None
    assert warm_rule.too_little_room(1099, 1000, 1000)


def test_a_restore_without_room_drops_the_copy_of_another_set(restores, monkeypatch):
    scene = restores()
    name = kept(scene)
    other = {"manifest_sha256": "0" * 64}
    registry.set_mark(scene.server.database(LIVE), name, scene.server.mark(name) | other)
    check = StagedRestore.check

    def checked(self):
        check(self)
        assert self.copies.spare_bytes() == 1000
        self.server = preflight.ServerState([], {}, [], [], 1000, 300)

    monkeypatch.setattr(StagedRestore, "check", checked)
    done = restored(scene)
    assert any("no room beside it" in each for each in done["warnings"])
    assert scene.names("__warm_") == [] and note(scene) is None


def test_a_set_whose_copy_is_warm_needs_no_room(restores):
    scene = restores()
    request = Request(scene.root, scene.root.parent / "keys", scene.folder, keep=True)
    copies = warm_copies.WarmCopies(scene.server.database(LIVE), request)
    assert copies.spare_bytes() == 0
    kept(scene)
    assert copies.spare_bytes() == 2000


def test_the_copy_of_a_set_that_retention_deletes_goes_with_it(restores):
    scene = restores()
    name = kept(scene)
    live = scene.server.database(LIVE)
    assert warm_copy.drop_without_set(live, scene.root, []) == []
    assert warm_copy.drop_without_set(live, scene.root, ["2026-01-01_0600"]) == []
    assert whole_copies(scene) == [name]
    (line,) = warm_copy.drop_without_set(live, scene.root, [scene.folder.name])
    assert f"{name} of set {scene.folder.name} was dropped with it" in line
    assert scene.names("__warm_") == [] and note(scene) is None


def test_a_server_that_is_down_fails_no_backup_for_a_copy(restores):
    scene = restores()
    kept(scene)

    def refuse(_sql):
        raise OpsError("The server is down.", "Start it.", code="database.unreachable")

    scene.server.before = refuse
    (line,) = warm_copy.drop_without_set(scene.server.database(LIVE), scene.root, ["x"])
    assert "unknown: The server is down." in line


def test_status_and_list_of_sets_show_which_set_is_warm(restores):
    scene = restores()
    now = datetime.now(UTC)
    assert set_list.warm_copy(scene.root, now) is None
    kept(scene)
    now = datetime.fromisoformat(note(scene)["kept_at"]) + timedelta(hours=3)
    said = []
    found = set_list.warm_copy(scene.root, now)
    set_list.describe_warm(found, lambda *line: said.append(line))
    assert said == [("warm copy", f"of set {scene.folder.name}, 1.0 kB, proved 3 h ago")]
    assert set_list.collect(scene.root, now=now)[0]["warm"] is True
    document = json.loads((scene.folder / "manifest.json").read_text())
    (scene.folder / "manifest.json").write_text(json.dumps(document | {"another": 1}))
    try:
        assert set_list.collect(scene.root, now=now)[0]["warm"] is False
    finally:
        (scene.folder / "manifest.json").write_text(json.dumps(document))


def test_the_metrics_name_the_warm_set_and_there_is_no_file_without_one_ever(restores, tmp_path):
    scene = restores()
    assert warm_note.publish(tmp_path / "metrics", scene.root, LIVE, system="fund") == []
    path = tmp_path / "metrics" / "pms_warm_copy.prom"
    assert not path.exists()
    kept(scene)
    warm_note.publish(tmp_path / "metrics", scene.root, LIVE, system="fund")
    labels = f'system="fund",database="pms",set="{scene.folder.name}"'
    assert f"pms_warm_copy_size_bytes{{{labels}}} 1000" in path.read_text()
    restored(scene, keep=False)
    warm_note.publish(tmp_path / "metrics", scene.root, LIVE, system="fund")
    assert "1000" not in path.read_text()


def test_two_systems_that_share_the_collector_s_folder_keep_the_gauges_of_both(restores, tmp_path):
    scene = restores()
    kept(scene)
    for system in ("fund", "fund2"):
        assert warm_note.publish(tmp_path, scene.root, LIVE, system=system) == []
    named = {path.name: path.read_text() for path in tmp_path.glob("*.prom")}
    assert 'system="fund",' in named["pms_warm_copy.prom"]
    assert 'system="fund2",' in named["pms_warm_copy.fund2.prom"]
