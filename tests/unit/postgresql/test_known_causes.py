# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Messages whose cause is known are told with it, by a session, a tool and a probe alike."""

from __future__ import annotations

import psycopg2
import psycopg2.errors
import pytest
from ansible.module_utils.pmsops.checks.probes import Failed, sql
from ansible.module_utils.pmsops.client_tools import tool_errors
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.postgresql import canary, known_causes
from ansible.module_utils.pmsops.postgresql.connection import Database

LIBRARY = 'could not access file "$libdir/timescaledb-2.18.0": No such file or directory'
GENERATED = """\
pg_restore: error: COPY failed for table "trades": ERROR:  function rate(text) does not exist
HINT:  No function matches the given name and argument types.
CONTEXT:  SQL function "in_brl" during inlining
"""
DATABASE = Database("h", 5432, "fund", "pms_ops")


class Cursor:
    def __init__(self, error):
        self.error = error

    def __enter__(self):
        return self

    def __exit__(self, *_):
        return None

    def execute(self, *_):
        raise self.error


class Connection(Cursor):
    def cursor(self):
        return Cursor(self.error)

    def close(self):
        pass


def test_an_image_without_the_old_timescaledb_says_so_and_sends_nobody_to_a_restore(monkeypatch):
    error = psycopg2.errors.UndefinedFile(LIBRARY)
    monkeypatch.setattr(Database, "connect", lambda *_, **__: Connection(error))
    with pytest.raises(OpsError) as caught, DATABASE.session() as cursor:
        cursor.execute("SELECT 1")
    assert caught.value.code == "database.library"
    assert "ALTER EXTENSION timescaledb UPDATE" in caught.value.remedy
    # The first statement of a session is part of connecting: the server is not down.
    assert DATABASE._connection_error("fund", error).code == "database.library"
    assert (
        tool_errors.to_error("pg_dump", 1, f"pg_dump: error: {LIBRARY}").code == "database.library"
    )

    class Context:
        def connection(self, *_):
            return Connection(error)

    class Deadline:
        def left(self):
            return 5.0

    with pytest.raises(Failed, match="No restore helps while the library is missing"):
        sql.run(Context(), Deadline(), "SELECT 1")


def test_a_function_without_its_schema_in_a_generated_column_is_named_with_what_helps():
    found = tool_errors.to_error("pg_restore", 1, GENERATED)
    assert found.code == "database.search-path" and "SET search_path" in found.remedy
    assert known_causes.find('relation "x" does not exist') is None


def test_a_missing_tablespace_is_no_correct_what_it_names():
    said = 'pg_restore: error: could not execute query: ERROR:  tablespace "fast" does not exist'
    assert tool_errors.to_error("pg_restore", 1, said).code == "database.tablespace"


def test_a_trigger_that_freezes_the_schema_is_named_and_the_backup_goes_on(monkeypatch):
    error = psycopg2.errors.FeatureNotSupported(
        "DDL is frozen until Monday\nCONTEXT:  PL/pgSQL function freeze() line 3 at RAISE\n"
    )
    monkeypatch.setattr(Database, "connect", lambda *_, **__: Connection(error))
    written = canary.write(DATABASE)
    assert written.token is None
    assert "DDL is frozen until Monday CONTEXT:  PL/pgSQL function freeze()" in written.warnings[0]
    lost = psycopg2.OperationalError("the connection is lost")
    monkeypatch.setattr(Database, "connect", lambda *_, **__: Connection(lost))
    with pytest.raises(psycopg2.OperationalError):
        canary.write(DATABASE)
