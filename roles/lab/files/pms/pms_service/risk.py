# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The risk of the book against its limits, which are constants, as in the PMS."""

from __future__ import annotations

from datetime import date
from statistics import pstdev
from typing import Any

from pms_service import figures
from pms_service.store import Book, Row

LIMITS = {
    "var_95_limit_pct": 2.0,
    "var_99_limit_pct": 3.0,
    "gross_leverage_limit": 4.0,
    "net_leverage_limit": 2.0,
    "drawdown_warning_pct": 5.0,
    "drawdown_limit_pct": 10.0,
    "warning_threshold_pct": 80.0,
}
CONCENTRATION_PCT = {
    "RATES": 60.0,
    "FX": 40.0,
    "INFLATION": 30.0,
    "SOVEREIGN": 20.0,
    "CREDIT": 20.0,
    "EQUITY": 30.0,
}
MINIMUM_DAYS = 20
NORMAL_95, NORMAL_99 = 1.645, 2.326
# Moves of the price in percent, by asset class.
SCENARIOS = {
    "2008 financial crisis": {"FX": 25, "RATES": -4, "INFLATION": -8, "EQUITY": -40, "CREDIT": 60},
    "2013 taper tantrum": {"FX": 12, "RATES": -3, "INFLATION": -7, "EQUITY": -15, "CREDIT": 25},
    "2015 downgrade of Brazil": {"FX": 20, "RATES": -5, "INFLATION": -9, "EQUITY": -18},
    "2017 Joesley day": {"FX": 8, "RATES": -3, "INFLATION": -4, "EQUITY": -9, "CREDIT": 20},
    "2020 pandemic": {"FX": 28, "RATES": -4, "INFLATION": -10, "EQUITY": -45, "CREDIT": 70},
    "2022 rate shock": {"FX": -5, "RATES": -3, "INFLATION": -3, "EQUITY": -12, "CREDIT": 10},
}


def status_of(used_pct: float) -> str:
    """Return how near a limit is."""
    if used_pct > 100:
        return "BREACHED"
    return "WARNING" if used_pct >= LIMITS["warning_threshold_pct"] else "OK"


def check(name: str, value: float, limit: float) -> Row:
    """Return one value against its limit."""
    used = 100 * value / limit
    return {
        "limit_name": name,
        "current_value": value,
        "limit_value": limit,
        "utilization_pct": used,
        "status": status_of(used),
    }


def stress_tests(positions: list[Row], aum: float) -> list[Row]:
    """Return what each scenario would cost."""
    tests = []
    for name, moves in SCENARIOS.items():
        pnl = sum(
            row["notional_brl"]
            * moves.get(row["asset_class"], 0)
            / 100
            * (1 if row["direction"] == "LONG" else -1)
            for row in positions
        )
        tests.append({"scenario": name, "pnl_brl": pnl, "pnl_pct": 100 * pnl / aum})
    return tests


def concentration(positions: list[Row]) -> dict[str, Row]:
    """Return the share of each class in the notional."""
    notional = figures.total(positions, "notional_brl")
    shares = {}
    for name, found in figures.by_asset_class(positions).items():
        share = 100 * found["notional_brl"] / notional
        limit = CONCENTRATION_PCT.get(name, 20.0)
        used = 100 * share / limit
        shares[name] = {
            "notional_pct": share,
            "limit_pct": limit,
            "utilization_pct": used,
            "status": status_of(used),
        }
    return shares


def live(book: Book, aum: float, as_of: date, *, with_stress: bool) -> dict[str, Any]:
    """Return the risk of the book."""
    positions = book.open_positions()
    returns = [pnl / aum for pnl in figures.daily_pnl(book).values()][-figures.TRADING_DAYS :]
    deviation = 100 * pstdev(returns) if len(returns) >= MINIMUM_DAYS else 0.0
    var_95, var_99 = NORMAL_95 * deviation, NORMAL_99 * deviation
    below = figures.drawdowns(returns) if len(returns) >= MINIMUM_DAYS else [0.0]
    gross = figures.total(positions, "notional_brl") / aum
    longs = [row for row in positions if row["direction"] == "LONG"]
    net = 2 * figures.total(longs, "notional_brl") / aum - gross
    classes = concentration(positions)
    largest = sorted((row["notional_brl"] for row in positions), reverse=True)[:3]
    drawdown = 100 * below[-1]
    checks = [
        check("VAR_95", var_95, LIMITS["var_95_limit_pct"]),
        check("VAR_99", var_99, LIMITS["var_99_limit_pct"]),
        check("GROSS_LEVERAGE", gross, LIMITS["gross_leverage_limit"]),
        check("NET_LEVERAGE", abs(net), LIMITS["net_leverage_limit"]),
        check("DRAWDOWN", drawdown, LIMITS["drawdown_limit_pct"]),
    ]
    alerts = [
        {
            "type": f"CONCENTRATION_{name}",
            "severity": "BREACH" if found["status"] == "BREACHED" else "WARNING",
            "message": f"{name} is {found['notional_pct']:.1f} % of the notional",
            "value": found["notional_pct"],
            "limit": found["limit_pct"],
        }
        for name, found in classes.items()
        if found["status"] != "OK"
    ]
    worst = max((each["status"] for each in checks), key=["OK", "WARNING", "BREACHED"].index)
    return {
        "as_of_date": as_of,
        "var": {
            "parametric_95": var_95,
            "parametric_99": var_99,
            "monte_carlo_95": None,
            "monte_carlo_99": None,
            "limit_95_pct": LIMITS["var_95_limit_pct"],
            "limit_99_pct": LIMITS["var_99_limit_pct"],
            "utilization_95_pct": checks[0]["utilization_pct"],
            "utilization_99_pct": checks[1]["utilization_pct"],
        },
        "leverage": {
            "gross": gross,
            "net": net,
            "limit_gross": LIMITS["gross_leverage_limit"],
            "limit_net": LIMITS["net_leverage_limit"],
            "utilization_gross_pct": checks[2]["utilization_pct"],
            "utilization_net_pct": checks[3]["utilization_pct"],
        },
        "drawdown": {
            "current_drawdown_pct": drawdown,
            "max_drawdown_pct": 100 * max(below, default=0.0),
            "limit_pct": LIMITS["drawdown_limit_pct"],
            "warning_pct": LIMITS["drawdown_warning_pct"],
            "days_in_drawdown": next(
                (days for days, each in enumerate(reversed(below)) if each == 0), len(below)
            ),
        },
        "concentration": {
            "by_asset_class": classes,
            "top_3_positions_pct": 100 * sum(largest) / (gross * aum) if gross else 0.0,
        },
        "stress_tests": stress_tests(positions, aum) if with_stress else [],
        "limits_summary": {"overall_status": worst, "checks": checks},
        "alerts": alerts,
    }
