# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Where the result comes from."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Query

from pms_service import cache, figures
from pms_service.service import Caught, Pms, day
from pms_service.store import POSITIONS, Row

router = APIRouter(tags=["PMS - Attribution"], route_class=Caught)
documented = APIRouter(tags=["PMS - Attribution"], route_class=Caught)


@documented.get("/attribution")
@router.get("")
def attribution(
    pms: Pms, period: str = "MTD", start_date: str | None = None, end_date: str | None = None
) -> Any:
    """Return the result of a period by strategy, class, instrument, factor, day and kind."""
    today = date.today()
    try:
        start, end = figures.period(period, today, day(start_date), day(end_date))
    except ValueError as exc:
        raise HTTPException(400, str(exc)) from exc
    name = f"{period}_{start}_{end}" if period.lower() == "custom" else f"{period}_{today}"
    if cached := pms.cache.get(cache.ATTRIBUTION, name):
        return cached
    book = pms.books["attribution"]
    shown = figures.attribution(book, period, start, end, pms.settings.aum_brl)
    pms.cache.put(cache.ATTRIBUTION, shown, name)
    return shown


@router.get("/equity-curve")
def equity_curve(pms: Pms) -> list[Row]:
    """Return the result of each day."""
    return figures.equity_curve(pms.books["attribution"])


@router.get("/best-worst")
def best_worst(pms: Pms, n: Annotated[int, Query(ge=1, le=100)] = 5) -> dict[str, Any]:
    """Return the positions that gained and lost most."""
    rows = [
        {
            "position_id": row["id"],
            "instrument": row["instrument"],
            "pnl_brl": (row["unrealized_pnl_brl"] or 0.0) + (row.get("realized_pnl_brl") or 0.0),
        }
        for row in pms.books["attribution"].all(POSITIONS)
    ]
    rows.sort(key=lambda row: row["pnl_brl"], reverse=True)
    return {"best": rows[:n], "worst": rows[::-1][:n], "total_positions": len(rows)}
