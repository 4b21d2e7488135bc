# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Encryption at rest: streams to a recipient, whole or refused, never a plain file beside."""

from __future__ import annotations

import sys

import pyrage
import pytest
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.repository import encryption

PLAIN = bytes(range(256)) * 4096


@pytest.fixture
def identity():
    return pyrage.x25519.Identity.generate()


@pytest.fixture
def identity_file(identity, tmp_path):
    path = tmp_path / "identity.txt"
    path.write_text(f"# created: today\n\n{identity}\n")
    return path


@pytest.fixture
def locked(identity, tmp_path):
    path = tmp_path / "dump.age"
    recipients = encryption.parse_recipients([str(identity.to_public())])
    with encryption.encrypted(path, recipients) as stream:
        stream.write(PLAIN)
    return path


def read(path, identity_file):
    with encryption.decrypted(path, identity_file) as stream:
        return stream.read()


def test_what_goes_in_comes_out_and_the_file_does_not_hold_it(locked, identity_file):
    assert PLAIN[:64] not in locked.read_bytes()
    assert read(locked, identity_file) == PLAIN


def test_each_of_several_recipients_can_read_alone(identity, identity_file, tmp_path):
    other = pyrage.x25519.Identity.generate()
    path = tmp_path / "both.age"
    keys = [str(identity.to_public()), str(other.to_public())]
    with encryption.encrypted(path, encryption.parse_recipients(keys)) as stream:
        stream.write(b"secret")
    second = tmp_path / "second.txt"
    second.write_text(str(other))
    assert read(path, identity_file) == read(path, second) == b"secret"


def test_another_identity_is_refused_by_name(locked, tmp_path):
    stranger = tmp_path / "stranger.txt"
    stranger.write_text(str(pyrage.x25519.Identity.generate()))
    with pytest.raises(OpsError, match=r"dump\.age cannot be decrypted") as caught:
        read(locked, stranger)
    assert caught.value.code == "encryption.refused"
    assert "identity of one of the recipients" in caught.value.remedy


@pytest.mark.parametrize("position", [40, -20])
def test_a_changed_file_is_refused_wherever_the_change_is(locked, identity_file, position):
    content = bytearray(locked.read_bytes())
    content[position] ^= 1
    locked.write_bytes(content)
    with pytest.raises(OpsError) as caught:
        read(locked, identity_file)
    assert caught.value.code == "encryption.refused"


def test_a_file_that_was_cut_is_refused(locked, identity_file):
    locked.write_bytes(locked.read_bytes()[:-100_000])
    with pytest.raises(OpsError) as caught:
        read(locked, identity_file)
    assert caught.value.code == "encryption.refused"


@pytest.mark.parametrize("size", [100, 65_536, 200_000])
@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_a_line_end_after_a_whole_file_is_told_from_a_cut(tmp_path, identity_file, size, end):
    """age withholds the last piece in both cases, and its error is the same."""
    identity = encryption.load_identities(identity_file)[0]
    path = tmp_path / "b.age"
    with encryption.encrypted(path, [identity.to_public()]) as stream:
        stream.write(PLAIN[:1] * size)
    whole = path.read_bytes()
    path.write_bytes(whole + end)
    with pytest.raises(OpsError, match="it is whole, with the end of a line after it") as caught:
        read(path, identity_file)
    assert caught.value.code == "encryption.refused" and "truncate" in caught.value.remedy
    path.write_bytes(whole[:-20])
    with pytest.raises(OpsError, match="it was cut or changed") as caught:
        read(path, identity_file)
    assert "another copy" in caught.value.remedy


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_a_whole_file_may_itself_end_with_a_carriage_return(tmp_path, identity_file, end):
    identity = encryption.load_identities(identity_file)[0]
    path = tmp_path / "b.age"
    for _ in range(10_000):  # one of 256 does
        path.unlink(missing_ok=True)
        with encryption.encrypted(path, [identity.to_public()]) as stream:
            stream.write(PLAIN[:100])
        if (whole := path.read_bytes()).endswith(b"\r"):
            break
    path.write_bytes(whole + end)
    with pytest.raises(OpsError, match="it is whole, with the end of a line after it") as caught:
        read(path, identity_file)
    assert f"truncate -s -{len(end)} " in caught.value.remedy


def test_a_reader_that_stops_early_is_no_error(locked, identity_file):
    with encryption.decrypted(locked, identity_file) as stream:
        assert stream.read(16) == PLAIN[:16]


@pytest.mark.parametrize("text", ["age1nonsense", "ssh-ed25519 nonsense", "", "AGE-SECRET-KEY-1X"])
def test_what_is_no_public_key_is_refused(text):
    with pytest.raises(OpsError) as caught:
        encryption.parse_recipients([text])
    assert caught.value.code == "encryption.recipient"
    assert "age1" in caught.value.remedy


@pytest.mark.parametrize("content", ["", "# only a comment\n", "AGE-SECRET-KEY-1X\n", None])
def test_a_file_without_a_usable_identity_is_refused(tmp_path, content):
    path = tmp_path / "identity.txt"
    if content is not None:
        path.write_text(content)
    with pytest.raises(OpsError) as caught:
        encryption.load_identities(path)
    assert caught.value.code == "encryption.identity"


def test_a_target_that_exists_is_not_overwritten(tmp_path, identity):
    path = tmp_path / "there.age"
    path.write_bytes(b"older")
    recipients = encryption.parse_recipients([str(identity.to_public())])
    with pytest.raises(FileExistsError), encryption.encrypted(path, recipients) as stream:
        stream.write(PLAIN)
    assert path.read_bytes() == b"older"


def test_a_full_disk_keeps_the_number_that_names_it(tmp_path, monkeypatch):
    """The library reports a full disk as an error of its own kind, without a number."""

    def full(source, target, recipients):
        raise pyrage.EncryptError("No space left on device (os error 28)")

    monkeypatch.setattr(pyrage, "encrypt_io", full)
    with pytest.raises(OSError) as caught, encryption.encrypted(tmp_path / "a.age", []) as stream:
        stream.write(PLAIN)
    assert caught.value.errno == 28


def test_a_host_without_the_library_is_told_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyrage", None)
    with pytest.raises(OpsError) as caught:
        encryption.parse_recipients(["age1x"])
    assert caught.value.code == "encryption.missing"
    assert "requirements/control.txt" in caught.value.remedy
