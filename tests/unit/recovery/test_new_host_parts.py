# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The files of the PMS on a new machine: the set's parts, and beside it what no part holds."""

from __future__ import annotations

import json
import shutil

import pms_surroundings
import pytest
from ansible.module_utils.pmsops.offsite import surroundings
from ansible.module_utils.pmsops.repository import sets
from ansible.module_utils.pmsops.services import docker_engine, project_files
from ansible.module_utils.testing import patch_module_args

from tests.support.backup_sets import make_set
from tests.support.parts import SECRET, backup, project
from tests.unit.offsite.conftest import Fund, fund, program
from tests.unit.recovery.test_new_host import step

__all__ = ["fund", "program"]
pyrage = pytest.importorskip("pyrage")
NAME = "2026-11-28_1200"


class System:
    """A fund with a Compose project, whose sets have its files as parts."""

    def __init__(self, fund, tmp_path, monkeypatch):
        self.fund, self.tmp_path = fund, tmp_path
        self.files = project(tmp_path, monkeypatch)
        (self.files / "docker-compose.yml").chmod(0o640)
        self.before = self.content()
        key = pyrage.x25519.Identity.generate()
        self.identity = tmp_path / "identity"
        self.identity.write_text(str(key))
        self.recipients: list[str] = []
        self.key = str(key.to_public())
        fund.call("present")

    def content(self):
        return {path: path.read_bytes() for path in self.files.rglob("*") if path.is_file()}

    def gather(self, **more):
        """Run the module that gathers what goes along with the newest set."""
        options = {"root": str(self.fund.root), "keys": str(self.tmp_path / "keys")}
        options |= {"compose_project": "pms", "recipients": self.recipients}
        with patch_module_args(options | more), pytest.raises(SystemExit):
            pms_surroundings.main()
        return json.loads(self.fund.capsys.readouterr().out)

    def stored(self):
        """Return the paths whose content lies beside the set in the copy."""
        folder = self.fund.root / sets.STATE / surroundings.FOLDER
        note = json.loads((folder / surroundings.NOTE).read_bytes())
        return {each["path"] for each in note["files"] if "stored" in each}

    def paths(self, *names):
        return {str(self.files / name) for name in names}

    def upload(self):
        sets.mark_verified(sets.newest(self.fund.root), {})
        done = self.fund.site("uploaded")
        assert done["ok"], done


@pytest.fixture
def system(fund, tmp_path, monkeypatch):
    return System(fund, tmp_path, monkeypatch)


@pytest.fixture
def new(system, tmp_path):
    """An empty machine with the password; it gets the trusted keys of the first upload."""
    return Fund(tmp_path / "new", system.fund.capsys, system.fund.program)


def made_anew(system, new, **more):
    """Lose the files, and let the steps of a new machine bring them back."""
    shutil.copytree(system.tmp_path / "keys" / "trusted", new.folder / "keys" / "trusted")
    shutil.rmtree(system.files)
    plan = step(system.fund, new, "planned")
    assert step(system.fund, new, "fetched")["changed"]
    return plan, step(system.fund, new, "placed", **more)


def test_what_the_set_holds_is_not_stored_a_second_time(system):
    """The Compose files lay in the set and again beside it: issue 20."""
    backup(system.tmp_path, NAME)
    result = system.gather()
    assert result["held"] == {"compose": 2, "grafana": 1}
    # A set that is not encrypted has no secret: these are in restic's repository alone.
    assert system.stored() == system.paths(
        ".env", "api.env", "grafana/datasource.yml", "code/main.py"
    )
    assert {*result["files"]} == {str(path) for path in system.before}
    assert not system.gather()["changed"]


def test_of_an_encrypted_set_only_files_of_the_machine_are_beside_it(system):
    system.recipients = [system.key]
    backup(system.tmp_path, NAME, recipients=system.recipients)
    assert system.gather()["held"] == {"compose": 4, "grafana": 2}
    assert system.stored() == system.paths("code/main.py")


def test_a_file_that_changed_after_the_set_is_beside_it_too(system):
    backup(system.tmp_path, NAME)
    (system.files / "redis.conf").write_text("maxmemory 1gb\n")
    system.gather()
    assert str(system.files / "redis.conf") in system.stored()


def test_a_set_without_parts_has_all_files_beside_it(system):
    make_set(system.fund.root, system.tmp_path / "keys", NAME)
    assert system.gather()["held"] == {}
    assert system.stored() == {str(path) for path in system.before}


def test_files_that_another_set_holds_are_no_part_of_a_copy(system):
    """A note that names files of one set would have sent a new machine to another one for them."""
    backup(system.tmp_path, NAME)
    system.gather()
    backup(system.tmp_path, "2026-11-28_1300")
    system.upload()
    (copy,) = (call["argv"] for call in system.fund.calls() if "backup" in call["argv"])
    assert any("part.set=" in each for each in copy)
    assert not any("part.system=" in each for each in copy)


@pytest.mark.parametrize("encrypted", [False, True], ids=["plain", "encrypted"])
def test_files_come_back_from_the_set_and_from_beside_it(system, new, encrypted):
    system.recipients = [system.key] if encrypted else []
    backup(system.tmp_path, NAME, recipients=system.recipients)
    (system.files / "redis.conf").write_text("maxmemory 1gb\n")
    wanted = system.content()
    system.gather()
    system.upload()
    identity = {"identity_file": str(system.identity)} if encrypted else {}
    plan, placed = made_anew(system, new, **identity)
    assert placed["changed"], placed
    assert system.content() == wanted
    assert (system.files / "docker-compose.yml").stat().st_mode & 0o777 == 0o640
    text = " ".join(plan["will"])
    assert "part compose of the set: " in text
    assert "beside the parts" in text
    assert SECRET not in json.dumps(plan)


def test_without_the_identity_file_no_file_of_an_encrypted_set_is_placed(system, new):
    system.recipients = [system.key]
    backup(system.tmp_path, NAME, recipients=system.recipients)
    system.gather(compose_project="")
    system.upload()
    _, placed = made_anew(system, new)
    assert placed["code"] == "host.no-identity"
    assert not system.files.exists()


@pytest.mark.parametrize("with_parts", [False, True], ids=["set without parts", "set with parts"])
def test_a_copy_of_the_former_release_brings_all_files_back(system, new, with_parts):
    """It has each file beside the set, also those that its set holds, and no name of a set."""
    if with_parts:
        backup(system.tmp_path, NAME)
    else:
        make_set(system.fund.root, system.tmp_path / "keys", NAME)
    (system.files / "redis.conf").write_text("maxmemory 1gb\n")
    wanted = system.content()
    found = project_files.of_project(docker_engine.engine(), "pms")
    keys = system.tmp_path / "keys"
    surroundings.gather(system.fund.root, found, {}, [], keys_folder=keys, check=False)
    assert system.stored() == {str(path) for path in wanted}
    system.upload()
    _, placed = made_anew(system, new)
    assert placed["changed"], placed
    assert system.content() == wanted


def test_a_part_that_was_changed_is_not_placed(system, new):
    backup(system.tmp_path, NAME)
    system.gather()
    system.upload()
    shutil.copytree(system.tmp_path / "keys" / "trusted", new.folder / "keys" / "trusted")
    shutil.rmtree(system.files)
    step(system.fund, new, "fetched")
    damaged = next((new.root / NAME / "parts" / "compose").glob("0*"))
    damaged.chmod(0o600)
    damaged.write_text("services: {}\n")
    assert step(system.fund, new, "placed")["code"] == "parts.damaged"
    assert not system.files.exists()


def test_another_database_comes_from_the_set_that_the_set_refers_to(system, new):
    """Dagster's newest set was taken, whatever the set that is restored refers to."""
    make_set(system.fund.root, system.tmp_path / "keys", NAME, parts=referring("2026-11-28_1155"))
    others = system.fund.root / sets.OTHERS / "dagster_storage"
    for name in ("2026-11-28_1155", "2026-11-28_1300"):
        make_set(others, system.tmp_path / "keys", name)
        done = system.fund.site("uploaded", root=str(others), other_database="dagster_storage")
        assert done["ok"], done
    system.upload()
    shutil.copytree(system.tmp_path / "keys" / "trusted", new.folder / "keys" / "trusted")
    wanted = {"other_databases": ["dagster_storage"]}
    assert step(system.fund, new, "fetched", **wanted)["changed"]
    there = sets.listed(new.root / sets.OTHERS / "dagster_storage")
    assert [each.name for each in there] == ["2026-11-28_1155"]


def referring(name):
    """Return the parts of a set that refers to a set of Dagster's database."""
    part = {"kind": "database", "not_taken": None, "database": "dagster_storage", "set": name}
    return {"dagster": part | {"read_at": None, "encrypted": False, "files": [], "left_out": []}}
