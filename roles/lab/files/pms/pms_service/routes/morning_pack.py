# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Morning packs."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Query

from pms_service import cache, packs
from pms_service.models import PackIn
from pms_service.service import Caught, Pms, day
from pms_service.store import BRIEFINGS, Row

router = APIRouter(tags=["PMS - Morning Pack"], route_class=Caught)


@router.post("/generate")
def generate(body: PackIn, pms: Pms) -> Row:
    """Return the pack of a day, generated if need be."""
    when = body.briefing_date or date.today()
    database = None if pms.settings.faithful else pms.database
    row = packs.generate(
        pms.books["morning_pack"], database, when, pms.settings.aum_brl, force=body.force
    )
    pms.cache.put(cache.PACK, packs.shown(row), when.isoformat())
    return packs.shown(row)


@router.get("/latest")
def latest(pms: Pms) -> Any:
    """Return the pack that was generated last."""
    row = packs.latest(pms.books["morning_pack"])
    shown = packs.shown(row) if row else pms.cache.get(cache.PACK, date.today().isoformat())
    if shown is None:
        raise HTTPException(404, "No briefing available")
    return shown


@router.get("/history")
def history(pms: Pms, days: Annotated[int, Query(ge=1, le=365)] = 30) -> list[Row]:
    """Return the packs of the last days, shortened, the newest first."""
    since = date.today() - timedelta(days=days)
    rows = [row for row in pms.books["morning_pack"].all(BRIEFINGS) if row["briefing_date"] > since]
    rows.sort(key=lambda row: row["briefing_date"], reverse=True)
    return [
        {
            "briefing_date": row["briefing_date"],
            "action_items_count": len(row["action_items"] or []),
            "narrative_excerpt": (row["macro_narrative"] or "")[:200],
        }
        for row in rows
    ]


@router.get("/{briefing_date}")
def of_day(briefing_date: str, pms: Pms) -> Any:
    """Return the pack of a day."""
    when = day(briefing_date, "Invalid date format")
    row = packs.of_day(pms.books["morning_pack"], when)
    shown = packs.shown(row) if row else pms.cache.get(cache.PACK, when.isoformat())
    if shown is None:
        raise HTTPException(404, f"No briefing available for {when}")
    return shown
