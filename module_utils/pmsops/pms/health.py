# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether the PMS works on the database that is live now, judged by bodies and never by codes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import psycopg2
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.pms import export
from ansible.module_utils.pmsops.postgresql.connection import Database, fetch_all

POSITIONS = "/api/v1/pms/book/positions?is_open=true"
# What a position is; prices and P&L move by themselves while the PMS runs.
COMPARED = ("instrument", "direction", "notional_brl", "entry_price")
CACHE_PATTERN = "pms:*"


def problems(
    database: Database,
    url: str | None,
    get: Callable[[str, str], tuple[int, Any]] = export.fetch,
) -> list[str]:
    """Return why the PMS does not work; an empty list where it does.

    Without a URL only the database itself is asked. The book that the PMS serves must be that of
    the database: it is kept in memory, and an old one outlives a swap.
    """
    import requests

    try:
        rows = _open_positions(database)
    except (OpsError, psycopg2.Error) as exc:
        return [f"the database does not answer: {exc}"]
    if not url:
        return []
    try:
        _status, health = get(url, "/health")
        if not isinstance(health, dict) or health.get("database") != "connected":
            return [f"/health says {health!r}, not that the database is connected"]
        status, served = get(url, POSITIONS)
    except requests.RequestException as exc:
        return [f"the PMS does not answer: {type(exc).__name__}"]
    if rows is None:
        return []  # another application's database has no book to compare
    if status != 200 or not isinstance(served, list):
        return [f"{POSITIONS} answered HTTP {status}"]
    return _differing({each.get("id"): each for each in served}, rows)


def _differing(book: dict[Any, dict[str, Any]], rows: dict[Any, dict[str, Any]]) -> list[str]:
    """Return where the book that is served is not the one of the database."""
    if set(book) != set(rows):
        return [
            f"the PMS serves {len(book)} open positions, the database holds {len(rows)};"
            f" they differ in {sorted(set(book) ^ set(rows), key=str)[:5]}"
        ]
    for number, row in sorted(rows.items(), key=str):
        served = book[number]
        for name in COMPARED:
            if name in row and name in served and served[name] != row[name]:
                return [
                    f"the PMS serves position {number} with {name} {served[name]!r}, the database"
                    f" holds {row[name]!r}"
                ]
    return []


def forget_cache(options: dict[str, Any] | None) -> None:
    """Delete what the PMS has in Redis; a Redis that is down holds nothing stale for long."""
    if not options or not options.get("host"):
        return
    import redis

    client = redis.Redis(
        host=options["host"],
        port=options["port"],
        password=options.get("password"),
        socket_timeout=5,
        socket_connect_timeout=5,
    )
    try:
        found = list(client.scan_iter(CACHE_PATTERN, count=500))
        if found:
            client.delete(*found)
    except redis.RedisError:
        return
    finally:
        client.close()


def _open_positions(database: Database) -> dict[Any, dict[str, Any]] | None:
    """Return the open positions by id, None where the database has no such table."""
    with database.session(read_only=True) as cursor:
        cursor.execute("SELECT to_regclass('public.portfolio_positions') IS NULL")
        if cursor.fetchone()[0]:
            return None
        rows = fetch_all(
            cursor, "SELECT to_jsonb(p) FROM public.portfolio_positions p WHERE is_open"
        )
    return {row["id"]: row for (row,) in rows}
