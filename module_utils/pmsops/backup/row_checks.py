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
from ansible.module_utils.pmsops.backup.verdict import Finding
from ansible.module_utils.pmsops.postgresql.connection import fetch_all, fetch_value, quote_ident

SECONDS = 30.0  # for all of it; what was not reached is said
SET_PATH = (
    "Name every object in the function with its schema, or ALTER FUNCTION ... SET search_path"
)


def find(cursor: Any, *, seconds: float = SECONDS) -> tuple[list[Finding], str | None]:
    """Return what a restore of these rows would refuse, and why not all of it was looked at.

    *cursor* is one of a snapshot, set up by ``catalog.prepare``; its transaction goes on.
    """
    deadline = time.monotonic() + seconds
    findings: list[Finding] = []
    skipped: list[str] = []
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
            if exc.pgcode is None or exc.pgcode[:2] in ("08", "53", "57", "58"):
                raise
            findings.append(_fails(each, str(exc).splitlines()[0]))
            continue
        if finding := _finding(each, rows):
            findings.append(finding)
    reason = "rows were not looked at for " + "; ".join(skipped[:5]) if skipped else None
    if len(skipped) > 5:
        reason = f"{reason}; and {len(skipped) - 5} more"
    return findings, reason


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
            with suppress(psycopg2.InterfaceError):
                cursor.execute("ROLLBACK TO SAVEPOINT row_check")
    raise AssertionError("the session's own role was tried")


def _fails(expression: Expression, error: str) -> Finding:
    table = expression.qualified
    return Finding(
        f"{expression.kind} {expression.name}",
        f"of {table} cannot be evaluated as a restore does, with an empty search path: {error}",
        SET_PATH,
    )


def _finding(expression: Expression, rows: int) -> Finding | None:
    kind, name, table = expression.kind, expression.name, expression.qualified
    if kind == "NOT NULL":
        return _of_nulls(expression, rows)
    if not rows:
        return None
    if kind == "GENERATED":
        return Finding(
            f"COLUMN {table}.{name}",
            f"has another value in {rows} rows than its expression gives now; a restore would"
            " generate it anew.",
            # The server generates a column anew where a column of its expression is set.
            "UPDATE a column of the expression to itself, so that this one is generated again.",
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


def _of_nulls(expression: Expression, rows: int) -> Finding:
    """Return the finding for a child's column that takes nulls under a parent that takes none."""
    table, parent, column = expression.qualified, expression.text, expression.name
    remedy = f"ALTER TABLE {table} ALTER COLUMN {column} SET NOT NULL"
    what = f"takes nulls, though the column of its parent {parent} does not; a restored one"
    if not rows:
        return Finding(f"COLUMN {table}.{column}", f"{what} would not.", remedy + ".")
    return Finding(
        f"COLUMN {table}.{column}",
        f"{what} would not, and refuses the {rows} rows with a null.",
        f"Give these rows a value, then {remedy}; or ALTER TABLE ONLY {parent} ALTER COLUMN"
        f" {column} DROP NOT NULL.",
    )
