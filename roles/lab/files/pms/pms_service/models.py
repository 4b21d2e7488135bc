# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""What requests must look like, and what answers do. Unknown fields are ignored, as in the PMS."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any

from pydantic import BaseModel, Field

Positive = Annotated[float, Field(gt=0)]


class PositionOut(BaseModel):
    """A position; what is not known is null."""

    id: int
    instrument: str
    asset_class: str
    direction: str
    notional_brl: float
    entry_price: float | None = None
    entry_date: date
    current_price: float | None = None
    unrealized_pnl_brl: float | None = None
    unrealized_pnl_usd: float | None = None
    realized_pnl_brl: float | None = None
    realized_pnl_usd: float | None = None
    transaction_cost_brl: float | None = None
    is_open: bool
    closed_at: datetime | None = None
    close_price: float | None = None
    quantity: float | None = None
    notional_usd: float | None = None
    entry_fx_rate: float | None = None
    entry_dv01: float | None = None
    entry_delta: float | None = None
    entry_convexity: float | None = None
    entry_var_contribution: float | None = None
    entry_spread_duration: float | None = None
    strategy_ids: list[str] | None = None
    strategy_weights: dict[str, float] | None = None
    notes: str | None = None
    rate_pct: float | None = None
    business_days: int | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None


class OpenIn(BaseModel):
    """A trade to book."""

    instrument: str
    asset_class: str
    direction: str
    notional_brl: Positive
    execution_price: Positive
    manager_thesis: Annotated[str, Field(min_length=5)]
    entry_date: date | None = None
    target_price: float | None = None
    stop_loss: float | None = None
    time_horizon: str | None = None
    strategy_ids: list[str] = []


class CloseIn(BaseModel):
    """How a position was closed."""

    close_price: Positive
    close_date: date | None = None
    manager_notes: str | None = None
    outcome_notes: str | None = None


class PriceIn(BaseModel):
    """A price for one position."""

    price: Positive


class MtmIn(BaseModel):
    """Prices by ticker; positions of other tickers take the market's."""

    price_overrides: dict[str, float] = {}
    fx_rate: float = 5.0


class MtmOut(BaseModel):
    """What marking to market gave."""

    status: str
    updated_count: int
    positions: list[PositionOut]


class ProposalOut(BaseModel):
    """A proposal."""

    id: int
    instrument: str
    asset_class: str
    direction: str
    suggested_notional_brl: float
    conviction: float
    signal_source: str | None = None
    agent_id: str | None = None
    agent: str | None = None
    strategy_ids: list[str] | None = None
    rationale: str | None = None
    risk_impact: dict[str, Any] | None = None
    status: str
    execution_price: float | None = None
    execution_notional_brl: float | None = None
    position_id: int | None = None
    notes: str | None = None
    created_at: datetime | None = None
    reviewed_at: datetime | None = None


class GenerateIn(BaseModel):
    """Signals to make proposals of."""

    signals: list[dict[str, Any]] | None = None
    as_of_date: date | None = None


class ApproveIn(BaseModel):
    """How an approved proposal was executed."""

    execution_price: Positive
    execution_notional_brl: Positive
    manager_notes: str | None = None
    manager_thesis: str | None = None
    target_price: float | None = None
    stop_loss: float | None = None
    time_horizon: str | None = None


class RejectIn(BaseModel):
    """Why a proposal is rejected."""

    manager_notes: Annotated[str, Field(min_length=3)]


class ModifyIn(BaseModel):
    """What of a proposal was executed."""

    modified_direction: str | None = None
    modified_notional_brl: Positive | None = None
    execution_price: Positive | None = None
    manager_notes: str | None = None


class EntryOut(BaseModel):
    """An entry of the decision journal."""

    id: int
    created_at: datetime
    entry_type: str
    position_id: int | None = None
    proposal_id: int | None = None
    instrument: str | None = None
    direction: str | None = None
    notional_brl: float | None = None
    manager_notes: str | None = None
    system_notes: str | None = None
    content_hash: str
    is_locked: bool


class EntryIn(BaseModel):
    """An entry that the manager writes himself."""

    entry_type: str = "NOTE"
    content: Annotated[str, Field(min_length=5)]
    related_position_id: int | None = None


class OutcomeIn(BaseModel):
    """What became of a decision."""

    outcome_notes: Annotated[str, Field(min_length=5)]
    realized_pnl_assessment: str | None = None


class PackIn(BaseModel):
    """Which morning pack to generate."""

    briefing_date: date | None = None
    force: bool = False


class EmergencyIn(BaseModel):
    """Why everything is to stop."""

    reason: str
    manager_confirmation: str = "Confirmed by the risk officer"


class AgentIn(BaseModel):
    """The day that an agent is to report on."""

    date: str | None = None


class LoginIn(BaseModel):
    """Who wants a token."""

    username: str
    password: str


class RefreshIn(BaseModel):
    """A token to renew others with."""

    refresh_token: str


class AlertIn(BaseModel):
    """Where to send a test alert."""

    channel: Annotated[str, Field(pattern="^(slack|email|both)$")] = "both"
