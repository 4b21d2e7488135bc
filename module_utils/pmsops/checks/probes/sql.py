# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Query the database, in a read-only transaction that the server ends in time."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

from ansible.module_utils.pmsops.checks.probes import Deadline, Failed, Overdue, Unanswerable
from ansible.module_utils.pmsops.checks.probes.context import Context, one_line
from ansible.module_utils.pmsops.common.pairs import together
from ansible.module_utils.pmsops.postgresql import known_causes, session_settings

MAX_ROWS = 5000
_QUOTED = re.compile(r"""'(?:[^']|'')*'|"[^"]*"|\$(\w*)\$.*?\$\1\$|--[^\n]*|/\*.*?\*/""", re.DOTALL)


def ask(params: dict[str, Any], context: Context, deadline: Deadline) -> dict[str, Any]:
    """Return ``{rows, count, value}`` of one query."""
    return run(
        context,
        deadline,
        params["query"],
        args=params.get("args") or None,
        database=params.get("database"),
    )


def run(
    context: Context,
    deadline: Deadline,
    query: str,
    *,
    args: Any = None,
    database: str | None = None,
) -> dict[str, Any]:
    """Run one query; its transaction is rolled back.

    :raises Failed: when the server refuses it.
    :raises Overdue: when it takes too long.
    :raises Unanswerable: when it is more than one statement.
    """
    import psycopg2

    if ";" in _QUOTED.sub("", query).rstrip("; \n\t"):
        raise Unanswerable("the query is more than one statement")
    connection = context.connection(database, deadline)
    try:
        with connection.cursor() as cursor:
            session_settings.limit_statements(cursor, deadline.left())
            cursor.execute(query, args)
            if cursor.description is None:
                raise Failed("the query returns no rows at all: it is no SELECT")
            names = [column.name for column in cursor.description]
            rows = cursor.fetchmany(MAX_ROWS + 1)
        connection.rollback()
    except psycopg2.errors.QueryCanceled as exc:
        connection.rollback()
        raise Overdue("the query took longer than the check's time-out; it was cancelled") from exc
    except psycopg2.errors.UndefinedFile as exc:
        cause = known_causes.find(str(exc))
        remedy = f". {cause[1]}" if cause else ""
        raise Failed(f"the query fails: {one_line(exc)}{remedy}") from exc
    except (psycopg2.OperationalError, psycopg2.InterfaceError) as exc:
        context.drop_connection(database)
        raise Failed(f"the database broke the connection: {one_line(exc)}") from exc
    except psycopg2.Error as exc:
        connection.rollback()
        message = exc.diag.message_primary or one_line(exc)
        raise Failed(f"the query fails: {one_line(message)}") from exc
    except Failed:
        connection.rollback()
        raise
    if len(rows) > MAX_ROWS:
        raise Failed(f"the query returns more than {MAX_ROWS} rows; let it count them itself")
    found = [dict(together(names, map(_plain, row))) for row in rows]
    answer: dict[str, Any] = {"rows": found, "count": len(found)}
    if rows:
        answer["value"] = _plain(rows[0][0])
    return answer


def _plain(value: Any) -> Any:
    """Return numbers as Python's own; dates stay dates."""
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, memoryview):
        return value.hex()
    return value
