# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The morning pack: what the fund reads before the opening."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

import psycopg2
from fastapi.encoders import jsonable_encoder

from pms_service import figures
from pms_service.database import Database
from pms_service.positions import market_prices
from pms_service.store import BRIEFINGS, PROPOSALS, Book, Row

AGENTS = (
    "inflation_agent",
    "monetary_agent",
    "fiscal_agent",
    "fx_agent",
    "cross_asset_agent",
)
WATCHED = ["USDBRL", "DXY", "IBOV", "ES_FUT", "VIX", "UST_10Y", "BRENT", "GOLD"]
NEUTRAL = {"signal_direction": "NEUTRAL", "conviction": 0.0, "narrative_excerpt": ""}
NEWEST_VIEWS = """
    SELECT DISTINCT ON (r.agent_id) r.agent_id, r.narrative, s.value, s.confidence
      FROM agent_reports r
      LEFT JOIN signals s ON s.signal_type = r.agent_id AND s.signal_date = r.as_of_date
     WHERE r.as_of_date BETWEEN %(day)s::date - 30 AND %(day)s
     ORDER BY r.agent_id, r.as_of_date DESC, r.id DESC
"""
TOP_SIGNALS = """
    SELECT i.ticker AS instrument, s.signal_type, s.value, s.confidence
      FROM signals s JOIN instruments i ON i.id = s.instrument_id
     WHERE s.signal_date = (SELECT max(signal_date) FROM signals
                             WHERE signal_date BETWEEN %(day)s::date - 30 AND %(day)s)
     ORDER BY abs(s.value) DESC LIMIT 10
"""


def section(make: Callable[[], Any]) -> Any:
    """Return a section, or that it is not available."""
    try:
        return make()
    except psycopg2.Error as exc:
        return {"status": "unavailable", "reason": type(exc).__name__}


def agent_views(database: Database | None, day: date) -> list[Row]:
    """Return what the five agents think; without a database, nothing."""
    found = {}
    if database:
        found = {row["agent_id"]: row for row in database.rows(NEWEST_VIEWS, {"day": day})}
    views = []
    for agent in AGENTS:
        view = {"agent_id": agent, "key_drivers": [], "risks": []} | NEUTRAL
        if row := found.get(agent):
            value = row["value"] or 0.0
            view |= {
                "signal_direction": "LONG" if value > 0 else "SHORT",
                "conviction": row["confidence"] or 0.0,
                "narrative_excerpt": (row["narrative"] or "")[:200],
            }
        views.append(view)
    return views


def action_items(pending: list[Row], positions: list[Row]) -> list[Row]:
    """Return what is to be done today."""
    items = [
        {
            "priority": "HIGH",
            "category": "PROPOSAL",
            "description": f"Decide on {row['direction']} {row['instrument']}",
            "urgency": "today",
        }
        for row in pending
    ]
    losing = [row for row in positions if (row["unrealized_pnl_brl"] or 0) < -1_000_000]
    items += [
        {
            "priority": "MEDIUM",
            "category": "POSITION",
            "description": f"Review {row['instrument']}, which lost more than 1 million BRL",
            "urgency": "today",
        }
        for row in losing
    ]
    return items


def compose(book: Book, database: Database | None, day: date, aum: float) -> Row:
    """Return the columns of a day's briefing. *database* is none where the real PMS fails."""
    pending = [row for row in book.all(PROPOSALS) if row["status"] == "PENDING"]
    positions = book.open_positions()
    state = figures.summary(book, aum, day)
    unavailable = {"status": "unavailable", "reason": "no database session"}
    market: Any = {}
    signals: Any = unavailable
    if database:
        market = section(lambda: market_prices(database, WATCHED))
        signals = section(lambda: database.rows(TOP_SIGNALS, {"day": day}))
    return jsonable_encoder(
        {
            "market_snapshot": market,
            "regime_assessment": {
                "current_regime": "GOLDILOCKS",
                "probabilities": {"GOLDILOCKS": 0.6, "REFLATION": 0.4},
                "transition_risk": 0.2,
            },
            "agent_views": section(lambda: agent_views(database, day)),
            "top_signals": signals,
            "signal_changes": [] if database else unavailable,
            "portfolio_state": state,
            "trade_proposals": pending,
            "risk_summary": {"leverage": state["leverage"]},
            "macro_narrative": (
                f"Morning pack of {day}: {len(positions)} open positions at"
                f" {state['leverage']:.2f} times the assets, {len(pending)} proposals to decide on."
            ),
            "action_items": action_items(pending, positions),
        }
    )


def generate(book: Book, database: Database | None, day: date, aum: float, *, force: bool) -> Row:
    """Return the pack of a day, made anew if there is none or *force* is set."""
    known = of_day(book, day)
    if known and not force:
        return known
    made = compose(book, database, day, aum)
    made |= {"briefing_date": day, "created_at": datetime.now(UTC)}
    if database is None:
        made["metadata_json"] = {"id": str(uuid.uuid4())}
    with book.change() as write:
        return write(BRIEFINGS, made)


def of_day(book: Book, day: date) -> Row | None:
    """Return the newest pack of a day."""
    found = [row for row in book.all(BRIEFINGS) if row["briefing_date"] == day]
    return found[-1] if found else None


def latest(book: Book) -> Row | None:
    """Return the pack that was generated last, whatever its day."""
    return max(book.all(BRIEFINGS), key=lambda row: row["created_at"], default=None)


def shown(row: Row) -> Row:
    """Return a pack as the API shows it."""
    return {
        "id": (row.get("metadata_json") or {}).get("id") or str(row["id"]),
        "briefing_date": row["briefing_date"],
        "created_at": row["created_at"],
        "action_items": row["action_items"] or [],
        "trade_proposals": row["trade_proposals"] or [],
        "market_snapshot": row["market_snapshot"],
        "agent_views": row["agent_views"],
        "regime": row["regime_assessment"],
        "top_signals": row["top_signals"],
        "signal_changes": row["signal_changes"],
        "portfolio_state": row["portfolio_state"],
        "macro_narrative": row["macro_narrative"],
    }
