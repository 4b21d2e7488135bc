# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Proposals."""

from __future__ import annotations

from fastapi import APIRouter, HTTPException, Query

from pms_service import positions, proposals
from pms_service.auth import Manager
from pms_service.models import ApproveIn, GenerateIn, ModifyIn, ProposalOut, RejectIn
from pms_service.routes.portfolio import renew_cache
from pms_service.service import Caught, Pms, day
from pms_service.store import PROPOSALS, Row

router = APIRouter(tags=["PMS - Trades"], route_class=Caught)


def _day_of(row: Row) -> str:
    as_of = (row.get("metadata_json") or {}).get("as_of_date")
    return as_of or row["created_at"].date().isoformat()


@router.get("/proposals", response_model=list[ProposalOut])
def list_proposals(
    pms: Pms, status: str | None = None, on: str | None = Query(None, alias="date")
) -> list[Row]:
    """Return proposals."""
    when = day(on)
    return [
        row
        for row in pms.books["trades"].all(PROPOSALS)
        if (status is None or row["status"] == status.upper())
        and (when is None or _day_of(row) == when.isoformat())
    ]


@router.post("/proposals/generate", response_model=list[ProposalOut])
def generate(body: GenerateIn, pms: Pms) -> list[Row]:
    """Make proposals of signals."""
    return proposals.generate(
        pms.books["trades"], body.signals or [], body.as_of_date, pms.settings.aum_brl
    )


@router.get("/proposals/{proposal_id}", response_model=ProposalOut)
def proposal(proposal_id: int, pms: Pms) -> Row:
    """Return one proposal."""
    found = pms.books["trades"].get(PROPOSALS, proposal_id)
    if found is None:
        raise HTTPException(404, f"Proposal {proposal_id} not found")
    return found


@router.post("/proposals/{proposal_id}/approve", response_model=ProposalOut)
def approve(user: Manager, proposal_id: int, body: ApproveIn, pms: Pms) -> Row:
    """Approve a proposal."""
    row = proposals.approve(pms.books["trades"], proposal_id, body, user["username"])
    renew_cache(pms)
    return row


@router.post("/proposals/{proposal_id}/reject", response_model=ProposalOut)
def reject(user: Manager, proposal_id: int, body: RejectIn, pms: Pms) -> Row:
    """Reject a proposal; an unknown one is a bad request, as in the PMS."""
    try:
        row = proposals.reject(
            pms.books["trades"], proposal_id, body.manager_notes, user["username"]
        )
    except positions.NotFound as exc:
        raise HTTPException(400, str(exc)) from exc
    pms.cache.forget()
    return row


@router.post("/proposals/{proposal_id}/modify-approve", response_model=ProposalOut)
def modify_approve(user: Manager, proposal_id: int, body: ModifyIn, pms: Pms) -> Row:
    """Approve another trade than the proposed one, at the market's price where none is given."""
    book = pms.books["trades"]
    price = body.execution_price
    known = book.get(PROPOSALS, proposal_id)
    if price is None and known and (market := pms.market([known["instrument"]])) is not None:
        price = market.get(known["instrument"])
        if price is None:
            raise positions.Refused(
                f"No market price for {known['instrument']}; execution_price is required"
            )
    try:
        row = proposals.modify_and_approve(book, proposal_id, body, user["username"], price)
    except positions.NotFound as exc:
        raise HTTPException(400, str(exc)) from exc
    renew_cache(pms)
    return row
