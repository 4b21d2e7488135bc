# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The context of a worker: connections once, addresses that were not given, secrets by name."""

from __future__ import annotations

from datetime import UTC, datetime

import docker
import pytest
import requests
from ansible.module_utils.pmsops.checks.probes import Deadline, Failed, Unanswerable
from ansible.module_utils.pmsops.checks.probes.context import Context, Settings, one_line
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.postgresql.connection import Database

from tests.support.recorded_database import connected, soon

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


def context(**settings):
    return Context(Settings(now=NOW, **settings))


def test_a_connection_is_opened_once_and_again_after_it_broke(monkeypatch):
    made, connection = connected(monkeypatch, {})
    assert made.connection(None, soon()) is made.connection("fund", soon()) is connection
    assert len(connection.executed) == 1
    connection.closed = 1
    made.connection(None, soon())
    assert len(connection.executed) == 2


def test_a_connection_that_was_never_opened_can_be_dropped(monkeypatch):
    made, connection = connected(monkeypatch, {})
    made.drop_connection(None)
    assert not connection.closed


def test_a_database_that_cannot_be_reached_fails(monkeypatch):
    def refuse(self, **_):
        raise OpsError("Cannot connect.", "Start it.", code="database.unreachable")

    made, _ = connected(monkeypatch, {})
    monkeypatch.setattr(Database, "connect", refuse)
    with pytest.raises(Failed, match="Cannot connect"):
        made.connection(None, soon())


def test_the_http_session_reads_nothing_of_the_environment_and_is_opened_once():
    made = context()
    session = made.http()
    assert made.http() is session and isinstance(session, requests.Session)
    assert session.trust_env is False


@pytest.mark.parametrize("name", ["api", "dagster", "grafana", "nowhere"])
def test_an_address_that_was_not_given_is_unknown(name):
    with pytest.raises(Unanswerable, match=f"no URL of {name} was given"):
        context().base_url(name)


def test_an_address_is_used_without_its_last_slash():
    assert context(dagster_url="http://d:3000/").base_url("dagster") == "http://d:3000"
    assert context(grafana={"url": "http://g"}).base_url("grafana") == "http://g"


def test_a_folder_that_was_not_given_is_unknown(tmp_path):
    assert context(backup_root=str(tmp_path)).folder("backup_root") == tmp_path
    with pytest.raises(Unanswerable, match="evidence_root was not given"):
        context().folder("evidence_root")


def test_redis_is_opened_once_for_each_kind_of_login():
    made = context(redis={"host": "r", "password": "secret"})
    known, unknown = (made.redis(auth=auth, deadline=soon()) for auth in (True, False))
    assert known is made.redis(auth=True, deadline=soon()) and known is not unknown
    assert known.connection_pool.connection_kwargs["password"] == "secret"
    assert unknown.connection_pool.connection_kwargs["password"] is None
    with pytest.raises(Unanswerable, match="no Redis server was given"):
        context().redis(auth=True, deadline=soon())


def test_docker_is_asked_once_and_each_probe_has_its_own_time(monkeypatch):
    from types import SimpleNamespace

    made, opened = context(), []

    def from_env(*, timeout):
        opened.append(timeout)
        return SimpleNamespace(api=SimpleNamespace(timeout=None))

    monkeypatch.setattr(docker.DockerClient, "from_env", from_env)
    client = made.docker(Deadline.after(5))
    assert made.docker(Deadline.after(2)) is client
    assert len(opened) == 1 and 1.5 < client.api.timeout <= 2


def test_all_passwords_are_secrets_and_no_setting_is_shown():
    made = Settings(
        now=NOW,
        database={"password": "first-secret"},
        redis={"password": "two"},
        api={"password": "three"},
        grafana={"password": ""},
    )
    assert made.secrets() == {"first-secret", "two", "three"}
    assert "first-secret" not in repr(made)


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (FileNotFoundError(2, "No such file", "/x"), "/x: No such file"),
        (ValueError("two\n  lines"), "two lines"),
        (ValueError(), "ValueError"),
        (ValueError("x" * 400), "x" * 299 + "…"),
    ],
    ids=["file", "lines", "empty", "long"],
)
def test_an_error_is_one_line(error, says):
    assert one_line(error) == says
