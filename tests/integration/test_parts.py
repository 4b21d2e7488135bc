# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Morning packs out of a real Redis and back, whatever state that is in."""

from __future__ import annotations

import json
import time

import pytest
import redis
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.parts import packs

from tests.support.redis_container import real_redis

pytestmark = pytest.mark.nightly
TODAY, LASTING = "pms:morning_pack:2026-11-30", "pms:morning_pack:2026-11-29"


@pytest.fixture(scope="module")
def server():
    with real_redis() as found:
        yield found


@pytest.fixture
def client(server):
    options = server.options
    made = redis.Redis(**options, decode_responses=True)
    made.flushall()
    made.set(TODAY, '{"ação": "ok"}', ex=300)
    made.set(LASTING, "{}")
    made.set("pms:book", "[]", ex=30)
    yield made
    made.config_set("maxmemory", 0)
    made.close()


def test_packs_keep_their_time_and_other_keys_are_let_alone(server, client):
    content, count, left_out = packs.take(server.options)
    assert (count, left_out) == (2, [])
    client.flushall()
    time.sleep(1.1)
    assert packs.planned(server.options, content) == dict.fromkeys((LASTING, TODAY), packs.WRITTEN)
    assert client.dbsize() == 0
    assert packs.put_back(server.options, content) == dict.fromkeys((LASTING, TODAY), packs.WRITTEN)
    assert client.get(TODAY) == '{"ação": "ok"}'
    assert 290 < client.pttl(TODAY) / 1000 < 299.1
    assert client.pttl(LASTING) == -1
    assert packs.put_back(server.options, content) == dict.fromkeys((LASTING, TODAY), packs.THERE)


def test_a_pack_whose_time_is_over_stays_away(server, client):
    client.pexpire(TODAY, 800)
    content, count, _ = packs.take(server.options)
    assert count == 2
    time.sleep(0.9)
    assert packs.put_back(server.options, content) == {
        LASTING: packs.THERE,
        TODAY: packs.EXPIRED,
    }
    assert client.exists(TODAY) == 0


def test_what_is_no_string_or_no_text_is_left_out_by_name(server, client):
    client.hset("pms:morning_pack:2026-11-28", "a", "b")
    client.set("pms:morning_pack:2026-11-27", b"\xff\xfe")
    _, count, left_out = packs.take(server.options)
    assert count == 2
    assert [each.split(": ")[0][-10:] for each in left_out] == ["2026-11-27", "2026-11-28"]


def test_a_user_who_may_not_ask_for_the_time_can_take_packs(server, client):
    client.acl_setuser(
        "reader", enabled=True, passwords=["+p"], keys=["pms:*"], commands=["+@read"]
    )
    options = server.options | {"username": "reader", "password": "p"}
    document = json.loads(packs.take(options)[0])
    assert document["packs"][TODAY]["expires_at"]


def test_a_redis_that_refuses_to_write_is_named_and_still_gives_its_packs(server, client):
    content, _, _ = packs.take(server.options)
    client.delete(TODAY)
    client.config_set("maxmemory", 1)
    assert packs.take(server.options)[1] == 1
    with pytest.raises(OpsError) as caught:
        packs.put_back(server.options, content)
    assert caught.value.code == "redis.unreachable"


def test_a_redis_that_hangs_costs_seconds(server, client):
    began = time.monotonic()
    server.container.pause()
    try:
        with pytest.raises(OpsError) as caught:
            packs.take(server.options)
    finally:
        server.container.unpause()
    assert caught.value.code == "redis.unreachable"
    assert time.monotonic() - began < packs.SECONDS
