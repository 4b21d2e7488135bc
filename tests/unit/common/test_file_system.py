# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""File systems that cannot do everything: found once, said, and lived with where that is safe."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest
from ansible.module_utils.pmsops.backup import leftovers, preflight
from ansible.module_utils.pmsops.common import (
    file_system,
    files,
    process_lock,
    textfile_metrics,
)
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.evidence import ledger
from ansible.module_utils.pmsops.repository import (
    deduplication,
    manifest,
    quarantine,
    retention,
    signing,
)
from ansible.module_utils.pmsops.restore import scratch
from ansible.module_utils.pmsops.restore.journal import Journal

from tests.support.backup_sets import make_set
from tests.unit.repository.test_shared_files import Root, sealed

# What field reports name: CIFS and S3 mounts, exFAT and rclone, FUSE in general.
SYSTEMS = {
    "CIFS": {"chmod": errno.EPERM, "sync": errno.EINVAL},
    "S3": {"chmod": errno.EPERM, "link": errno.EPERM, "sync": errno.ENOSYS},
    "exFAT": {"chmod": errno.EPERM, "link": errno.EPERM},
    "rclone": {"chmod": errno.ENOTSUP, "link": errno.ENOSYS, "sync": errno.EINVAL},
    "Unraid": {"link": errno.ENOSYS},
    "ext4": {},
}
EACH = pytest.mark.parametrize("limited", SYSTEMS, indirect=True)


@pytest.fixture
def limited(request, monkeypatch):
    """A file system that lacks what SYSTEMS says; return what it lacks."""
    lacks = SYSTEMS[request.param]
    fsync = os.fsync

    def refusal(number):
        def refuse(*_args, **_options):
            raise OSError(number, os.strerror(number))

        return refuse

    def sync(descriptor):
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(lacks["sync"], os.strerror(lacks["sync"]))
        fsync(descriptor)

    if "chmod" in lacks:
        for name in ("chmod", "fchmod"):
            monkeypatch.setattr(os, name, refusal(lacks["chmod"]))
    if "link" in lacks:
        monkeypatch.setattr(os, "link", refusal(lacks["link"]))
    if "sync" in lacks:
        monkeypatch.setattr(os, "fsync", sync)
    return lacks


@EACH
def test_what_a_file_system_cannot_do_is_said_once(limited, tmp_path):
    lines = file_system.first_use(tmp_path)
    told = " ".join(lines)
    assert ("keeps no modes" in told) == ("chmod" in limited)
    assert ("has no hard links" in told) == ("link" in limited)
    assert ("cannot flush a folder" in told) == ("sync" in limited)
    assert len(lines) == len(limited)
    assert file_system.first_use(tmp_path) == []
    assert {path.name for path in tmp_path.iterdir()} <= {file_system.NOTE}


def test_a_file_system_that_everybody_reads_is_said(tmp_path, monkeypatch):
    tmp_path.chmod(0o755)
    real = Path.stat

    def readable(path, **options):
        found = list(real(path, **options))
        found[0] |= 0o055
        return os.stat_result(found)

    monkeypatch.setattr(Path, "stat", readable)
    assert "lets others of this machine read every file" in file_system.first_use(tmp_path)[0]


def test_a_folder_that_takes_no_file_is_left_to_the_error_of_what_is_written(tmp_path):
    assert file_system.first_use(tmp_path / "nowhere") == []


@EACH
def test_sets_are_sealed_checked_shared_quarantined_and_deleted(limited, tmp_path, monkeypatch):
    backups = Root(tmp_path)
    made = _made(backups, monkeypatch)
    second = sealed(backups, 21, [made])
    backups.check(second)
    place = quarantine.set_aside(second, "a test", now=datetime(2026, 11, 22, tzinfo=UTC))
    assert (place / quarantine.NOTE).exists()
    retention.remove(made)
    assert not made.exists()


def _made(backups, monkeypatch):
    """Write a set; the test's own chmod is none of the file system's business."""
    with monkeypatch.context() as patched:
        patched.setattr(Path, "chmod", lambda *_args: None)
        return make_set(backups.root, backups.keys, "2026-11-20_0600")


@EACH
def test_ledger_journal_locks_and_notes_work(limited, tmp_path):
    assert ledger.append(tmp_path, "backup", {}, now=datetime.now(UTC))["seq"] == 1
    assert ledger.verify(tmp_path) == []
    journal = Journal.of_root(tmp_path)
    journal.reserve()
    journal.record("swap", live="pms")
    assert Journal.of_root(tmp_path).swapping
    journal.close()
    with process_lock.exclusive(tmp_path / "lock", "test"):
        pass
    textfile_metrics.write(tmp_path / "metrics", [], "pms.prom", "")
    assert files.create_once(tmp_path / "one", b"1")
    assert not files.create_once(tmp_path / "one", b"2")
    assert (tmp_path / "one").read_bytes() == b"1"


@EACH
def test_a_partial_set_of_a_killed_backup_blocks_no_next_run(limited, tmp_path, monkeypatch):
    partial = tmp_path / ".partial-2026-11-22_0600"
    (partial / "dump").mkdir(parents=True)
    (partial / "dump" / "toc.dat").write_text("x")
    _nothing_else(monkeypatch)
    database = type("Database", (), {"access": "host"})()
    assert leftovers.clean(tmp_path, database) == [partial.name]
    assert not partial.exists()


def test_a_partial_set_that_cannot_be_removed_blocks_no_next_run(tmp_path, monkeypatch):
    partial = tmp_path / ".partial-2026-11-22_0600"
    partial.mkdir()
    _nothing_else(monkeypatch)

    def busy(_path):
        raise OSError(errno.EBUSY, "Device or resource busy")

    monkeypatch.setattr(leftovers.shutil, "rmtree", busy)
    database = type("Database", (), {"access": "host"})()
    assert leftovers.clean(tmp_path, database) == [f"{partial.name} stays: Device or resource busy"]
    moment = datetime(2026, 11, 22, 6, 0, tzinfo=UTC)
    assert preflight.free_name(tmp_path, moment) == "2026-11-22_0600-2"


def _nothing_else(monkeypatch):
    monkeypatch.setattr(leftovers.jobs, "undo", lambda *_args: [])
    monkeypatch.setattr(leftovers.jobs, "TimescaleJobs", lambda _database: None)
    monkeypatch.setattr(leftovers.trial, "clean", lambda *_args: [])


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.EINVAL, errno.ENOTSUP, errno.EPERM])
def test_links_that_are_refused_in_any_way_keep_both_copies(tmp_path, monkeypatch, number):
    backups = Root(tmp_path)
    first, second = backups.make(20), backups.make(21)

    def refuse(*_args):
        raise OSError(number, "refused")

    monkeypatch.setattr(os, "link", refuse)
    known = deduplication.known_contents([first])
    assert deduplication.link(second, manifest.read(second)["files"], known) == 0
    backups.check(second)


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP])
def test_a_file_system_without_locks_is_refused_with_a_remedy_that_helps(
    tmp_path, monkeypatch, number
):
    def flock(*_args):
        raise OSError(number, "No locks available")

    monkeypatch.setattr(fcntl, "flock", flock)
    with pytest.raises(OpsError) as caught, process_lock.exclusive(tmp_path / "lock", "backup"):
        pytest.fail("it was locked")
    assert caught.value.code == "files.no-locks"
    assert "local disk" in caught.value.remedy


def test_no_plain_copy_of_an_encrypted_dump_lies_where_others_read_it(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "set_mode", lambda *_args: False)
    monkeypatch.setattr(
        scratch.encryption, "decrypted", lambda *_args: pytest.fail("it was decrypted")
    )
    tmp_path.chmod(0o755)
    old = os.umask(0o022)
    try:
        with pytest.raises(OpsError) as caught:
            scratch.decrypt(tmp_path / "a.pgdump.age", tmp_path / "identity", tmp_path)
    finally:
        os.umask(old)
    assert caught.value.code == "files.not-private"


def test_a_key_whose_mode_cannot_be_set_is_told_with_what_helps(tmp_path):
    signing.load_or_create(tmp_path)
    (key,) = [path for path in tmp_path.iterdir() if path.is_file()]
    key.chmod(0o755)
    with pytest.raises(OpsError) as caught:
        signing.load_or_create(tmp_path)
    assert "pms_keys_dir" in caught.value.remedy


@pytest.mark.parametrize("mask", [0o077, 0o027, 0o022])
def test_what_others_read_is_readable_under_any_umask(tmp_path, mask):
    """node_exporter reads the metrics under a user of its own."""
    old = os.umask(mask)
    try:
        textfile_metrics.write(tmp_path / "metrics", [], "pms.prom", "")
        files.make_private_folder(tmp_path / "sets")
        with process_lock.exclusive(tmp_path / "sets" / "lock", "backup"):
            pass
    finally:
        os.umask(old)
    (metrics,) = (tmp_path / "metrics").iterdir()
    assert (tmp_path / "metrics").stat().st_mode & 0o777 == 0o755
    assert metrics.stat().st_mode & 0o777 == 0o644
    assert (tmp_path / "sets").stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (errno.ENOSPC, "disk.full"),
        (errno.EDQUOT, "disk.full"),
        (errno.EROFS, "disk.read-only"),
        (errno.EIO, "disk.error"),
        (errno.EACCES, "files.unwritable"),
        (errno.ENOSYS, "files.unsuitable"),
    ],
)
def test_each_refusal_has_the_remedy_of_its_cause(tmp_path, number, code):
    with pytest.raises(OpsError) as caught, file_system.coded(tmp_path):
        raise OSError(number, os.strerror(number))
    assert caught.value.code == code
    with pytest.raises(ConnectionError), file_system.coded(tmp_path):
        raise ConnectionError("of a library")
