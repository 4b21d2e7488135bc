# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Positions, the book, profit and loss, mark to market."""

from __future__ import annotations

from datetime import date
from typing import Any

from fastapi import APIRouter

from pms_service import cache, figures, positions, pricing
from pms_service.auth import Manager
from pms_service.models import CloseIn, MtmIn, MtmOut, OpenIn, PositionOut, PriceIn
from pms_service.service import Caught, Pms, Service, day
from pms_service.store import POSITIONS, Row

router = APIRouter(tags=["PMS - Portfolio"], route_class=Caught)
documented = APIRouter(tags=["PMS - Portfolio"], route_class=Caught)


def shown_book(pms: Service, today: date) -> dict[str, Any]:
    """Return the whole book as the API shows it."""
    book = pms.books["portfolio"]
    open_ones = book.open_positions()
    closed_today = [
        row for row in book.all(POSITIONS) if row["closed_at"] and row["closed_at"].date() == today
    ]
    return {
        "summary": figures.summary(book, pms.settings.aum_brl, today),
        "positions": [PositionOut(**row) for row in open_ones],
        "by_asset_class": figures.by_asset_class(open_ones),
        "closed_today": [PositionOut(**row) for row in closed_today],
    }


def renew_cache(pms: Service) -> None:
    """Put the changed book into the cache, and drop what followed from the former one."""
    pms.cache.forget()
    pms.cache.put(cache.BOOK, shown_book(pms, date.today()))


@router.post("/book/positions/open", status_code=201, response_model=PositionOut)
def open_position(user: Manager, body: OpenIn, pms: Pms) -> Row:
    """Open a position."""
    row = positions.open_position(pms.books["portfolio"], body, user["username"])
    renew_cache(pms)
    return row


@router.post("/book/positions/{position_id}/close", response_model=PositionOut)
def close_position(user: Manager, position_id: int, body: CloseIn, pms: Pms) -> Row:
    """Close a position."""
    row = positions.close_position(pms.books["portfolio"], position_id, body)
    renew_cache(pms)
    return row


@router.post("/book/positions/{position_id}/update-price", response_model=PositionOut)
def update_price(position_id: int, body: PriceIn, pms: Pms) -> Row:
    """Set the price of a position."""
    row = positions.update_price(pms.books["portfolio"], position_id, body.price)
    pms.cache.forget()
    return row


@router.get("/book/positions", response_model=list[PositionOut])
def list_positions(
    pms: Pms, asset_class: str | None = None, is_open: bool | None = True
) -> list[Row]:
    """Return positions, by default the open ones."""
    return [
        row
        for row in pms.books["portfolio"].all(POSITIONS)
        if (is_open is None or row["is_open"] == is_open)
        and (asset_class is None or row["asset_class"] == asset_class.upper())
    ]


@router.get("/book")
def book(pms: Pms, as_of_date: str | None = None) -> Any:
    """Return the book."""
    when = day(as_of_date)
    if when is None and (cached := pms.cache.get(cache.BOOK)):
        return cached
    shown = shown_book(pms, when or date.today())
    if when is None:
        pms.cache.put(cache.BOOK, shown)
    return shown


@router.get("/pnl/summary")
def pnl_summary(pms: Pms, as_of_date: str | None = None) -> dict[str, Any]:
    """Return the result in BRL and USD. A bad date is an internal error, as in the PMS."""
    today = date.fromisoformat(as_of_date) if as_of_date else date.today()
    summary = figures.summary(pms.books["portfolio"], pms.settings.aum_brl, today)
    in_usd = {
        name.replace("_brl", "_usd"): pricing.in_usd(value, None)
        for name, value in summary.items()
        if name.startswith("pnl_") or name == "total_unrealized_pnl_brl"
    }
    return {"status": "ok", "data": summary | in_usd}


@router.get("/pnl/equity-curve")
def equity_curve(pms: Pms, start_date: str | None = None, end_date: str | None = None) -> list[Row]:
    """Return the result of each day."""
    return figures.equity_curve(pms.books["portfolio"], day(start_date), day(end_date))


@router.get("/pnl/attribution")
def pnl_attribution(pms: Pms) -> dict[str, Any]:
    """Return the result by strategy, class and instrument."""
    maps: dict[str, dict[str, float]] = {
        name: {} for name in ("by_strategy", "by_asset_class", "by_instrument")
    }
    for row in pms.books["portfolio"].all(POSITIONS):
        pnl = (row["unrealized_pnl_brl"] or 0.0) + (row.get("realized_pnl_brl") or 0.0)
        keys = ((row["strategy_ids"] or ["DISCRETIONARY"])[0], row["asset_class"])
        for name, key in zip(maps, (*keys, row["instrument"]), strict=True):
            maps[name][key] = maps[name].get(key, 0.0) + pnl
    return {"status": "ok", "data": maps}


@router.get("/pnl/monthly-heatmap")
def monthly_heatmap(pms: Pms) -> dict[str, Any]:
    """Return the result of each month."""
    months: dict[tuple[int, int], float] = {}
    for when, pnl in figures.daily_pnl(pms.books["portfolio"]).items():
        months[when.year, when.month] = months.get((when.year, when.month), 0.0) + pnl
    rows = [{"year": year, "month": month, "pnl_brl": pnl} for (year, month), pnl in months.items()]
    return {"status": "ok", "data": {"months": rows}}


@documented.post("/mtm", response_model=MtmOut)
@router.post("/mtm", response_model=MtmOut)
def mark_to_market(user: Manager, body: MtmIn, pms: Pms) -> dict[str, Any]:
    """Mark the open positions to market."""
    portfolio = pms.books["portfolio"]
    tickers = [row["instrument"] for row in portfolio.open_positions()]
    marked = positions.mark_to_market(
        portfolio, body.price_overrides, body.fx_rate, pms.market(tickers)
    )
    renew_cache(pms)
    return {"status": "ok", "updated_count": len(marked), "positions": marked}
