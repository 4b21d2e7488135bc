# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Acceptance queries: the PMS's own, run read-only on a staging database within a time limit."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import psycopg2
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.postgresql import session_settings
from ansible.module_utils.pmsops.postgresql.connection import Database, fetch_value

SECONDS = 60


@dataclass(frozen=True)
class Query:
    """A statement, its title, and the table without which it is skipped."""

    title: str
    sql: str
    needs: str | None = None


def argument_spec() -> dict[str, Any]:
    """Return the argument spec of the option ``queries``."""
    return {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "title": {"type": "str", "required": True},
            "sql": {"type": "str", "required": True},
            "needs": {"type": "str"},
        },
    }


def ask(database: Database, wanted: Iterable[Query]) -> list[dict[str, Any]]:
    """Return title, number of rows and seconds of each query; rows is None if it was skipped.

    :raises OpsError: restore.query
    """
    answers = []
    for query in wanted:
        began = time.monotonic()
        try:
            with database.session(read_only=True) as cursor:
                session_settings.limit_statements(cursor, SECONDS)
                missing = query.needs and fetch_value(
                    cursor, "SELECT to_regclass(%s) IS NULL", (query.needs,)
                )
                rows = None
                if not missing:
                    cursor.execute(query.sql)
                    rows = cursor.rowcount
        except psycopg2.Error as exc:
            raise OpsError(
                f"The query '{query.title}' fails in the staging database:"
                f" {str(exc).splitlines()[0]}",
                "Run it on the live database. If it fails there too, correct restore_queries; if"
                " not, the set comes from another release of the PMS.",
                code="restore.query",
            ) from exc
        answers.append(
            {"title": query.title, "rows": rows, "seconds": round(time.monotonic() - began, 3)}
        )
    return answers
