# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The container probe: by name or by Compose service, with Docker's answers as recorded."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace

import docker
import pytest
import requests
from ansible.module_utils.pmsops.checks.probes import Deadline, Unanswerable, container
from ansible.module_utils.pmsops.checks.probes.context import Context, Settings

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
FOUND = {
    "Name": "/pms_redis_1",
    "State": {"Status": "running", "StartedAt": "2026-11-23T11:00:00.1Z", "ExitCode": 0},
    "Config": {"Env": ["DEBUG=false"], "Image": "redis:8"},
    "HostConfig": {"PortBindings": {"6379/tcp": [{"HostIp": "", "HostPort": "6379"}]}},
}


class Docker:
    """The low-level client, with one service and one container."""

    timeout = 0.0

    def __init__(self, error=None):
        self.error = error
        self.labels = []

    def containers(self, *, all, filters):
        self.labels = filters["label"]
        return [{"Id": "c1"}] if "com.docker.compose.service=redis" in self.labels else []

    def inspect_container(self, name):
        if self.error:
            raise self.error
        return FOUND | {"Id": name}


def ask(monkeypatch, params, api=None, **settings):
    api = api or Docker()
    client = SimpleNamespace(api=api)
    monkeypatch.setattr(docker.DockerClient, "from_env", lambda **_: client)
    found = container.ask(params, Context(Settings(now=NOW, **settings)), Deadline.after(3))
    return found, api


def test_a_service_is_found_by_the_labels_of_compose(monkeypatch):
    found, api = ask(monkeypatch, {"service": "redis", "env": ["DEBUG"]}, compose_project="pms")
    assert api.labels[0] == "com.docker.compose.project=pms"
    assert (found["name"], found["status"], found["health"]) == ("pms_redis_1", "running", "none")
    # A stopped container has its ports in its configuration alone; no address means all of them.
    assert found["ports"] == [{"container": "6379/tcp", "ip": "0.0.0.0", "port": "6379"}]
    assert (found["env"], found["restart_policy"]) == ({"DEBUG": "false"}, "no")
    assert 0 < api.timeout <= 3


def test_a_container_is_found_by_its_name(monkeypatch):
    found, api = ask(monkeypatch, {"name": "pms_redis_1"})
    assert found["status"] == "running" and api.labels == []


def test_a_service_under_another_name_is_unknown_and_no_disaster(monkeypatch):
    there = [{"Labels": {"com.docker.compose.service": name}} for name in ("web", "redis", "jobs")]
    api = Docker()
    # Asked for one service, it finds none; asked for the project, all.
    api.containers = lambda *, all, filters: there if len(filters["label"]) == 1 else []
    with pytest.raises(Unanswerable) as caught:
        ask(monkeypatch, {"service": "dagster-daemon"}, api, compose_project="pms")
    assert "project pms has no container of service dagster-daemon" in str(caught.value)
    assert "golive_services is wrong (there is jobs, redis, web)" in str(caught.value)


def test_without_a_project_a_service_is_unknown(monkeypatch):
    with pytest.raises(Unanswerable, match="pms_compose_project"):
        ask(monkeypatch, {"service": "redis"})


@pytest.mark.parametrize(
    ("error", "raised"),
    [
        (docker.errors.NotFound("no"), Unanswerable),
        (docker.errors.APIError("500"), Unanswerable),
        (requests.ConnectionError("away"), Unanswerable),
    ],
    ids=["not found", "error", "away"],
)
def test_a_container_that_is_not_found_and_a_silent_docker_leave_it_unknown(
    monkeypatch, error, raised
):
    with pytest.raises(raised):
        ask(monkeypatch, {"name": "x"}, Docker(error))
