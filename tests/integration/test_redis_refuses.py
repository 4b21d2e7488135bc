# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""A Redis that cannot save its data: it refuses every write and PING, and serves what it has."""

from __future__ import annotations

import time
from contextlib import closing, suppress

import docker
import pytest
import redis
from ansible.module_utils.pmsops.checks.probes import Deadline
from ansible.module_utils.pmsops.checks.probes import redis as probe
from ansible.module_utils.pmsops.pms import redis_cache

from tests.support.golive_system import running_redis

PASSWORD = "a password"


@pytest.fixture(scope="module")
def running():
    with running_redis(PASSWORD) as (port, admin), closing(docker.from_env()) as engine:
        (container,) = engine.containers.list(filters={"publish": str(port)})
        # The file of a save cannot take the place of a folder.
        assert container.exec_run(["mkdir", "/data/dump.rdb"]).exit_code == 0
        yield {"host": "127.0.0.1", "port": port, "password": PASSWORD}, admin


@pytest.fixture
def refusing(running):
    options, admin = running
    admin.config_set("stop-writes-on-bgsave-error", "no")
    admin.mset({"pms:book": "[]", "pms:risk:live": "{}", "somebody:else": "x"})
    deadline = time.monotonic() + 10
    while admin.info("persistence")["rdb_last_bgsave_status"] != "err":
        assert time.monotonic() < deadline
        with suppress(redis.ResponseError):  # one is running already
            admin.bgsave()
        time.sleep(0.05)
    admin.config_set("stop-writes-on-bgsave-error", "yes")
    return options, admin


def test_the_former_book_is_deleted_though_redis_refuses_writes(refusing):
    options, admin = refusing
    assert redis_cache.forget(options) == (2, "")
    assert admin.keys() == ["somebody:else"]
    assert admin.config_get("stop-writes-on-bgsave-error")["stop-writes-on-bgsave-error"] == "yes"


def test_a_user_who_may_not_configure_it_is_told_that_the_former_book_stays(refusing):
    options, admin = refusing
    admin.execute_command("ACL", "SETUSER", "pms", "on", ">pw", "~*", "+@all", "-config")
    told = redis_cache.forget(options | {"username": "pms", "password": "pw"})
    assert told.deleted == 0
    assert "not cleared (MISCONF: it cannot save its data" in told.problem
    assert "dr_redis.yml" in told.problem
    assert admin.get("pms:book") == "[]"


def test_its_password_is_not_what_is_wrong(refusing):
    options, _admin = refusing
    with closing(redis_cache.connect(options)) as client:
        context = _Context(client, options)
        found = probe.ask({"command": ["PING"]}, context, Deadline.after(5))
    assert found["reply"] is None
    assert found["error"].startswith("MISCONF")
    assert found["accepted"] is True


class _Context:
    """What the probe needs of a gate's context."""

    def __init__(self, client, options):
        self._client = client
        self.settings = type("Settings", (), {"redis": options})

    def redis(self, *, auth, deadline):
        assert auth
        assert deadline.left() > 0
        return self._client
