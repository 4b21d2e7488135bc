# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is done to proposals: generate, approve, reject."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

from pms_service import journal
from pms_service.models import ApproveIn, ModifyIn
from pms_service.positions import NotFound, Refused, enter, journal_opening
from pms_service.store import PROPOSALS, Book, Row, Write

MINIMUM_CONVICTION = 0.55
FLIP_CONVICTION = 0.60
MAX_PROPOSALS = 5
DEFAULT_NOTIONAL_BRL = 10_000_000.0


def generate(
    book: Book, signals: list[dict[str, Any]], as_of: date | None, aum: float
) -> list[Row]:
    """Make proposals of the signals with enough conviction, the strongest first, five at most."""
    strong = [each for each in signals if each["conviction"] >= MINIMUM_CONVICTION]
    strong.sort(key=lambda each: each["conviction"], reverse=True)
    with book.change() as write:
        return [
            _propose(write, book, each, as_of or date.today(), aum)
            for each in strong[:MAX_PROPOSALS]
        ]


def _propose(write: Write, book: Book, signal: dict[str, Any], as_of: date, aum: float) -> Row:
    instrument, asset_class = signal["instrument"], signal["asset_class"].upper()
    direction, conviction = signal["direction"].upper(), float(signal["conviction"])
    notional = float(signal.get("suggested_notional_brl") or DEFAULT_NOTIONAL_BRL)
    open_ones = book.open_positions()
    same = [row for row in open_ones if row["instrument"] == instrument]
    of_class = [row for row in open_ones if row["asset_class"] == asset_class]
    opposite = any(row["direction"] != direction for row in same)
    now = datetime.now(UTC)
    return write(
        PROPOSALS,
        {
            "created_at": now,
            "updated_at": now,
            "instrument": instrument,
            "asset_class": asset_class,
            "direction": direction,
            "suggested_notional_brl": notional,
            "conviction": conviction,
            "signal_source": signal.get("signal_source"),
            "strategy_ids": signal.get("strategy_ids") or [],
            "rationale": f"{direction} {instrument}: conviction {conviction:.2f}",
            "risk_impact": {
                "estimated_leverage_delta": notional / aum,
                "current_open_positions": len(open_ones),
                "same_instrument_exposure": sum(row["notional_brl"] for row in same),
                "asset_class_concentration": sum(row["notional_brl"] for row in of_class) / aum,
            },
            "status": "PENDING",
            "reviewed_at": None,
            "execution_price": None,
            "execution_notional_brl": None,
            "position_id": None,
            "notes": None,
            "metadata_json": {
                "as_of_date": as_of.isoformat(),
                "is_flip": conviction >= FLIP_CONVICTION and opposite,
            },
        },
    )


def _pending(book: Book, number: int) -> Row:
    proposal = book.get(PROPOSALS, number)
    if proposal is None:
        raise NotFound(f"Proposal {number} not found")
    if proposal["status"] != "PENDING":
        raise Refused(f"Proposal {number} is not PENDING (current status: {proposal['status']})")
    return proposal


def _reviewed(write: Write, proposal: Row, status: str, user: str, **values: Any) -> Row:
    now = datetime.now(UTC)
    review = {"status": status, "updated_at": now, "reviewed_at": now, "reviewed_by": user}
    return write(PROPOSALS, proposal | review | values)


def approve(book: Book, number: int, order: ApproveIn, user: str) -> Row:
    """Approve a proposal, and book its trade."""
    with book.change() as write:
        proposal = _pending(book, number)
        notes = order.manager_thesis or order.manager_notes
        executed = {
            "execution_price": order.execution_price,
            "notional_brl": order.execution_notional_brl,
        }
        position = enter(write, book, proposal | executed, day=date.today(), notes=notes)
        journal_opening(write, position, number, notes)
        return _reviewed(
            write,
            proposal,
            "APPROVED",
            user,
            execution_price=order.execution_price,
            execution_notional_brl=order.execution_notional_brl,
            position_id=position["id"],
            notes=order.manager_notes,
        )


def modify_and_approve(
    book: Book, number: int, order: ModifyIn, user: str, price: float | None
) -> Row:
    """Book another trade than the proposed one; *price* is where it was executed."""
    with book.change() as write:
        proposal = _pending(book, number)
        executed = {
            "direction": order.modified_direction or proposal["direction"],
            "notional_brl": order.modified_notional_brl or proposal["suggested_notional_brl"],
            "execution_price": price,
        }
        position = enter(
            write, book, proposal | executed, day=date.today(), notes=order.manager_notes
        )
        journal.record(
            write,
            "MODIFY",
            position,
            price=price or 0.0,
            notes=order.manager_notes,
            system_notes=f"Proposal {number} modified and approved",
            position_id=position["id"],
            proposal_id=number,
        )
        journal_opening(write, position, number, order.manager_notes)
        return _reviewed(
            write,
            proposal,
            "MODIFIED",
            user,
            direction=position["direction"],
            execution_price=price,
            execution_notional_brl=position["notional_brl"],
            position_id=position["id"],
            notes=order.manager_notes,
        )


def reject(book: Book, number: int, notes: str, user: str) -> Row:
    """Reject a proposal, for a reason."""
    if not notes.strip():
        raise Refused("manager_notes is mandatory to reject a proposal")
    with book.change() as write:
        proposal = _pending(book, number)
        journal.record(
            write,
            "REJECT",
            proposal,
            notes=notes,
            system_notes="Proposal rejected",
            proposal_id=number,
        )
        return _reviewed(write, proposal, "REJECTED", user, notes=notes)
