# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The decision journal."""

from __future__ import annotations

from collections import Counter
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Query

from pms_service.auth import Manager
from pms_service.journal import record
from pms_service.models import EntryIn, EntryOut, OutcomeIn
from pms_service.service import Caught, Pms, day
from pms_service.store import JOURNAL, POSITIONS, Row

router = APIRouter(tags=["PMS - Journal"], route_class=Caught)
documented = APIRouter(tags=["PMS - Journal"], route_class=Caught)


@documented.get("/journal", response_model=list[EntryOut])
@router.get("/", response_model=list[EntryOut])
def entries(
    pms: Pms,
    entry_type: str | None = None,
    position_id: int | None = None,
    instrument: str | None = None,
    start_date: str | None = None,
    end_date: str | None = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
    offset: Annotated[int, Query(ge=0)] = 0,
) -> list[Row]:
    """Return entries, the newest first."""
    start, end = day(start_date), day(end_date)
    found = [
        row
        for row in reversed(pms.books["journal"].all(JOURNAL))
        if (entry_type is None or row["entry_type"] == entry_type.upper())
        and (position_id is None or row["position_id"] == position_id)
        and (instrument is None or row["instrument"] == instrument)
        and (start is None or row["created_at"].date() >= start)
        and (end is None or row["created_at"].date() <= end)
    ]
    return found[offset : offset + limit]


@documented.post("/journal", status_code=201, response_model=EntryOut)
def create(user: Manager, body: EntryIn, pms: Pms) -> Row:
    """Write an entry, as the PMS's recovery documents do: a correction, an incident, a note."""
    book = pms.books["journal"]
    position = None
    if body.related_position_id is not None:
        position = book.get(POSITIONS, body.related_position_id)
        if position is None:
            raise HTTPException(404, f"Position {body.related_position_id} not found")
    with book.change() as write:
        return record(
            write,
            body.entry_type.upper()[:30],
            position,
            notes=body.content,
            system_notes=f"Written by {user['username']}",
            position_id=body.related_position_id,
        )


@router.get("/stats/decision-analysis")
def decision_analysis(pms: Pms) -> dict[str, Any]:
    """Count the decisions."""
    rows = pms.books["journal"].all(JOURNAL)
    kinds = Counter(row["entry_type"] for row in rows)
    opened = {row["position_id"]: row["created_at"] for row in rows if row["entry_type"] == "OPEN"}
    held = [
        (row["created_at"] - opened[row["position_id"]]).days
        for row in rows
        if row["entry_type"] == "CLOSE" and row["position_id"] in opened
    ]
    decided = kinds["OPEN"] + kinds["REJECT"]
    return {
        "total_entries": len(rows),
        "by_type": dict(kinds),
        "approval_rate": kinds["OPEN"] / decided if decided else 0.0,
        "avg_holding_days": sum(held) / len(held) if held else 0.0,
        "total_positions_opened": kinds["OPEN"],
        "total_positions_closed": kinds["CLOSE"],
        "total_rejections": kinds["REJECT"],
    }


@router.get("/{entry_id}", response_model=EntryOut)
def entry(entry_id: int, pms: Pms) -> Row:
    """Return one entry."""
    found = pms.books["journal"].get(JOURNAL, entry_id)
    if found is None:
        raise HTTPException(404, f"Journal entry {entry_id} not found")
    return found


@router.post("/{entry_id}/outcome", response_model=EntryOut)
def outcome(entry_id: int, body: OutcomeIn, pms: Pms) -> Row:
    """Note what became of a decision: a new entry, since the old one is locked."""
    about = entry(entry_id, pms)
    assessment = body.realized_pnl_assessment
    with pms.books["journal"].change() as write:
        return record(
            write,
            "NOTE",
            about,
            notes=body.outcome_notes,
            system_notes=f"P&L assessment: {assessment}" if assessment else "Outcome",
            position_id=about["position_id"],
            proposal_id=about["proposal_id"],
        )
