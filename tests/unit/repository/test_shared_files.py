# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""One damaged file that several sets share: it is told, mended, and not all of history."""

from __future__ import annotations

import errno
import json
import os
from datetime import UTC, datetime

import pms_set_aside
import pytest
from ansible.module_utils.pmsops.backup import sealing
from ansible.module_utils.pmsops.common import files
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.common.progress import Progress
from ansible.module_utils.pmsops.repository import (
    deduplication,
    manifest,
    mending,
    quarantine,
    sets,
)
from ansible.module_utils.testing import patch_module_args

from tests.support.backup_sets import make_set

SAME = {"app.pgdump/toc.dat": "toc", "app.pgdump/1.dat": "one chunk", "a.csv": "id\n1\n"}


class Root:
    """Sets of one content; each names which other it shares its files with."""

    def __init__(self, folder):
        self.root, self.keys = folder / "backups", folder / "keys"

    def make(self, day, *, shares=None, contents=SAME):
        made = make_set(self.root, self.keys, f"2026-11-{day:02}_0600", contents)
        if shares is not None:
            known = deduplication.known_contents([shares])
            deduplication.link(made, manifest.read(made)["files"], known)
        return made

    def check(self, folder):
        return sets.check(sets.resolve(folder), self.keys)

    def refusal(self, folder):
        with pytest.raises(OpsError) as caught:
            self.check(folder)
        assert caught.value.code == "set.damaged"
        return str(caught.value), caught.value.remedy


@pytest.fixture
def backups(tmp_path):
    return Root(tmp_path)


def rot(path, text=None):
    """Change what a file holds in place, as a bad sector does."""
    before = path.read_text()
    path.chmod(0o600)
    path.write_text("X" + before[1:] if text is None else text)
    path.chmod(0o400)


def test_a_damaged_set_names_those_that_share_the_file_and_one_that_is_whole(backups):
    first = backups.make(20)
    second, third = backups.make(21, shares=first), backups.make(22, shares=first)
    whole = backups.make(19, contents={"app.pgdump/toc.dat": "other"})
    rot(first / "app.pgdump" / "1.dat")
    what, remedy = backups.refusal(second)
    assert "1.dat has another content" in what
    assert f"The same file is in {first.name}, {third.name}, which are damaged with it." in what
    assert f"Set {whole.name} is whole" in remedy and f"file={whole}" in remedy


def test_no_set_is_called_whole_that_was_not_read(backups):
    first = backups.make(20)
    other = backups.make(19, contents={"app.pgdump/toc.dat": "other"})
    rot(first / "a.csv")
    rot(other / "app.pgdump" / "toc.dat")
    _, remedy = backups.refusal(first)
    assert "is whole" not in remedy and "Take another set" in remedy


def test_the_set_that_is_whole_is_found_without_reading_shared_files_again(backups, monkeypatch):
    older = backups.make(20)
    newer = backups.make(21, shares=older, contents=SAME | {"b.csv": "of this set alone"})
    rot(newer / "b.csv")
    read, sha256 = [], files.sha256
    monkeypatch.setattr(files, "sha256", lambda path: read.append(path) or sha256(path))
    _, remedy = backups.refusal(newer)
    assert f"Set {older.name} is whole" in remedy
    assert [path for path in read if older in path.parents] == []


@pytest.mark.parametrize("fault", ["rot", "gone", "short", "unreadable"])
def test_a_damaged_file_is_mended_in_each_set_from_one_that_has_it_once_more(
    backups, fault, monkeypatch
):
    lender = backups.make(19)
    first = backups.make(20)
    second = backups.make(21, shares=first)
    path = second / "app.pgdump" / "1.dat"
    if fault == "gone":
        path.unlink()
    elif fault == "unreadable":
        bad, sha256 = path.stat().st_ino, files.sha256

        def broken(of):
            if of.stat().st_ino == bad:
                raise OSError(errno.EIO, "Input/output error")
            return sha256(of)

        def broken_in_time(of, *_args):
            return broken(of)

        monkeypatch.setattr(files, "sha256", broken)
        monkeypatch.setattr(quarantine, "_sha256", broken_in_time)
    else:
        rot(path, "o" if fault == "short" else None)
    what, remedy = backups.refusal(second)
    assert ("which are damaged with it" in what) == (fault != "gone")
    assert f"Set {lender.name}" in remedy or f"Set {first.name}" in remedy
    assert "dr_bad_backup.yml mends it" in remedy
    dry = mending.mend(backups.root, [second], backups.keys, dry=True)
    assert len(dry) == 1 and "1.dat" in dry[0]
    lines = mending.mend(backups.root, [second], backups.keys)
    assert len(lines) == 1 and "mended from" in lines[0]
    for folder in (lender, first, second):
        backups.check(folder)
    if fault != "gone":
        assert path.samefile(first / "app.pgdump" / "1.dat")
        assert not path.samefile(lender / "app.pgdump" / "1.dat")
    assert mending.mend(backups.root, [second], backups.keys) == []


def test_a_copy_that_is_damaged_too_mends_nothing(backups):
    first, second = backups.make(20), backups.make(21)
    for each in (first, second):
        rot(each / "a.csv")
    assert mending.mend(backups.root, [first, second], backups.keys) == []
    assert "mends it" not in backups.refusal(first)[1]


def test_mending_on_a_full_disk_leaves_the_damaged_file_and_no_other(backups, monkeypatch):
    backups.make(20)
    second = backups.make(21)
    rot(second / "a.csv")
    before = files.walk(second)

    def full(_descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OpsError) as caught:
        mending.mend(backups.root, [second], backups.keys)
    assert caught.value.code == "disk.full"
    assert files.walk(second) == before


@pytest.mark.parametrize("checking", [True, False])
def test_dr_bad_backup_mends_before_it_quarantines(backups, capsys, checking):
    backups.make(20)
    second = backups.make(21)
    rot(second / "a.csv")
    args = {
        "root": str(backups.root),
        "keys": str(backups.keys),
        "evidence_root": str(backups.root.parent / "evidence"),
        "_ansible_check_mode": checking,
    }
    with patch_module_args(args), pytest.raises(SystemExit):
        pms_set_aside.main()
    result = json.loads(capsys.readouterr().out)
    assert result["changed"] and len(result["mended"]) == 1
    if checking:
        backups.refusal(second)
    else:
        assert result["aside"] == []
        backups.check(second)


def sealed(backups, day, earlier, **options):
    """Seal a set of the same content over the *earlier* ones, as a backup does."""
    partial = backups.root / f".partial-2026-11-{day:02}_0600"
    (partial / "app.pgdump").mkdir(parents=True)
    for name, text in SAME.items():
        (partial / name).write_text(text)
    document = manifest.read(earlier[0]) | {
        "id": f"2026-11-{day:02}_0600",
        "contents": {},
        "server": {"size_bytes": 1},
    }
    document.pop("signature", None)
    sealing.seal(
        partial,
        document,
        earlier,
        keys=backups.keys,
        progress=Progress(),
        now=lambda: datetime(2026, 11, day, 6, tzinfo=UTC),
        **options,
    )
    return partial.rename(backups.root / f"2026-11-{day:02}_0600")


def test_the_backup_that_notices_a_damaged_file_says_so(backups):
    first = backups.make(20)
    second = backups.make(21, shares=first)
    rot(second / "a.csv")
    warnings = []
    third = sealed(backups, 22, [first, second], warnings=warnings)
    (line,) = warnings
    assert f"Damaged in {second.name} and up to 1 more sets" in line
    assert "dr_bad_backup.yml mends them" in line
    assert (third / "a.csv").stat().st_nlink == 1
    assert len(mending.mend(backups.root, [first, second], backups.keys)) == 1
    for folder in (first, second, third):
        backups.check(folder)


def test_a_backup_over_sound_sets_warns_of_nothing(backups):
    warnings = []
    sealed(backups, 21, [backups.make(20)], warnings=warnings)
    assert warnings == []


@pytest.mark.parametrize(("most", "inodes"), [(7, 3), (1, 20), (0, 1)])
def test_a_file_is_in_as_many_sets_as_backup_max_shared_says(backups, most, inodes):
    made = [backups.make(1)]
    for day in range(2, 21):
        made.append(sealed(backups, day, made[-3:], max_shared=most))
    links = [(each / "a.csv").stat() for each in made]
    assert len({each.st_ino for each in links}) == inodes
    assert max(each.st_nlink for each in links) == (most or 20)
    for folder in made:
        backups.check(folder)
