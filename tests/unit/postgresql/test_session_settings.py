# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import psycopg2
import psycopg2.errors
import pytest
from ansible.module_utils.pmsops.client_tools import factory
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.postgresql import session_settings
from ansible.module_utils.pmsops.postgresql.connection import Database, ended_by

from tests.support.recorded_database import Connection, Cursor

NOBODY = Database("127.0.0.1", 1, "fund", "pms_ops", access="host")


def error(text, code=None):
    class Ended(psycopg2.OperationalError):
        pgcode = code

    return Ended(text)


def test_a_session_begins_with_settings_that_every_server_knows():
    given = session_settings.options(session_settings.AT_START)
    assert "-c statement_timeout=0" in given
    assert "transaction_timeout" not in given.replace("idle_in_transaction", "")
    assert session_settings.options({"role": "the\\ boss"}) == r"-c role=the\\\ boss"


@pytest.mark.parametrize(("version", "known"), [(140022, 4), (169999, 4), (170000, 5), (190001, 5)])
def test_the_time_outs_that_the_server_knows_are_turned_off_at_once(version, known):
    connection = Connection({}, server_version=version)
    session_settings.begin(connection, read_only=True, autocommit=True)
    assert connection.autocommit is True
    timeouts = [f"SET {name} = 0" for name in session_settings.TIMEOUTS[:known]]
    asked = "; ".join([*timeouts, "SET default_transaction_read_only = on"])
    assert connection.executed == [asked]


def test_a_client_tool_gets_the_time_outs_that_the_server_knows(monkeypatch):
    known = [("statement_timeout",), ("transaction_timeout",)]
    monkeypatch.setattr(
        Database, "session", lambda self, **_: _Session(Connection({"FROM pg_settings": known}))
    )
    made = factory.for_database(NOBODY).environment(None, "h", 1)
    assert made["PGOPTIONS"] == "-c statement_timeout=0 -c transaction_timeout=0"


class _Session:
    def __init__(self, connection):
        self.connection = connection

    def __enter__(self):
        return Cursor(self.connection)

    def __exit__(self, *_exc):
        return None


def test_a_tool_without_a_server_gets_those_that_every_server_knows():
    made = factory.for_database(NOBODY).environment(None, "127.0.0.1", 1)
    assert made["PGOPTIONS"] == session_settings.options(
        dict.fromkeys(session_settings.TIMEOUTS_AT_START, "0")
    )


@pytest.mark.parametrize(
    ("raised", "timeout"),
    [
        (error("terminating connection", "25P03"), "idle_in_transaction_session_timeout"),
        (error("terminating connection", "25P04"), "transaction_timeout"),
        (error("terminating connection", "57P05"), "idle_session_timeout"),
        (error("canceling statement due to statement timeout", "57014"), "statement_timeout"),
        (
            error("FATAL:  terminating connection due to idle-session timeout"),
            "idle_session_timeout",
        ),
        (error("canceling statement due to user request", "57014"), None),
        (error("server closed the connection unexpectedly"), None),
    ],
)
def test_the_time_out_that_ended_a_session_is_known(raised, timeout):
    assert ended_by(raised) == timeout


@pytest.mark.parametrize(
    ("answers", "code"), [(True, "database.session-ended"), (False, "database.unreachable")]
)
def test_a_lost_connection_is_told_apart_from_a_lost_server(monkeypatch, answers, code):
    def connect(self, **options):
        assert options["name"] == "postgres"
        if not answers:
            raise OpsError("nobody", "start it", code="database.unreachable")
        return Connection({})

    monkeypatch.setattr(Database, "connect", connect)
    made = NOBODY.to_error(error("server closed the connection unexpectedly"))
    assert made.code == code
    assert "fund at 127.0.0.1:1" in str(made)
    assert ("scenario 1" in made.remedy) is not answers


def test_a_server_that_does_not_know_a_time_out_is_too_old(monkeypatch):
    def refuse(**_options):
        raise error('FATAL:  unrecognized configuration parameter "idle_session_timeout"')

    monkeypatch.setattr(psycopg2, "connect", refuse)
    with pytest.raises(OpsError, match="older than PostgreSQL 14") as caught:
        NOBODY.connect()
    assert caught.value.code == "database.server-old"


@pytest.mark.parametrize(("transaction", "scope"), [(True, "LOCAL"), (False, "SESSION")])
def test_limits_and_silence_end_with_the_transaction_or_the_session(transaction, scope):
    connection = Connection({})
    cursor = Cursor(connection)
    session_settings.limit_statements(cursor, 1.5, transaction=transaction)
    session_settings.silence_triggers(cursor, transaction=transaction)
    assert connection.executed[:2] == [
        f"SET {scope} statement_timeout = 1500",
        f"SET {scope} session_replication_role = replica",
    ]
