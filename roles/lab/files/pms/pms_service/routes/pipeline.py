# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The end-of-day pipeline: mark, propose, write the pack and the return."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable
from datetime import date
from typing import Any

import psycopg2
from fastapi import APIRouter, HTTPException

from pms_service import figures, packs, positions, pricing, proposals
from pms_service.routes.portfolio import renew_cache
from pms_service.service import Pms, Service, logger
from pms_service.store import PROPOSALS, Book, PrivateStorage

SIGNALS = """
    SELECT i.ticker AS instrument, i.asset_class, max(s.confidence) AS conviction,
           CASE WHEN avg(s.value) > 0 THEN 'LONG' ELSE 'SHORT' END AS direction,
           'PIPELINE' AS signal_source
      FROM signals s JOIN instruments i ON i.id = s.instrument_id
     WHERE s.signal_date = (SELECT max(signal_date) FROM signals
                             WHERE signal_date > current_date - 30)
       AND i.ticker <> ALL(%(known)s)
     GROUP BY i.ticker, i.asset_class
    HAVING abs(avg(s.value)) > 0.3
     ORDER BY conviction DESC, i.ticker
"""
RETURN = """
    INSERT INTO portfolio_returns (return_date, daily_return, cumulative_return, portfolio_nav,
                                   n_instruments, weighting_method)
    SELECT %(day)s, %(gain)s, (1 + before.cumulative_return) * (1 + %(gain)s) - 1,
           before.portfolio_nav * (1 + %(gain)s), %(instruments)s, 'notional'
      FROM (SELECT coalesce(max(cumulative_return), 0) AS cumulative_return,
                   coalesce(max(portfolio_nav), %(aum)s) AS portfolio_nav
              FROM (SELECT cumulative_return, portfolio_nav FROM portfolio_returns
                     WHERE return_date < %(day)s ORDER BY return_date DESC LIMIT 1) AS last
           ) AS before
    ON CONFLICT (return_date) DO UPDATE
       SET daily_return = EXCLUDED.daily_return, cumulative_return = EXCLUDED.cumulative_return,
           portfolio_nav = EXCLUDED.portfolio_nav, n_instruments = EXCLUDED.n_instruments
"""
RUN = """
    INSERT INTO pipeline_runs (id, run_date, status, duration_seconds, step_timings,
                               position_count, summary)
    VALUES (%(id)s, %(day)s, 'SUCCESS', %(seconds)s, %(timings)s, %(positions)s, 'Started by hand')
"""
SATURDAY = 5
router = APIRouter(tags=["PMS - Pipeline"])


def _mark(pms: Service, book: Book) -> dict[str, Any]:
    tickers = [row["instrument"] for row in book.open_positions()]
    marked = positions.mark_to_market(book, {}, pricing.DEFAULT_FX_RATE, pms.market(tickers))
    unrealized = figures.total(marked, "unrealized_pnl_brl")
    return {"positions_updated": len(marked), "total_unrealized_pnl": unrealized}


def _signals(pms: Service, book: Book) -> dict[str, Any]:
    """Read signals, leaving out instruments that have a proposal waiting."""
    if pms.settings.faithful:
        raise TypeError("can't compare offset-naive and offset-aware datetimes")
    known = {row["instrument"] for row in book.all(PROPOSALS) if row["status"] == "PENDING"}
    found = pms.database.rows(SIGNALS, {"known": sorted(known)})
    return {"signals_found": len(found), "signals": found}


def _propose(pms: Service, book: Book, signals: list[dict[str, Any]]) -> dict[str, Any]:
    made = proposals.generate(book, signals, date.today(), pms.settings.aum_brl)
    instruments = [row["instrument"] for row in made]
    return {"proposals_generated": len(made), "instruments": instruments}


def _pack(pms: Service, book: Book) -> dict[str, Any]:
    database = None if pms.settings.faithful else pms.database
    row = packs.generate(book, database, date.today(), pms.settings.aum_brl, force=True)
    return {"briefing_date": row["briefing_date"]}


def _return(pms: Service, book: Book) -> dict[str, Any]:
    """Write today's return; there is none on a week-end."""
    today, aum = date.today(), pms.settings.aum_brl
    gain = figures.daily_pnl(book).get(today, 0.0) / aum
    instruments = len({row["instrument"] for row in book.open_positions()})
    if today.weekday() < SATURDAY:
        pms.database.execute(
            RETURN, {"day": today, "gain": gain, "instruments": instruments, "aum": aum}
        )
    return {"daily_return": gain, "n_instruments": instruments}


@router.post("/trigger")
def trigger(pms: Pms) -> dict[str, Any]:
    """Run all steps; one that fails says so, and the status is partial."""
    # The real PMS works on objects that it then throws away.
    faithful = pms.settings.faithful
    book = Book(PrivateStorage(pms.database)) if faithful else pms.books["portfolio"]
    started, timings = time.monotonic(), {}
    steps: dict[str, dict[str, Any]] = {}

    def step(name: str, work: Callable[[], dict[str, Any]]) -> None:
        begun = time.monotonic()
        try:
            steps[name] = {"status": "success"} | work()
        except (psycopg2.Error, ArithmeticError, LookupError, TypeError, ValueError) as exc:
            logger.exception("pipeline step %s", name)
            steps[name] = {"status": "error", "error": str(exc).strip()}
        timings[name] = round(time.monotonic() - begun, 3)

    step("mtm", lambda: _mark(pms, book))
    step("signals", lambda: _signals(pms, book))
    signals = steps["signals"].pop("signals", [])
    step("proposals", lambda: _propose(pms, book, signals))
    step("morning_pack", lambda: _pack(pms, book))
    step("portfolio_returns", lambda: _return(pms, book))
    failed = [name for name, each in steps.items() if each["status"] == "error"]
    if not faithful:
        if not failed:
            pms.database.execute(
                RUN,
                {
                    "id": str(uuid.uuid4()),
                    "day": date.today(),
                    "seconds": time.monotonic() - started,
                    "timings": json.dumps(timings),
                    "positions": len(book.open_positions()),
                },
            )
        renew_cache(pms)
    return {"status": "partial" if failed else "success", "date": date.today(), "steps": steps}


@router.post("/backfill-returns")
def backfill(pms: Pms) -> dict[str, Any]:
    """Say which returns there are; those of the marked days are written at each end of day."""
    try:
        found = pms.database.row(
            "SELECT count(*) AS rows, min(return_date) AS first, max(return_date) AS last,"
            " max(n_instruments) AS instruments FROM portfolio_returns"
        )
    except psycopg2.Error as exc:
        raise HTTPException(503, "portfolio_returns cannot be read") from exc
    if not found["rows"]:
        raise HTTPException(503, "No market data to compute returns from")
    return {
        "status": "success",
        "rows_inserted": 0,
        "total_rows": found["rows"],
        "n_instruments": found["instruments"],
        "date_range": {"first": found["first"], "last": found["last"]},
    }
