# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import base64
import copy
from dataclasses import replace

import pytest
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.repository import manifest, signing
from ansible.module_utils.pmsops.restore.request import Request

from tests.support.backup_sets import make_set

DOCUMENT = {"id": "2026-11-22_0600", "files": {"é.csv": {"size_bytes": 3}}, "canary": None}


@pytest.fixture
def signed(tmp_path):
    return signing.sign(DOCUMENT, signing.load_or_create(tmp_path / "keys"))


def test_a_key_is_made_once_private_and_pinned(tmp_path):
    first = signing.raw_public(signing.load_or_create(tmp_path / "keys"))
    assert signing.raw_public(signing.load_or_create(tmp_path / "keys")) == first
    assert (tmp_path / "keys" / "signing.key").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "keys").stat().st_mode & 0o777 == 0o700
    assert signing.pin(tmp_path / "keys", first).exists()


def test_what_was_signed_is_accepted_whatever_the_order_of_its_keys(tmp_path, signed):
    shuffled = dict(reversed(list(signed.items())))
    assert len(signing.check(shuffled, tmp_path / "keys")) == 64


@pytest.mark.parametrize(
    "change",
    [
        lambda d: d.update(id="2026-11-22_0601"),
        lambda d: d["files"]["é.csv"].update(size_bytes=4),
        lambda d: d.update(extra=1),
        lambda d: d.pop("canary"),
        lambda d: d["signature"].update(value="AAAA"),
        lambda d: d["signature"].update(value="not base64"),
        lambda d: d["signature"].pop("public_key"),
        lambda d: d["signature"].update(public_key="AAAA"),
    ],
)
def test_any_change_is_found(tmp_path, signed, change):
    changed = copy.deepcopy(signed)
    change(changed)
    with pytest.raises(OpsError) as caught:
        signing.check(changed, tmp_path / "keys")
    assert caught.value.code == "signing.invalid"


def test_no_signature_is_no_proof(tmp_path):
    with pytest.raises(OpsError) as caught:
        signing.check(DOCUMENT, tmp_path / "keys")
    assert caught.value.code == "signing.missing"


def test_another_machines_key_is_refused_unless_named(tmp_path):
    foreign = signing.load_or_create(tmp_path / "foreign")
    document = signing.sign(DOCUMENT, foreign)
    with pytest.raises(OpsError, match="not pinned") as caught:
        signing.check(document, tmp_path / "keys")
    assert caught.value.code == "signing.unknown-key"
    identity = signing.key_id(signing.raw_public(foreign))
    assert identity in caught.value.remedy
    assert signing.check(document, tmp_path / "keys", trust=identity) == identity


def test_a_key_that_others_may_read_is_not_used(tmp_path):
    signing.load_or_create(tmp_path / "keys")
    (tmp_path / "keys" / "signing.key").chmod(0o644)
    with pytest.raises(OpsError, match="can be read by others"):
        signing.load_or_create(tmp_path / "keys")


def test_a_file_that_is_no_key_is_named(tmp_path):
    signing.load_or_create(tmp_path / "keys")
    (tmp_path / "keys" / "signing.key").write_text("hello")
    with pytest.raises(OpsError, match="not a private key"):
        signing.load_or_create(tmp_path / "keys")


def test_a_key_that_was_accepted_for_one_run_is_said_to_be_none_of_the_trusted_ones(tmp_path):
    """The next command refused the set that this one had restored: issue 18, A31."""
    keys, others = tmp_path / "keys", tmp_path / "others"
    folder = make_set(tmp_path / "backups", keys)
    signing.load_or_create(others)
    here = Request(root=tmp_path / "backups", keys=keys, file=folder)
    assert here.notes() == []
    there = replace(here, keys=others)
    (line,) = there.notes()
    identity = manifest.read(folder)["signature"]["public_key"]
    key = signing.key_id(base64.b64decode(identity))
    assert line.startswith(f"Key {key}, which signed the set, was accepted for this run only.")
    assert f"set pms_trusted_key: {key} in the inventory" in line
