# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""What follows from the book: its summary, its result by day and by dimension."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable
from datetime import date, timedelta
from statistics import fmean, pstdev
from typing import Any

from pms_service.store import MARKS, POSITIONS, Book, Row

TRADING_DAYS = 252


def total(rows: Iterable[Row], name: str) -> float:
    """Return the sum of a column, whatever is null left out."""
    return sum(row.get(name) or 0.0 for row in rows)


def daily_pnl(book: Book) -> dict[date, float]:
    """Return the result of each day that has marks, the oldest first."""
    days: dict[date, float] = defaultdict(float)
    for row in book.all(MARKS):
        days[row["snapshot_date"]] += row["daily_pnl_brl"] or 0.0
    return dict(sorted(days.items()))


def equity_curve(book: Book, start: date | None = None, end: date | None = None) -> list[Row]:
    """Return the daily and the cumulative result."""
    curve, cumulative = [], 0.0
    for day, pnl in daily_pnl(book).items():
        if (start and day < start) or (end and day > end):
            continue
        cumulative += pnl
        curve.append({"snapshot_date": day, "daily_pnl_brl": pnl, "cumulative_pnl_brl": cumulative})
    return curve


def summary(book: Book, aum: float, today: date) -> Row:
    """Return the book in a few numbers."""
    days = daily_pnl(book)
    month, year = today.replace(day=1), today.replace(month=1, day=1)
    open_ones = book.open_positions()
    notional = total(open_ones, "notional_brl")
    return {
        "aum": aum,
        "total_notional_brl": notional,
        "leverage": notional / aum,
        "open_positions": len(open_ones),
        "pnl_today_brl": days.get(today, 0.0),
        "pnl_mtd_brl": sum(pnl for day, pnl in days.items() if month <= day <= today),
        "pnl_ytd_brl": sum(pnl for day, pnl in days.items() if year <= day <= today),
        "total_unrealized_pnl_brl": total(open_ones, "unrealized_pnl_brl"),
        "total_realized_pnl_brl": total(book.all(POSITIONS), "realized_pnl_brl"),
    }


def by_asset_class(positions: Iterable[Row]) -> dict[str, Row]:
    """Return count, notional and result of the positions of each class."""
    classes: dict[str, Row] = {}
    for row in positions:
        found = classes.setdefault(
            row["asset_class"], {"count": 0, "notional_brl": 0.0, "unrealized_pnl_brl": 0.0}
        )
        found["count"] += 1
        found["notional_brl"] += row["notional_brl"]
        found["unrealized_pnl_brl"] += row["unrealized_pnl_brl"] or 0.0
    return classes


def period(label: str, today: date, start: date | None, end: date | None) -> tuple[date, date]:
    """Return the first and the last day of a period; an unknown one is today.

    :raises ValueError: for custom without its days.
    """
    if label.lower() == "custom":
        if start is None or end is None:
            raise ValueError("custom period requires start_date and end_date")
        return start, end
    starts = {
        "WTD": today - timedelta(days=today.weekday()),
        "MTD": today.replace(day=1),
        "QTD": today.replace(month=(today.month - 1) // 3 * 3 + 1, day=1),
        "YTD": today.replace(month=1, day=1),
        "INCEPTION": date(2000, 1, 1),
    }
    return starts.get(label.upper(), today), today


def attribution(book: Book, label: str, start: date, end: date, aum: float) -> Row:
    """Return the marked result of a period, split in several ways that sum up to it."""
    positions = {row["id"]: row for row in book.all(POSITIONS)}
    gains: dict[int, float] = defaultdict(float)
    for row in book.all(MARKS):
        if start <= row["snapshot_date"] <= end and row["position_id"] in positions:
            gains[row["position_id"]] += row["daily_pnl_brl"] or 0.0
    days = {day: pnl for day, pnl in daily_pnl(book).items() if start <= day <= end}

    def split(key: Callable[[Row], str], name: str, **columns: Callable[[list[Row]], Any]) -> Any:
        groups: dict[str, list[Row]] = defaultdict(list)
        for number in gains:
            groups[key(positions[number])].append(positions[number])
        return [
            {
                name: label,
                "pnl_brl": (pnl := sum(gains[row["id"]] for row in rows)),
                "return_contribution_pct": 100 * pnl / aum,
            }
            | {column: value(rows) for column, value in columns.items()}
            for label, rows in sorted(groups.items())
        ]

    def win_rate(rows: list[Row]) -> float:
        return 100 * sum(gains[row["id"]] > 0 for row in rows) / len(rows)

    by_factor = split(lambda row: row["asset_class"], "factor", strategies_count=len)
    systematic = {number: pnl for number, pnl in gains.items() if positions[number]["strategy_ids"]}
    return {
        "period": {
            "start": start,
            "end": end,
            "calendar_days": (end - start).days + 1,
            "label": label,
        },
        "total_pnl_brl": sum(gains.values()),
        "total_return_pct": 100 * sum(gains.values()) / aum,
        "by_strategy": split(
            lambda row: (row["strategy_ids"] or ["DISCRETIONARY"])[0],
            "strategy_id",
            trades_count=len,
            win_rate_pct=win_rate,
        ),
        "by_asset_class": split(
            lambda row: row["asset_class"],
            "asset_class",
            avg_notional_brl=lambda rows: fmean(row["notional_brl"] for row in rows),
        ),
        "by_instrument": [
            {
                "position_id": number,
                "instrument": positions[number]["instrument"],
                "direction": positions[number]["direction"],
                "pnl_brl": pnl,
                "return_pct": 100 * pnl / positions[number]["notional_brl"],
                "holding_days": (end - positions[number]["entry_date"]).days,
            }
            for number, pnl in gains.items()
        ],
        "by_factor": by_factor,
        "by_time_period": [{"date": day, "pnl_brl": pnl} for day, pnl in days.items()],
        "by_trade_type": {
            "systematic": {"pnl_brl": sum(systematic.values()), "count": len(systematic)},
            "discretionary": {
                "pnl_brl": sum(gains.values()) - sum(systematic.values()),
                "count": len(gains) - len(systematic),
            },
        },
        "performance_stats": performance(list(days.values()), aum),
    }


def performance(pnl: list[float], aum: float) -> dict[str, float | None]:
    """Return the usual figures of a series of daily results."""
    returns = [each / aum for each in pnl]
    wins, losses = [each for each in pnl if each > 0], [each for each in pnl if each < 0]
    mean = fmean(returns) if returns else 0.0
    deviation = pstdev(returns) if len(returns) > 1 else 0.0
    downside = math.sqrt(fmean(min(each, 0.0) ** 2 for each in returns)) if returns else 0.0
    root = math.sqrt(TRADING_DAYS)
    return {
        "annualized_return_pct": 100 * mean * TRADING_DAYS,
        "annualized_vol_pct": 100 * deviation * root,
        "sharpe_ratio": mean / deviation * root if deviation else 0.0,
        "sortino_ratio": mean / downside * root if downside else 0.0,
        "max_drawdown_pct": 100 * max(drawdowns(returns), default=0.0),
        "win_rate_pct": 100 * len(wins) / len(pnl) if pnl else 0.0,
        "profit_factor": sum(wins) / -sum(losses) if losses else None,
        "avg_win_brl": fmean(wins) if wins else 0.0,
        "avg_loss_brl": fmean(losses) if losses else 0.0,
    }


def drawdowns(returns: Iterable[float]) -> list[float]:
    """Return for each day how far the sum of returns is below its peak."""
    level = peak = 0.0
    below = []
    for each in returns:
        level += each
        peak = max(peak, level)
        below.append(peak - level)
    return below
