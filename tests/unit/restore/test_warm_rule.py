# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which warm copies stay beside a checkpoint's, and what drills, restores and a short disk do."""

from __future__ import annotations

import json
from contextlib import suppress

import pytest
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.repository import checkpoints, sets, warm_note
from ansible.module_utils.pmsops.restore import (
    checkpoint_means,
    preflight,
    registry,
    room,
    warm_copies,
    warm_copy,
    warm_rule,
)
from ansible.module_utils.pmsops.restore.registry import ManagedDatabase
from ansible.module_utils.pmsops.restore.request import Request
from ansible.module_utils.pmsops.restore.run import StagedRestore

from tests.support.backup_sets import make_set
from tests.unit.restore.conftest import LIVE
from tests.unit.restore.test_run import killed_restore, restored
from tests.unit.restore.test_warm_copy import DRILL, kept

OTHER = "2026-11-21_0600"


@pytest.fixture
def release(restores):
    """Give a Scene with a warm copy of the checkpoint OTHER, and the name of the copy."""
    scene = restores()
    folder = scene.root / OTHER
    if not folder.exists():
        make_set(scene.root, scene.root.parent / "keys", OTHER)
    name = kept(scene)
    of = {"set": OTHER, "manifest_sha256": sets.resolve(folder).manifest_sha256}
    registry.set_mark(scene.server.database(LIVE), name, scene.server.mark(name) | of)
    checkpoints.make(folder, "release 4.2")
    (scene.folder / sets.HOLD).unlink(missing_ok=True)
    return scene, name


def noted(scene):
    return [each["database"] for each in warm_note.read_all(scene.root)]


def test_a_drill_leaves_the_copy_of_a_checkpoint_and_replaces_its_own(release):
    scene, name = release
    first = kept(scene)
    second = kept(scene)
    assert scene.names("__warm_") == [name, second] and first != second
    assert noted(scene) == [second, name]
    assert warm_note.is_of(scene.root, scene.root / OTHER)
    assert warm_note.is_of(scene.root, scene.folder)
    assert restored(scene, keep=False)["warm_kept"] is None
    assert scene.names("__warm_") == [name] == noted(scene)


def test_an_older_release_reads_the_newest_copy_of_the_note(release):
    scene, _ = release
    newest = kept(scene)
    found = json.loads((scene.root / sets.STATE / warm_note.NAME).read_text())
    assert found["database"] == newest and set(warm_note.KEYS) < set(found)


def test_a_drill_of_the_checkpoint_itself_replaces_its_copy(restores):
    scene = restores()
    checkpoints.make(scene.folder, "release 4.2")
    first = kept(scene)
    assert scene.names("__warm_") == [first]
    second = kept(scene)
    assert scene.names("__warm_") == [second] != [first]
    (scene.folder / sets.HOLD).unlink()


def test_a_released_checkpoint_has_a_copy_like_any_other(release):
    scene, name = release
    checkpoints.release(checkpoints.listed(scene.root)[0])
    other = kept(scene)
    assert scene.names("__warm_") == [other] != [name]


def test_recovery_leaves_the_newest_of_the_checkpoints_and_the_newest_other(release):
    scene, name = release
    kept(scene)
    newest = kept(scene)
    older = "pms__warm_20250101000000"
    mark = scene.server.mark(newest) | {"since": "2025-01-01T00:00:00Z"}
    scene.server.add(older, 77, mark, open=False)
    said = scene.recover()["recovered"]
    assert len(said) == 1 and older in said[0]
    assert scene.names("__warm_") == [name, newest]


def test_a_checkpoints_copy_that_was_left_open_is_closed(release):
    scene, name = release
    scene.server.databases[name].open = True
    said = scene.recover()["recovered"]
    assert any(name in each and "refuses them again" in each for each in said)
    assert not scene.server.databases[name].open


def test_a_drill_killed_anywhere_leaves_the_copy_of_the_checkpoint(restores, release):
    at, died = 0, True
    while died:
        scene, name = release
        died = killed_restore(scene, at, **DRILL)
        scene.recover()
        assert name in scene.names("__warm_")
        assert len(scene.names("__warm_")) <= 2
        assert all(not scene.server.databases[each].open for each in scene.names("__warm_"))
        assert sorted(noted(scene)) == sorted(scene.names("__warm_"))
        at += 1
    assert at > 20


@pytest.mark.parametrize(
    ("free", "stay"),
    [(120, [OTHER, "newest"]), (110, [OTHER]), (60, [])],
    ids=["room for all", "the drill's goes", "both go"],
)
def test_without_room_the_drills_copy_goes_first_and_a_checkpoints_last(
    release, monkeypatch, free, stay
):
    scene, name = release
    newest = kept(scene)
    names = {OTHER: name, "newest": newest}

    def sizes(live, found=None):
        return 50 * len(warm_copy.listed(live) if found is None else found)

    monkeypatch.setattr(warm_copy, "size_bytes", sizes)
    request = Request(scene.root, scene.root.parent / "keys", scene.folder)
    copies = warm_copies.WarmCopies(scene.server.database(LIVE), request)
    copies.make_room(preflight.ServerState([], {}, [], [], 100, free))
    assert scene.names("__warm_") == [names[each] for each in stay]
    assert len(copies.warnings) == 2 - len(stay)
    assert any(OTHER in each for each in copies.warnings) is (OTHER not in stay)


def test_the_room_of_a_checkpoints_copy_is_no_room_for_the_next(release, monkeypatch):
    scene, name = release
    check = StagedRestore.check

    def checked(self):
        check(self)
        self.server = preflight.ServerState([], {}, [], [], 100, 205)

    monkeypatch.setattr(StagedRestore, "check", checked)
    done = restored(scene, **DRILL)
    assert done["warm_kept"] is None
    assert any(f"checkpoint set {OTHER} stays" in each for each in done["notes"])
    assert scene.names("__warm_") == [name]


def test_the_newest_checkpoint_that_has_a_copy_is_the_one_whose_copy_stays(tmp_path):
    root, keys = tmp_path / "backups", tmp_path / "keys"
    for day in ("20", "21", "22", "23"):
        folder = make_set(root, keys, f"2026-11-{day}_0600")
        if day != "22":
            checkpoints.make(folder, f"release {day}")

    def copy(name, day):
        return ManagedDatabase(name, 1, False, None, {"is": "warm", "set": f"2026-11-{day}_0600"})

    copies = [copy("a", "20"), copy("b", "21"), copy("c", "21"), copy("d", "22"), copy("e", "20")]
    assert warm_rule.of_checkpoint(copies, root).name == "c"
    assert warm_rule.staying(copies, root) == ["c", "e"]
    assert warm_rule.staying(copies[:4], root) == ["c", "d"]
    assert [each.name for each in warm_rule.going(copies, root, "2026-11-22_0600")] == [
        *("a", "b", "d", "e")
    ]
    assert "c" in [each.name for each in warm_rule.going(copies, root, "2026-11-21_0600")]
    assert warm_rule.staying([], root) == []


@pytest.mark.parametrize(
    ("free", "keep", "means", "provable", "said"),
    [
        (2100, True, checkpoint_means.WARM, True, "no load"),
        (2099, True, checkpoint_means.ALONE, True, "twice the database and a tenth more"),
        (1199, True, checkpoint_means.ALONE, False, "long way|restore from its files"),
        (None, True, checkpoint_means.ALONE, True, "unknown"),
        (9999, False, checkpoint_means.ALONE, True, "drill_keep"),
    ],
)
def test_the_quickest_means_that_the_server_has_are_chosen_and_named(
    restores, monkeypatch, free, keep, means, provable, said
):
    scene = restores()
    size = 1000
    monkeypatch.setattr(room, "free_bytes", lambda cursor, database: free)
    monkeypatch.setattr(checkpoint_means, "fetch_value", lambda *_args: size)
    with suppress(OSError):
        (scene.folder / sets.VERIFIED).unlink()
    sets.mark_verified(scene.folder, {"duration_seconds": 31.4, "size_bytes": None})
    found = checkpoint_means.choose(scene.server.database(LIVE), scene.root, keep=keep)
    assert (found["means"], found["provable"]) == (means, provable)
    assert any(each in found["reason"] for each in said.split("|"))


def test_a_restore_of_the_checkpoint_uses_its_copy_and_not_the_other(release):
    scene, name = release
    newest = kept(scene)
    scene.folder, was = scene.root / OTHER, scene.folder
    try:
        done = restored(scene, file=scene.root / OTHER)
    finally:
        scene.folder = was
    assert done["warm_used"] == name
    assert scene.names("__warm_") == [newest] == noted(scene)


def test_what_reads_the_marks_finds_the_copy_of_a_set(release):
    scene, name = release
    live = scene.server.database(LIVE)
    assert checkpoint_means.warm(live, scene.root / OTHER) == name
    assert checkpoint_means.warm(live, scene.folder) is None
    with pytest.raises(OpsError):
        checkpoint_means.warm(live, scene.root / "2026-11-01_0600")
