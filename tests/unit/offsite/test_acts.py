# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The acts on a site: each twice in check mode and for real, and what they leave behind."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import ClassVar

import docker.errors
import pms_offsite_info
import pytest
from ansible.module_utils.pmsops.evidence import ledger
from ansible.module_utils.pmsops.offsite import contents, work
from ansible.module_utils.pmsops.repository import sets, site_notes

from tests.unit.offsite.conftest import SECRET

NEWEST = "2026-11-22_0600"


def test_a_repository_is_made_once(fund):
    runs = [fund.call("present", _ansible_check_mode=c)["changed"] for c in (1, 0, 1, 0)]
    assert runs == [True, True, False, False]


def test_a_set_is_copied_once_and_again_with_its_proof(stocked):
    runs = [stocked.call("uploaded", _ansible_check_mode=c)["changed"] for c in (1, 0)]
    assert runs == [False, False]
    sets.mark_verified(stocked.root / NEWEST, {})
    assert not site_notes.assess(stocked.root, ["vault"])[0]["current"]
    runs = [stocked.call("uploaded", _ansible_check_mode=c)["changed"] for c in (1, 0, 1, 0)]
    assert runs == [True, True, False, False]
    assert site_notes.assess(stocked.root, ["vault"])[0]["current"]


def test_the_evidence_goes_along_when_the_ledger_has_a_new_line(stocked):
    ledger.append(stocked.folder / "evidence", "gate", {"run": "x"}, now=datetime.now(UTC))
    assert stocked.call("uploaded")["changed"]


def test_a_copy_that_comes_back_different_does_not_count(fund):
    fund.call("present")
    folder = fund.root / NEWEST
    real = (folder / "manifest.json").read_bytes()
    fund.site("uploaded")
    copy = next(fund.repository.glob(f"*/{str(folder).lstrip('/')}/manifest.json"))
    copy.chmod(0o600)
    copy.write_bytes(real.replace(b"app", b"apq"))
    found = fund.call("uploaded")
    assert (found["failed"], found["code"]) == (True, "offsite.differs")
    assert (folder / "manifest.json").read_bytes() == real


def test_no_secret_is_in_arguments_results_or_notes(stocked):
    site = stocked.options()["repositories"][0]
    env = stocked.folder / "vault.env"
    env.write_text("# of S3\nexport AWS_SECRET_ACCESS_KEY='hidden-key'\n")
    env.chmod(0o600)
    site |= {"environment_file": str(env)}
    stocked.fault("snapshots", {"status": 1, "said": f"Fatal: hidden-key and {SECRET} are wrong"})
    found = stocked.call("uploaded", repositories=[site])
    assert "*** and *** are wrong" in found["msg"]
    assert "hidden-key" not in json.dumps(found) and SECRET not in json.dumps(found)
    note = (stocked.root / ".pms-ops" / "offsite.json").read_text()
    assert "hidden-key" not in note and SECRET not in note
    last = stocked.calls()[-1]
    assert last["env"]["AWS_SECRET_ACCESS_KEY"] == "hidden-key"
    assert not any("hidden-key" in each or SECRET in each for each in last["argv"])
    assert SECRET not in json.dumps(last["env"])


def test_neither_the_private_key_nor_the_metrics_leave_the_machine(stocked):
    (stocked.folder / "evidence" / "metrics").mkdir()
    (stocked.folder / "evidence" / "metrics" / "x.prom").write_text("x 1\n")
    ledger.append(stocked.folder / "evidence", "gate", {"run": "x"}, now=datetime.now(UTC))
    stocked.call("uploaded", inventory={"pms_db_name": "app"})
    names = [path.name for path in stocked.repository.rglob("*") if path.is_file()]
    assert "signing.key" not in names and "x.prom" not in names
    assert {"ledger.jsonl", "inventory.json", "manifest.json"} <= set(names)
    assert any(name.endswith(".pub") for name in names)


def test_a_set_comes_back_from_the_site_alone_into_an_empty_folder(stocked, tmp_path):
    into = tmp_path / "fetched"
    planned = stocked.site("fetched", into=str(into), _ansible_check_mode=True)
    assert planned["changed"] and not into.exists()
    found = stocked.site("fetched", into=str(into))
    assert found["folder"] == str(into / NEWEST) == planned["folder"]
    assert sorted(path.name for path in into.iterdir()) == [NEWEST, "evidence", "keys"]
    assert all("--no-cache" in each["argv"] for each in stocked.calls()[-2:])
    assert stocked.call("fetched", into=str(into))["code"] == "offsite.not-empty"


def test_a_fetch_that_was_killed_goes_on_in_its_folder_and_touches_no_other(stocked, tmp_path):
    into = tmp_path / "fetched"
    for name in (".fetched/srv/half", "keys/trusted", "2026-11-21_0600"):
        (into / name).mkdir(parents=True)
    (into / ".fetched" / "srv").chmod(0o500)
    (into / "mine").write_text("of a person")
    assert stocked.call("fetched", into=str(into))["code"] == "offsite.not-empty"
    assert (into / ".fetched" / "srv" / "half").is_dir()
    (into / "mine").unlink()
    assert stocked.site("fetched", into=str(into))["folder"] == str(into / NEWEST)
    assert sorted(path.name for path in into.iterdir()) == [NEWEST, "evidence", "keys"]


def test_a_fetch_that_was_killed_while_it_checked_the_files_goes_on(stocked, tmp_path, monkeypatch):
    into = tmp_path / "fetched"

    def killed(*_args, **_options):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(work.sets, "check", killed)
        stocked.call("fetched", into=str(into))
    assert stocked.site("fetched", into=str(into))["folder"] == str(into / NEWEST)
    assert sorted(path.name for path in into.iterdir()) == [NEWEST, "evidence", "keys"]


def test_a_set_that_was_altered_on_the_site_is_refused_when_it_is_fetched(stocked, tmp_path):
    copy = next(stocked.repository.glob("*/**/a.csv"))
    copy.chmod(0o600)
    copy.write_text("id\n2\n")
    assert stocked.call("fetched", into=str(tmp_path / "x"))["code"] == "set.damaged"


def test_only_a_proved_set_or_one_that_is_there_is_fetched(stocked, tmp_path):
    for wanted in ("proved", "2026-01-01_0600"):
        found = stocked.call("fetched", into=str(tmp_path / "x"), set=wanted)
        assert found["code"] == "offsite.no-copy" and NEWEST in found["msg"]
    stocked.make_set("2026-11-23_0600")
    stocked.call("uploaded")
    assert stocked.site("fetched", into=str(tmp_path / "y"))["set"] == "2026-11-23_0600"
    assert stocked.site("fetched", into=str(tmp_path / "z"), set=NEWEST)["set"] == NEWEST


def test_the_check_reads_another_part_each_day_and_the_same_one_after_a_failure(stocked):
    parts = [stocked.site("checked", check_parts=3)["part"] for _ in range(4)]
    stocked.fault("check", {"status": 1, "said": "Fatal: repository contains errors"})
    assert stocked.call("checked", check_parts=3)["code"] == "offsite.damaged"
    parts.append(stocked.site("checked", check_parts=3)["part"])
    assert parts == [1, 2, 3, 1, 2]
    asked = [each["argv"][-1] for each in stocked.calls() if "check" in each["argv"]]
    assert asked[-2:] == ["--read-data-subset=2/3"] * 2


@pytest.mark.parametrize("refuses", [True, False])
def test_a_deletion_is_believed_by_what_is_left_and_not_by_the_status(stocked, refuses):
    if refuses:
        (stocked.repository / "append-only").touch()
    assert stocked.site("tried")["refused"] is refuses
    assert site_notes.read(stocked.root)["sites"]["vault"]["immutable"]["refused"] is refuses


def test_one_site_that_fails_hinders_no_other(stocked):
    good = stocked.options()["repositories"][0]
    bad = good | {"name": "elsewhere", "url": str(stocked.folder / "nothing")}
    stocked.make_set("2026-11-23_0600")
    found = stocked.call("uploaded", repositories=[bad, good], strict=False)
    assert [each["ok"] for each in found["sites"]] == [False, True]
    assert found["failed"] == ["elsewhere"] and "msg" not in found
    first, second = site_notes.assess(stocked.root, ["elsewhere", "vault"])
    assert "offsite.no-repository" in first["behind"] and second["current"]


def test_base_backups_and_wal_go_along_without_their_password_and_come_back(
    stocked, monkeypatch, tmp_path
):
    archive = tmp_path / "archive"
    (archive / "main" / "wals").mkdir(parents=True)
    (archive / "main" / "wals" / "0001").write_text("wal")
    (archive / ".pgpass").write_text("of the receiver")
    monkeypatch.setattr(contents, "archive_path", lambda volume: archive)
    stocked.make_set("2026-11-23_0600")
    found = stocked.site("uploaded", pitr_volume="pms_pitr_archive")
    assert found["archive_bytes"] == len("wal")
    assert not list(stocked.repository.rglob(".pgpass"))
    back = stocked.site("fetched", into=str(tmp_path / "back"), set="pitr")
    assert back["folder"] == str(tmp_path / "back" / "pitr")
    assert (tmp_path / "back" / "pitr" / "main" / "wals" / "0001").read_text() == "wal"
    assert stocked.site("fetched", into=str(tmp_path / "x"))["set"] == "2026-11-23_0600"


class NoVolumes:
    """A Docker Engine with one volume at most."""

    found: ClassVar[dict[str, str] | None] = None

    @property
    def volumes(self):
        return self

    def get(self, _name):
        if self.found is None:
            raise docker.errors.NotFound("no such volume")
        return SimpleNamespace(attrs=self.found)


def test_an_archive_that_is_not_there_is_named_and_hinders_no_set(stocked, monkeypatch):
    monkeypatch.setattr(contents.docker_engine, "engine", NoVolumes)
    stocked.make_set("2026-11-23_0600")
    found = stocked.site("uploaded", pitr_volume="pms_pitr_archive")
    assert found["set"] == "2026-11-23_0600" and "no such volume" in found["warning"]
    errors = site_notes.assess(stocked.root, ["vault"])[0]["errors"]
    assert errors["archive"]["code"] == "offsite.no-archive"
    monkeypatch.setattr(NoVolumes, "found", {"Mountpoint": "/no/such/folder"})
    found = stocked.site("uploaded", pitr_volume="pms_pitr_archive")
    assert "cannot be read" in found["warning"]
    monkeypatch.setattr(NoVolumes, "found", {"Mountpoint": str(stocked.folder)})
    stocked.site("uploaded")
    assert site_notes.assess(stocked.root, ["vault"])[0]["errors"] == {}


def test_what_is_known_of_the_sites_is_returned_without_asking_them(stocked):
    before = len(stocked.calls())
    found = stocked.call("", module=pms_offsite_info)
    assert found["sites"][0]["current"] and found["copies"] == []
    assert len(stocked.calls()) == before
    asked = stocked.call("", module=pms_offsite_info, ask=True)
    assert asked["copies"][0]["copies"][0]["set"] == NEWEST


def test_gauges_are_written_where_they_are_asked_for(stocked):
    stocked.call("uploaded", metrics=str(stocked.folder / "metrics"))
    text = (stocked.folder / "metrics" / "pms_offsite.prom").read_text()
    assert 'pms_offsite_current{system="fund",database="fund",site="vault"} 1' in text
