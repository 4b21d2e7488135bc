# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The cache of the PMS in Redis: saved, restored, warmed and forgotten."""

from __future__ import annotations

import json
from datetime import date
from types import SimpleNamespace

import pytest
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.pms import redis_cache as pms_redis
from ansible.module_utils.pmsops.recovery import redis_cache

from tests.support.redis_server import Store, redis_server

PACK = "pms:morning_pack:2026-11-25"


@pytest.fixture
def store():
    return Store("a password")


@pytest.fixture
def options(store):
    with redis_server(store) as found:
        yield found


def test_packs_are_saved_and_only_the_lost_ones_restored(store, options, tmp_path):
    store.values = {PACK: "the pack", "pms:morning_pack:2026-11-24": "older", "pms:book": "[]"}
    store.lives = {PACK: 600}
    assert redis_cache.save(options, tmp_path) == 2
    saved = json.loads((tmp_path / redis_cache.SAVED).read_text())
    assert saved[PACK] == {"value": "the pack", "lives_seconds": 600}
    assert (tmp_path / redis_cache.SAVED).stat().st_mode & 0o777 == 0o600
    store.values = {"pms:morning_pack:2026-11-24": "newer than the saved one"}
    store.lives = {}
    assert redis_cache.put_back(options, tmp_path) == 1
    assert store.values == {
        PACK: "the pack",
        "pms:morning_pack:2026-11-24": "newer than the saved one",
    }
    assert store.lives == {PACK: 600}


def test_without_packs_nothing_is_saved_or_restored(options, tmp_path):
    assert redis_cache.save(options, tmp_path) == 0
    assert not (tmp_path / redis_cache.SAVED).exists()
    assert redis_cache.put_back(options, tmp_path) == 0


def test_the_cache_is_warmed_by_the_operations_that_the_pms_offers(store, options):
    asked = []

    def call(operation):
        asked.append(operation)
        store.values |= {"pms:book": "[]", "pms:risk:live": "{}", "other": "x"}

    api = SimpleNamespace(dialect=SimpleNamespace(paths={"book": "/", "risk": "/"}), call=call)
    assert redis_cache.warm(options, api) == ["pms:book", "pms:risk:live"]
    assert asked == ["book", "risk"]
    store.values.clear()
    api.call = lambda operation: None
    with pytest.raises(OpsError, match="Redis has no pms:book, pms:risk:live") as caught:
        redis_cache.warm(options, api)
    assert caught.value.code == "redis.cold"


def test_only_the_keys_of_the_pms_are_forgotten(store, options):
    store.values = {"pms:book": "[]", PACK: "the pack", "somebody:else": "x"}
    assert pms_redis.forget(options) == (2, "")
    assert store.values == {"somebody:else": "x"}
    for nothing in (options, None, {"host": ""}):
        assert pms_redis.forget(nothing) == (0, "")


def test_a_wrong_password_is_an_error_without_the_password(options):
    wrong = options | {"password": "s3cret"}
    with pytest.raises(OpsError, match="AuthenticationError") as caught:
        redis_cache.save(wrong, None)
    assert caught.value.code == "redis.unreachable"
    assert "s3cret" not in str(caught.value) + caught.value.remedy
    told = pms_redis.forget(wrong).problem  # the PMS may have the right one
    assert "not cleared (AuthenticationError)" in told
    assert "s3cret" not in told


def test_a_server_without_a_password_takes_one(store, tmp_path):
    store.password = None
    store.values = {PACK: "the pack"}
    with redis_server(store) as options:
        assert redis_cache.save(options | {"password": "any"}, tmp_path) == 1


def test_a_cache_of_many_keys_is_listed_in_part(store, options, monkeypatch):
    monkeypatch.setattr(pms_redis, "MAX_KEYS", 3)
    store.values = {f"pms:{number}": "x" for number in range(5)}
    with pms_redis.session(options) as client:
        assert len(pms_redis.keys(client)) == 3


def test_the_empty_book_that_a_pipeline_wrote_is_forgotten_and_older_packs_stay(store, options):
    kept = {"pms:morning_pack:2026-11-24": "exists in Redis only", "celery": "of somebody else"}
    store.values = {PACK: '{"status": "unavailable"}', "pms:book": '{"positions": []}'} | kept
    assert pms_redis.forget_after_run(options, date(2026, 11, 25)) == (2, "")
    assert store.values == kept


@pytest.mark.parametrize("redis", [None, {}])
def test_without_a_redis_there_is_nothing_to_forget(redis):
    assert pms_redis.forget_after_run(redis, date(2026, 11, 25)) == (0, "")


@pytest.mark.parametrize(
    "forget", [pms_redis.forget, lambda redis: pms_redis.forget_after_run(redis, date.today())]
)
def test_a_redis_that_is_down_comes_back_with_the_former_book(forget):
    told = forget({"host": "127.0.0.1", "port": 9})
    assert told.deleted == 0
    assert "Redis at 127.0.0.1:9 was not cleared (ConnectionError); once it answers" in told.problem
