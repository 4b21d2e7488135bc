# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Macro series, curves and quotes, straight from the database."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

from fastapi import APIRouter, HTTPException

from pms_service.service import Pms, day

SERIES = """
    SELECT o.observation_date AS date, o.value, o.revision_number
      FROM macro_series o JOIN series_metadata s ON s.id = o.series_id
     WHERE s.series_code = %(code)s ORDER BY o.observation_date DESC LIMIT 500
"""
CURVES = "SELECT DISTINCT curve_id FROM curves WHERE curve_date > current_date - 60 ORDER BY 1"
CURVE = """
    SELECT curve_date, tenor_label, tenor_days, rate FROM curves
     WHERE curve_id = %(curve)s
       AND curve_date = (SELECT max(curve_date) FROM curves WHERE curve_id = %(curve)s)
     ORDER BY tenor_days
"""
LATEST = """
    SELECT DISTINCT ON (i.ticker) i.ticker, m.close, m."timestamp"
      FROM market_data m JOIN instruments i ON i.id = m.instrument_id
     WHERE i.ticker = ANY(%(tickers)s) AND m.frequency = 'daily'
       AND m."timestamp" > now() - interval '60 days'
     ORDER BY i.ticker, m."timestamp" DESC
"""
QUOTES = """
    SELECT m."timestamp", m.open, m.high, m.low, m.close, m.volume
      FROM market_data m JOIN instruments i ON i.id = m.instrument_id
     WHERE i.ticker = %(ticker)s AND m.frequency = 'daily'
       AND m."timestamp" >= %(start)s AND m."timestamp" < %(end)s::date + 1
     ORDER BY m."timestamp"
"""
BOARD = ("USDBRL", "DXY", "IBOV", "VIX", "UST_10Y", "BRENT", "GOLD")
YEAR = timedelta(days=365)
router = APIRouter(tags=["Data"])


@router.get("/macro/dashboard")
def macro_dashboard(pms: Pms) -> dict[str, Any]:
    """Return the board; brazil and us are null, since the PMS looks them up by other codes."""
    market = market_latest(pms, ",".join(BOARD))
    return {"brazil": None, "us": None, "market": market}


@router.get("/macro/{series_code}")
def macro(series_code: str, pms: Pms) -> dict[str, Any]:
    """Return the newest values of a series."""
    rows = pms.database.rows(SERIES, {"code": series_code})
    if not rows:
        raise HTTPException(404, f"Series {series_code} not found")
    return {"series_code": series_code, "observations": rows}


@router.get("/curves/available")
def curves(pms: Pms) -> dict[str, Any]:
    """Return the curves there are."""
    return {"curves": [row["curve_id"] for row in pms.database.rows(CURVES)]}


@router.get("/curves/{curve_id}")
def curve(curve_id: str, pms: Pms) -> dict[str, Any]:
    """Return a curve's newest points."""
    rows = pms.database.rows(CURVE, {"curve": curve_id})
    if not rows:
        raise HTTPException(404, f"Curve {curve_id} not found")
    when = rows[0].pop("curve_date")
    return {
        "curve_id": curve_id,
        "date": when,
        "points": [{name: row[name] for name in row if name != "curve_date"} for row in rows],
    }


@router.get("/market-data/latest")
def market_latest(pms: Pms, tickers: str) -> dict[str, Any]:
    """Return the newest closes."""
    rows = pms.database.rows(LATEST, {"tickers": tickers.split(",")})
    return {row["ticker"]: {"close": row["close"], "timestamp": row["timestamp"]} for row in rows}


@router.get("/market-data/{ticker}")
def market(
    ticker: str, pms: Pms, start: str | None = None, end: str | None = None
) -> dict[str, Any]:
    """Return the daily quotes of a ticker."""
    last = day(end) or date.today()
    rows = pms.database.rows(
        QUOTES, {"ticker": ticker, "start": day(start) or last - YEAR, "end": last}
    )
    if not rows:
        raise HTTPException(404, f"No market data for {ticker}")
    return {"ticker": ticker, "data": rows}
