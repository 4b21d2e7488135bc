# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The undo of a whole server: when it is one, of which volume, and what is refused."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.pitr import former_servers, server_return, server_rollback
from ansible.module_utils.pmsops.pitr.former_servers import Former
from ansible.module_utils.pmsops.pitr.server_rollback import ServerRollback
from ansible.module_utils.pmsops.pitr.server_volume import ServerVolume
from ansible.module_utils.pmsops.services.manager import Services

KEPT = "db_before_20261127180312"
WHOLE = {"whole_server": True, "kept_volume": KEPT, "set": None, "tables": 175}
FORMER = Former(KEPT, "db", former_servers.BEFORE, None, 0, "/var/lib/postgresql/data")


def line(kind: str, **record: Any) -> dict[str, Any]:
    return {"kind": kind, "at": "2026-11-27T18:03:12Z", "record": record}


def test_the_last_restore_says_what_a_rollback_is_of():
    whole, of_set = line("restore", **WHOLE), line("restore", set="2026-11-22_0600")
    failed = line("restore", **(WHOLE | {"outcome": "failed"}))
    tables = line("restore", tables=["book"], former_schema="x")
    for entries, expected in (
        ([of_set, whole], KEPT),
        ([whole, failed, tables], KEPT),
        ([whole, of_set], None),
        ([failed], None),
        ([], None),
        ([whole, line("rollback", whole_server=True)], ""),
    ):
        assert server_rollback.wanted(entries, None, "db") == expected


def test_a_former_server_is_told_from_a_former_database_by_its_name():
    assert server_rollback.wanted([], KEPT, "db") == KEPT
    assert server_rollback.wanted([line("restore", **WHOLE)], "book__before_1", "db") is None


def test_where_nothing_was_before_there_is_nothing_to_bring_back():
    with pytest.raises(OpsError) as caught:
        server_rollback.wanted([line("restore", **(WHOLE | {"kept_volume": None}))], None, "db")
    assert caught.value.code == "pitr.no-former"


class Helper:
    """Answers a script with *said*, and notes its volumes."""

    restores = "restores"

    def __init__(self, said: str, status: int = 0) -> None:
        self.said, self.status = said, status
        self.volumes: list[dict[str, Any]] = []

    def carried_out(self, _script: str, _arguments: list[str], volumes: dict[str, Any]) -> Any:
        self.volumes.append(volumes)
        return SimpleNamespace(status=self.status, text=self.said)


@pytest.fixture
def rollback(monkeypatch, tmp_path) -> ServerRollback:
    for module in (server_return, former_servers):
        monkeypatch.setattr(module.docker_engine, "engine", lambda: None)
    monkeypatch.setattr(former_servers, "listed", lambda _container: [FORMER])
    usable = [SimpleNamespace(id="20261127T180341")]
    protection = SimpleNamespace(
        database=SimpleNamespace(name="book", container="db"),
        container=SimpleNamespace(find=lambda: object(), archive_volume="a", restores_volume="r"),
        engine=SimpleNamespace(
            info=lambda: SimpleNamespace(usable=usable),
            describe=lambda _id: SimpleNamespace(system_identifier="7"),
        ),
    )
    made = ServerRollback(protection, tmp_path, Services("none", ()), former=KEPT)
    attrs = {"Mounts": [{"Type": "volume", "Name": "book", "Destination": "/var/lib/postgresql"}]}
    monkeypatch.setattr(made, "_container", lambda: SimpleNamespace(name="db", attrs=attrs))
    return made


def test_the_former_server_is_only_read(rollback, monkeypatch):
    monkeypatch.setattr(ServerVolume, "holds", lambda *_args, **_options: "held")
    helper = Helper("7\n")
    former, place, held = rollback._planned(helper)
    assert (former, place, held) == (FORMER, ServerVolume("book", "data"), "held")
    assert helper.volumes[0][KEPT]["mode"] == "ro"


def test_a_volume_that_is_gone_is_refused_by_name(rollback, monkeypatch):
    monkeypatch.setattr(former_servers, "listed", lambda _container: [])
    with pytest.raises(OpsError, match=KEPT) as caught:
        rollback._planned(Helper("7"))
    assert caught.value.code == "pitr.former-gone"


def test_an_empty_server_that_stood_in_for_the_lost_one_is_refused(rollback):
    with pytest.raises(OpsError) as caught:
        rollback._planned(Helper("8"))
    assert caught.value.code == "pitr.other-server"


def test_half_of_a_server_is_refused(rollback):
    with pytest.raises(OpsError) as caught:
        rollback._planned(Helper("", server_rollback.server_volume.NOT_WHOLE))
    assert caught.value.code == "pitr.no-former"
