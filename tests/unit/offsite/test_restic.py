# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Each way in which restic ends, as an error with a name; locks, time, versions, credentials."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.offsite import copies, restic, restic_errors
from ansible.module_utils.pmsops.offsite.restic import Answer
from ansible.module_utils.pmsops.offsite.site import Site

READ_ONLY = "offsite.read-only"
OTHER = {"status": 11, "said": "unable to create lock in backend: repository is already locked"}


@pytest.mark.parametrize(
    ("status", "said", "code"),
    [
        (1, "something new", "offsite.failed"),
        (2, "panic: runtime error", "offsite.crashed"),
        (-9, "", "offsite.crashed"),
        (3, "at least one source file could not be read", "offsite.unread"),
        (10, "repository does not exist", "offsite.no-repository"),
        (12, "wrong password or no key found", "offsite.wrong-password"),
        (130, "signal interrupt received", "offsite.interrupted"),
        (99, "", "offsite.failed"),
        (1, "Stat: The specified bucket does not exist", "offsite.no-bucket"),
        (1, "write /srv/r/data/x: no space left on device", "offsite.full"),
        (1, "dial tcp 127.0.0.1:1: connect: connection refused", "offsite.unreachable"),
        (1, "subprocess ssh: ssh: Could not resolve hostname vault", "offsite.unreachable"),
        (1, "unexpected HTTP response (403): 403 Forbidden", "offsite.refused"),
        (1, "client.PutObject: Access Denied.", "offsite.refused"),
        (1, "unable to create lock in backend: open x: read-only file system", READ_ONLY),
        (1, "unable to create lock in backend: open x: permission denied", READ_ONLY),
        (1, 'Save(<lock/1>) returned error: sftp: "Permission denied"', READ_ONLY),
        (1, "x509: certificate signed by unknown authority", "offsite.certificate"),
        (1, "repository contains errors", "offsite.damaged"),
        (
            1,
            "decrypting blob <data/6c1c> failed: ciphertext verification failed",
            "offsite.damaged",
        ),
    ],
)
def test_each_end_of_restic_has_a_name_and_a_remedy(status, said, code):
    error = restic_errors.to_error("vault", "backup", status, said)
    assert error.code == code and error.remedy


def test_the_error_is_what_restic_says_in_json_and_on_plain_lines():
    output = '{"message_type": "error", "item": "/a", "error": {"message": "gone"}}\n{"x": 1}\nx'
    errors = "Load(<x>) failed\nLoad(<x>) failed\n"
    errors += '{"message_type": "exit_error", "code": 1, "message": "Fatal: There were 1 errors"}'
    found = restic_errors.message(output, errors)
    assert found == "Load(<x>) failed / There were 1 errors / /a: gone / x"


def test_where_no_lock_can_be_written_what_reads_goes_without(stocked, tmp_path):
    said = {"status": 1, "said": "unable to create lock in backend: open x: read-only file system"}
    stocked.fault("snapshots", said)
    assert stocked.site("fetched", into=str(tmp_path / "back"))["ok"]
    locked, *unlocked = (each["argv"] for each in stocked.calls()[-3:])
    assert "--no-lock" not in locked
    assert all("--no-lock" in each for each in unlocked), unlocked
    # What writes never goes without.
    stocked.make_set("2026-11-23_0600")
    stocked.fault("backup", said)
    assert stocked.call("uploaded")["code"] == READ_ONLY


def test_a_lock_of_a_dead_run_is_removed_and_one_of_a_live_run_is_named(stocked):
    stocked.fault("snapshots", OTHER)
    assert stocked.site("uploaded")["ok"]
    assert [each["argv"][1] for each in stocked.calls()[-3:]] == ["unlock", "snapshots", "dump"]
    stocked.fault("snapshots", OTHER, OTHER)
    found = stocked.call("uploaded")
    assert found["code"] == "offsite.locked" and "already locked" in found["msg"]


def test_a_file_that_was_replaced_meanwhile_is_tried_once_more(stocked):
    stocked.make_set("2026-11-23_0600")
    unread = {"status": 3, "said": "some source data could not be read", "keep": True}
    stocked.fault("backup", unread)
    assert stocked.site("uploaded")["ok"]
    stocked.make_set("2026-11-24_0600")
    stocked.fault("backup", unread, {}, unread)
    assert stocked.call("uploaded")["code"] == "offsite.unread"


@pytest.mark.parametrize(
    "unread",
    [
        {"status": 3, "said": "at least one source file could not be read", "keep": True},
        # restic 0.18 with a path that is not there ends with 0
        {"before": "/the/path does not exist, skipping\n"},
    ],
)
def test_a_copy_of_which_not_all_was_read_counts_in_no_later_run(stocked, unread):
    stocked.make_set("2026-11-24_0600")
    stocked.fault("backup", unread, {}, unread, {})
    assert stocked.call("uploaded")["code"] == "offsite.unread"
    there = [json.loads(each.read_bytes()) for each in stocked.repository.glob("*.snapshot")]
    listed = copies.listed(SimpleNamespace(call=lambda *_, **__: Answer(b"", documents=[there])))
    assert [each.kind for each in listed[-4:]] == ["trial"] * 4  # two copies, each with its note
    assert "2026-11-24_0600" not in {each.set for each in listed if each.kind == copies.SET}
    assert stocked.site("uploaded")["changed"]
    assert not stocked.site("uploaded")["changed"]


def test_a_site_where_no_snapshot_is_whole_ends_the_run_and_gets_no_note_of_a_note(stocked):
    """Each note is a snapshot, too: one of each made hundreds, until somebody ended the run."""
    stocked.make_set("2026-11-24_0600")
    before = len(list(stocked.repository.glob("*.snapshot")))
    unread = {"status": 3, "said": "at least one source file could not be read", "keep": True}
    stocked.fault("backup", *[unread] * 30)
    assert stocked.call("uploaded")["code"] == "offsite.unread"
    # The copy, and a note of it that was tried twice
    assert len(list(stocked.repository.glob("*.snapshot"))) == before + 3


def test_a_site_that_does_not_answer_is_given_up(stocked, monkeypatch):
    monkeypatch.setattr(restic, "CONNECT_SECONDS", 0.3)
    monkeypatch.setattr(restic, "END_SECONDS", 2)
    stocked.fault("snapshots", {"sleep": 60})
    assert stocked.call("uploaded")["code"] == "offsite.timeout"


def test_a_site_that_is_not_there_is_given_up_before_the_time_is_up(stocked, monkeypatch):
    monkeypatch.setattr(restic, "LOOK_SECONDS", 0.2)
    monkeypatch.setattr(restic, "END_SECONDS", 2)
    line = 'Stat(<config/>) returned error, retrying after 1s: Head "x": connection refused\n'
    stocked.fault("snapshots", {"sleep": 60, "before": line * 3})
    assert stocked.call("uploaded")["code"] == "offsite.unreachable"


def test_a_site_without_room_is_named_while_restic_would_try_for_a_quarter_of_an_hour(
    stocked, monkeypatch
):
    monkeypatch.setattr(restic, "LOOK_SECONDS", 0.2)
    monkeypatch.setattr(restic, "END_SECONDS", 2)
    stocked.make_set("2026-11-23_0600")
    line = "Save(<data/07>) returned error, retrying after 1s: unexpected HTTP response (507)\n"
    stocked.fault("backup", {"sleep": 60, "before": line * 5})
    assert stocked.call("uploaded")["code"] == "offsite.full"


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ("restic 0.14.0 compiled with go1.19.8 on linux/amd64", "offsite.restic-old"),
        ("restic 1.0.0 compiled with go2", None),
        ("bash: no such thing", "offsite.restic-missing"),
    ],
)
def test_an_old_restic_is_refused_by_name(monkeypatch, program, said, code):
    monkeypatch.setenv("STANDIN_VERSION", said)
    if code is None:
        assert restic.version(program) == "1.0.0"
        return
    with pytest.raises(OpsError) as caught:
        restic.version(program)
    assert caught.value.code == code


def test_a_program_that_is_not_there_is_named(fund):
    assert fund.call("uploaded", restic="/nothing/restic")["code"] == "offsite.restic-missing"


def test_a_password_that_others_can_read_is_refused(stocked):
    (stocked.folder / "password").chmod(0o640)
    found = stocked.call("uploaded")
    assert found["code"] == "offsite.credentials" and "0640" in found["msg"]
    (stocked.folder / "password").unlink()
    assert "openssl rand" in stocked.call("uploaded")["remedy"]


def test_the_password_of_another_fund_opens_nothing(stocked):
    (stocked.folder / "password").write_text("of another fund")
    assert stocked.call("uploaded")["code"] == "offsite.wrong-password"
    assert stocked.call("fetched", into=str(stocked.folder / "x"))["code"] == (
        "offsite.wrong-password"
    )


def test_copies_of_another_system_are_named_before_anything_is_written(stocked):
    found = stocked.call("uploaded", system="another")
    assert found["code"] == "offsite.other-system" and "system fund" in found["msg"]
    assert stocked.calls()[-1]["argv"][1] == "snapshots"


@pytest.mark.parametrize(
    "url", ["rest:https://fund:word@vault:8000/x", "s3:https://key:word@host/bucket"]
)
def test_a_password_in_a_url_is_refused(fund, url):
    site = fund.options()["repositories"][0] | {"url": url}
    found = fund.call("present", repositories=[site])
    assert found["code"] == "offsite.secret-in-url" and "word@" not in found["msg"]


@pytest.mark.parametrize("line", ["no variable", "RESTIC_REPOSITORY=/elsewhere", "LD_PRELOAD=x"])
def test_a_file_of_credentials_holds_variables_of_the_site_alone(tmp_path, line):
    for name in ("password", "env"):
        (tmp_path / name).write_text(line)
        (tmp_path / name).chmod(0o600)
    site = Site("vault", "/x", tmp_path / "password", tmp_path / "env")
    with pytest.raises(OpsError) as caught:
        site.environment()
    assert caught.value.code == "offsite.credentials"


def test_a_name_that_is_none_is_refused(fund):
    site = fund.options()["repositories"][0] | {"name": "../x"}
    assert fund.call("present", repositories=[site])["code"] == "offsite.name"
