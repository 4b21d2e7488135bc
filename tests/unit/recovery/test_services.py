# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a container needs, by what Docker says of it; the containers here are stand-ins."""

from __future__ import annotations

from contextlib import contextmanager

import docker.errors
import pytest
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.incidents.record import Action
from ansible.module_utils.pmsops.recovery import services as service_care
from ansible.module_utils.pmsops.services import docker_engine as containers
from ansible.module_utils.pmsops.services.manager import Services

WELL = {"Status": "running", "Health": {"Status": "healthy"}}


class Container:
    """A stand-in for a container: a state, and what each verb makes of it."""

    def __init__(self, state, after=None):
        self.attrs = {"State": state}
        self.after = after or WELL
        self.called = []

    def reload(self):
        pass

    def logs(self, **_options):
        return b"first\nlast words\n"

    def _verb(self, name):
        def act(**_options):
            self.called.append(name)
            if isinstance(self.after, Exception):
                raise self.after
            self.attrs = {"State": self.after}

        return act

    def __getattr__(self, name):
        if name in ("start", "restart", "unpause"):
            return self._verb(name)
        raise AttributeError(name)


@pytest.mark.parametrize(
    ("state", "restart", "verb"),
    [
        (WELL, False, None),
        (WELL, True, "restart"),
        ({"Status": "running"}, False, None),
        ({"Status": "running", "Health": {"Status": "starting"}}, False, None),
        ({"Status": "running", "Health": {"Status": "unhealthy"}}, False, "restart"),
        ({"Status": "exited", "ExitCode": 137}, True, "start"),
        ({"Status": "created"}, False, "start"),
        ({"Status": "dead"}, False, "start"),
        ({"Status": "restarting"}, False, "restart"),
        ({"Status": "paused"}, True, "unpause"),
    ],
)
def test_the_least_that_helps(state, restart, verb):
    need = service_care.needed(state, restart=restart)
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

    done = service_care.bring_up(
        Services("none", ()),
        service_care.DesiredState(containers=("redis",), **wish),
        record=record,
    )
    assert noted == done
    return done


def test_what_is_well_is_left_alone(monkeypatch):
    container = Container(WELL)
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
    assert service_care.needed(state, restart=False, unhealthy=False) is None
    assert service_care.needed(state, restart=True, unhealthy=False)[0] == "restart"


BEGAN = 1_800_000_000.0  # 2027-01-15T08:00:00Z


class Server:
    """A stand-in for a database server that began at BEGAN."""

    maintenance_name = "postgres"

    @contextmanager
    def session(self, **_options):
        yield self

    def execute(self, *_given):
        pass

    def fetchone(self):
        return (BEGAN,)


@pytest.mark.parametrize(
    ("status", "started", "older"),
    [
        ("running", "2027-01-15T07:59:59.123456789Z", True),
        ("running", "2027-01-15T08:00:01.5Z", False),
        ("exited", "2027-01-15T07:59:59.123456789Z", False),
    ],
)
def test_a_service_is_older_than_a_server_that_began_after_it(monkeypatch, status, started, older):
    container = Container({"Status": status, "StartedAt": started})
    monkeypatch.setattr(Services, "containers", lambda _self: [("daemon", container)])
    services = Services("compose", ("daemon",), "p")
    assert service_care.older_than_server(services, "daemon", Server()) is older
    assert not service_care.older_than_server(Services("none", ("daemon",)), "daemon", Server())
