# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a drill on another host refuses before it begins, and that it leaves nothing."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections import namedtuple

import pms_drill_elsewhere
import pytest
from ansible.module_utils.pmsops.client_tools import sidecar
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.drills import elsewhere, machine, server
from ansible.module_utils.testing import patch_module_args

SET = "2026-11-22_0600"
HERE = {"hostname": "far", "machine_id": "x", "boot_id": "y", "engine_id": None}
SOURCE = {"hostname": "fund", "machine_id": "a", "boot_id": "b", "engine_id": "c"}
Usage = namedtuple("Usage", "total used free")


class Far:
    """The host of the drill, and the module called as Ansible calls it."""

    def __init__(self, fund, home, capsys):
        self.fund, self.home, self.capsys = fund, home, capsys
        shutil.copytree(fund.folder / "keys" / "trusted", home / "keys" / "trusted")

    def call(self, *, check=True, **more):
        options = self.fund.options() | {
            "root": str(self.home / "drill"),
            "keys": str(self.home / "keys"),
            "source": SOURCE,
            "image": "pms:17",
            "_ansible_check_mode": check,
        }
        self.capsys.readouterr()
        with patch_module_args(options | more), pytest.raises(SystemExit):
            pms_drill_elsewhere.main()
        found = json.loads(self.capsys.readouterr().out)
        assert not (self.home / "drill").exists()
        return found

    def code(self, **more):
        found = self.call(**more)
        assert found["failed_drill"] is False
        return found["code"]


@pytest.fixture
def far(stocked, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(machine, "describe", lambda: dict(HERE))
    monkeypatch.setattr(server, "require_image", lambda name: "sha256:1")
    monkeypatch.setattr(server, "clean", list)
    monkeypatch.setattr(sidecar, "remove_dead", list)
    return Far(stocked, tmp_path / "far", capsys)


def test_the_plan_says_where_the_bytes_come_from_and_whether_the_machines_are_apart(far):
    drill = far.call()["drill"]
    assert (drill["set"], drill["segregated"], drill["shared"]) == (SET, True, [])
    assert drill["source"]["kind"] == "offsite" and drill["source"]["site"] == "vault"
    assert drill["source"]["snapshot"] and "proved" not in drill


def test_the_machine_of_the_source_is_refused(far):
    source = SOURCE | {"machine_id": "x"}
    assert far.code(source=source) == "drill.same-machine"
    assert far.code(source=source, restic="/nowhere/restic") == "drill.same-machine"


def test_a_container_on_the_machine_of_the_source_is_not_segregated(far):
    drill = far.call(source=SOURCE | {"boot_id": "y"})["drill"]
    assert drill["segregated"] is False and "kernel is the same" in drill["shared"][0]


def test_a_host_that_trusts_no_key_believes_no_set(far):
    shutil.rmtree(far.home / "keys")
    assert far.code() == "drill.no-keys"


def test_a_set_of_a_key_that_is_not_trusted_there_is_refused(far):
    for path in (far.home / "keys" / "trusted").glob("*.pub"):
        path.rename(path.with_name("0123456789abcdef.pub"))
    assert far.code() == "signing.unknown-key"


def test_a_set_that_the_site_lacks_is_named(far):
    assert far.code(set="2026-01-01_0600") == "offsite.no-copy"
    assert far.code(set="proved") == "offsite.no-copy"


def test_a_host_without_restic_or_with_an_old_one_is_told(far, monkeypatch):
    found = far.call(restic="/nowhere/restic")
    assert found["code"] == "offsite.restic-missing"
    assert "restore_drill_restic" in found["remedy"]
    monkeypatch.setenv("STANDIN_VERSION", "restic 0.14.0 compiled with go1.19")
    assert far.code() == "offsite.restic-old"


def test_a_full_disk_is_told_before_anything_is_fetched(far, monkeypatch):
    monkeypatch.setattr(elsewhere.shutil, "disk_usage", lambda path: Usage(9, 9, 1))
    assert far.code() == "drill.room"
    assert not any("restore" in each["argv"] for each in far.fund.calls())


def test_the_site_is_read_with_the_password_of_the_host(far):
    other = far.home / "password"
    other.write_text("another one\n")
    other.chmod(0o600)
    site = far.fund.options()["repositories"][0] | {"password_file": str(other)}
    assert far.code(repositories=[site]) == "offsite.wrong-password"


@pytest.mark.parametrize("code", ["set.damaged", "restore.different", "offsite.damaged"])
def test_a_copy_that_does_not_restore_is_a_failed_drill(code):
    assert elsewhere.outcome(OpsError("It differs.", "Look.", code=code))


@pytest.mark.parametrize(
    "code", ["drill.version", "offsite.unreachable", "signing.unknown-key", "run.interrupted"]
)
def test_what_hinders_a_drill_is_none(code):
    assert not elsewhere.outcome(OpsError("It cannot be.", "Look.", code=code))


def test_a_damaged_copy_fails_the_drill_and_leaves_nothing(far, monkeypatch):
    (copied,) = far.fund.repository.glob(f"*/{str(far.fund.root).lstrip('/')}/{SET}/a.csv")
    copied.chmod(0o600)
    copied.write_text("id\n2\n")
    monkeypatch.setattr(elsewhere.Elsewhere, "_server", _no_server)
    monkeypatch.setattr(server, "require_versions", lambda database, document: "17.12")
    monkeypatch.setattr(elsewhere.Elsewhere, "_require_server_room", lambda *_: None)
    found = far.call(check=False)
    assert (found["code"], found["failed_drill"]) == ("set.damaged", True)
    assert found["drill"]["proved"] is False and found["drill"]["set"] == SET


@elsewhere.contextmanager
def _no_server(self, document):
    yield None


def test_a_fetch_that_a_killed_drill_left_running_is_ended(far):
    """It would fill the folder again."""
    work = far.home / "drill" / "work"
    work.mkdir(parents=True)
    sleep = [sys.executable, "-c", "import time; time.sleep(60)"]
    left = subprocess.Popen([*sleep, "--target", f"{work}/fetched/x"])
    other = subprocess.Popen([*sleep, "--target", f"{work}-of-another/x"])
    try:
        far.call()
        assert left.wait(timeout=10) == -9 and other.poll() is None
    finally:
        for each in (left, other):
            each.kill()
            each.wait()


def test_the_name_of_no_image_is_an_error_too(monkeypatch):
    with pytest.raises(OpsError, match="whose name is known") as error:
        server.require_image("")
    assert error.value.code == "drill.no-image"
