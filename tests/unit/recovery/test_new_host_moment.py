# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The newest moment on a new machine: chosen by the plan, brought here, or the set by name."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import docker.errors
import pytest
from ansible.module_utils.pmsops.offsite import contents
from ansible.module_utils.pmsops.recovery import new_host_engine, new_host_moment
from ansible.module_utils.pmsops.repository import sets
from ansible.module_utils.pmsops.services import docker_engine

from tests.unit.offsite.conftest import Fund, fund, program
from tests.unit.recovery.test_new_host import step

__all__ = ["fund", "program"]

IMAGE, NAME, SERVER = "pms/barman:17", "pms_pitr", "macro_timescaledb"
SEGMENT = "000000010000000000000007"
INFO = """backup_label=None
begin_time=2026-11-28 02:00:00+00:00
begin_wal=000000010000000000000003
begin_xlog=0/3000028
end_time=2026-11-28 02:00:01+00:00
end_xlog=0/3000120
pgdata=/var/lib/postgresql/data
size=1000
status={status}
systemid=7400000000000000001
timeline=1
version=170006
"""


class Ended:
    """A container that ran to its end."""

    def __init__(self):
        self.attrs = {"State": {"Status": "exited", "StartedAt": "2026-11-29", "ExitCode": 0}}

    def logs(self):
        return b""

    def __getattr__(self, _name):
        return lambda **_: None


class Engine:
    """The Docker Engine: containers and volumes by their names, and what was asked of it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.asked, self.known = folder, [], {}
        self.images = SimpleNamespace(
            list=lambda: [SimpleNamespace(tags=[IMAGE])], get=lambda name: name
        )
        self.containers = SimpleNamespace(
            list=lambda **_: [], get=self.container, create=self.create
        )
        self.volumes = SimpleNamespace(list=lambda **_: [], get=self.volume, create=self.make)
        self.networks = SimpleNamespace(
            get=lambda _name: SimpleNamespace(
                attrs={"IPAM": {"Config": [{"Subnet": "172.30.0.0/16"}]}}
            )
        )
        self.faults: set[str] = set()

    def info(self):
        return {"DockerRootDir": "/"}

    def container(self, name):
        if name not in self.known:
            raise docker.errors.NotFound(name)
        return self.known[name]

    def volume(self, name):
        if not (self.folder / name).is_dir():
            raise docker.errors.NotFound(name)
        return SimpleNamespace(
            attrs={"Mountpoint": str(self.folder / name)},
            remove=lambda **_: shutil.rmtree(self.folder / name),
        )

    def make(self, name, **_):
        (self.folder / name).mkdir(parents=True, exist_ok=True)

    def create(self, _image, **more):
        name = more.get("name")
        if name is None:  # of a command that is run to its end
            self.fail("run")
            self.asked.append([*more["entrypoint"], *more["command"]])
            return Ended()
        self.fail("create")
        self.known[name] = SimpleNamespace(
            name=name, start=lambda: None, remove=lambda **_: self.known.pop(name)
        )
        return self.known[name]

    def fail(self, what):
        if what in self.faults:
            self.faults.remove(what)
            raise docker.errors.APIError(f"killed at {what}")

    def have_server(self):
        mount = {"Type": "volume", "Name": "data", "Destination": "/var/lib/postgresql/data"}
        self.known[SERVER] = SimpleNamespace(
            name=SERVER,
            attrs={"NetworkSettings": {"Networks": {"pms": {}}}, "Mounts": [mount]},
            image=SimpleNamespace(id="timescaledb"),
            stop=lambda **_: self.asked.append("stop"),
            reload=lambda: None,
        )


@pytest.fixture
def machine(fund, tmp_path, monkeypatch):
    """A site with a proved set and an archive that leads beyond it, and the new machine."""
    place = tmp_path / "archive"
    for path, text in {
        "pms/base/20261128T020000/data/PG_VERSION": "17",
        "pms/meta/20261128T020000-backup.info": INFO.format(status="DONE"),
        f"pms/wals/0000000100000000/{SEGMENT}": "x",
        "barman.conf": "[pms]",
    }.items():
        (place / path).parent.mkdir(parents=True, exist_ok=True)
        (place / path).write_text(text)
    sets.mark_verified(fund.make_set("2026-11-28_0115"), {})
    fund.call("present")
    folder = tmp_path / "new"
    (folder / "keys").mkdir(parents=True)
    engine = Engine(tmp_path / "volumes")
    engine.have_server()
    monkeypatch.setattr(docker_engine, "engine", lambda: engine)
    real = contents.archive_path
    monkeypatch.setattr(
        contents, "archive_path", lambda name: place if name == "lost" else real(name)
    )
    new = Fund(folder, fund.capsys, fund.program)

    def upload():
        assert fund.site("uploaded", pitr_volume="lost")["ok"]
        shutil.copytree(fund.folder / "keys" / "trusted", folder / "keys" / "trusted")

    def take(state, **more):
        options = {
            "pitr_container": NAME,
            "pitr_image": IMAGE,
            "database_container": SERVER,
            "compose_project": "pms",
        }
        return step(fund, new, state, **(options | more))

    return SimpleNamespace(
        fund=fund, new=new, engine=engine, place=place, upload=upload, take=take,
        archive=tmp_path / "volumes" / f"{NAME}_archive",
    )  # fmt: skip


def test_the_plan_takes_the_newest_moment_and_says_how_much_younger_it_is(machine):
    """A day's trades were left behind, although the copy had the WAL of them."""
    machine.upload()
    plan = machine.take("planned")
    said = " ".join(plan["will"])
    assert "younger than the set, from base backup 20261128T020000" in said
    assert "not signed" in said
    assert plan["moment"]["received_at"][:4] == str(datetime.now(UTC).year)
    assert not machine.archive.exists()


REASONS = {
    "the set was asked for": {"moment": "set"},
    "pitr_enabled is false": {"pitr_container": ""},
    "pitr_image is empty": {"pitr_image": ""},
    "no image pms/barman:99": {"pitr_image": "pms/barman:99"},
}


@pytest.mark.parametrize(("said", "options"), REASONS.items(), ids=REASONS)
def test_a_moment_that_cannot_be_had_is_named_and_the_set_is_taken(machine, said, options):
    machine.upload()
    plan = machine.take("planned", **options)
    assert plan["moment"] is None
    assert said in " ".join(plan["cannot"])


@pytest.mark.parametrize(
    ("said", "options"), [*list(REASONS.items())[1:], ("", {})], ids=[*list(REASONS)[1:], "damaged"]
)
def test_where_the_newest_moment_was_asked_for_no_set_takes_its_place(machine, said, options):
    """It was restored in silence for want of an image, and what WAL had of the day was left."""
    machine.upload()
    if not options:
        machine.fund.fault("ls", *[{"status": 1, "said": "Fatal: pack abc is damaged"}] * 3)
    wanted = {"moment": "newest"} | options
    seen = machine.take("planned", _ansible_check_mode=True, **wanted)
    assert "dr_host.yml will stop before anything is done" in " ".join(seen["cannot"])
    for state in ("planned", "fetched"):
        refused = machine.take(state, **wanted)
        assert refused["code"] == "host.no-moment"
        assert said in refused["msg"]
    assert not sets.listed(machine.new.root)
    assert not any("kind=replaced" in call["argv"] for call in machine.fund.calls())


def test_a_moment_that_was_asked_for_is_taken(machine):
    machine.upload()
    assert machine.take("planned", moment="newest")["moment"]
    assert machine.take("fetched", moment="newest")["moment"]


def test_a_plan_without_a_docker_engine_says_which_image_the_moment_needs(machine, monkeypatch):
    """The plan of an empty machine promised a moment for which the image was missing."""
    machine.upload()
    monkeypatch.setattr(new_host_engine, "here", lambda: False)
    said = " ".join(machine.take("planned", _ansible_check_mode=True)["will"])
    assert f"It needs image {IMAGE} here" in said


def test_a_base_backup_that_never_ended_is_no_moment(machine):
    info = machine.place / "pms" / "meta" / "20261128T020000-backup.info"
    info.write_text(INFO.format(status="STARTED"))
    machine.upload()
    assert "no base backup in it is complete" in " ".join(machine.take("planned")["cannot"])


def test_an_archive_that_was_not_received_since_the_set_is_no_moment(machine, monkeypatch):
    monkeypatch.setattr(new_host_moment, "_seconds", lambda _text: 1.0)
    machine.upload()
    assert "nothing of after the set" in " ".join(machine.take("planned")["cannot"])


def test_a_damaged_copy_of_the_archive_is_named_and_the_set_is_taken(machine):
    machine.upload()
    machine.fund.fault("ls", {"status": 1, "said": "Fatal: pack abc is damaged"})
    plan = machine.take("planned")
    assert plan["moment"] is None
    assert "moments after the set: " in " ".join(plan["cannot"])
    assert "(offsite." in " ".join(plan["cannot"])


def test_a_volume_of_base_backups_that_is_there_already_is_refused(machine):
    machine.upload()
    machine.engine.make(f"{NAME}_archive")
    refused = machine.take("planned")
    assert refused["code"] == "host.occupied"
    assert f"volume {NAME}_archive" in refused["msg"]


def _kill(machine, where):
    if where == "restore":
        machine.fund.fault("restore", {"status": 1, "said": "killed", "keep": True})
    else:
        machine.engine.faults.add(where)


@pytest.mark.long
@pytest.mark.parametrize("where", ["restore", "run", "create"])
def test_an_archive_whose_bringing_was_killed_comes_whole_the_next_time(machine, where):
    machine.upload()
    assert machine.take("fetched")["moment"]
    _kill(machine, where)
    assert "code" in machine.take("archived")
    assert "archived" not in machine.take("planned")["done"]
    done = machine.take("archived")
    assert done["changed"]
    assert (machine.archive / "pms" / "wals" / "0000000100000000" / SEGMENT).is_file()
    assert sorted(each.name for each in machine.archive.iterdir()) == ["barman.conf", "pms"]
    assert machine.engine.asked[-1] == ["chown", "-R", "barman:", "/var/lib/barman"]
    assert NAME in machine.engine.known
    assert not machine.take("archived")["changed"]


def test_a_moment_that_failed_leaves_nothing_and_the_set_is_taken_from_then_on(machine):
    machine.upload()
    machine.take("fetched")
    machine.take("archived")
    machine.engine.faults.add("run")
    why = {"why": "WAL segment 7 is missing.", "code": "pitr.wal-missing"}
    assert machine.take("fallen_back", **why)["code"] == "pitr.container"
    plan = machine.take("planned")
    assert plan["moment"] is None
    assert plan["fell_back"]["code"] == "pitr.wal-missing"
    assert "WAL segment 7 is missing. (pitr.wal-missing)" in " ".join(plan["cannot"])
    assert machine.take("fallen_back", **why)["changed"]
    assert not machine.archive.exists()
    assert NAME not in machine.engine.known
    assert machine.engine.asked[-2:] == ["stop", ["find", "/live", "-mindepth", "1", "-delete"]]


def test_the_moment_is_in_the_ledger_of_the_new_machine(machine):
    machine.upload()
    machine.take("fetched")
    machine.take("noted", step="databases", reached="2026-11-29T01:20:31Z")
    assert machine.take("finished")["changed"]
    entries = (machine.new.folder / "evidence" / "ledger.jsonl").read_text().splitlines()
    assert '"moment":"2026-11-29T01:20:31Z"' in entries[-1].replace(": ", ":")
