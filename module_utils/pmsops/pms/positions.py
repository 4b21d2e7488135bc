# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The book that the PMS serves, the book in its database, and their differences.

Most releases serve the book from memory. Some never store a trade that was made over HTTP: then the
two differ after each trade, and a restart of the PMS loses the trade.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Protocol

import psycopg2
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.postgresql import session_settings
from ansible.module_utils.pmsops.postgresql.connection import Database, fetch_all

Row = dict[str, Any]
QUERY_SECONDS = 15
# The identity of a position; prices and P&L change while the PMS runs.
COMPARED = ("instrument", "direction", "notional_brl", "entry_price")
AMOUNTS = (
    "notional_brl",
    "entry_price",
    "current_price",
    "unrealized_pnl_brl",
    "unrealized_pnl_usd",
)
STORED = "SELECT to_jsonb(p) AS position FROM public.portfolio_positions p"
CLOSES = """
    SELECT i.ticker, i.asset_class, newest.close, newest.day, newest.swing
      FROM public.instruments i
      LEFT JOIN LATERAL (
           SELECT (array_agg(d.close ORDER BY d."timestamp" DESC))[1] AS close,
                  max((d."timestamp" AT TIME ZONE 'UTC')::date) AS day,
                  max(100 * abs(d.close / nullif(d.before, 0) - 1))::float8 AS swing
             FROM (SELECT m.close, m."timestamp",
                          lag(m.close) OVER (ORDER BY m."timestamp") AS before
                     FROM public.market_data m
                    WHERE m.instrument_id = i.id AND m.frequency = 'daily'
                      AND m.close IS NOT NULL
                      AND m."timestamp" > now() - interval '30 days') AS d) AS newest ON true
"""


class Asks(Protocol):
    """The one method of PmsApi that this file uses; an import would ship the client to the gate."""

    def ask(self, operation: str, *, query: Mapping[str, Any]) -> Any:
        """Return the body of a successful answer to *operation*."""


@dataclass(frozen=True)
class Quote:
    """An instrument of the database: its class, and its newest close of the last 30 days.

    *swing* is the largest change from one close to the next in these days, in percent.
    """

    ticker: str
    asset_class: str
    close: float | None
    day: date | None
    swing: float | None = None


@dataclass(frozen=True)
class Differences:
    """Ids of the positions in which the served and the stored book differ.

    *missing* are open in the database and unknown to the PMS. *unstored* are known to the PMS only.
    *closed_unstored* are closed in the PMS and open in the database, *reopened* the reverse.
    *differing* are different trades under the same id.
    """

    missing: tuple[int, ...]
    unstored: tuple[int, ...]
    closed_unstored: tuple[int, ...]
    reopened: tuple[int, ...]
    differing: tuple[int, ...]

    @property
    def stale(self) -> bool:
        """Tell whether the PMS lacks a stored position or shows it wrongly."""
        return bool(self.missing or self.reopened or self.differing)

    @property
    def in_memory_only(self) -> bool:
        """Tell whether a restart of the PMS would lose something."""
        return bool(self.unstored or self.closed_unstored)

    def wrong(self, *, persists: bool) -> bool:
        """Tell whether the books must not differ like this.

        A PMS that does not persist its trades may hold more than the database.
        """
        return self.stale or (persists and self.in_memory_only)

    def summary(self) -> list[str]:
        """Return one sentence for each kind of difference."""
        kinds = (
            (self.missing, "open in the database and unknown to the PMS"),
            (self.reopened, "closed in the database and open in the PMS"),
            (self.differing, "a different trade in the database than in the PMS"),
            (self.unstored, "known to the PMS and not in the database"),
            (self.closed_unstored, "closed in the PMS and open in the database"),
        )
        return [f"position {_shorten(ids)}: {text}" for ids, text in kinds if ids]


def served(api: Asks) -> dict[int, Row]:
    """Return all positions that the PMS serves, by id, open and closed.

    :raises OpsError: pms.unreachable, pms.answer, pms.no_operation.
    """
    rows: dict[int, Row] = {}
    for is_open in ("false", "true"):
        found = api.ask("positions", query={"is_open": is_open})
        if not isinstance(found, list) or not all(
            isinstance(row, dict) and {"id", "is_open"} <= row.keys() for row in found
        ):
            raise OpsError(
                "The PMS did not answer with a list of positions.",
                "Compare the running release with the approved one.",
                code="pms.answer",
            )
        rows |= {row["id"]: _with_numbers(row) for row in found}
    return rows


def are_kept_by(database: Database) -> bool:
    """Tell whether the database has a table of positions; another application's has none.

    :raises OpsError: database.*.
    """
    ((found,),) = _fetch_rows(database, "SELECT to_regclass('public.portfolio_positions')")
    return found is not None


def stored(database: Database) -> dict[int, Row]:
    """Return all positions of the database, by id.

    :raises OpsError: database.*.
    """
    return {row["id"]: row for (row,) in _fetch_rows(database, STORED)}


def quotes(database: Database) -> dict[str, Quote]:
    """Return the instruments of the database, by ticker.

    :raises OpsError: database.*.
    """
    return {row[0]: Quote(*row) for row in _fetch_rows(database, CLOSES)}


def compare(served_rows: Mapping[int, Row], stored_rows: Mapping[int, Row]) -> Differences:
    """Return the differences of two books."""
    both = sorted(set(served_rows) & set(stored_rows))
    pairs = [(number, served_rows[number], stored_rows[number]) for number in both]
    return Differences(
        missing=tuple(
            sorted(n for n, row in stored_rows.items() if row["is_open"] and n not in served_rows)
        ),
        unstored=tuple(sorted(set(served_rows) - set(stored_rows))),
        closed_unstored=tuple(n for n, s, d in pairs if d["is_open"] and not s["is_open"]),
        reopened=tuple(n for n, s, d in pairs if s["is_open"] and not d["is_open"]),
        differing=tuple(n for n, s, d in pairs if any(_differs(s, d, name) for name in COMPARED)),
    )


def describe(row: Mapping[str, Any]) -> str:
    """Return a position as a short text."""
    return (
        f"{row['direction']} {row['instrument']} {row['notional_brl']:,.0f} BRL"
        f" at {number(row['entry_price'])}"
    )


def summary(rows: Iterable[Mapping[str, Any]]) -> str:
    """Return positions as one line, each with its id; ``none`` without any."""
    return "; ".join(f"{row['id']}: {describe(row)}" for row in rows) or "none"


def number(value: float | None) -> str:
    """Return a price in its shortest form."""
    return "no price" if value is None else f"{value:.10g}"


def _with_numbers(row: Row) -> Row:
    """Return *row* with its amounts as numbers; FastAPI sends a Decimal as text.

    Text that is no number stays, and so differs from what the database holds.
    """
    amounts = {name: row[name] for name in AMOUNTS if isinstance(row.get(name), str)}
    with contextlib.suppress(ValueError):
        return row | {name: float(text) for name, text in amounts.items()}
    return row


def _differs(ours: Row, theirs: Row, name: str) -> bool:
    return name in ours and name in theirs and ours[name] != theirs[name]


def _shorten(ids: tuple[int, ...], most: int = 8) -> str:
    shown = ", ".join(map(str, ids[:most]))
    return shown if len(ids) <= most else f"{shown} and {len(ids) - most} more"


def _fetch_rows(database: Database, sql: str) -> list[tuple[Any, ...]]:
    try:
        with database.session(read_only=True) as cursor:
            session_settings.limit_statements(cursor, QUERY_SECONDS)
            return fetch_all(cursor, sql)
    except psycopg2.Error as exc:
        raise database.to_error(exc) from exc
