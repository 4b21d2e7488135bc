# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The actions on a database server: its container, its services, and idle sessions."""

from __future__ import annotations

from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.incidents.record import Action
from ansible.module_utils.pmsops.postgresql.connection import Database
from ansible.module_utils.pmsops.recovery.server_control import Server, ServerControl, free_slots
from ansible.module_utils.pmsops.services import docker_engine
from ansible.module_utils.pmsops.services.manager import Services

from tests.support.compose import Container, compose
from tests.support.recorded_database import RecordedDatabase

USED = "count(*) FROM pg_stat_activity"


class Slots(RecordedDatabase):
    """A server of 20 slots; ending a session frees one, unless the server is told otherwise."""

    def __init__(self, used: int, idle: list[tuple[int, str]]) -> None:
        super().__init__({"max_connections": [(20,)], "WITH idle": idle})
        self.used = used
        self.ended: list[int] = []
        self.frees = True

    @contextmanager
    def session(self, **options: Any) -> Any:
        with super().session(**options) as cursor:
            execute = cursor.execute

            def run(sql: str, params: Any = None) -> None:
                execute(sql, params)
                if "pg_terminate_backend" in sql:
                    self.ended.append(params[0])
                    self.used -= self.frees
                if USED in sql and "WITH" not in sql:
                    cursor.rows = [(self.used,)]

            cursor.execute = run
            yield cursor


@pytest.fixture
def actions():
    return []


@pytest.fixture
def record(actions):
    @contextmanager
    def recorded(text):
        action = Action()
        yield action
        actions.append((text, action.result))

    return recorded


def test_no_session_is_ended_while_two_of_five_slots_are_free(record):
    database = Slots(12, [(1, "pool")])
    assert free_slots(database, record=record) == []
    assert database.ended == []


def test_no_more_sessions_are_ended_than_needed(record, actions):
    database = Slots(15, [(1, "leak"), (2, "leak"), (3, "other"), (4, "other")])
    assert free_slots(database, record=record) == [
        "End 3 idle sessions; 15 of 20 connections were in use"
    ]
    assert database.ended == [1, 2, 3]
    assert actions[0][1] == "2 of leak, 1 of other"


def test_slots_that_working_sessions_hold_are_an_error(record):
    with pytest.raises(OpsError, match="19 of 20 connections are in use") as caught:
        free_slots(Slots(20, [(1, "leak")]), record=record)
    assert caught.value.code == "care.slots"


def control(record: Any, services: Services, **options: Any) -> ServerControl:
    database = options.pop("database", Database("127.0.0.1", 5432, "fund", "pms_ops"))
    return ServerControl(Server(database, services, **options), record)


def test_services_are_stopped_for_their_connections_and_started_again(record):
    api = Container()
    services = compose(api=api)
    held = control(record, services, database=Slots(20, [(1, "leak")]))
    assert held.running_services() == ["api"]
    # Nobody could free enough: the stop is reported, and a restart comes next.
    assert held.free_pools(["api"]) == ["Stop api for a moment to free their connections"]
    assert api.called == ["stop"]
    assert held.start_services(["api"]) == ["Start api, which was exited (exit status 0)"]
    assert api.called == ["stop", "start"]


def test_another_error_of_freeing_slots_is_not_hidden(record):
    class Broken(Slots):
        def session(self, **_options: Any) -> Any:
            raise OpsError("no right", "Grant it.", code="database.rights")

    with pytest.raises(OpsError, match="no right"):
        control(record, compose(), database=Broken(20, [])).free_pools([])


def test_the_container_of_the_server_is_started_or_restarted(record, monkeypatch):
    container = Container({"Status": "exited", "ExitCode": 137})
    engine = SimpleNamespace(containers=SimpleNamespace(get=lambda _name: container))
    monkeypatch.setattr(docker_engine, "engine", lambda: engine)
    database = Database("127.0.0.1", 5432, "fund", "pms_ops", container="db")
    held = control(record, compose(), database=database)
    assert held.start() == ["Start db, which was exited (exit status 137)"]
    assert held.start() == []
    assert held.restart() == ["Restart db, which was running but did not work"]


def test_a_server_that_is_a_unit_is_started_by_systemd(record, monkeypatch):
    called = []
    monkeypatch.setattr(Services, "running", lambda self: [])
    monkeypatch.setattr(
        Services, "restart", lambda self, names: called.append((self.manager, names))
    )
    database = Database("127.0.0.1", 5432, "fund", "pms_ops", access="host")
    held = control(record, Services("none", ()), database=database, unit="postgresql")
    assert held.start() == ["Start postgresql, which was not active"]
    assert called == [("systemd", ["postgresql"])]
