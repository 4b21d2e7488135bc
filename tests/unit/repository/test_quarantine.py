# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Damaged sets: found with all that share their files, set aside, passed over; nothing deleted."""

from __future__ import annotations

import os
from datetime import UTC, datetime

import pytest
from ansible.module_utils.pmsops.common import files
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.repository import manifest, quarantine, sets, signing

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)


@pytest.fixture
def keys(tmp_path):
    return tmp_path / "keys"


def made(root, keys, name, contents, *, link=None, verified=True, database="fund"):
    """Write a signed set of *contents*; *link* names files that an older set already has."""
    folder = root / name
    folder.mkdir(parents=True)
    for file, content in contents.items():
        if link and file in link:
            os.link(link[file], folder / file)
        else:
            (folder / file).write_bytes(content)
    document = {field: {} for field in manifest.REQUIRED} | {
        "schema_version": manifest.SCHEMA_VERSION,
        "id": name,
        "database_name": database,
        "snapshot_at": f"{name[:10]}T{name[11:13]}:{name[13:15]}:00Z",
        "files": {
            file: {
                "size_bytes": len(content),
                "sha256": files.sha256(folder / file),
            }
            for file, content in contents.items()
        },
    }
    manifest.write(folder, document, keys)
    if verified:
        sets.mark_verified(folder, {})
    return folder


@pytest.fixture
def three(tmp_path, keys):
    """Three sets; the newest shares its file ``big`` with the oldest, the one between does not."""
    root = tmp_path / "sets"
    old = made(root, keys, "2026-11-20_0600", {"big": b"a" * 50, "own": b"1"})
    middle = made(root, keys, "2026-11-21_0600", {"big": b"b" * 50, "own": b"2"})
    new = made(
        root, keys, "2026-11-22_0600", {"big": b"a" * 50, "own": b"3"}, link={"big": old / "big"}
    )
    return root, old, middle, new


def rot(path):
    content = bytearray(path.read_bytes())
    content[0] ^= 1
    path.chmod(0o600)
    path.write_bytes(content)


def test_sound_sets_are_left_alone(three, keys):
    assert quarantine.damaged(three[0], keys) == []


def test_whoever_shares_a_rotten_file_is_found_however_old(three, keys):
    root, old, _middle, new = three
    rot(new / "big")
    found = quarantine.damaged(root, keys)
    # The newest last: a run that is killed between finds the others again.
    assert [folder for folder, _why in found] == [old, new]
    assert "another content" in found[1][1]
    assert "shares damaged files with 2026-11-22_0600" in found[0][1]


def test_a_file_that_was_replaced_spoils_its_own_set_only(three, keys):
    root, _old, _middle, new = three
    (new / "big").unlink()
    (new / "big").write_bytes(b"c" * 50)
    assert [folder for folder, _why in quarantine.damaged(root, keys)] == [new]


def test_set_aside_is_no_set_any_more_and_keeps_every_byte(three, keys):
    root, _old, middle, new = three
    place = quarantine.set_aside(new, "it is rotten", now=NOW)
    assert sets.newest(root) == middle
    assert (place / "own").read_bytes() == b"3"
    assert "it is rotten" in (place / quarantine.NOTE).read_text()


def test_a_second_one_of_that_name_gets_a_number(three):
    _root, _old, _middle, new = three
    quarantine.set_aside(new, "one", now=NOW)
    new.mkdir()
    assert quarantine.set_aside(new, "two", now=NOW).name == "2026-11-22_0600.damaged-2"


def test_the_choice_passes_over_what_cannot_be_relied_on_and_says_why(three, keys):
    root, old, middle, new = three
    rot(new / "own")
    (middle / sets.VERIFIED).unlink()
    choice = quarantine.choose(root, keys, database="fund", verified=True)
    assert choice.folder == old
    assert [text.partition(":")[0] for text in choice.passed_over] == [new.name, middle.name]
    assert "own has another content" in choice.passed_over[0]
    assert "never restored" in choice.passed_over[1]


def test_a_set_of_another_database_is_never_chosen(three, keys):
    choice = quarantine.choose(three[0], keys, database="other", verified=False)
    assert choice.folder is None
    assert len(choice.passed_over) == 3


def test_a_forged_manifest_is_a_damaged_set(three, keys):
    new = three[3]
    path = new / manifest.NAME
    path.write_text(path.read_text().replace('"fund"', '"fxnd"'))
    assert not quarantine.examine(new, keys).sound


def test_without_the_key_nothing_is_said_of_a_set(three, tmp_path):
    with pytest.raises(OpsError) as caught:
        quarantine.examine(three[3], tmp_path / "other keys")
    assert caught.value.code.startswith("signing.")


def test_where_time_is_short_the_small_files_are_read_and_the_rest_is_said(three, keys):
    clock = iter([0.0, 0.5, 2.0, 3.0, 4.0])
    examined = quarantine.examine(three[3], keys, seconds=1.0, now=lambda: next(clock))
    assert examined.sound
    assert 0 < examined.percent < 100


def drill(name, *, proved=False, code="restore.different", at="2026-11-23T00:00:00Z"):
    return {"at": at, "record": {"set": name, "proved": proved, "code": code, "why": "because"}}


@pytest.mark.parametrize(
    ("entries", "why"),
    [
        ([], None),
        ([drill("2026-11-22_0600")], "because"),
        ([drill("/backups/2026-11-22_0600")], "because"),
        ([drill("2026-11-21_0600")], None),
        ([drill(None)], "because"),
        ([drill(None, at="2026-11-21T00:00:00Z")], None),
        ([drill("2026-11-22_0600", at="2026-11-21T00:00:00Z")], None),
        ([drill("2026-11-22_0600", code="restore.space")], None),
        ([drill("2026-11-22_0600", code="database.unreachable")], None),
        ([drill("2026-11-22_0600", code=None)], None),
        ([drill("2026-11-22_0600"), drill("2026-11-22_0600", proved=True)], None),
    ],
)
def test_only_a_drill_that_failed_for_the_sets_sake_counts(three, entries, why):
    assert quarantine.failed_drill(entries, three[3]) == why


def test_a_set_whose_drill_failed_is_damaged_and_not_chosen(three, keys):
    root, _old, middle, new = three
    entries = [drill(new.name)]
    assert [folder for folder, _why in quarantine.damaged(root, keys, drills=entries)] == [new]
    choice = quarantine.choose(root, keys, database="fund", verified=True, drills=entries)
    assert choice.folder == middle


def test_keys_are_made_by_the_first_signature(three, keys):
    assert signing.check(manifest.read(three[3]), keys)
