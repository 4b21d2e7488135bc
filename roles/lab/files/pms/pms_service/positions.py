# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is done to positions: open, mark, close."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, time
from typing import Any

from pms_service import journal, pricing
from pms_service.database import Database
from pms_service.models import CloseIn, OpenIn
from pms_service.store import MARKS, POSITIONS, PROPOSALS, Book, Row, Write

NEWEST_CLOSE = """
    SELECT i.ticker, newest.close
      FROM instruments i,
           LATERAL (SELECT m.close FROM market_data m
                     WHERE m.instrument_id = i.id AND m.frequency = 'daily'
                       AND m."timestamp" > now() - interval '30 days'
                     ORDER BY m."timestamp" DESC LIMIT 1) AS newest
     WHERE i.ticker = ANY(%(tickers)s)
"""


class Refused(ValueError):
    """The PMS does not do that; the text says why."""


class NotFound(Refused):
    """There is no such thing."""


def market_prices(database: Database, tickers: list[str]) -> dict[str, float]:
    """Return the newest daily closes."""
    return {
        row["ticker"]: row["close"] for row in database.rows(NEWEST_CLOSE, {"tickers": tickers})
    }


def mark(write: Write, book: Book, position: Row, day: date, gain: float, **more: Any) -> None:
    """Write the day's mark of a position, whose gain since its opening is *gain*."""
    before = [
        (row["snapshot_date"], row["cumulative_pnl_brl"] or 0.0)
        for row in book.all(MARKS)
        if row["position_id"] == position["id"] and row["snapshot_date"] < day
    ]
    daily = gain - (max(before)[1] if before else 0.0)
    fx_rate = more.get("fx_rate")
    write(
        MARKS,
        {
            "snapshot_date": day,
            "position_id": position["id"],
            "instrument": position["instrument"],
            "mark_price": position["current_price"],
            "unrealized_pnl_brl": gain,
            "unrealized_pnl_usd": pricing.in_usd(gain, fx_rate),
            "daily_pnl_brl": daily,
            "daily_pnl_usd": pricing.in_usd(daily, fx_rate),
            "cumulative_pnl_brl": gain,
            "is_manual_override": False,
        }
        | more,
    )


def gain_of(position: Row, price: float) -> float:
    """Return what a position has gained at a price."""
    if not position["entry_price"]:
        return 0.0
    return pricing.gross_pnl(
        position["asset_class"],
        position["direction"],
        position["notional_brl"],
        position["entry_price"],
        price,
    )


def enter(write: Write, book: Book, order: Row, *, day: date, notes: str | None) -> Row:
    """Write a position at its entry price, and its first mark."""
    now = datetime.now(UTC)
    price, notional = order["execution_price"], order["notional_brl"]
    position = write(
        POSITIONS,
        {
            "created_at": now,
            "updated_at": now,
            "instrument": order["instrument"],
            "asset_class": order["asset_class"].upper(),
            "direction": order["direction"].upper(),
            "notional_brl": notional,
            "entry_price": price,
            "entry_date": day,
            "current_price": price,
            "unrealized_pnl_brl": 0.0,
            "unrealized_pnl_usd": 0.0,
            "transaction_cost_brl": pricing.one_way_cost(order["instrument"], notional),
            "is_open": True,
            "closed_at": None,
            "close_price": None,
            "strategy_ids": order.get("strategy_ids") or None,
            "notes": notes,
        },
    )
    if price:
        mark(write, book, position, day, 0.0)
    return position


def open_position(book: Book, order: OpenIn, user: str) -> Row:
    """Book a trade that no proposal asked for; an approved one is written beside it."""
    if not order.manager_thesis.strip():
        raise Refused("manager_thesis is mandatory for discretionary trades")
    values = order.model_dump()
    now = datetime.now(UTC)
    with book.change() as write:
        position = enter(
            write, book, values, day=order.entry_date or date.today(), notes=order.manager_thesis
        )
        proposal = write(
            PROPOSALS,
            {
                "created_at": now,
                "updated_at": now,
                "instrument": position["instrument"],
                "asset_class": position["asset_class"],
                "direction": position["direction"],
                "suggested_notional_brl": order.notional_brl,
                "conviction": 1.0,
                "signal_source": "DISCRETIONARY",
                "strategy_ids": order.strategy_ids,
                "rationale": order.manager_thesis,
                "status": "APPROVED",
                "reviewed_by": user,
                "reviewed_at": now,
                "execution_price": order.execution_price,
                "execution_notional_brl": order.notional_brl,
                "position_id": position["id"],
                "metadata_json": {
                    name: values[name] for name in ("target_price", "stop_loss", "time_horizon")
                },
            },
        )
        journal_opening(write, position, proposal["id"], order.manager_thesis)
    return position


def journal_opening(write: Write, position: Row, proposal_id: int, notes: str | None) -> None:
    """Write the journal's entry of an opening."""
    journal.record(
        write,
        "OPEN",
        position,
        price=position["entry_price"],
        notes=notes,
        system_notes=f"Position opened: {position['direction']} {position['instrument']}",
        position_id=position["id"],
        proposal_id=proposal_id,
    )


def close_position(book: Book, number: int, order: CloseIn) -> Row:
    """Close a position: the gain less the cost of the exit is realized."""
    with book.change() as write:
        position = book.get(POSITIONS, number)
        if position is None:
            raise NotFound(f"Position {number} not found")
        if not position["is_open"]:
            raise Refused(f"Position {number} is already closed")
        day = order.close_date
        at = datetime.combine(day, time(), UTC) if day else datetime.now(UTC)
        cost = pricing.one_way_cost(position["instrument"], position["notional_brl"])
        gain = gain_of(position, order.close_price)
        closed = write(
            POSITIONS,
            position
            | {
                "updated_at": at,
                "current_price": order.close_price,
                "unrealized_pnl_brl": 0.0,
                "unrealized_pnl_usd": 0.0,
                "realized_pnl_brl": gain - cost,
                "realized_pnl_usd": pricing.in_usd(gain - cost, position.get("entry_fx_rate")),
                "transaction_cost_brl": (position["transaction_cost_brl"] or 0.0) + cost,
                "is_open": False,
                "closed_at": at,
                "close_price": order.close_price,
            },
        )
        mark(write, book, closed, day or date.today(), gain)
        journal.record(
            write,
            "CLOSE",
            closed,
            price=order.close_price,
            notes=order.manager_notes,
            system_notes=f"Position closed: realized {gain - cost:.2f} BRL",
            position_id=number,
        )
        if order.outcome_notes:
            journal.record(
                write,
                "NOTE",
                closed,
                price=order.close_price,
                notes=order.outcome_notes,
                system_notes="Outcome",
                position_id=number,
            )
    return closed


def update_price(book: Book, number: int, price: float) -> Row:
    """Set the price of a position, and nothing that follows from it."""
    with book.change() as write:
        position = book.get(POSITIONS, number)
        if position is None:
            raise NotFound(f"Position {number} not found")
        return write(
            POSITIONS, position | {"current_price": price, "updated_at": datetime.now(UTC)}
        )


def mark_to_market(
    book: Book, overrides: Mapping[str, float], fx_rate: float, market: Mapping[str, float] | None
) -> list[Row]:
    """Mark the open positions and return them.

    A position takes the price given for its ticker, else the market's, else the one it has. With
    no *market* at all, its entry price: so the real PMS, whose query for prices fails silently.
    """
    fx_rate = fx_rate or pricing.DEFAULT_FX_RATE
    marked = []
    with book.change() as write:
        for position in book.open_positions():
            ticker, entry = position["instrument"], position["entry_price"]
            known = entry if market is None else market.get(ticker) or position["current_price"]
            price = overrides.get(ticker, known or entry)
            gain = gain_of(position, price)
            row = write(
                POSITIONS,
                position
                | {
                    "updated_at": datetime.now(UTC),
                    "current_price": price,
                    "unrealized_pnl_brl": gain,
                    "unrealized_pnl_usd": pricing.in_usd(gain, fx_rate),
                },
            )
            is_override = ticker in overrides
            more = {"fx_rate": fx_rate, "is_manual_override": is_override}
            mark(write, book, row, date.today(), gain, **more)
            marked.append(row)
    return marked
