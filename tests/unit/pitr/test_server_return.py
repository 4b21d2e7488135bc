# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""A server that is put back: it serves before the rest is done, and what the ledger says of it."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.evidence import ledger
from ansible.module_utils.pmsops.pitr import server_return, synchronous
from ansible.module_utils.pmsops.pitr.server_return import ServerReturn


class Services:
    """Services that note what is done with them."""

    names = ("api",)

    def __init__(self, done: list[str]) -> None:
        self.done = done

    def start(self, _names: list[str]) -> None:
        self.done.append("services")

    def settle(self, *_: object) -> dict[str, str]:
        return {}


@pytest.fixture
def done() -> list[str]:
    return []


@pytest.fixture
def returned(monkeypatch, tmp_path: Path, done: list[str]) -> ServerReturn:
    monkeypatch.setattr(server_return.docker_engine, "engine", lambda: None)
    monkeypatch.setattr(synchronous, "of", lambda _database: "")
    monkeypatch.setattr(ServerReturn, "_stream_again", lambda _self: done.append("stream"))
    protection = SimpleNamespace(
        database=SimpleNamespace(name="book"),
        container=SimpleNamespace(find=lambda: object()),
        backup=lambda _kind: done.append("base backup") or {"id": "1"},
    )
    made = ServerReturn(protection, tmp_path, Services(done))
    made._began = made._down = 0.0
    made._seconds = {}
    return made


def helper(done: list[str]) -> Any:
    return SimpleNamespace(remove_restores=lambda: done.append("removed"))


def test_the_pms_is_served_before_anything_else_is_done(returned, done):
    returned._serve(helper(done))
    assert done[0] == "services" and done[-1] == "base backup"
    assert {"stream", "removed"} <= set(done)
    assert returned.facts["serves_after_seconds"] > 0 and returned.facts["base_backup"] == "1"


def test_where_commits_wait_for_the_receiver_it_streams_first(returned, done, monkeypatch):
    monkeypatch.setattr(synchronous, "of", lambda _database: synchronous.STANDBY)
    returned._serve(helper(done))
    assert done[:2] == ["stream", "services"] and done.count("stream") == 1


def test_a_system_that_is_no_longer_protected_is_only_served(returned, done):
    returned.protection.container.find = lambda: None
    returned._serve(helper(done))
    assert done == ["services", "removed"] and "base_backup" not in returned.facts


def test_a_server_that_serves_counts_as_back_whatever_fails_then(
    returned, done, monkeypatch, tmp_path
):
    def refuses(_self: ServerReturn) -> None:
        raise OpsError("The receiver does not stream.", "x", code="pitr.not-streaming")

    monkeypatch.setattr(ServerReturn, "_stream_again", refuses)
    monkeypatch.setattr(ServerReturn, "_run", lambda self: self._serve(helper(done)))
    with pytest.raises(OpsError):
        returned.recorded(tmp_path / "evidence")
    record = ledger.records(tmp_path / "evidence", "restore")[0]["record"]
    assert "outcome" not in record and record["code"] == "pitr.not-streaming"
    assert done == ["services", "removed"]
