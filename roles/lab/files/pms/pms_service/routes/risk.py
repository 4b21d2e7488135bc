# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Risk: of the book, and the older routes that read portfolio_returns."""

from __future__ import annotations

from datetime import UTC, date, datetime
from statistics import fmean, pstdev
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Query
from fastapi.responses import RedirectResponse

from pms_service import cache, figures, journal, pricing, risk
from pms_service.auth import Manager, RiskOfficer
from pms_service.models import EmergencyIn
from pms_service.service import Caught, Pms, Service, day
from pms_service.store import Row

TREND_DAYS = 30
router = APIRouter(tags=["PMS - Risk"], route_class=Caught)
documented = APIRouter(tags=["PMS - Risk"], route_class=Caught)
older = APIRouter(tags=["Risk"])


def _live(pms: Service, when: date | None = None) -> dict[str, Any]:
    return risk.live(
        pms.books["risk"],
        pms.settings.aum_brl,
        when or date.today(),
        with_stress=not pms.settings.faithful,
    )


@documented.get("/monitor")
@router.get("/live")
def live(pms: Pms, as_of_date: str | None = None) -> Any:
    """Return the risk of the book against its limits."""
    when = day(as_of_date)
    if when is None and (cached := pms.cache.get(cache.RISK)):
        return cached
    shown = _live(pms, when)
    if when is None:
        pms.cache.put(cache.RISK, shown)
    return shown


@router.get("/summary", include_in_schema=False)
def summary() -> RedirectResponse:
    """Point at the live risk."""
    return RedirectResponse("/api/v1/pms/risk/live", 307)


@router.get("/trend")
def trend(pms: Pms, days: Annotated[int, Query(ge=1)] = TREND_DAYS) -> list[Row]:
    """Return how risk went."""
    book, aum = pms.books["risk"], pms.settings.aum_brl
    pnl = figures.daily_pnl(book)
    below = figures.drawdowns(each / aum for each in pnl.values())
    now = _live(pms)
    rows = [
        {
            "date": when,
            "var_95": now["var"]["parametric_95"],
            "leverage_gross": now["leverage"]["gross"],
            "drawdown_pct": 100 * drawdown,
            "alert_count": len(now["alerts"]),
        }
        for when, drawdown in zip(pnl, below, strict=True)
    ]
    return rows[-min(days, TREND_DAYS) :]


@router.get("/limits")
def limits(pms: Pms) -> dict[str, Any]:
    """Return the limits and what is used of them."""
    config = risk.LIMITS | {"concentration_limits_pct": risk.CONCENTRATION_PCT}
    return {"config": config, "limits_summary": _live(pms)["limits_summary"]}


@router.post("/emergency-stop")
def emergency_stop(user: RiskOfficer, body: EmergencyIn, pms: Pms) -> dict[str, Any]:
    """Write down that everything is to stop; nothing is frozen, as in the PMS."""
    if not body.reason.strip():
        raise HTTPException(400, "reason is required")
    book, now = pms.books["risk"], datetime.now(UTC)
    with book.change() as write:
        journal.record(
            write,
            "SYSTEM_EVENT",
            notes=body.reason,
            system_notes=f"Emergency stop by {user['username']}",
        )
    positions = book.open_positions()
    return {
        "status": "emergency_stop_activated",
        "reason": body.reason,
        "activated_by": user["username"],
        "data": {
            "activated": True,
            "timestamp": now,
            "positions_flagged": len(positions),
            "position_report": [
                {
                    "position_id": row["id"],
                    "instrument": row["instrument"],
                    "notional_brl": row["notional_brl"],
                }
                for row in positions
            ],
            "proposals_frozen": False,
            "checklist": ["Tell the brokers", "Stop the strategies", "Call the administrator"],
            "audit_record": {"reason": body.reason, "confirmation": body.manager_confirmation},
        },
    }


@router.post("/emergency-stop/reset")
def reset(user: Manager, pms: Pms) -> dict[str, Any]:
    """Write down that it goes on."""
    with pms.books["risk"].change() as write:
        journal.record(
            write, "SYSTEM_EVENT", system_notes=f"Emergency stop reset by {user['username']}"
        )
    data = {"reset": True, "timestamp": datetime.now(UTC), "manager": user["username"]}
    return {"status": "ok", "data": data}


# --- the older routes: what portfolio_returns says ----------------------------------------------


def _returns(pms: Service) -> list[float]:
    rows = pms.database.rows(
        "SELECT daily_return FROM portfolio_returns ORDER BY return_date DESC LIMIT %(days)s",
        {"days": figures.TRADING_DAYS},
    )
    return [row["daily_return"] for row in rows]


def _envelope(data: Any) -> dict[str, Any]:
    return {"status": "ok", "data": data, "meta": {"timestamp": datetime.now(UTC)}}


@older.get("/var")
def var(pms: Pms) -> dict[str, Any]:
    """Return the value at risk of the fund's returns."""
    returns = sorted(_returns(pms))
    if len(returns) < 2:
        return _envelope({"var_95": None, "var_99": None, "n_observations": len(returns)})
    return _envelope(
        {
            "var_95": -returns[int(0.05 * len(returns))],
            "var_99": -returns[int(0.01 * len(returns))],
            "parametric_95": risk.NORMAL_95 * pstdev(returns) - fmean(returns),
            "n_observations": len(returns),
        }
    )


@older.get("/stress")
def stress(pms: Pms) -> dict[str, Any]:
    """Return what scenarios would cost."""
    return _envelope(risk.stress_tests(pms.books["risk"].open_positions(), pms.settings.aum_brl))


@older.get("/limits")
def older_limits(pms: Pms) -> dict[str, Any]:
    """Return the limits."""
    return _envelope(limits(pms))


@older.get("/dashboard")
@older.get("/report")
def dashboard(pms: Pms) -> dict[str, Any]:
    """Return value at risk, stress and limits together."""
    parts = {"var": var(pms), "stress": stress(pms), "limits": older_limits(pms)}
    shown = {name: part["data"] for name, part in parts.items()}
    return _envelope(shown | {"fx_rate": pricing.DEFAULT_FX_RATE})
