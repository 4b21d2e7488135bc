# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Parts of the incident playbooks on a real database and a real Redis."""

from __future__ import annotations

import json
import secrets
import time
import uuid
from contextlib import closing

import docker
import pytest
import redis
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.pms import decision_journal
from ansible.module_utils.pmsops.pms.journal_hash import NUMBERS, TEXTS, content_hash
from ansible.module_utils.pmsops.recovery import redis_cache
from ansible.module_utils.pmsops.services import docker_engine

from tests.support.server import LABEL, execute, free_port

IMAGE = "pms-lab/redis:8"

JOURNAL = """
CREATE TABLE decision_journal (
    id bigserial PRIMARY KEY, created_at timestamptz NOT NULL DEFAULT now(),
    entry_type varchar(30) NOT NULL, position_id bigint, proposal_id bigint,
    instrument varchar(50), direction varchar(10), notional_brl float8, entry_price float8,
    manager_notes text, system_notes text, market_snapshot jsonb, portfolio_snapshot jsonb,
    content_hash varchar(64) NOT NULL, is_locked bool NOT NULL, metadata_json jsonb)
"""
NOTE = decision_journal.Note("incident 2026-11-23_060000_redis_1a2b", "INCIDENT", "Rédis was down")


@pytest.fixture
def journal(database):
    execute(database, "SET ROLE macro_user; " + JOURNAL)
    return database


def rows(database):
    with database.session(read_only=True) as cursor:
        cursor.execute("SELECT to_jsonb(d) FROM decision_journal d ORDER BY id")
        return [row for (row,) in cursor.fetchall()]


def test_a_row_is_written_once_locked_and_with_the_hash_of_the_pms(journal):
    first = decision_journal.write(NOTE, journal, None)
    again = decision_journal.write(NOTE, journal, None)
    assert (first.way, again.way) == ("sql", "found")
    assert again.entry_id == first.entry_id
    (row,) = rows(journal)
    assert row["is_locked"] and row["entry_type"] == "INCIDENT"
    hashed = {name: row[name] for name in (*TEXTS, *NUMBERS)}
    assert row["content_hash"] == content_hash(hashed)


def test_another_occasion_is_another_entry(journal):
    decision_journal.write(NOTE, journal, None)
    decision_journal.write(
        decision_journal.Note("incident other", "INCIDENT", "more"), journal, None
    )
    assert len(rows(journal)) == 2


def test_check_mode_writes_nothing(journal):
    assert decision_journal.write(NOTE, journal, None, check_mode=True).way == "planned"
    assert rows(journal) == []


def test_a_database_without_a_journal_is_said(database):
    with pytest.raises(OpsError) as caught:
        decision_journal.write(NOTE, database, None)
    assert caught.value.code == "journal.missing"


@pytest.fixture(scope="module")
def cache(images):
    """A Redis of its own, with a password, as the options of a module name it."""
    word, port = secrets.token_urlsafe(12), free_port()
    container = docker.from_env().containers.run(
        IMAGE,
        entrypoint=["sh", "-c", 'printf "requirepass %s" "$WORD" | redis-server -'],
        command=[],
        user="redis",
        environment={"WORD": word},
        name=f"pms-test-{uuid.uuid4().hex[:8]}",
        ports={"6379/tcp": ("127.0.0.1", port)},
        labels={LABEL: "1"},
        detach=True,
    )
    options = {"host": "127.0.0.1", "port": port, "password": word}
    try:
        with redis.Redis(**options, retry_on_error=[redis.ConnectionError]) as client:
            for _ in range(100):
                try:
                    client.ping()
                    break
                except redis.RedisError:
                    pass
        yield options
    finally:
        container.remove(force=True, v=True)


def test_packs_are_saved_and_only_the_lost_ones_put_back(cache, tmp_path):
    with redis.Redis(**cache, decode_responses=True) as client:
        client.set("pms:morning_pack:2026-11-20", json.dumps({"day": 20}), ex=300)
        client.set("pms:morning_pack:2026-11-23", json.dumps({"day": 23}))
        client.set("pms:book", "made anew by the PMS")
        assert redis_cache.save(cache, tmp_path) == 2
        client.flushall()
        client.set("pms:morning_pack:2026-11-23", "newer than what was saved")
        assert redis_cache.put_back(cache, tmp_path) == 1
        assert json.loads(client.get("pms:morning_pack:2026-11-20")) == {"day": 20}
        assert 0 < client.ttl("pms:morning_pack:2026-11-20") <= 300
        assert client.get("pms:morning_pack:2026-11-23") == "newer than what was saved"
        assert client.get("pms:book") is None
    assert (tmp_path / redis_cache.SAVED).stat().st_mode & 0o777 == 0o600


def test_a_refusal_names_no_password(cache, tmp_path):
    wrong = cache | {"password": "not the password"}
    with pytest.raises(OpsError) as caught:
        redis_cache.save(wrong, tmp_path)
    assert caught.value.code == "redis.unreachable"
    assert "not the password" not in str(caught.value) + caught.value.remedy


@pytest.fixture
def restarting(images):
    engine = docker.from_env()
    container = engine.containers.run(
        IMAGE,
        ["redis-server"],
        name=f"pms-test-{uuid.uuid4().hex[:8]}",
        labels={LABEL: "1"},
        restart_policy={"Name": "unless-stopped"},
        detach=True,
    )
    try:
        yield container
    finally:
        container.remove(force=True, v=True)
        engine.close()


def signalled(container, name):
    """Send a signal to a container's first process, from outside it and not by the engine."""
    container.reload()
    words = ["sh", "-c", f"kill -s {name} {container.attrs['State']['Pid']}"]
    with closing(docker.from_env()) as engine:
        engine.containers.run(IMAGE, words, pid_mode="host", labels={LABEL: "1"}, remove=True)


def until(true):
    deadline = time.monotonic() + 20
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_a_process_that_was_resumed_is_restarted_by_the_engine_when_it_crashes(restarting):
    state = ["sh", "-c", "cut -d' ' -f3 /proc/1/stat"]
    signalled(restarting, "STOP")
    until(lambda: restarting.exec_run(state).output == b"T\n")
    assert docker_engine.resume(restarting)
    until(lambda: restarting.exec_run(state).output != b"T\n")
    signalled(restarting, "KILL")

    def restarted():
        restarting.reload()
        return restarting.attrs["RestartCount"] == 1 and restarting.status == "running"

    until(restarted)
