# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a database does not carry along when it is renamed, and what keeps it from being renamed.

Logical slots, prepared transactions, time-outs, event triggers and list settings, on a server of
its own: only there wal_level is logical.
"""

from __future__ import annotations

import time
import uuid
from dataclasses import replace

import psycopg2
import pytest
from ansible.module_utils.pmsops.backup import run as backup
from ansible.module_utils.pmsops.client_tools import factory as client_tools
from ansible.module_utils.pmsops.common import progress
from ansible.module_utils.pmsops.postgresql.connection import fetch_value
from ansible.module_utils.pmsops.postgresql.snapshot import Snapshot
from ansible.module_utils.pmsops.restore import registry
from ansible.module_utils.pmsops.restore.request import Request
from ansible.module_utils.pmsops.restore.run import restore_set
from ansible.module_utils.pmsops.restore.swap_run import SwapRun
from ansible.module_utils.pmsops.services.manager import Services
from ansible.module_utils.pmsops.verify import against_set

from tests.support.server import HYPERTABLE, POSTGRESQL, execute, running_server

SCHEMA = f"""
SET ROLE macro_user;
CREATE TABLE md (id bigserial, at timestamptz NOT NULL, value float8, PRIMARY KEY (id, at));
{HYPERTABLE}
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


@pytest.fixture
def live(server):
    """A filled database; it goes with everything that a test leaves beside it."""
    name = f"test_{uuid.uuid4().hex[:8]}"
    database = server.create(name)
    execute(database, SCHEMA)
    yield database
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
    settings = backup.Settings(root=request.root, keys=request.keys)
    return backup.run(database, settings, progress=progress.Progress())


def restored(database, request):
    return restore_set(database, replace(request), progress=progress.Progress())


def run_of(database, request, **options):
    return SwapRun(database, Services("none", ()), None, None, request.root, **options)


def beside(database):
    """Return the databases next to the live one."""
    return [name for name in registry.read_from(database) if name.startswith(f"{database.name}__")]


# --- Time-outs --------------------------------------------------------------------------------


TIMEOUTS = {"statement_timeout": "40ms", "lock_timeout": "40ms", "idle_session_timeout": "40ms"}
TIMEOUTS["idle_in_transaction_session_timeout"] = "40ms"
if POSTGRESQL >= 17:
    TIMEOUTS["transaction_timeout"] = "40ms"


@pytest.fixture
def impatient(server, live):
    """The database, whose time-outs would end every session of the toolkit; so would its role's."""
    for name, value in TIMEOUTS.items():
        server.psql(f"ALTER DATABASE {live.name} SET {name} TO '{value}'")
        server.psql(f"ALTER ROLE pms_ops SET {name} TO '{value}'")
    yield live
    for name in TIMEOUTS:
        server.psql(f"ALTER ROLE pms_ops RESET {name}")


def test_time_outs_of_the_database_and_of_the_role_end_no_backup_and_no_restore(
    impatient, request_
):
    made = backed_up(impatient, request_)
    assert made["rows"] > 1000
    staged = restored(impatient, request_)
    done = run_of(impatient, request_).run("swapped", staged["side"])
    assert beside(impatient) == [done["former"]]
    assert against_set.against(impatient, root=request_.root, keys=request_.keys)["identical"]


@pytest.mark.parametrize("name", TIMEOUTS)
def test_a_session_of_the_toolkit_has_no_time_out(impatient, name):
    with impatient.session(read_only=True) as cursor:
        assert fetch_value(cursor, "SELECT current_setting(%s)", (name,)) == "0"
        assert fetch_value(cursor, "SHOW transaction_read_only") == "on"
    with Snapshot(impatient, connections=2) as snapshot:
        for cursor in snapshot.cursors:
            assert fetch_value(cursor, "SELECT current_setting(%s)", (name,)) == "0"


def test_a_client_tool_has_no_time_out(impatient):
    tools = client_tools.for_database(impatient)
    for name in TIMEOUTS:
        status, output, errors = tools.capture("psql", ["-XqAtc", f"SHOW {name}"])
        assert (status, output, errors) == (0, b"0\n", ""), name


@pytest.mark.parametrize("name", [name for name in TIMEOUTS if name != "lock_timeout"])
def test_a_session_that_a_time_out_ended_is_no_dead_database(live, name):
    connection = live.connect(autocommit="idle_in" not in name)
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
    error = live.to_error(caught.value)
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
