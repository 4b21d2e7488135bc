# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Rows that a restore would refuse, or change: what a restore of the schema alone cannot show.

A restore evaluates expressions again, for each row and under an empty search path: checks,
generated columns, expressions and predicates of indexes, partition keys, domains. They are
evaluated here under the snapshot of the backup, read-only, as the owner of the table where the
session may act as that role, and never as a superuser if that can be helped.
"""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Any

import psycopg2
import psycopg2.errors
from ansible.module_utils.pmsops.backup import row_expressions
from ansible.module_utils.pmsops.backup.row_expressions import Expression
from ansible.module_utils.pmsops.backup.verdict import PASSED, Finding, Verdict
from ansible.module_utils.pmsops.postgresql.connection import fetch_all, fetch_value, quote_ident

SECONDS = 30.0  # for all of it; what was not reached is said
SHOWN_SKIPPED = 5
NAMES_ONLY = "42"  # a class of errors whose messages quote names and no values
# Classes of errors that an expression can have; all others are the server's or the session's.
OF_EXPRESSIONS = ("0A", "22", "23", "2F", "38", "39", "42", "P0")
SET_PATH = (
    "Name every object in the function with its schema, or ALTER FUNCTION ... SET search_path"
)


def find(cursor: Any, *, seconds: float = SECONDS) -> Verdict:
    """Return what a restore of these rows would refuse or change, and what was not looked at.

    *cursor* is one of a snapshot, set up by ``catalog.prepare``. A backup never fails of it: a
    server that cannot answer is the ``reason``.
    """
    found = Verdict(PASSED)
    skipped: list[str] = []
    try:
        _look(cursor, found, skipped, seconds)
    except psycopg2.Error as exc:
        skipped.append(f"the rest ({type(exc).__name__}: {str(exc).strip()[:200]})")
    if skipped:
        more = f"; and {len(skipped) - SHOWN_SKIPPED} more" * (len(skipped) > SHOWN_SKIPPED)
        found.reason = f"rows were not looked at for {'; '.join(skipped[:SHOWN_SKIPPED])}{more}"
    return found


def _look(cursor: Any, found: Verdict, skipped: list[str], seconds: float) -> None:
    """Add what each expression gives to *found*, and what could not be evaluated to *skipped*."""
    deadline = time.monotonic() + seconds
    roots, chunks = _hypertables(cursor)
    for each in row_expressions.read(cursor):
        if each.relation in chunks:
            continue  # the hypertable reads them
        only = "" if each.relation in roots else "ONLY "
        source = f"{only}{quote_ident(each.schema)}.{quote_ident(each.table)}"
        left = deadline - time.monotonic()
        try:
            if left <= 0:
                raise psycopg2.errors.QueryCanceled
            rows = _evaluate(cursor, each, each.statement(source), left)
        except (psycopg2.errors.QueryCanceled, psycopg2.errors.InsufficientPrivilege) as exc:
            late = isinstance(exc, psycopg2.errors.QueryCanceled)
            why = f"not within {seconds:.0f} s" if late else str(exc).splitlines()[0]
            skipped.append(f"{each.kind} {each.name} of {each.qualified} ({why})")
            continue
        except psycopg2.Error as exc:
            if exc.pgcode is None or exc.pgcode[:2] not in OF_EXPRESSIONS:
                raise
            found.findings.append(_fails(each, exc))
            continue
        if each.kind == "NOT NULL" and not rows:
            found.deviations.append(
                f"column {each.qualified}.{each.name} accepts nulls, though the column of its"
                f" parent {each.text} does not; in a restored copy it accepts none. To have both"
                f" alike: ALTER TABLE {each.qualified} ALTER COLUMN {each.name} SET NOT NULL."
            )
        elif rows and each.kind == "GENERATED":
            # The server generates a column anew where a column of its expression is set.
            found.deviations.append(
                f"generated column {each.qualified}.{each.name} has another value in {rows} rows"
                " than its expression gives now; a restored copy has what it gives. To have both"
                " alike: UPDATE a column of the expression to itself."
            )
        elif rows:
            found.findings.append(_finding(each, rows))


def _hypertables(cursor: Any) -> tuple[set[int], set[int]]:
    """Return the relation ids of hypertables, and those of their chunks."""
    if not fetch_value(cursor, "SELECT 1 FROM pg_extension WHERE extname = 'timescaledb'"):
        return set(), set()
    named = "SELECT format('%I.%I', {0}_schema, {0}_name)::regclass::oid::bigint"
    roots = named.format("hypertable") + " FROM timescaledb_information.hypertables"
    chunks = named.format("chunk") + " FROM timescaledb_information.chunks"
    return (
        {row[0] for row in fetch_all(cursor, roots)},
        {row[0] for row in fetch_all(cursor, chunks)},
    )


def _evaluate(cursor: Any, expression: Expression, statement: str, seconds: float) -> int:
    """Return what *statement* counts; as the table's owner, else as the session's own role."""
    for role in (*([expression.owner] if expression.owner else []), None):
        cursor.execute("SAVEPOINT row_check")
        try:
            cursor.execute(f"SET LOCAL statement_timeout = {max(1, round(seconds * 1000))}")
            if role:
                cursor.execute(f"SET LOCAL ROLE {role}")
            return int(fetch_value(cursor, statement))
        except psycopg2.errors.InsufficientPrivilege:
            if role is None:
                raise
        finally:
            with suppress(psycopg2.Error):  # the session is lost; the next statement says so
                cursor.execute("ROLLBACK TO SAVEPOINT row_check")
    raise AssertionError("the session's own role was tried")


def _fails(expression: Expression, exc: psycopg2.Error) -> Finding:
    """Return the finding for an expression that fails; no message that may quote a row is in it."""
    text = f"{type(exc).__name__}, SQLSTATE {exc.pgcode}"
    if str(exc.pgcode).startswith(NAMES_ONLY):
        text = str(exc).splitlines()[0]
    return Finding(
        f"{expression.kind} {expression.name}",
        f"of {expression.qualified} cannot be evaluated for each row as a restore does, with an"
        f" empty search path: {text}",
        SET_PATH,
    )


def _finding(expression: Expression, rows: int) -> Finding:
    kind, name, table = expression.kind, expression.name, expression.qualified
    if kind == "NOT NULL":
        remedy = f"ALTER TABLE {table} ALTER COLUMN {name} SET NOT NULL"
        return Finding(
            f"COLUMN {table}.{name}",
            f"accepts nulls, though the column of its parent {expression.text} does not; a restored"
            f" one would accept none, and refuse the {rows} rows with a null.",
            f"Give these rows a value, then {remedy}; or ALTER TABLE ONLY {expression.text} ALTER"
            f" COLUMN {name} DROP NOT NULL.",
        )
    what = {
        "CHECK": "is violated",
        "PARTITION": "is left, because its partition key now gives other values,",
        "FOREIGN KEY": "is violated (its triggers are disabled)",
    }[kind]
    return Finding(
        f"{kind} {table}.{name}",
        f"{what} by {rows} rows, which a restore refuses.",
        "Correct or delete the rows, or drop the constraint"
        + (" or add it again as NOT VALID." if kind != "PARTITION" else "."),
    )
