# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a container needs, by what Docker says of it; the containers here are stand-ins."""

from __future__ import annotations

import sys
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field

import docker.errors
import pytest
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.incidents.record import Action
from ansible.module_utils.pmsops.recovery.services import (
    DesiredState,
    bring_up,
    needed,
    older_than_server,
    planned_steps,
)
from ansible.module_utils.pmsops.services import docker_engine as containers
from ansible.module_utils.pmsops.services.manager import Services

from tests.support.book_database import BookDatabase
from tests.support.compose import HEALTHY, Container, compose
from tests.support.standin_pms import StandIn


@pytest.mark.parametrize(
    ("state", "restart", "verb"),
    [
        (HEALTHY, False, None),
        (HEALTHY, True, "restart"),
        ({"Status": "running"}, False, None),
        ({"Status": "running", "Health": {"Status": "starting"}}, False, None),
        ({"Status": "running", "Health": {"Status": "unhealthy"}}, False, "restart"),
        # After a pause, until the next check. A restart loses what the PMS has in memory.
        (
            {"Status": "running", "Health": {"Status": "unhealthy", "FailingStreak": 0}},
            False,
            None,
        ),
        ({"Status": "exited", "ExitCode": 137}, True, "start"),
        ({"Status": "created"}, False, "start"),
        ({"Status": "dead"}, False, "start"),
        ({"Status": "restarting"}, False, "restart"),
        ({"Status": "paused"}, True, "unpause"),
    ],
)
def test_the_least_that_helps(state, restart, verb):
    need = needed(state, restart=restart)
    assert (need[0] if need else None) == verb


def brought_up(monkeypatch, container, **wish):
    class Engine:
        class containers:
            @staticmethod
            def get(name):
                if container is None:
                    raise docker.errors.NotFound(name)
                return container

    monkeypatch.setattr(containers, "engine", Engine)
    noted = []

    @contextmanager
    def record(text):
        noted.append(text)
        yield Action()

    done = bring_up(
        Services("none", ()),
        DesiredState(containers=("redis",), **wish),
        record=record,
    )
    assert noted == done
    return done


def test_what_is_well_is_left_alone(monkeypatch):
    container = Container(HEALTHY)
    assert brought_up(monkeypatch, container) == []
    assert container.called == []


def test_a_stopped_one_is_started_and_told(monkeypatch):
    container = Container({"Status": "exited", "ExitCode": 137})
    assert brought_up(monkeypatch, container) == ["Start redis, which was exited (exit status 137)"]
    assert container.called == ["start"]


def test_one_that_does_not_become_well_is_an_error_with_its_last_words(monkeypatch):
    container = Container({"Status": "exited"}, after={"Status": "restarting"})
    with pytest.raises(OpsError) as caught:
        brought_up(monkeypatch, container, healthy_seconds=0)
    assert caught.value.code == "services.unhealthy"
    assert "last words" in str(caught.value)


def test_a_refusal_of_docker_is_told(monkeypatch):
    refusal = docker.errors.APIError("no", explanation="port is already allocated")
    container = Container({"Status": "exited"}, after=refusal)
    with pytest.raises(OpsError, match="port is already allocated") as caught:
        brought_up(monkeypatch, container)
    assert caught.value.code == "services.refused"


def test_a_container_that_is_gone_is_told(monkeypatch):
    with pytest.raises(OpsError, match="no container redis") as caught:
        brought_up(monkeypatch, None)
    assert caught.value.code == "services.missing"


def test_one_that_is_unhealthy_may_be_left_to_its_caller():
    state = {"Status": "running", "Health": {"Status": "unhealthy"}}
    assert needed(state, restart=False, unhealthy=False) is None
    assert needed(state, restart=True, unhealthy=False)[0] == "restart"


@pytest.mark.parametrize(
    ("status", "started", "older"),
    [
        ("running", "2027-01-15T07:59:59.123456789Z", True),
        ("running", "2027-01-15T08:00:01.5Z", False),
        ("exited", "2027-01-15T07:59:59.123456789Z", False),
    ],
)
def test_a_service_is_older_than_a_server_that_began_after_it(status, started, older):
    database = BookDatabase(StandIn())  # began at 2027-01-15T08:00:00Z
    services = compose(daemon=Container({"Status": status, "StartedAt": started}))
    assert older_than_server(services, "daemon", database) is older
    assert not older_than_server(Services("none", ("daemon",)), "daemon", database)


@dataclass(frozen=True)
class Units(Services):
    """Units of systemd, some of them active."""

    active: list[str] = field(default_factory=list)

    def running(self):
        return [name for name in self.names if name in self.active]

    def restart(self, names):
        self.active.extend(names)


@pytest.mark.parametrize(
    ("restart", "steps"),
    [
        (False, ["Start web, which was not active"]),
        (
            True,
            [
                "Start web, which was not active",
                "Restart db, which was running but did not work",
            ],
        ),
    ],
)
def test_units_of_systemd_are_started_and_restarted_where_that_is_asked(restart, steps):
    units = Units("systemd", ("db", "web"), active=["db"])
    desired = DesiredState(names=units.names, restart=restart)
    assert [step.text for step in planned_steps(units, desired)] == steps
    assert bring_up(units, desired, record=lambda _text: nullcontext(Action())) == steps
    assert "web" in units.active


def test_units_of_systemd_need_no_library_of_docker(monkeypatch):
    monkeypatch.setitem(sys.modules, "docker", None)
    monkeypatch.setitem(sys.modules, "docker.errors", None)
    units = Units("systemd", ("db", "web"), active=["db"])
    desired = DesiredState(names=units.names)
    assert bring_up(units, desired, record=lambda _text: nullcontext(Action())) == [
        "Start web, which was not active"
    ]


def test_services_that_nothing_manages_need_no_step():
    assert planned_steps(Services("none", ("db",)), DesiredState(names=("db",))) == []
