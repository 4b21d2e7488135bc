# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Morning packs: with the time that each has left, never as if it were fresh."""

from __future__ import annotations

import json
import socket

import pytest
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.parts import packs
from ansible.module_utils.pmsops.pms import redis_cache

from tests.support.redis_server import Store, redis_server

TODAY, OTHER = "pms:morning_pack:2026-11-30", "pms:morning_pack:2026-11-29"


@pytest.fixture
def store():
    found = Store("secret")
    found.values = {TODAY: "{}", OTHER: '{"day": "29"}', "pms:book": "[]"}
    found.lives = {TODAY: 300}
    return found


def taken(store):
    with redis_server(store) as options:
        return packs.take(options)


def put(store, content, write=True):
    with redis_server(store) as options:
        return (packs.put_back if write else packs.planned)(options, content)


def test_only_packs_are_taken_each_with_the_moment_of_its_end(store):
    content, count, left_out = taken(store)
    found = json.loads(content)["packs"]
    assert (set(found), count, left_out) == ({TODAY, OTHER}, 2, [])
    assert found[TODAY]["expires_at"] == "2027-01-15T08:05:00.000Z"  # of the clock of Redis
    assert found[OTHER]["expires_at"] is None


def test_a_key_that_is_called_like_a_pack_and_is_none_is_named(store):
    store.values["pms:morning_pack:latest"] = "x"
    _, count, left_out = taken(store)
    assert (count, left_out) == (2, ["pms:morning_pack:latest: it has not the name of a pack"])


def test_a_pack_comes_back_with_the_rest_of_its_time(store):
    content = taken(store)[0]
    store.values, store.lives = {}, {}
    store.clock += 120
    assert put(store, content) == {TODAY: packs.WRITTEN, OTHER: packs.WRITTEN}
    assert store.values == {TODAY: "{}", OTHER: '{"day": "29"}'}
    assert store.lives == {TODAY: 180}


def test_a_pack_whose_time_is_over_does_not_come_back_as_if_it_were_fresh(store):
    content = taken(store)[0]
    store.values, store.lives = {}, {}
    store.clock += 301
    assert put(store, content, write=False)[TODAY] == packs.EXPIRED
    assert put(store, content)[TODAY] == packs.EXPIRED
    assert TODAY not in store.values


def test_a_pack_that_redis_has_stays(store):
    content = taken(store)[0]
    store.values[TODAY] = "newer"
    assert put(store, content, write=False)[TODAY] == packs.THERE
    assert put(store, content)[TODAY] == packs.THERE
    assert store.values[TODAY] == "newer"


def test_no_other_key_is_written_whatever_the_set_says(store):
    document = {"schema_version": 1, "packs": {"pms:book": {"value": "x", "expires_at": None}}}
    with pytest.raises(OpsError) as caught:
        put(store, json.dumps(document).encode())
    assert caught.value.code == "parts.not-a-pack"
    assert store.values["pms:book"] == "[]"


def test_a_redis_that_refuses_to_write_is_named(store):
    content = taken(store)[0]
    store.values, store.refuses_writes = {}, True
    with pytest.raises(OpsError) as caught:
        put(store, content)
    assert caught.value.code == "redis.unreachable"


def test_a_redis_that_hangs_is_named_after_a_bounded_time(monkeypatch):
    monkeypatch.setattr(redis_cache, "connect", quick(redis_cache.connect))
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(OpsError) as caught:
        packs.take({"host": "127.0.0.1", "port": silent.getsockname()[1]})
    assert caught.value.code == "redis.unreachable"


def quick(connect):
    return lambda options: connect(options, seconds=0.1)
