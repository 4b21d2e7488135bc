# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The journal: on disk before each step, and in the marks of the databases."""

from __future__ import annotations

import errno
import json

import pytest
from ansible.module_utils.pmsops.common import files
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.restore import registry
from ansible.module_utils.pmsops.restore.journal import Journal


def test_the_journal_is_on_disk_before_a_step_begins(tmp_path):
    journal = Journal.open(tmp_path / "restore.json")
    assert journal.state == {}
    journal.record("aside", side="x")
    journal.record("proved")
    again = Journal.open(tmp_path / "restore.json")
    assert again.proved and not again.swapping
    assert again.state["side"] == "x"
    assert [step for step, _ in again.state["steps"]] == ["aside", "proved"]
    again.close()
    assert Journal.open(tmp_path / "restore.json").state == {}
    assert not (tmp_path / "restore.json").exists()


def test_the_room_of_the_journal_is_taken_before_the_first_step(tmp_path, monkeypatch):
    journal = Journal(tmp_path / "restore.json")
    journal.reserve()
    (room,) = tmp_path.iterdir()
    size, inode = room.stat().st_size, room.stat().st_ino

    def full(*_args, **_options):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(files, "replace", full)
    for number in range(200):
        journal.record(f"step {number}")
    found = journal.path.stat()
    assert (found.st_size, found.st_ino) == (size, inode)
    assert Journal.open(journal.path).state["step"] == "step 199"
    journal.close()
    again = Journal.open(journal.path)
    assert again.state == {}
    again.reserve()
    again.record("aside")
    assert Journal.open(journal.path).state["steps"][0][0] == "aside"
    assert len(Journal.open(journal.path).state["steps"]) == 1


def test_a_disk_without_room_for_the_journal_is_refused_with_a_code(tmp_path, monkeypatch):
    def full(*_args, **_options):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(files, "replace", full)
    with pytest.raises(OpsError, match="Nothing was changed") as caught:
        Journal(tmp_path / "restore.json").reserve()
    assert caught.value.code == "disk.full"


@pytest.mark.parametrize("kept", range(0, 600, 7))
def test_a_write_that_is_cut_off_leaves_the_step_before(tmp_path, monkeypatch, kept):
    journal = Journal(tmp_path / "restore.json")
    journal.reserve()
    journal.record("aside", side="x" * 90, live="one")
    journal.record("proved", side="y" * 100)
    journal.record("swap", side="z" * 80, live="two")
    overwrite = files.overwrite

    def torn(path, content, *, offset=0):
        overwrite(path, content[:kept], offset=offset)
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(files, "overwrite", torn)
    with pytest.raises(OpsError) as caught:
        journal.record("rename", side="w" * 120)
    assert caught.value.code == "disk.error"
    found = Journal.open(journal.path).state
    assert (found["step"], found["side"]) in (("swap", "z" * 80), ("rename", "w" * 120))
    whole = len(json.dumps(journal.state | {"serial": 4, "crc32": 4_000_000_000}))
    assert kept < whole or found["step"] == "rename"


def test_a_state_larger_than_its_room_gets_more_of_it(tmp_path):
    journal = Journal(tmp_path / "restore.json")
    journal.reserve()
    journal.record("swap", incoming_mark={"comment": "c" * 100_000})
    journal.record("rename")
    assert Journal.open(journal.path).state == journal.state


def test_a_journal_of_a_former_release_is_read_and_continued(tmp_path):
    path = tmp_path / "restore.json"
    path.write_text(json.dumps({"step": "rename", "incoming": "x", "steps": []}) + "\n")
    journal = Journal.open(path)
    assert journal.swapping
    journal.record("open")
    found = Journal.open(path).state
    assert (found["step"], found["incoming"]) == ("open", "x")


def test_a_journal_of_nonsense_counts_as_lost(tmp_path):
    path = tmp_path / "restore.json"
    for content in (b"", b"\0" * 65536, b"[1]", b"7", b"{"):
        path.write_bytes(content)
        assert Journal.open(path).state == {}


def test_a_journal_that_is_lost_is_read_from_the_databases(tmp_path):
    journal = Journal(tmp_path / "restore.json")
    mark = {"of": "pms", "is": "former", "state": {"step": "rename", "incoming": "x"}}
    found = {
        "a": registry.ManagedDatabase("a", 1, True, None, mark | {"of": "other"}),
        "b": registry.ManagedDatabase("b", 2, True, None, json.loads(json.dumps(mark))),
    }
    journal.load_from_marks(found, "pms")
    assert journal.swapping
    assert journal.state["incoming"] == "x"
