"""The probes against a real TimescaleDB, a real Redis and real containers."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import psycopg2
import pytest
from ansible.module_utils.pmsops.checks import gate
from ansible.module_utils.pmsops.checks.probes import Deadline
from ansible.module_utils.pmsops.checks.probes.context import Context, Settings
from ansible.module_utils.pmsops.pms import journal_hash
from ansible.module_utils.pmsops.postgresql.connection import Database

from tests.support.gates import document, item
from tests.support.redis_container import Redis, real_redis
from tests.support.server import Server, execute


def options_of(database: Database) -> dict[str, Any]:
    return {name: getattr(database, name) for name in database.__dataclass_fields__}


def run(*items: dict[str, Any], options: dict[str, Any] | None = None, **settings: Any) -> Any:
    whole = Settings(now=datetime.now(UTC), **settings)
    found = gate.run(document(*items), whole, gate.Options(**(options or {})))
    return {result["id"]: result for result in found["results"]} | {"": found}


def sql(name: str, query: str, *expect: dict[str, Any], **fields: Any) -> dict[str, Any]:
    wanted = list(expect) or [{"path": "value", "eq": 1}]
    return item(name, "sql", params={"query": query}, expect=wanted, **fields)


@pytest.fixture
def redis_server() -> Iterator[Redis]:
    with real_redis() as found:
        yield found


def test_a_query_is_judged_and_a_misspelt_one_never_passes(database):
    found = run(
        sql("one", "SELECT 1 AS answer"),
        sql("two", "SELECT 2"),
        sql("none", "SELECT 1 WHERE false"),
        sql("null", "SELECT NULL::int"),
        sql("misspelt", "SELECT no_such_column FROM pg_class"),
        sql("missing", "SELECT 1 FROM no_such_table"),
        sql("text", "SELECT '1'"),
        sql("syntax", "SELEC 1"),
        sql("set", "SET work_mem = '4MB'"),
        database=options_of(database),
    )
    assert {name: r["status"] for name, r in found.items() if name} == {
        "one": "pass",
        **dict.fromkeys(
            ("two", "none", "null", "misspelt", "missing", "text", "syntax", "set"), "fail"
        ),
    }
    assert 'column "no_such_column" does not exist' in found["misspelt"]["finding"]


def test_a_query_cannot_write_whatever_it_tries(database):
    execute(database, "CREATE TABLE kept (n int); INSERT INTO kept VALUES (1)")
    found = run(
        sql("delete", "DELETE FROM kept RETURNING 1"),
        sql("escape", "COMMIT; DELETE FROM kept RETURNING 1"),
        sql("create", "CREATE TABLE made (n int)"),
        sql("kept", "SELECT count(*) FROM kept"),
        database=options_of(database),
    )
    assert {name: r["status"] for name, r in found.items() if name} == {
        "delete": "fail",
        "escape": "unknown",
        "create": "fail",
        "kept": "pass",
    }
    assert "read-only transaction" in found["delete"]["finding"]
    assert found["escape"]["finding"] == "the query is more than one statement"


def test_a_query_that_ends_its_transaction_still_cannot_write(database):
    execute(database, "CREATE TABLE kept (n int)")
    context = Context(Settings(now=datetime.now(UTC), database=options_of(database)))
    with context.connection(None, Deadline.after(5)).cursor() as cursor:
        cursor.execute("COMMIT")
        with pytest.raises(psycopg2.errors.ReadOnlySqlTransaction):
            cursor.execute("INSERT INTO kept VALUES (1)")
    context.drop_connection(None)


def test_a_query_that_blocks_ends_in_time_on_the_server_too(database, server: Server):
    connection = database.connect()
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE locked (n int)")
    connection.commit()
    with connection.cursor() as cursor:
        cursor.execute("LOCK TABLE locked IN ACCESS EXCLUSIVE MODE")
        started = time.monotonic()
        found = run(
            sql("blocked", "SELECT count(*) FROM locked", timeout=1),
            sql("sleeping", "SELECT 1 FROM pg_sleep(30)", timeout=1),
            *(sql(f"quick{number}", "SELECT 1") for number in range(20)),
            database=options_of(database),
        )
        seconds = time.monotonic() - started
    connection.rollback()
    connection.close()
    assert found["blocked"]["status"] == found["sleeping"]["status"] == "unknown"
    assert all(found[f"quick{number}"]["status"] == "pass" for number in range(20))
    assert seconds < 20
    busy = "SELECT count(*) FROM pg_stat_activity WHERE state = 'active'"
    busy += " AND query LIKE '%pg_sleep(30)%' AND pid <> pg_backend_pid()"
    assert server.psql(busy) == "0"


def test_a_server_that_accepts_and_says_nothing_costs_its_time_out():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        options = {"host": "127.0.0.1", "port": silent.getsockname()[1], "name": "x", "user": "x"}
        started = time.monotonic()
        found = run(sql("silent", "SELECT 1", timeout=1), item("other"), database=options)
    assert (found["silent"]["status"], found["other"]["status"]) == ("unknown", "pass")
    assert time.monotonic() - started < 20


def test_one_connection_serves_all_queries_of_a_worker(database, server: Server):
    before = int(server.psql("SELECT sum(sessions) FROM pg_stat_database"))
    run(
        *(sql(f"q{number}", "SELECT 1") for number in range(60)),
        database=options_of(database),
        options={"workers": 4},
    )
    for _ in range(30):  # the statistics come a moment later
        opened = int(server.psql("SELECT sum(sessions) FROM pg_stat_database")) - before
        if opened >= 4:
            break
        time.sleep(0.2)
    assert opened < 60 / 2


def test_when_the_database_goes_down_one_check_fails_and_the_others_wait(database):
    away = options_of(database) | {"port": 1}
    checks = [
        sql("root", "SELECT 1"),
        *(sql(f"q{n}", "SELECT 1", needs=["root"]) for n in range(30)),
    ]
    found = run(*checks, database=away)[""]
    assert (found["counts"]["fail"], found["counts"]["unknown"]) == (1, 30)


def test_the_journal_s_hashes_are_recomputed(database):
    columns = ", ".join(
        [f"{name} text" for name in journal_hash.TEXTS]
        + [f"{name} float8" for name in journal_hash.NUMBERS]
    )
    execute(
        database,
        f"""CREATE TABLE decision_journal (id bigint, {columns}, content_hash text);
            CREATE FUNCTION stay() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
            CREATE TRIGGER trg_decision_journal_immutable BEFORE UPDATE ON decision_journal
            FOR EACH ROW EXECUTE FUNCTION stay()""",
    )
    row = {"entry_type": "OPEN", "instrument": "USDBRL", "notional_brl": 1e7, "entry_price": 5.2}
    digest = journal_hash.content_hash(row)
    insert = """INSERT INTO decision_journal
        (id, entry_type, instrument, notional_brl, entry_price, content_hash)
        SELECT n, 'OPEN', 'USDBRL', 1e7, 5.2, '{}' FROM generate_series({}, {}) AS n"""
    execute(database, insert.format(digest, 1, 3000))
    check = item(
        "journal",
        "journal",
        expect=[
            {"path": "entries", "gt": 0},
            {"path": "wrong", "take": "count", "eq": 0},
            {"path": "trigger_enabled", "eq": True},
        ],
    )
    options = options_of(database)
    assert run(check, database=options)["journal"]["status"] == "pass"
    execute(database, "UPDATE decision_journal SET notional_brl = 1e6 WHERE id = 7")
    found = run(check, database=options)["journal"]
    assert (found["status"], "wrong is 1" in found["finding"]) == ("fail", True)
    execute(database, "ALTER TABLE decision_journal DISABLE TRIGGER trg_decision_journal_immutable")
    assert "trigger enabled is no" in run(check, database=options)["journal"]["finding"]
    execute(database, "TRUNCATE decision_journal")
    assert "entries is 0" in run(check, database=options)["journal"]["finding"]


def redis(name: str, command: list[str], *expect: dict[str, Any], **fields: Any) -> dict[str, Any]:
    auth = fields.pop("auth", True)
    params = {"command": command, "auth": auth}
    return item(name, "redis", params=params, expect=list(expect), **fields)


def test_redis_is_asked_with_its_password_and_refuses_without(redis_server):
    found = run(
        redis("ping", ["PING"], {"path": "reply", "eq": "PONG"}),
        redis("closed", ["PING"], {"path": "error", "contains": "NOAUTH"}, auth=False),
        redis("open", ["PING"], {"path": "reply", "eq": "PONG"}, auth=False),
        redis(
            "policy",
            ["CONFIG", "GET", "maxmemory-policy"],
            {"path": "reply.maxmemory-policy", "eq": "noeviction"},
        ),
        redis("memory", ["INFO", "memory"], {"path": "reply.used_memory", "gt": 0}),
        redis("missing", ["GET", "no-such-key"], {"path": "reply", "not_empty": True}),
        redis=redis_server.options,
    )
    assert "NOAUTH" in found["closed"]["finding"], found["closed"]
    statuses = {name: result["status"] for name, result in found.items() if name}
    assert statuses == {
        "ping": "pass",
        "closed": "pass",
        "open": "fail",
        "policy": "pass",
        "memory": "pass",
        "missing": "fail",
    }


def test_a_wrong_redis_password_fails(redis_server):
    options = redis_server.options | {"password": "wrong-password"}
    found = run(redis("ping", ["PING"], {"path": "reply", "eq": "PONG"}), redis=options)["ping"]
    assert found["status"] == "fail"
    assert "wrong-password" not in str(found)


def test_a_redis_that_hangs_costs_its_own_time_out(redis_server):
    options = redis_server.options
    redis_server.container.pause()
    started = time.monotonic()
    found = run(
        redis("ping", ["PING"], {"path": "reply", "eq": "PONG"}, timeout=1),
        item("b"),
        redis=options,
    )
    redis_server.container.unpause()
    assert (found["ping"]["status"], found["b"]["status"]) == ("unknown", "pass")
    assert time.monotonic() - started < 20


def container(identifier: str, **params: Any) -> dict[str, Any]:
    expect = [{"path": "status", "eq": "running"}, {"path": "looping", "eq": False}]
    return item(identifier, "container", params=params, expect=expect)


def test_a_container_that_runs_passes_and_one_stopped_paused_or_misspelt_never(redis_server):
    name = redis_server.container.name
    assert run(container("c", name=name))["c"]["status"] == "pass"
    misspelt = run(container("c", name=f"{name}x"))["c"]
    assert misspelt["status"] == "unknown"
    assert f"there is no container {name}x" in misspelt["finding"]
    redis_server.container.pause()
    assert run(container("c", name=name))["c"]["status"] == "fail"
    redis_server.container.unpause()
    redis_server.container.stop(timeout=1)
    assert run(container("c", name=name))["c"]["status"] == "fail"


def test_a_service_is_found_by_its_labels_only():
    check = container("c", service="no-such-service", project="no-such-project")
    found = run(check)["c"]
    assert (found["status"], "no container of service no-such-service" in found["finding"]) == (
        "unknown",
        True,
    )
    assert run(container("c", service="api"))["c"]["status"] == "unknown"


def test_no_connection_stays_open_after_a_gate(database, server: Server):
    run(*(sql(f"q{number}", "SELECT 1") for number in range(8)), database=options_of(database))
    query = f"SELECT count(*) FROM pg_stat_activity WHERE datname = '{database.name}'"
    query += " AND application_name = 'pms-ops'"
    for _ in range(30):
        if server.psql(query) == "0":
            return
        threading.Event().wait(0.1)
    raise AssertionError(server.psql(query))
