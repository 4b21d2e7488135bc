# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The book as the PMS serves it and as its database holds it, and where the two differ.

Most releases serve it from memory. Some never write there what was done over HTTP: then the two
differ after each trade, and a restart of the PMS forgets the trade.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

import psycopg2
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.pms.client import PmsApi
from ansible.module_utils.pmsops.postgresql.connection import Database, fetch_all

Row = dict[str, Any]
# What a position is; prices and P&L move by themselves while the PMS runs.
COMPARED = ("instrument", "direction", "notional_brl", "entry_price")
STORED = "SELECT to_jsonb(p) AS position FROM public.portfolio_positions p"
CLOSES = """
    SELECT i.ticker, i.asset_class, newest.close, newest.day
      FROM public.instruments i
      LEFT JOIN LATERAL (
           SELECT m.close, (m."timestamp" AT TIME ZONE 'UTC')::date AS day
             FROM public.market_data m
            WHERE m.instrument_id = i.id AND m.frequency = 'daily' AND m.close IS NOT NULL
              AND m."timestamp" > now() - interval '30 days'
            ORDER BY m."timestamp" DESC LIMIT 1) AS newest ON true
"""


@dataclass(frozen=True)
class Quote:
    """An instrument that the database knows: its class, and its newest close of a month."""

    ticker: str
    asset_class: str
    close: float | None
    day: date | None


@dataclass(frozen=True)
class Differences:
    """Where the book served is not the one stored, as ids.

    *missing* are open in the database and unknown to the PMS, *unstored* are known to the PMS
    alone, *closed_unstored* are closed in the PMS and open in the database, *reopened* the other
    way round, *differing* are other trades under the same id.
    """

    missing: tuple[int, ...]
    unstored: tuple[int, ...]
    closed_unstored: tuple[int, ...]
    reopened: tuple[int, ...]
    differing: tuple[int, ...]

    @property
    def stale(self) -> bool:
        """Tell whether the PMS lacks, or shows wrongly, what the database holds."""
        return bool(self.missing or self.reopened or self.differing)

    @property
    def in_memory_only(self) -> bool:
        """Tell whether a restart of the PMS would lose something."""
        return bool(self.unstored or self.closed_unstored)

    def summary(self) -> list[str]:
        """Return what differs, a sentence for each kind."""
        kinds = (
            (self.missing, "open in the database and unknown to the PMS"),
            (self.reopened, "closed in the database and open in the PMS"),
            (self.differing, "another trade in the database than in the PMS"),
            (self.unstored, "known to the PMS and in no database"),
            (self.closed_unstored, "closed in the PMS and open in the database"),
        )
        return [f"position {_shorten(ids)}: {text}" for ids, text in kinds if ids]


def served(api: PmsApi) -> dict[int, Row]:
    """Return all positions that the PMS knows, by id, open and closed.

    :raises OpsError: pms.unreachable, pms.answer, pms.no_operation.
    """
    rows: dict[int, Row] = {}
    for is_open in ("false", "true"):
        found = api.ask("positions", query={"is_open": is_open})
        if not isinstance(found, list):
            raise OpsError(
                "The PMS answers its positions with something that is no list.",
                "Compare the release that runs with the one that was approved.",
                code="pms.answer",
            )
        rows |= {row["id"]: row for row in found}
    return rows


def stored(database: Database) -> dict[int, Row]:
    """Return all positions of the database, by id.

    :raises OpsError: database.*.
    """
    return {row["id"]: row for (row,) in _fetch_rows(database, STORED)}


def quotes(database: Database) -> dict[str, Quote]:
    """Return the instruments that the database knows, by ticker.

    :raises OpsError: database.*.
    """
    return {row[0]: Quote(*row) for row in _fetch_rows(database, CLOSES)}


def compare(served_rows: Mapping[int, Row], stored_rows: Mapping[int, Row]) -> Differences:
    """Return where two books differ."""
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
    """Return a position in a few words."""
    return (
        f"{row['direction']} {row['instrument']} {row['notional_brl']:,.0f} BRL"
        f" at {number(row['entry_price'])}"
    )


def summary(rows: Iterable[Mapping[str, Any]]) -> str:
    """Return positions as one line, each with its id."""
    return "; ".join(f"{row['id']}: {describe(row)}" for row in rows) or "none"


def number(value: float | None) -> str:
    """Return a price as a person writes it."""
    return "no price" if value is None else f"{value:.10g}"


def _differs(ours: Row, theirs: Row, name: str) -> bool:
    return name in ours and name in theirs and ours[name] != theirs[name]


def _shorten(ids: tuple[int, ...], most: int = 8) -> str:
    shown = ", ".join(map(str, ids[:most]))
    return shown if len(ids) <= most else f"{shown} and {len(ids) - most} more"


def _fetch_rows(database: Database, sql: str) -> list[tuple]:
    try:
        with database.session(read_only=True) as cursor:
            cursor.execute("SET LOCAL statement_timeout = '15s'")
            return fetch_all(cursor, sql)
    except psycopg2.Error as exc:
        raise database.to_error(exc) from exc
