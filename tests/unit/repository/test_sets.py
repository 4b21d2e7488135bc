# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import pytest
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.repository import deduplication, manifest, sets, signing

from tests.support.backup_sets import make_set


@pytest.fixture
def folder(tmp_path):
    return make_set(tmp_path / "backups", tmp_path / "keys")


def refusal(tmp_path, folder):
    with pytest.raises(OpsError) as caught:
        sets.check(sets.resolve(folder), tmp_path / "keys")
    return caught.value


def test_a_sound_set_is_accepted(tmp_path, folder):
    assert sets.check(sets.resolve(folder), tmp_path / "keys")["files"] == 2


def test_its_folder_and_its_dump_mean_the_same_set(folder):
    assert sets.resolve(folder / "app.pgdump") == sets.resolve(folder)


@pytest.mark.parametrize("name", ["a.csv", "app.pgdump/toc.dat"])
def test_a_flipped_bit_is_named(tmp_path, folder, name):
    path = folder / name
    path.chmod(0o600)
    content = bytearray(path.read_bytes())
    content[0] ^= 1
    path.write_bytes(content)
    error = refusal(tmp_path, folder)
    assert error.code == "set.damaged"
    assert f"{name} has another content" in str(error)


def test_a_missing_a_short_and_a_strange_file_are_named(tmp_path, folder):
    (folder / "app.pgdump" / "toc.dat").unlink()
    (folder / "a.csv").chmod(0o600)
    (folder / "a.csv").write_text("id\n")
    (folder / "extra.sql").write_text("DROP DATABASE x;")
    text = str(refusal(tmp_path, folder))
    assert "toc.dat is missing" in text
    assert "a.csv has 3 bytes, not 5" in text
    assert "extra.sql is not in the manifest" in text


def test_a_link_in_place_of_a_file_is_refused_even_to_the_same_content(tmp_path, folder):
    copy = tmp_path / "copy.csv"
    copy.write_bytes((folder / "a.csv").read_bytes())
    (folder / "a.csv").unlink()
    (folder / "a.csv").symlink_to(copy)
    assert "a.csv is not a plain file" in str(refusal(tmp_path, folder))


def test_a_note_whose_writer_was_killed_does_no_harm_to_the_set(tmp_path, folder, monkeypatch):
    def killed(*_args):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("pathlib.Path.replace", killed)
        patched.setattr("pathlib.Path.unlink", lambda *_args, **_options: None)
        with pytest.raises(KeyboardInterrupt):
            sets.mark_verified(folder, {"rows": 1})
    assert (folder / "verified.json.new").exists()
    assert sets.check(sets.resolve(folder), tmp_path / "keys")["files"] == 2
    assert sets.verification(folder) is None
    sets.mark_verified(folder, {"rows": 2})
    assert sets.verification(folder)["rows"] == 2
    assert not (folder / "verified.json.new").exists()


def test_another_manifest_in_its_place_is_refused(tmp_path, folder):
    other = make_set(tmp_path / "other", tmp_path / "keys", contents={"a.csv": "id\n2\n"})
    (folder / "manifest.json").unlink()
    (folder / "manifest.json").write_bytes((other / "manifest.json").read_bytes())
    assert refusal(tmp_path, folder).code == "set.damaged"


def test_a_set_of_another_key_is_refused(tmp_path):
    folder = make_set(tmp_path / "backups", tmp_path / "foreign")
    signing.load_or_create(tmp_path / "keys")
    assert refusal(tmp_path, folder).code == "signing.unknown-key"


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "set.not-a-dump"),
        (b"\x00\x01binary", "set.not-a-dump"),
        (b"-- PostgreSQL database dump\nSET x = 1;\n\\! id\n", "set.plain-sql"),
    ],
)
def test_what_is_not_a_dump_is_refused_by_name(tmp_path, content, code):
    path = tmp_path / "x.pgdump"
    path.write_bytes(content)
    with pytest.raises(OpsError) as caught:
        sets.resolve(path)
    assert caught.value.code == code


def test_a_bare_dump_is_taken_as_one_without_proof(tmp_path):
    path = tmp_path / "naive.pgdump"
    path.write_bytes(b"PGDMP\x01\x0e")
    assert sets.resolve(path).naive


def test_a_missing_file_says_where_to_look(tmp_path):
    for name in ("2026-11-21_0600", "2026-11-22_0600"):
        make_set(tmp_path, tmp_path / "keys", name)
    with pytest.raises(OpsError) as caught:
        sets.resolve(tmp_path / "nothing")
    assert caught.value.code == "set.missing"
    assert f"sets of {tmp_path} are 2026-11-21_0600, 2026-11-22_0600." in caught.value.remedy
    with pytest.raises(OpsError) as caught:
        sets.resolve(tmp_path / "nowhere" / "nothing")
    assert "pms-ops status" in caught.value.remedy


def test_sets_are_listed_by_age_and_unfinished_ones_not_at_all(tmp_path):
    root = tmp_path / "backups"
    for name in ("2026-11-22_0600-10", "2026-11-22_0600", "2026-11-22_0600-2", "2026-11-21_0600"):
        make_set(root, tmp_path / "keys", name)
    (root / ".partial-2026-11-23_0600").mkdir()
    (root / "2026-11-23_0600").mkdir()
    assert [path.name for path in sets.listed(root)] == [
        "2026-11-21_0600",
        "2026-11-22_0600",
        "2026-11-22_0600-2",
        "2026-11-22_0600-10",
    ]


def test_a_proof_counts_only_for_the_manifest_it_was_made_of(tmp_path, folder):
    assert sets.verification(folder) is None
    sets.mark_verified(folder, {"by": "drill"})
    assert sets.verification(folder)["by"] == "drill"
    assert sets.newest(folder.parent, verified=True) == folder
    other = make_set(tmp_path / "other", tmp_path / "keys", contents={"a.csv": "x"})
    (folder / "verified.json").replace(other / "verified.json")
    assert sets.verification(other) is None


def test_equal_files_are_shared_and_a_rotten_one_is_not(tmp_path):
    root, keys = tmp_path / "backups", tmp_path / "keys"
    first = make_set(root, keys, "2026-11-21_0600")
    second = make_set(root, keys, "2026-11-22_0600")
    rotten = first / "app.pgdump" / "toc.dat"
    rotten.chmod(0o600)
    rotten.write_text("t0c")
    rotten.chmod(0o400)
    recorded = manifest.read(second)["files"]
    saved = deduplication.link(second, recorded, deduplication.known_contents([first]))
    assert saved == 5
    assert (second / "a.csv").samefile(first / "a.csv")
    assert (second / "app.pgdump" / "toc.dat").read_text() == "toc"


def test_a_file_that_somebody_made_writable_is_not_shared(tmp_path):
    root, keys = tmp_path / "backups", tmp_path / "keys"
    first = make_set(root, keys, "2026-11-21_0600")
    second = make_set(root, keys, "2026-11-22_0600")
    (first / "a.csv").chmod(0o600)
    deduplication.link(
        second, manifest.read(second)["files"], deduplication.known_contents([first])
    )
    assert not (second / "a.csv").samefile(first / "a.csv")
