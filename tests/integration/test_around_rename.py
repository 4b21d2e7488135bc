# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a database does not carry along when it is renamed, and what keeps it from being renamed.

Logical slots, prepared transactions, time-outs, event triggers and list settings, on a server of
its own: only there wal_level is logical. The client tools are this host's, which start sooner.
"""

from __future__ import annotations

import re
import time
import uuid
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import psycopg2
import psycopg2.extras
import pytest
from ansible.module_utils.pmsops.backup import run as backup
from ansible.module_utils.pmsops.client_tools import factory as client_tools
from ansible.module_utils.pmsops.common import progress
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.postgresql import (
    bound_objects,
    integrity,
    list_settings,
    session_settings,
    timescaledb_held_jobs,
    timescaledb_job_results,
)
from ansible.module_utils.pmsops.postgresql.connection import fetch_all, fetch_value
from ansible.module_utils.pmsops.postgresql.snapshot import Snapshot
from ansible.module_utils.pmsops.restore import (
    former_retention,
    registry,
    renames,
    staging_database,
    versions,
)
from ansible.module_utils.pmsops.restore.plan import plan_restore
from ansible.module_utils.pmsops.restore.request import Request
from ansible.module_utils.pmsops.restore.run import restore_set
from ansible.module_utils.pmsops.restore.swap_run import SwapRun
from ansible.module_utils.pmsops.services.manager import Services
from ansible.module_utils.pmsops.verify import against_set

from tests.support.server import (
    HYPERTABLE,
    POSTGRESQL,
    execute,
    needs_timescaledb,
    running_server,
)

SCHEMA = """
SET ROLE macro_user;
CREATE TABLE md (id bigserial, at timestamptz NOT NULL, value float8, PRIMARY KEY (id, at));
{hypertable}
INSERT INTO md (at, value)
SELECT t, extract(epoch FROM t) FROM generate_series(timestamptz '2026-01-01', '2026-02-28',
                                                     '1 hour') t;
CREATE TABLE positions (id int PRIMARY KEY, name text);
INSERT INTO positions SELECT n, 'position ' || n FROM generate_series(1, 100) n;
"""
since_17 = pytest.mark.skipif(POSTGRESQL < 17, reason="PostgreSQL 17 brought it")


@pytest.fixture(scope="module")
def server(images):
    with running_server(wal_level="logical", max_prepared_transactions="10") as made:
        yield made


@pytest.fixture(scope="module")
def template(server):
    """A filled database with a hypertable, to copy."""
    name = "template_of_the_tests"
    execute(server.create(name), SCHEMA.format(hypertable=HYPERTABLE))
    server.close(name)
    return name


@pytest.fixture
def live(server, template, host_tools):
    """A filled database; it goes with everything that a test leaves beside it."""
    name = f"test_{uuid.uuid4().hex[:8]}"
    database = server.create(name, template=template)
    yield replace(database, access="host", container=None, bin_dir=str(host_tools))
    drop_all(server, name)


@pytest.fixture
def plain(server, host_tools):
    """One without TimescaleDB, for what that has no part in: restores take a third of the time."""
    name = f"test_{uuid.uuid4().hex[:8]}"
    database = server.create(name, timescaledb=False)
    execute(database, SCHEMA.format(hypertable=""))
    yield replace(database, access="host", container=None, bin_dir=str(host_tools))
    drop_all(server, name)


def drop_all(server, name):
    """Drop a database and those beside it, with what keeps them from being dropped."""
    server.psql(
        "SELECT pg_terminate_backend(active_pid, 5000) FROM pg_replication_slots"
        " WHERE active_pid IS NOT NULL;"
        "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots"
    )
    for line in server.psql("SELECT gid, database FROM pg_prepared_xacts").splitlines():
        gid, where = line.split("|")
        server.psql(f"ROLLBACK PREPARED '{gid}'", where)
    beside = f"SELECT datname FROM pg_database WHERE starts_with(datname, '{name}')"
    for each in server.psql(beside).splitlines():
        server.drop(each)


@pytest.fixture
def request_(tmp_path):
    return Request(root=tmp_path / "backups", keys=tmp_path / "keys", keep=True)


def backed_up(database, request):
    settings = backup.Settings(root=request.root, keys=request.keys, trial="none")
    return backup.run(database, settings, progress=progress.Progress())


def restored(database, request):
    return restore_set(database, replace(request), progress=progress.Progress())


def run_of(database, request, **options):
    return SwapRun(database, Services("none", ()), None, None, request.root, **options)


def beside(database):
    """Return the databases next to the live one."""
    return [name for name in registry.read_from(database) if name.startswith(f"{database.name}__")]


# --- Time-outs --------------------------------------------------------------------------------


TIMEOUTS = {"statement_timeout": "800ms", "lock_timeout": "40ms", "idle_session_timeout": "40ms"}
TIMEOUTS["idle_in_transaction_session_timeout"] = "800ms"
if POSTGRESQL >= 17:
    TIMEOUTS["transaction_timeout"] = "800ms"


@contextmanager
def time_outs(server, database):
    """Have time-outs that would end every session of the toolkit, of the database and its role."""
    owners = (f"DATABASE {database.name}", "ROLE pms_ops")
    server.psql(
        "".join(
            f"ALTER {owner} SET {name} TO '{value}';"
            for name, value in TIMEOUTS.items()
            for owner in owners
        )
    )
    yield database
    server.psql("".join(f"ALTER ROLE pms_ops RESET {name};" for name in TIMEOUTS))


@pytest.fixture
def impatient(server, plain):
    with time_outs(server, plain):
        yield plain


def test_time_outs_of_the_database_and_of_the_role_end_no_backup_and_no_restore(
    server, live, request_
):
    with time_outs(server, live):
        made = backed_up(live, request_)
        assert made["rows"] > 1000
        staged = restored(live, request_)
        done = run_of(live, request_).run("swapped", staged["side"])
        assert beside(live) == [done["former"]]
        assert against_set.against(live, root=request_.root, keys=request_.keys)["identical"]


def test_every_time_out_of_the_server_is_one_that_the_toolkit_turns_off(server):
    # Those of a connection and of replication end nothing that the toolkit does.
    others = {"tcp_user_timeout", "wal_sender_timeout"}
    names = "SELECT name FROM pg_settings WHERE name ~ '_timeout$' AND context = 'user'"
    found = set(server.psql(names).split()) - others
    assert found == set(TIMEOUTS) == found & set(session_settings.TIMEOUTS)


@pytest.mark.parametrize("name", TIMEOUTS)
def test_a_session_of_the_toolkit_has_no_time_out(impatient, name):
    with impatient.session(read_only=True) as cursor:
        assert fetch_value(cursor, "SELECT current_setting(%s)", (name,)) == "0"
        assert fetch_value(cursor, "SHOW transaction_read_only") == "on"
    with Snapshot(impatient, connections=2) as snapshot:
        for cursor in snapshot.cursors:
            assert fetch_value(cursor, "SELECT current_setting(%s)", (name,)) == "0"


@pytest.mark.parametrize("access", ["container", "host"])
def test_a_client_tool_has_no_time_out(server, impatient, access):
    database = impatient if access == "host" else server.database(impatient.name)
    shown = [f"-cSHOW {name}" for name in TIMEOUTS]
    found = client_tools.for_database(database).capture("psql", ["-XqAt", *shown])
    assert found == (0, b"0\n" * len(TIMEOUTS), "")


@pytest.mark.parametrize("name", [name for name in TIMEOUTS if name != "lock_timeout"])
def test_a_session_that_a_time_out_ended_is_no_dead_database(plain, name):
    connection = plain.connect(autocommit="idle_in" not in name)
    with connection.cursor() as cursor:
        cursor.execute(f"SET {name} = '50ms'")
        if name == "transaction_timeout":
            cursor.execute("BEGIN; SELECT 1")
        with pytest.raises(psycopg2.Error) as caught:
            if name == "statement_timeout":
                cursor.execute("SELECT pg_sleep(1)")
            else:
                time.sleep(0.3)
                cursor.execute("SELECT 1")
    connection.close()
    error = plain.to_error(caught.value)
    # Through a proxy the server's last words may be lost.
    told = (error.code == "database.timeout" and name in str(error)) or (
        error.code == "database.session-ended" and "server closed the connection" in str(error)
    )
    assert told, error


# --- Event triggers -----------------------------------------------------------------------------

AUDIT = """
CREATE TABLE audit (id bigserial PRIMARY KEY, at timestamptz DEFAULT now(), what text);
CREATE FUNCTION note() RETURNS event_trigger LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog AS $$
BEGIN
    INSERT INTO public.audit (what) VALUES (tg_event || ' ' || coalesce(tg_tag, ''));
END $$;
CREATE MATERIALIZED VIEW names AS SELECT name FROM positions;
"""
LOGIN = """
CREATE EVENT TRIGGER note_login ON login EXECUTE FUNCTION note();
ALTER EVENT TRIGGER note_login ENABLE ALWAYS;
COMMENT ON EVENT TRIGGER note_login IS 'who came';
"""
STATEMENTS = """
CREATE EVENT TRIGGER note_ddl ON ddl_command_end EXECUTE FUNCTION note();
ALTER EVENT TRIGGER note_ddl ENABLE ALWAYS;
"""
# A row trigger whose sequence no rollback brings back.
ROW = """
CREATE FUNCTION number() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN PERFORM nextval('public.audit_id_seq'); RETURN NEW; END $$;
CREATE TRIGGER number BEFORE INSERT ON md FOR EACH ROW EXECUTE FUNCTION number();
"""


def count(server, name):
    return int(server.psql("SET event_triggers = off; SELECT count(*) FROM audit", name))


@since_17
def test_a_login_trigger_that_fills_a_table_does_not_disturb_the_proof(server, live, request_):
    server.psql(AUDIT + LOGIN, live.name)
    server.psql(f"ALTER DATABASE {live.name} SET event_triggers TO on")
    backed_up(live, request_)
    assert restored(live, replace(request_, keep=False))["differences"] == 0
    staged = restored(live, request_)
    done = run_of(live, request_).run("swapped", staged["side"])
    # The live database writes down who came, as before; the former one does not, and can be read.
    settings = "SELECT unnest(setconfig) FROM pg_db_role_setting s JOIN pg_database d ON d.oid ="
    settings += " s.setdatabase WHERE datname = '{}' ORDER BY 1"
    assert server.psql(settings.format(live.name)) == "event_triggers=on"
    before = count(server, live.name)
    with live.session() as cursor:
        assert fetch_value(cursor, "SELECT count(*) FROM audit") == before + 1
    with live.named(done["former"]).session() as cursor:
        assert fetch_value(cursor, "SHOW event_triggers") == "off"
        assert fetch_value(cursor, "SELECT count(*) FROM positions") == 100
    run_of(live, request_).run("rolled_back", None)
    assert server.psql(settings.format(live.name)) == "event_triggers=on"
    server.psql(f"ALTER DATABASE {live.name} RESET event_triggers")
    assert server.psql(settings.format(live.name)) == ""


def test_an_event_trigger_for_statements_does_not_disturb_the_proof(server, live, request_):
    server.psql(AUDIT + STATEMENTS + ROW, live.name)
    backed_up(live, request_)
    staged = restored(live, request_)
    run_of(live, request_).run("swapped", staged["side"])
    with live.session(read_only=True) as cursor:
        kept = fetch_value(cursor, "SELECT count(*) FROM audit")
        enabled = "SELECT evtenabled FROM pg_event_trigger WHERE evtname = 'note_ddl'"
        assert fetch_value(cursor, enabled) == "A"
    assert against_set.against(live, root=request_.root, keys=request_.keys)["identical"]
    execute(live, "SET ROLE macro_user; COMMENT ON TABLE positions IS 'the book'")
    with live.session(read_only=True) as cursor:
        assert fetch_value(cursor, "SELECT count(*) FROM audit") == kept + 1


# --- Logical slots ------------------------------------------------------------------------------


def slots(server):
    """Return the database and the plugin of each slot."""
    rows = server.psql("SELECT slot_name, database, plugin FROM pg_replication_slots ORDER BY 1")
    return {name: (where, plugin) for name, where, plugin in (r.split("|") for r in rows.split())}


@pytest.fixture
def consumed(server, live):
    """A database with a slot that a consumer reads, and one that nobody reads."""
    for name, plugin in (("cdc", "test_decoding"), ("idle", "pgoutput")):
        server.psql(f"SELECT pg_create_logical_replication_slot('{name}', '{plugin}')", live.name)
    server.psql("ALTER ROLE pms_ops REPLICATION")
    consumer = psycopg2.connect(
        host=live.host,
        port=live.port,
        dbname=live.name,
        user=live.user,
        password=live.password,
        application_name="warehouse",
        connection_factory=psycopg2.extras.LogicalReplicationConnection,
    )
    consumer.cursor().start_replication(slot_name="cdc", decode=True)
    yield live
    consumer.close()
    server.psql("ALTER ROLE pms_ops NOREPLICATION")


def test_slots_refuse_a_restore_before_a_staging_database_is_made(server, consumed, request_):
    backed_up(consumed, request_)
    before = server.psql("SELECT max(oid::bigint) FROM pg_database")
    with pytest.raises(OpsError, match=r"cdc \(test_decoding, read by warehouse\), idle") as caught:
        restored(consumed, request_)
    assert caught.value.code == "restore.slots"
    assert server.psql("SELECT max(oid::bigint) FROM pg_database") == before
    plan = plan_restore(consumed, request_)
    assert [each["name"] for each in plan["slots"]] == ["cdc", "idle"]
    assert "restore_slots=recreate" in plan["slots"][0]["text"]
    assert restored(consumed, replace(request_, keep=False))["differences"] == 0  # a drill
    assert slots(server) == {
        "cdc": (consumed.name, "test_decoding"),
        "idle": (consumed.name, "pgoutput"),
    }


@pytest.mark.parametrize("handling", ["recreate", "drop"])
def test_slots_are_handed_over_at_the_swap_and_at_the_rollback(
    server, consumed, request_, handling
):
    backed_up(consumed, request_)
    request = replace(request_, slots=handling)
    staged = restored(consumed, request)
    with pytest.raises(OpsError, match="cdc") as caught:
        run_of(consumed, request).run("swapped", staged["side"])
    assert caught.value.code == "restore.slots"
    expected = {"cdc": (consumed.name, "test_decoding"), "idle": (consumed.name, "pgoutput")}
    assert slots(server) == expected
    for state, incoming in (("swapped", staged["side"]), ("rolled_back", None)):
        done = run_of(consumed, request, slots=handling).run(state, incoming)
        assert slots(server) == (expected if handling == "recreate" else {})
        if handling == "recreate" or state == "swapped":
            assert [each["name"] for each in done["slots"]] == ["cdc", "idle"]
            assert all("read all tables again" in each["text"] for each in done["slots"])
        if handling == "recreate":
            server.psql("SET ROLE macro_user; INSERT INTO positions SELECT max(id) + 1 FROM"
                        " positions", consumed.name)  # fmt: skip
            changes = server.psql(
                "SELECT data FROM pg_logical_slot_get_changes('cdc', NULL, NULL)", consumed.name
            )
            assert "table public.positions: INSERT" in changes


def test_a_former_database_with_a_slot_outlives_retention_and_is_named(server, plain, request_):
    backed_up(plain, request_)
    # A former database that equals the set would become live again, with its slot.
    execute(plain, "DELETE FROM positions WHERE id = 1")
    first = run_of(plain, request_).run("swapped", restored(plain, request_)["side"])["former"]
    server.psql("SELECT pg_create_logical_replication_slot('late', 'pgoutput')", first)
    execute(plain, "DELETE FROM positions WHERE id = 1")
    policy = former_retention.Policy(count=1)
    staged = restored(plain, request_)
    done = run_of(plain, request_, policy=policy).run("swapped", staged["side"])
    assert done["pruned"] == []
    assert "pg_drop_replication_slot('late')" in done["not_dropped"][0]
    assert set(beside(plain)) == {first, done["former"]}
    assert slots(server) == {"late": (first, "pgoutput")}
    server.psql("SELECT pg_drop_replication_slot('late')")
    assert staging_database.drop_or_explain(plain, first) is None
    assert beside(plain) == [done["former"]]


# --- Prepared transactions ------------------------------------------------------------------------


@pytest.fixture
def prepared(server, plain, request_):
    backed_up(plain, request_)
    server.psql(
        "BEGIN; UPDATE positions SET name = 'late' WHERE id = 7; PREPARE TRANSACTION 'it''s late'",
        plain.name,
    )
    return plain


def test_prepared_transactions_refuse_a_restore_and_are_named(server, prepared, request_):
    before = server.psql("SELECT max(oid::bigint) FROM pg_database")
    with pytest.raises(OpsError, match="'it''s late' of postgres since 20") as caught:
        restored(prepared, request_)
    assert caught.value.code == "restore.prepared-transactions"
    assert server.psql("SELECT max(oid::bigint) FROM pg_database") == before
    assert (
        "'it''s late' of postgres" in plan_restore(prepared, request_)["prepared_transactions"][0]
    )
    assert restored(prepared, replace(request_, keep=False))["differences"] == 0  # a drill
    # What the remedy says is what helps.
    (statement,) = re.findall(r"ROLLBACK PREPARED '(?:[^']|'')+'", caught.value.remedy)
    server.psql(statement, prepared.name)
    assert restored(prepared, request_)["side"]


def test_a_transaction_prepared_meanwhile_refuses_the_swap_while_the_services_run(
    server, plain, request_
):
    backed_up(plain, request_)
    staged = restored(plain, request_)
    server.psql("BEGIN; CREATE TABLE t (); PREPARE TRANSACTION 'late'", plain.name)
    with pytest.raises(OpsError, match="'late'") as caught:
        run_of(plain, request_).run("swapped", staged["side"])
    assert caught.value.code == "restore.prepared-transactions"
    server.psql("ROLLBACK PREPARED 'late'", plain.name)
    assert run_of(plain, request_).run("swapped", staged["side"])["former"]


def test_a_rename_that_a_prepared_transaction_blocks_names_it(server, plain, request_, monkeypatch):
    """One that is prepared between the look and the rename."""
    backed_up(plain, request_)
    staged = restored(plain, request_)
    server.psql("BEGIN; CREATE TABLE t (); PREPARE TRANSACTION 'late'", plain.name)
    monkeypatch.setattr(bound_objects, "require_no_prepared", lambda *args: None)
    monkeypatch.setattr(renames, "RENAME_SECONDS", 0)
    with pytest.raises(OpsError, match=f"In {plain.name}: 'late' of postgres") as caught:
        run_of(plain, request_).run("swapped", staged["side"])
    assert caught.value.code == "restore.not-swapped"


def test_a_staging_database_with_a_prepared_transaction_blocks_no_later_run(
    server, plain, request_
):
    backed_up(plain, request_)
    staged = restored(plain, request_)["side"]
    server.psql("BEGIN; CREATE TABLE t (); PREPARE TRANSACTION 'late'", staged)
    execute(plain, "DELETE FROM positions WHERE id = 1")
    lines = run_of(plain, request_).run("recovered", None)["recovered"]
    assert any(staged in line and "ROLLBACK PREPARED 'late'" in line for line in lines)
    done = run_of(plain, request_).run("swapped", restored(plain, request_)["side"])
    assert set(beside(plain)) == {staged, done["former"]}


# --- Subscriptions ------------------------------------------------------------------------------


def test_a_staging_database_with_a_restored_subscription_is_dropped(server, plain):
    """A dump made by a superuser has the subscriptions, disabled; they block DROP DATABASE."""
    name = registry.free_name(plain.name, registry.STAGING, set())
    mark = registry.mark_text({"is": registry.STAGING, "of": plain.name})
    server.psql(f"CREATE DATABASE {name}; COMMENT ON DATABASE {name} IS '{mark}'")
    server.psql(
        "CREATE SUBSCRIPTION feed CONNECTION 'host=elsewhere' PUBLICATION p"
        " WITH (connect = false, slot_name = 'feed')",
        name,
    )
    assert staging_database.drop_or_explain(plain, name) is None
    assert beside(plain) == []


def test_a_former_database_with_a_subscription_is_kept_and_named(server, plain):
    name = f"{plain.name}__before_20260101000000"
    server.psql(f"CREATE DATABASE {name}")
    server.psql(
        "CREATE SUBSCRIPTION feed CONNECTION 'host=elsewhere' PUBLICATION p"
        " WITH (connect = false, slot_name = NONE)",
        name,
    )
    told = staging_database.drop_or_explain(plain, name)
    assert 'DROP SUBSCRIPTION "feed"' in told
    server.psql("DROP SUBSCRIPTION feed", name)
    assert staging_database.drop_or_explain(plain, name) is None


# --- List settings ------------------------------------------------------------------------------

SETTINGS = {
    "search_path": """app, "odd, one", public""",
    "temp_tablespaces": "''",
    "datestyle": "'ISO, DMY'",
    '"app.names"': "'one, two'",
}
OF_DATABASE = "SELECT setrole::regrole, unnest(setconfig) FROM pg_db_role_setting s"
OF_DATABASE += " JOIN pg_database d ON d.oid = s.setdatabase WHERE datname = '{}' ORDER BY 1, 2"


def test_list_settings_come_back_as_lists_from_the_set_and_from_globals_sql(
    server, plain, request_, monkeypatch
):
    values = dict(SETTINGS)
    # A list that the toolkit does not know by name: 17.12 and 18.6 have this one.
    if server.psql("SELECT 1 FROM pg_settings WHERE name = 'output_plugin_libraries'"):
        values["output_plugin_libraries"] = "pgoutput, 'odd one'"
        known = list_settings.KNOWN - {"output_plugin_libraries"}
        monkeypatch.setattr(list_settings, "KNOWN", known)
    for name, value in values.items():
        server.psql(f"ALTER DATABASE {plain.name} SET {name} TO {value}")
        server.psql(f"ALTER ROLE macro_user IN DATABASE {plain.name} SET {name} TO {value}")
    expected = server.psql(OF_DATABASE.format(plain.name))
    assert 'search_path=app, "odd, one", public' in expected
    made = Path(backed_up(plain, request_)["set"])
    statements = (made / "globals.sql").read_text()
    server.psql(f"ALTER DATABASE {plain.name} RESET ALL")
    server.psql(f"ALTER ROLE macro_user IN DATABASE {plain.name} RESET ALL")
    server.psql("".join(
        line for line in statements.splitlines(keepends=True)
        if line.startswith("ALTER ") and plain.name in line
    ))  # fmt: skip
    assert server.psql(OF_DATABASE.format(plain.name)) == expected
    server.psql(f"ALTER DATABASE {plain.name} RESET ALL")
    staged = restored(plain, request_)
    run_of(plain, request_).run("swapped", staged["side"])
    assert server.psql(OF_DATABASE.format(plain.name)) == expected


def test_a_setting_that_the_server_does_not_know_is_refused_before_anything_is_made(
    server, plain, request_, monkeypatch
):
    backed_up(plain, request_)
    before = server.psql("SELECT max(oid::bigint) FROM pg_database")
    described = versions.of_settings({"settings": {"": ["attver_libraries=a, b"]}})
    monkeypatch.setattr(versions, "of_settings", lambda _described: described)
    with pytest.raises(OpsError, match="attver_libraries of the database") as caught:
        restored(plain, request_)
    assert caught.value.code == "restore.archive-parameter"
    assert server.psql("SELECT max(oid::bigint) FROM pg_database") == before


# --- TimescaleDB --------------------------------------------------------------------------------

# As recorded on PostgreSQL 17.12 with TimescaleDB 2.19.3 and 2.29.2, in the history of each job.
AFTER_THE_WORK = 'cannot drop portal "" while it is being set up'
JOB = """
INSERT INTO {table} (id, application_name, schedule_interval, max_runtime, max_retries,
    retry_period, proc_schema, proc_name, owner, scheduled, fixed_schedule, initial_start,
    hypertable_id, config)
SELECT {id}, '{procedure} [{id}]', '1 day', '0', 0, '1 day', '_timescaledb_functions',
       '{procedure}', 'macro_user', false, false, now(), id, '{config}'
  FROM _timescaledb_catalog.hypertable WHERE table_name = 'md';
INSERT INTO _timescaledb_internal.bgw_job_stat (job_id, last_start, last_finish, next_start,
    last_successful_finish, last_run_success, total_runs, total_duration,
    total_duration_failures, total_successes, total_failures, total_crashes, consecutive_failures,
    consecutive_crashes, flags)
VALUES ({id}, now(), now(), now() + '1 day', '-infinity', false, 1, '1 s', '1 s', 0, 1, 0, 1, 0, 0);
INSERT INTO _timescaledb_internal.bgw_job_stat_history (job_id, pid, execution_start,
    execution_finish, succeeded, data)
VALUES ({id}, 1, now(), now(), false, jsonb_build_object('job', '{{}}'::jsonb, 'error_data',
    jsonb_build_object('sqlerrcode', '24000', 'message', '{error}')));
"""


# Procedure, its options, the recorded error, and what is wrong; None: it is recorded as failed
# alone, and nothing ("") where nobody is told of the job.
RECORDED = [
    ("policy_retention", '{"drop_after": "100 years"}', AFTER_THE_WORK, None),
    ("policy_retention", '{"drop_after": "1 day"}', AFTER_THE_WORK, "3 chunks .* not dropped"),
    ("policy_compression", '{"compress_after": "100 years"}', AFTER_THE_WORK, None),
    (
        "policy_compression",
        '{"compress_after": "1 day"}',
        AFTER_THE_WORK,
        "3 chunks older than 1 day are not compressed",
    ),
    (
        "policy_compression",
        '{"compress_after": "1 day", "maxchunks_to_compress": 1}',
        AFTER_THE_WORK,
        None,
    ),
    ("policy_retention", '{"drop_after": "many"}', AFTER_THE_WORK, None),
    ("of_the_pms", "{}", AFTER_THE_WORK, None),
    ("of_the_pms", "{}", "division by zero", "of_the_pms on public.md: division by zero"),
    # Job 3 of the Apache edition: it fails in each run, and cannot be switched off.
    ("policy_job_stat_history_retention", "{}", "not supported under the current license", ""),
]


@pytest.fixture(scope="module")
def judged(server, template):
    """What is said of these jobs, all of one database, each with an identifier of its own."""
    name = f"test_{uuid.uuid4().hex[:8]}"
    live = server.create(name, template=template)
    with live.session(read_only=True) as cursor:
        table = fetch_value(cursor, timescaledb_held_jobs.TABLE)
    server.psql(
        "".join(
            JOB.format(table=table, id=1001 + n, procedure=procedure, config=config, error=error)
            for n, (procedure, config, error, _) in enumerate(RECORDED)
        ),
        name,
    )
    with live.session(read_only=True) as cursor:
        found = timescaledb_job_results.results(cursor)
        assert fetch_value(cursor, "SELECT 1") == 1  # the transaction goes on
    yield found
    server.drop(name)


@needs_timescaledb
@pytest.mark.parametrize("number", range(len(RECORDED)))
def test_a_job_that_is_recorded_as_failed_is_judged_by_what_it_did(judged, number):
    procedure, _, _, failed = RECORDED[number]
    job = f"{1001 + number} {procedure}"
    wrong = [line for line in judged["failed"] if line.startswith(job)]
    if not failed:
        assert wrong == []
        recorded = f"{job} on public.md" in judged["recorded_as_failed"]
        assert recorded is (failed is None)
    else:
        assert f"{job} on public.md" not in judged["recorded_as_failed"]
        (line,) = wrong
        assert re.search(failed, line)


# The catalogue of TimescaleDB in its four forms, as its sql/updates leave it.
FORMS = {
    "2.25": (
        "schema_name name, table_name name, compressed_chunk_id int, dropped bool DEFAULT false",
        "id int, dimension_id int",
        True,
    ),
    "2.26": (
        "schema_name name, table_name name, compressed_chunk_id int",
        "id int, dimension_id int",
        True,
    ),
    "2.28": (
        "schema_name name, table_name name, compressed_chunk_id int",
        "id int, dimension_id int, chunk_id int",
        False,
    ),
    "2.29": ("relid regclass", "id int, dimension_id int, chunk_id int", False),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_timescaledbs_catalogue_is_read(server, form):
    chunk, piece, constraints = FORMS[form]
    name = f"test_{uuid.uuid4().hex[:8]}"
    database = server.create(name, timescaledb=False)
    named = "relid" not in chunk
    sound, lost = (
        ("(1, 1, '_timescaledb_internal', 'c1')", "(2, 1, '_timescaledb_internal', 'c2')")
        if named
        else ("(1, 1, '_timescaledb_internal.c1')", "(2, 1, 987654)")
    )
    columns = (
        "(id, hypertable_id, schema_name, table_name)" if named else "(id, hypertable_id, relid)"
    )
    server.psql(
        f"""
        CREATE SCHEMA _timescaledb_catalog; CREATE SCHEMA _timescaledb_internal;
        CREATE TABLE md (at timestamptz);
        CREATE TABLE _timescaledb_internal.c1 () INHERITS (md);
        CREATE TABLE _timescaledb_internal.unknown () INHERITS (md);
        CREATE TABLE _timescaledb_catalog.hypertable AS
            SELECT 1 AS id, 'public' AS schema_name, 'md' AS table_name, 1 AS num_dimensions;
        CREATE TABLE _timescaledb_catalog.dimension AS SELECT 1 AS id, 1 AS hypertable_id;
        CREATE TABLE _timescaledb_catalog.chunk (id int, hypertable_id int, {chunk});
        CREATE TABLE _timescaledb_catalog.dimension_slice ({piece});
        INSERT INTO _timescaledb_catalog.chunk {columns} VALUES {sound}, {lost};
        """
        + (
            "CREATE TABLE _timescaledb_catalog.chunk_constraint AS"
            " SELECT 1 AS chunk_id, 1 AS dimension_slice_id;"
            if constraints
            else "INSERT INTO _timescaledb_catalog.dimension_slice VALUES (1, 1, 1);"
        ),
        name,
    )
    try:
        with database.session(superuser=True) as cursor:
            found = fetch_all(
                cursor,
                f"WITH chunk AS ({integrity.chunks_of_catalogue(cursor)})"
                + integrity.CONTRADICTIONS,
            )
        gone = "_timescaledb_internal.c2" if named else "OID 987654"
        assert found == sorted(
            [
                ("_timescaledb_internal.unknown",
                 "is a chunk on disk that the catalogue does not know"),
                (gone, "is a chunk without a range"),
                (gone, "is in the catalogue and not on disk"),
            ]
        )  # fmt: skip
    finally:
        server.drop(name)
