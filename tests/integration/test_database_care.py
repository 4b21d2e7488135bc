# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is looked at and set back in a database that answers: on a real TimescaleDB."""

from __future__ import annotations

import time
import uuid
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import psycopg2
import pytest
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.incidents.record import Action
from ansible.module_utils.pmsops.postgresql import integrity
from ansible.module_utils.pmsops.recovery import (
    database_server,
    database_settings,
    disk_cleanup,
    server_control,
)
from ansible.module_utils.pmsops.repository import retention
from ansible.module_utils.pmsops.restore import data_loss, former_retention, registry

from tests.support.server import HYPERTABLE, execute

SCHEMA = f"""
SET ROLE macro_user;
CREATE TABLE md (at timestamptz NOT NULL, value float8);
{HYPERTABLE}
INSERT INTO md SELECT t, 1 FROM generate_series(timestamptz '2026-01-01', '2026-04-30',
                                                  '6 hours') t;
CREATE TABLE portfolio_positions (id bigserial PRIMARY KEY, name text);
INSERT INTO portfolio_positions (name) SELECT 'p' || n FROM generate_series(1, 2000) n;
"""


@contextmanager
def record(_text):
    yield Action()


@pytest.fixture
def filled(database):
    execute(database, SCHEMA)
    return database


def manifest(chunks=4, **contents):
    return {
        "contents": {"public.md": {"rows": 1}, "public.portfolio_positions": {"rows": 1990}}
        | contents,
        "facts": {"hypertables": {"public.md": {"chunks": chunks}}, "tables": {}},
        "snapshot_at": "2026-11-25T12:00:00Z",
    }


def against(database, document):
    with database.session(read_only=True) as cursor:
        return integrity.missing_tables(cursor, document)


def contradictions(database):
    with database.session(read_only=True) as cursor:
        return integrity.catalogue_contradictions(cursor)


def read(database, seconds=20.0):
    connection = database.connect(read_only=True)
    try:
        return integrity.unreadable_tables(
            connection, ["portfolio_positions", "no_such"], deadline=time.monotonic() + seconds
        )
    finally:
        connection.close()


def superuser(server, database, sql):
    return server.psql(sql, database.name)


# --- whole ---------------------------------------------------------------------------------------


def test_a_whole_database_lacks_nothing(filled):
    with filled.session(read_only=True) as cursor:
        cursor.execute("SELECT num_chunks FROM timescaledb_information.hypertables")
        chunks = cursor.fetchone()[0]
    found = against(filled, manifest(chunks))
    assert found == {"missing_tables": [], "plain_tables": [], "fewer_chunks": []}
    assert contradictions(filled) == []
    found = read(filled)
    assert (found["read"], found["of"], found["damaged"]) == (2, 2, [])
    assert found["checksum_failures"] == 0


def test_a_table_that_is_gone_is_named_unless_it_is_the_toolkits_own(filled):
    execute(filled, "SET ROLE macro_user; DROP TABLE portfolio_positions")
    document = manifest(**{"pms_ops.canary": {"rows": 1}})
    assert against(filled, document)["missing_tables"] == ["public.portfolio_positions"]


def test_a_chunk_that_is_gone_is_counted_unless_a_job_drops_them(filled):
    execute(filled, "SET ROLE macro_user; SELECT drop_chunks('md', timestamptz '2026-02-15')")
    (text,) = against(filled, manifest(chunks=5))["fewer_chunks"]
    assert text.startswith("public.md (") and text.endswith("of 5)")


@pytest.mark.parametrize(
    ("lost", "text"),
    [
        (("hypertable",), "of a hypertable that is gone"),
        (("chunk",), "does not know"),
        (("chunk", "hypertable"), "does not know"),
        (("dimension",), "without a dimension"),
    ],
)
def test_rows_that_the_catalogue_lost_are_found(server, filled, lost, text):
    for name in lost:
        statement = f"DELETE FROM _timescaledb_catalog.{name}"
        superuser(server, filled, f"SET session_replication_role = replica; {statement}")
    found = contradictions(filled)
    assert found and any(text in line for line in found)
    if "hypertable" in lost:
        assert against(filled, manifest())["plain_tables"] == ["public.md"]


@pytest.mark.parametrize("known", [True, False])
def test_rows_in_a_root_table_are_found(server, filled, known):
    into = "SET session_replication_role = replica; SET timescaledb.restoring = on;"
    into += " INSERT INTO md SELECT * FROM md LIMIT 1;"
    if not known:
        into += " DELETE FROM _timescaledb_catalog.hypertable"
    superuser(server, filled, into)
    assert "public.md: has rows in its root table, outside of every chunk" in contradictions(filled)


def test_a_chunk_without_its_range_is_found(server, filled):
    # TimescaleDB 2.31 has no such table: the slices know their chunk.
    table = superuser(
        server,
        filled,
        "SELECT coalesce(to_regclass('_timescaledb_catalog.chunk_constraint'),"
        " '_timescaledb_catalog.dimension_slice')",
    )
    superuser(
        server,
        filled,
        f"DELETE FROM {table} WHERE chunk_id = (SELECT min(id) FROM _timescaledb_catalog.chunk)",
    )
    (text,) = contradictions(filled)
    assert "without a range" in text


def test_a_page_that_rotted_on_disk_is_found_and_named(server, filled):
    path = superuser(
        server,
        filled,
        "CHECKPOINT; SELECT current_setting('data_directory') || '/' ||"
        " pg_relation_filepath('portfolio_positions')",
    )
    superuser(server, filled, "CREATE EXTENSION pg_buffercache")
    # Another content on disk, as by a disk that rots; then the page leaves the server's memory.
    code, output = server.container.exec_run(
        ["sh", "-c", f"printf rotten | dd of={path} bs=1 seek=5000 conv=notrunc"], user="postgres"
    )
    assert code == 0, output
    evict(server, filled)
    found = read(filled)
    assert len(found["damaged"]) == 1
    assert "public.portfolio_positions" in found["damaged"][0]
    assert found["read"] == found["of"] - 1
    with pytest.raises(psycopg2.Error):
        execute(filled, "SELECT count(*) FROM portfolio_positions")
    server.container.exec_run("true")
    deadline = time.monotonic() + 20  # the count arrives when the session's statistics do
    while read(filled)["checksum_failures"] == 0 and time.monotonic() < deadline:
        time.sleep(0.3)
    assert read(filled)["checksum_failures"] > 0


def evict(server, database):
    """Have the server forget the pages of a table, as a restart would."""
    superuser(
        server,
        database,
        """SELECT pg_buffercache_evict(bufferid) FROM pg_buffercache
            WHERE relfilenode = pg_relation_filenode('portfolio_positions')""",
    )


def test_what_there_was_no_time_to_read_is_not_damaged(filled):
    found = read(filled, seconds=0.0)
    assert found["read"] == 0
    assert found["damaged"] == []


# --- set back ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "setting",
    [
        'ALTER DATABASE "{name}" SET default_transaction_read_only = on',
        'ALTER ROLE macro_user IN DATABASE "{name}" SET default_transaction_read_only = on',
    ],
)
def test_a_read_only_default_is_set_back(server, filled, setting):
    server.psql(setting.format(name=filled.name))
    done, sessions = database_settings.fix(filled, record=record)
    assert sessions
    assert any("Make it writable" in text for text in done)
    execute(filled, "SET ROLE macro_user; INSERT INTO portfolio_positions (name) VALUES ('new')")
    assert database_settings.fix(filled, record=record) == ([], False)


def test_restoring_mode_is_ended(server, filled):
    superuser(server, filled, "SELECT timescaledb_pre_restore()")
    done, _sessions = database_settings.fix(filled, record=record)
    assert "End restoring mode" in done
    with filled.session(read_only=True) as cursor:
        cursor.execute("SELECT count(*), current_setting('timescaledb.restoring') FROM md")
        count, restoring = cursor.fetchone()
    assert (count > 0, restoring) == (True, "off")


# --- slots ---------------------------------------------------------------------------------------


@contextmanager
def sessions(server, database, count, *, busy=0):
    """Hold that many connections, *busy* of them in a transaction that was just used."""
    server.hang_up()
    held = []
    try:
        for number in range(count):
            connection = psycopg2.connect(
                host="127.0.0.1",
                port=server.port,
                dbname=database.name,
                user="pms_ops",
                password=server.password,
                application_name="leak",
            )
            if number < busy:
                connection.cursor().execute("SELECT 1")
            else:
                connection.autocommit = True
            held.append(connection)
        yield held
    finally:
        for connection in held:
            connection.close()


def alive(connections):
    count = 0
    for connection in connections:
        try:
            connection.cursor().execute("SELECT 1")
            count += 1
        except psycopg2.Error:
            pass
    return count


def test_idle_sessions_make_room_and_those_at_work_stay(server, filled):
    with sessions(server, filled, 54, busy=10) as held:
        (text,) = server_control.free_slots(filled, record=record)
        assert "idle sessions" in text
        assert alive(held[:10]) == 10
        left = alive(held[10:])
        assert 0 < left < 44, "no more than is needed"
    assert server_control.free_slots(filled, record=record) == []


def test_slots_that_are_all_at_work_are_told_and_left(server, filled):
    with sessions(server, filled, 56, busy=56) as held:
        with pytest.raises(OpsError) as caught:
            server_control.free_slots(filled, record=record)
        assert caught.value.code == "care.slots"
        assert alive(held) == 56


def test_all_slots_taken_are_seen_as_such(server, filled):
    with sessions(server, filled, 57):
        assert database_server.look(filled).kind == "slots"
    assert database_server.look(filled.named(f"none_{uuid.uuid4().hex[:6]}")).kind == "missing"
    assert database_server.look(filled).works


# --- loss, and what may go -----------------------------------------------------------------------


def test_what_a_restore_would_lose_is_counted(filled):
    now = datetime(2026, 11, 25, 12, 42, tzinfo=UTC)
    found = data_loss.estimate(filled, manifest(), ["portfolio_positions", "no_such"], now=now)
    assert found["rpo_minutes"] == 42
    assert found["rows"] == {"portfolio_positions": 10, "no_such": None}
    assert "at least 10 rows of portfolio_positions" in found["text"]
    assert "the rows of no_such cannot be counted" in found["text"]


def test_of_the_databases_put_aside_all_but_the_newest_may_go_with_confirm(
    server, filled, tmp_path
):
    names = [f"{filled.name}__before_2026010{number}000000" for number in (1, 2)]
    try:
        for day, name in enumerate(names, 1):
            server.psql(f'CREATE DATABASE "{name}"')
            since = datetime.now(UTC) - timedelta(days=9 - day)
            mark = {"is": registry.FORMER, "of": filled.name, "since": since.isoformat()}
            registry.set_mark(filled, name, mark)
        found = disk_cleanup.freeable(
            filled, tmp_path, retention.Policy(), former_retention.Policy(), places=["database"]
        )
        formers = [each for each in found if each.confirm]
        assert [names[0] in each.text for each in formers] == [True]
        assert formers[0].size_bytes > 1_000_000
        formers[0].remove()
        assert set(names) & set(registry.read_from(filled)) == {names[1]}
    finally:
        for name in names:
            server.drop(name)
