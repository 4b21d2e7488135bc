# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Where a sidecar finds the server: published, on the host's network, or as the server says."""

from __future__ import annotations

from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest
from ansible.module_utils.pmsops.client_tools import sidecar
from ansible.module_utils.pmsops.postgresql.connection import Database

BINDING = {"5433/tcp": [{"HostIp": "127.0.0.1", "HostPort": "15432"}], "8008/tcp": None}


class Cursor:
    """A server that listens on port 6000."""

    def execute(self, sql: str, *_: Any) -> None:
        assert "port" in sql

    def fetchone(self) -> tuple[str]:
        return ("6000",)


@pytest.mark.parametrize(
    ("mode", "ports", "address"),
    [
        ("pms_backend", BINDING, ("127.0.0.1", 5433)),
        # A container on the host's network publishes no port.
        ("host", {}, ("10.1.2.3", 15432)),
        ("host", None, ("10.1.2.3", 15432)),
        # Reached by its own address, or through a pooler: the server says where it listens.
        ("pms_backend", {}, ("127.0.0.1", 6000)),
        ("pms_backend", {"5433/tcp": [{"HostPort": "9"}]}, ("127.0.0.1", 6000)),
    ],
)
def test_the_sidecar_asks_the_port_on_which_the_server_listens(monkeypatch, mode, ports, address):
    attributes = {"HostConfig": {"NetworkMode": mode}, "NetworkSettings": {"Ports": ports}}
    container = SimpleNamespace(attrs=attributes)
    monkeypatch.setattr(sidecar.docker_engine, "engine", lambda: None)
    monkeypatch.setattr(sidecar.docker_engine, "database_container", lambda *_: container)

    @contextmanager
    def session(self: Database, **_: Any) -> Any:
        yield Cursor()

    monkeypatch.setattr(Database, "session", session)
    options = {"host": "10.1.2.3", "port": 15432, "name": "fund", "user": "u", "container": "db"}
    tools = sidecar.SidecarTools(Database.from_options({"access": "container"} | options))
    assert tools._address() == address
