# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The SQL probe: one reading statement, its rows as plain data, its failures as sentences."""

from __future__ import annotations

from decimal import Decimal

import psycopg2
import psycopg2.errors
import pytest
from ansible.module_utils.pmsops.checks.probes import Failed, Unanswerable, sql

from tests.support.recorded_database import connected, soon


def ask(monkeypatch, answer, query="SELECT answer"):
    context, connection = connected(monkeypatch, {"SELECT answer": answer})
    return sql.ask({"query": query}, context, soon()), connection


def test_rows_come_as_mappings_with_plain_numbers(monkeypatch):
    rows = [(Decimal(3), Decimal("1.5"), memoryview(b"\x01")), (None, 2, "x")]
    found, _ = ask(monkeypatch, rows)
    assert found["rows"][0] == {"c0": 3, "c1": 1.5, "c2": "01"}
    assert (found["count"], found["value"]) == (2, 3)


def test_no_row_has_a_count_and_no_value(monkeypatch):
    found, _ = ask(monkeypatch, [])
    assert found == {"rows": [], "count": 0}


def test_the_session_reads_only_and_every_transaction_is_rolled_back(monkeypatch):
    _, connection = ask(monkeypatch, [(1,)])
    assert connection.executed[0] == "SET default_transaction_read_only = on"
    assert "statement_timeout" in connection.executed[1]
    assert connection.rollbacks == 1


@pytest.mark.parametrize(
    "query", ["SELECT answer; DELETE FROM t", "COMMIT; SELECT answer", "SELECT ';'; SELECT 2"]
)
def test_more_than_one_statement_is_not_sent(monkeypatch, query):
    with pytest.raises(Unanswerable, match="more than one statement"):
        ask(monkeypatch, [(1,)], query)


@pytest.mark.parametrize(
    "query",
    [
        "SELECT answer;",
        "SELECT answer WHERE x = ';'",
        "SELECT answer -- a;b\n",
        "SELECT answer /* ; */",
    ],
)
def test_a_semicolon_in_a_text_or_a_comment_or_at_the_end_is_one_statement(monkeypatch, query):
    assert ask(monkeypatch, [(1,)], query)[0]["value"] == 1


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (psycopg2.errors.QueryCanceled("x"), "took longer than the check's time-out"),
        (psycopg2.errors.UndefinedTable("no such table"), "the query fails: no such table"),
        (None, "returns no rows at all"),
        ([(n,) for n in range(sql.MAX_ROWS + 1)], "more than 5000 rows"),
    ],
    ids=["cancelled", "refused", "no SELECT", "too many"],
)
def test_a_query_that_fails_says_why_and_leaves_no_transaction(monkeypatch, answer, says):
    context, connection = connected(monkeypatch, {"SELECT answer": answer})
    with pytest.raises(Failed, match=says):
        sql.ask({"query": "SELECT answer"}, context, soon())
    assert connection.rollbacks == 1


def test_a_broken_connection_is_closed_and_the_next_query_gets_a_new_one(monkeypatch):
    answers = {"SELECT answer": psycopg2.OperationalError("server closed the connection")}
    context, connection = connected(monkeypatch, answers)
    with pytest.raises(Failed, match="broke the connection"):
        sql.ask({"query": "SELECT answer"}, context, soon())
    assert connection.closed
    answers["SELECT answer"] = [(1,)]
    connection.closed = 0
    assert sql.ask({"query": "SELECT answer"}, context, soon())["value"] == 1
    assert connection.executed.count("SET default_transaction_read_only = on") == 2


def test_without_a_database_nothing_is_known(monkeypatch):
    context, _ = connected(monkeypatch, {}, database={})
    with pytest.raises(Unanswerable, match="no database was given"):
        sql.ask({"query": "SELECT 1"}, context, soon())
