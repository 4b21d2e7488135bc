# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""A whole server brought back: where its data lie, what is refused, what a failure leaves."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.evidence import ledger
from ansible.module_utils.pmsops.pitr import former_servers, server_return, server_volume
from ansible.module_utils.pmsops.pitr.server_volume import ServerVolume
from ansible.module_utils.pmsops.pitr.whole_server import WholeServer
from ansible.module_utils.pmsops.services.manager import Services


def mount(destination: str, name: str = "", source: str = "") -> dict[str, str]:
    kind = "volume" if name else "bind"
    return {"Type": kind, "Name": name, "Source": source, "Destination": destination}


def container(*mounts: dict[str, str]) -> Any:
    return SimpleNamespace(name="db", attrs={"Mounts": list(mounts)})


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ("/var/lib/postgresql/data", ServerVolume("book", "")),
        ("/var/lib/postgresql/data/pgdata", ServerVolume("book", "pgdata")),
        ("/srv/pg/17/main", ServerVolume("/mnt/pg", "17/main")),
    ],
)
def test_the_data_directory_is_found_in_its_volume_or_folder(data, expected):
    has = container(
        mount("/lab/postgres.sh", source="/x/postgres.sh"),
        mount("/var/lib/postgresql/data", name="book"),
        mount("/srv/pg", source="/mnt/pg"),
    )
    assert ServerVolume.of(has, data) == expected


def test_data_in_no_volume_are_refused_by_name():
    with pytest.raises(OpsError) as caught:
        ServerVolume.of(container(mount("/var/lib/postgresql/database", name="other")), "/var/lib")
    assert caught.value.code == "pitr.no-volume"


class FakeThrowAway:
    """Notes the scripts that it is given, and ends with *status*."""

    restores = "restores"

    def __init__(self, status: int = 0) -> None:
        self.status = status
        self.scripts: list[tuple[str, dict[str, Any]]] = []

    def carried_out(self, script: str, arguments: list[str], volumes: dict[str, Any]) -> Any:
        self.scripts.append((script, volumes))
        return SimpleNamespace(status=self.status, text="said")


@pytest.mark.parametrize(
    ("status", "code"),
    [(server_volume.NO_ROOM, "pitr.room"), (server_volume.NOT_SHUT, "pitr.container")],
)
def test_what_a_helper_refuses_has_a_name(monkeypatch, status, code):
    monkeypatch.setattr(server_volume, "_place", lambda _source: None)
    with pytest.raises(OpsError) as caught:
        ServerVolume("book", "").put(FakeThrowAway(status), "/restores/1")
    assert caught.value.code == code


def test_what_was_there_is_only_read_while_it_is_kept():
    helper = FakeThrowAway()
    ServerVolume("book", "").keep(helper, "kept")
    assert helper.scripts[0][1]["book"]["mode"] == "ro"


def test_what_a_killed_run_kept_half_of_is_removed_and_nothing_else(monkeypatch):
    removed: list[str] = []
    volumes = [
        SimpleNamespace(name=name, remove=lambda force, name=name: removed.append(name))
        for name in ("half", "whole")
    ]
    asked: list[dict] = []
    engine = SimpleNamespace(
        volumes=SimpleNamespace(list=lambda filters: asked.append(filters) or volumes)
    )
    monkeypatch.setattr(server_volume.docker_engine, "engine", lambda: engine)
    helper = FakeThrowAway()
    monkeypatch.setattr(
        helper,
        "carried_out",
        lambda _script, names, _has: SimpleNamespace(status=0, text=f"{names[0]}\n"),
    )
    assert server_volume.remove_halves(helper, "db") == removed == ["half"]
    assert asked == [{"label": f"{former_servers.LABEL}=db"}]


@pytest.fixture
def server(monkeypatch, tmp_path) -> WholeServer:
    monkeypatch.setattr(server_return.docker_engine, "engine", lambda: None)

    def gone(**_options: object) -> None:
        raise OpsError("It does not answer.", "x", code="database.unreachable")

    database = SimpleNamespace(name="book", container="db", maintenance_name="x", session=gone)
    protection = SimpleNamespace(database=database)
    return WholeServer(protection, tmp_path, Services("none", ()))


def test_what_was_there_is_back_if_the_server_does_not_start(server, monkeypatch):
    done: list[str] = []
    db = SimpleNamespace(stop=lambda **_: done.append("stop"), start=lambda: done.append("start"))
    monkeypatch.setattr(server, "_container", lambda: db)
    helper = FakeThrowAway()
    error = OpsError("It did not start.", "x", code="pitr.not-started")
    server._undo(helper, ServerVolume("book", ""), "db_before_1", error)
    assert done == ["stop", "start"]
    assert helper.scripts == [(server_volume._BACK, helper.scripts[0][1])]
    assert "What was there before is back" in str(error)
    server._undo(helper, ServerVolume("book", ""), None, error)
    assert len(helper.scripts) == 1 and "Nothing was there before" in str(error)


def test_a_run_that_fails_is_in_the_ledger_with_its_reason(server, monkeypatch, tmp_path):
    def fails(self: WholeServer) -> None:
        self.facts |= {"incoming": "the whole server at noon", "plan": ["a line"]}
        raise OpsError("No room.", "x", code="pitr.room")

    monkeypatch.setattr(WholeServer, "run", fails)
    with pytest.raises(OpsError):
        server.recorded(tmp_path / "evidence")
    record = ledger.records(tmp_path / "evidence", "restore")[0]["record"]
    assert (record["outcome"], record["code"]) == ("failed", "pitr.room")
    assert record["database"] == "book" and "plan" not in record
