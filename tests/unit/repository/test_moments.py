# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is done for each of many sets: no manifest is read twice, and no file is asked for."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest
from ansible.module_utils.pmsops.common import files
from ansible.module_utils.pmsops.evidence import set_list
from ansible.module_utils.pmsops.recovery.disk import FileSystem, add_growth
from ansible.module_utils.pmsops.repository import manifest, retention, sets
from ansible.module_utils.pmsops.repository.growth import growth_bytes_per_day
from ansible.module_utils.pmsops.repository.moments import Moments

from tests.support.backup_sets import make_set

NOW = datetime(2026, 11, 30, tzinfo=UTC)
SETS = 12
TOTALS = {"bytes": 500, "saved_bytes": 400}


@pytest.fixture
def root(tmp_path):
    root = tmp_path / "backups"
    for day in range(1, SETS + 1):
        name = f"2026-11-{day:02}_0600"
        folder = make_set(
            root, tmp_path / "keys", name, totals=TOTALS, server={"size_bytes": 1000 * day}
        )
        sets.mark_verified(folder, {"rows": 1})
    sets.state_folder(root)
    return root


@pytest.fixture
def reads(monkeypatch):
    """Note each manifest that is read or hashed, and each file whose size is asked for."""
    found, read, sha256, stat = [], manifest.read, files.sha256, Path.stat

    def noted(path, *args, **options):
        if path.suffix in (".dat", ".csv"):
            found.append(f"stat {path}")
        return stat(path, *args, **options)

    monkeypatch.setattr(manifest, "read", lambda folder: found.append(folder.name) or read(folder))
    monkeypatch.setattr(files, "sha256", lambda path: found.append(str(path)) or sha256(path))
    monkeypatch.setattr(Path, "stat", noted)
    return found


def test_a_list_of_sets_reads_no_manifest_that_the_last_backup_has_noted(root, reads):
    before = set_list.collect(root, now=NOW)
    assert len([each for each in before if each["verified_at"]]) == SETS
    retention.candidates(root, keep_moments=True)
    reads.clear()
    assert set_list.collect(root, now=NOW) == before
    assert [each.verified for each in retention.candidates(root)] == [True] * SETS
    assert reads == []


def test_a_manifest_of_another_content_is_read_and_no_longer_verified(root, reads):
    retention.candidates(root, keep_moments=True)
    changed = root / "2026-11-05_0600"
    path = changed / manifest.NAME
    times, text = path.stat(), path.read_text()
    path.chmod(0o600)
    path.write_text(text.replace('"bytes": 500', '"bytes": 501'))
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))  # as who hides a change does
    reads.clear()
    moments = Moments(root)
    assert moments.verification(changed) is None
    assert moments.facts(changed)["bytes"] == 501
    assert reads[0] == changed.name


def test_growth_reads_no_manifest_and_counts_what_lies_on_the_disk(root, reads):
    retention.candidates(root, keep_moments=True)
    before = growth_bytes_per_day(root)
    days = SETS - 1
    # A file that no manifest knows of fills the disk as well.
    (root / f"2026-11-{SETS:02}_0600" / "core").write_bytes(b"x" * 1000 * days)
    reads.clear()
    assert growth_bytes_per_day(root) == pytest.approx(before + 1000)
    system = FileSystem(1, {"database": root}, 10**6, 10**5)
    add_growth([system], root)
    assert system.growth == {"databases": 1000.0}
    assert [each for each in reads if not each.startswith("stat ")] == []


def test_the_newest_verified_set_is_looked_for_from_the_newest_on(root, reads):
    assert sets.newest(root, verified=True).name == f"2026-11-{SETS}_0600"
    assert len(reads) == 1


def test_links_and_folders_of_a_set_are_listed_without_a_look_at_each_file(tmp_path, monkeypatch):
    (tmp_path / "a" / "b").mkdir(parents=True)
    for name in ("z.csv", "a/1.dat", "a/b/2.dat"):
        (tmp_path / name).write_text("x")
    (tmp_path / "a" / "link").symlink_to(tmp_path / "a" / "b")
    (tmp_path / "gone").symlink_to(tmp_path / "nowhere")
    with monkeypatch.context() as without:
        without.setattr(Path, "stat", None)
        found = files.walk(tmp_path)
    assert found == ["a/1.dat", "a/b/2.dat", "a/link", "gone", "z.csv"]
