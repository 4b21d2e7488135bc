# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether the fund's work of a day is in its database: whoever acts on the book asks first.

Proposals, results and returns are added by each run of the pipeline, so a second run of a day would
add them twice. Every table may be missing: releases of the PMS differ.
"""

from __future__ import annotations

from datetime import date

import psycopg2
from ansible.module_utils.pmsops.postgresql.connection import Database, fetch_value

# What a run of the pipeline adds: its name, and how it is counted by day.
_ADDED = (
    ("trade_proposals", "trade proposals", "(created_at AT TIME ZONE 'UTC')::date"),
    ("position_pnl_history", "P&L rows", "snapshot_date"),
    ("portfolio_returns", "returns", "return_date"),
)


def found(database: Database, day: date) -> list[str]:
    """Return what the database holds of the pipeline's work of *day*, an empty list if nothing.

    :raises OpsError: database.*.
    """
    counted = ((words, _count(database, table, by, day)) for table, words, by in _ADDED)
    return [f"{count} {words} of {day}" for words, count in counted if count]


def has_pack(database: Database, day: date) -> bool:
    """Tell whether the database holds the morning pack of *day*.

    :raises OpsError: database.*.
    """
    return _count(database, "daily_briefings", "briefing_date", day) > 0


def _count(database: Database, table: str, by: str, day: date) -> int:
    try:
        with database.session(read_only=True) as cursor:
            if fetch_value(cursor, "SELECT to_regclass(%s)", (f"public.{table}",)) is None:
                return 0
            sql = f"SELECT count(*) FROM public.{table} WHERE {by} = %s"
            return int(fetch_value(cursor, sql, (day,)))
    except psycopg2.Error as exc:
        raise database.to_error(exc) from exc
