# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Equal content is stored once, and only where the older copy is still what it was."""

from __future__ import annotations

import errno
import os

import pytest
from ansible.module_utils.pmsops.repository import deduplication, manifest

from tests.support.backup_sets import make_set

SAME = {"app.pgdump/toc.dat": "toc", "a.csv": "id\n1\n"}


@pytest.fixture
def two(tmp_path):
    """An older set and a newer one of the same content, both written out."""
    root, keys = tmp_path / "backups", tmp_path / "keys"
    return make_set(root, keys, "2026-11-21_0600", SAME), make_set(
        root, keys, "2026-11-22_0600", SAME
    )


def link(older, newer):
    known = deduplication.known_contents([older])
    return deduplication.link(newer, manifest.read(newer)["files"], known)


def test_equal_files_become_one_and_the_bytes_are_counted(two):
    older, newer = two
    assert link(older, newer) == len("toc") + len("id\n1\n")
    assert (older / "a.csv").samefile(newer / "a.csv")
    assert deduplication.own_bytes(newer) == (newer / manifest.NAME).stat().st_size


def test_a_set_that_cannot_be_read_offers_nothing(two):
    older, newer = two
    (older / manifest.NAME).unlink()
    assert link(older, newer) == 0
    assert not (older / "a.csv").samefile(newer / "a.csv")


@pytest.mark.parametrize("fault", ["rotten", "writable", "gone", "a link", "another size"])
def test_an_older_copy_that_is_not_sound_is_not_shared(two, fault):
    older, newer = two
    path = older / "a.csv"
    if fault == "rotten":
        path.chmod(0o600)
        path.write_text("id\n2\n")
        path.chmod(0o400)
    elif fault == "writable":
        path.chmod(0o600)
    elif fault == "another size":
        path.chmod(0o600)
        path.write_text("longer than it was")
        path.chmod(0o400)
    else:
        path.unlink()
        if fault == "a link":
            path.symlink_to(newer / "a.csv")
    assert link(older, newer) == len("toc")
    assert (newer / "a.csv").read_text() == "id\n1\n"
    assert (newer / "a.csv").stat().st_nlink == 1


def test_empty_files_are_left_alone(tmp_path):
    root, keys = tmp_path / "backups", tmp_path / "keys"
    older = make_set(root, keys, "2026-11-21_0600", {"a.csv": ""})
    newer = make_set(root, keys, "2026-11-22_0600", {"a.csv": ""})
    assert link(older, newer) == 0


@pytest.mark.parametrize("number", [errno.EXDEV, errno.EPERM, errno.EMLINK, errno.ENOTSUP])
def test_a_file_system_without_links_keeps_both_copies(two, monkeypatch, number):
    def refuse(source, target):
        raise OSError(number, "refused")

    monkeypatch.setattr(os, "link", refuse)
    assert link(*two) == 0


def test_any_other_error_of_the_file_system_is_raised(two, monkeypatch):
    def refuse(source, target):
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(os, "link", refuse)
    with pytest.raises(OSError, match="full"):
        link(*two)
