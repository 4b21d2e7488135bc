# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Readings of the book: proposals, marks, result, risk, theses, journal, attribution."""

from __future__ import annotations

from datetime import date
from typing import Any

from ansible.module_utils.pmsops.briefs.reading import Reading, Source, money, percent, price, short

NEWEST_CLOSES = """
SELECT i.ticker, m.close, (m."timestamp" AT TIME ZONE 'UTC')::date
  FROM public.instruments i, LATERAL (
       SELECT close, "timestamp" FROM public.market_data m
        WHERE m.instrument_id = i.id AND m.frequency = 'daily'
          AND m."timestamp" > now() - interval '30 days'
        ORDER BY m."timestamp" DESC LIMIT 1) m
 WHERE i.ticker = ANY(%s)
"""
DAY_RESULT = """
SELECT count(*), coalesce(sum(daily_pnl_brl), 0)
  FROM public.position_pnl_history WHERE snapshot_date = %s
"""
JOURNAL_TYPES = """
SELECT entry_type, count(*) FILTER (WHERE created_at > now() - interval '7 days'),
       count(*) FILTER (WHERE created_at > now() - interval '30 days'), count(*),
       count(*) FILTER (WHERE created_at > now() - interval '30 days'
                          AND coalesce(length(manager_notes), 0) < 10)
  FROM public.decision_journal GROUP BY 1 ORDER BY 1
"""
TOLERANCE_BRL = 1.0
SHORTEST_THESIS = 10
PERIODS = ("MTD", "QTD")


def proposals(source: Source) -> Reading:
    """Return the pending proposals, highest conviction first."""
    found = source.ask("proposals", query={"status": "PENDING"})
    waiting = sorted(found, key=lambda each: each.get("conviction") or 0, reverse=True)
    reading = Reading(
        "Pending proposals",
        [f"{len(waiting)} proposals."],
        ("id", "instrument", "direction", "notional BRL", "conviction", "why"),
        [
            (
                each["id"],
                each["instrument"],
                each["direction"],
                money(each.get("suggested_notional_brl")),
                f"{each.get('conviction') or 0:.2f}",
                short(each.get("rationale")),
            )
            for each in waiting
        ],
    )
    if waiting:
        reading.lines.append(
            "Decide on each in the PMS; a rejection needs notes. Nothing is sent to a broker."
        )
    return reading


def alerts(source: Source) -> Reading:
    """Return the active risk alerts and the state of the limits."""
    risk = source.ask("risk")
    active = risk.get("alerts") or []
    limits = risk.get("limits_summary") or {}
    reading = Reading(
        "Risk",
        [f"Limits: {limits.get('overall_status', 'unknown')}. {len(active)} active alerts."],
        ("alert", "severity", "value", "limit", "message"),
        [
            (
                each.get("type"),
                each.get("severity"),
                f"{each.get('value') or 0:.2f}",
                f"{each.get('limit') or 0:.2f}",
                short(each.get("message")),
            )
            for each in active
        ],
    )
    if limits.get("overall_status") != "OK":
        reading.attention.append(f"risk limits are {limits.get('overall_status', 'unknown')}")
    reading.attention += [
        f"{each.get('type')}: {short(each.get('message'))}"
        for each in active
        if each.get("severity") == "BREACH"
    ]
    return reading


def marks(source: Source) -> Reading:
    """Return the open positions with mark, newest close and the difference."""
    found = source.ask("positions", query={"is_open": "true"})
    closes = {
        ticker: (close, day)
        for ticker, close, day in source.rows(
            NEWEST_CLOSES, (sorted({each["instrument"] for each in found}),)
        )
    }
    reading = Reading(
        "Marks",
        [f"{len(found)} open positions."],
        ("id", "instrument", "direction", "notional BRL", "mark", "market", "day", "move", "P&L"),
    )
    for each in found:
        mark = each.get("current_price")
        close, day = closes.get(each["instrument"], (None, None))
        move = 100 * (close / mark - 1) if close and mark else None
        reading.rows.append(
            (
                each["id"],
                each["instrument"],
                each["direction"],
                money(each["notional_brl"]),
                price(mark),
                price(close),
                day or "no market price",
                percent(move),
                money(each.get("unrealized_pnl_brl")),
            )
        )
        if move is not None and abs(move) > source.move_limit_pct:
            reading.attention.append(
                f"position {each['id']}, {each['instrument']}: the market is {percent(move)} from"
                " its mark"
            )
        if not mark or mark <= 0:
            reading.attention.append(f"position {each['id']}, {each['instrument']} has no mark")
    return reading


def result(source: Source) -> Reading:
    """Return today's result as the PMS reports it, compared with the stored marks."""
    answer = source.ask("pnl_summary")
    reported = answer.get("data", answer)
    count, total = source.rows(DAY_RESULT, (source.today,))[0]
    reading = Reading(
        "Result",
        [],
        ("", "BRL"),
        [
            (name, money(reported.get(key)))
            for name, key in (
                ("today", "pnl_today_brl"),
                ("month to date", "pnl_mtd_brl"),
                ("year to date", "pnl_ytd_brl"),
                ("unrealized", "total_unrealized_pnl_brl"),
                ("realized", "total_realized_pnl_brl"),
            )
        ],
    )
    reading.lines.append(f"{count} marks of {source.today} in the database.")
    if not count:
        reading.attention.append(f"the database holds no mark of {source.today}")
    elif abs(float(reported.get("pnl_today_brl") or 0) - float(total)) > TOLERANCE_BRL:
        reading.attention.append(
            f"today's result is {money(reported.get('pnl_today_brl'))} in the PMS and"
            f" {money(total)} in the marks of the database"
        )
    return reading


def theses(source: Source) -> Reading:
    """Return the thesis of each open position, with its result."""
    found = source.ask("positions", query={"is_open": "true"})
    reading = Reading(
        "Theses",
        [],
        ("id", "instrument", "days held", "P&L BRL", "thesis"),
        [
            (
                each["id"],
                each["instrument"],
                _days(each.get("entry_date"), source.today),
                money(each.get("unrealized_pnl_brl")),
                short(each.get("notes"), 80),
            )
            for each in found
        ],
    )
    bare = [
        str(each["id"])
        for each in found
        if len((each.get("notes") or "").strip()) < SHORTEST_THESIS
    ]
    if bare:
        reading.attention.append(f"no thesis for position {', '.join(bare)}")
    return reading


def journal(source: Source) -> Reading:
    """Return the number of decisions of each kind, and of those without notes."""
    found = source.rows(JOURNAL_TYPES)
    reading = Reading(
        "Decision journal",
        [f"{sum(row[3] for row in found)} entries."],
        ("kind", "7 days", "30 days", "all", "30 days, without notes"),
        [tuple(row) for row in found],
    )
    silent = sum(row[4] for row in found)
    if silent:
        reading.attention.append(f"{silent} entries of the last 30 days have hardly any notes")
    return reading


def attribution(source: Source) -> Reading:
    """Return the result of the month and the quarter by asset class and strategy."""
    reading = Reading("Attribution", [], ("period", "by", "BRL"))
    for period in PERIODS:
        found = source.ask("attribution", query={"period": period})
        total = found.get("total_pnl_brl") or 0.0
        reading.rows.append((period, "all", money(total)))
        for dimension, name in (("by_asset_class", "asset_class"), ("by_strategy", "strategy_id")):
            parts = found.get(dimension) or []
            reading.rows += [(period, each.get(name), money(each.get("pnl_brl"))) for each in parts]
            added = sum(each.get("pnl_brl") or 0.0 for each in parts)
            if parts and abs(added - total) > TOLERANCE_BRL:
                reading.attention.append(
                    f"{period} {dimension} adds up to {money(added)}, the total is {money(total)}"
                )
    return reading


def _days(entry: Any, today: date) -> Any:
    try:
        return (today - date.fromisoformat(str(entry)[:10])).days
    except ValueError:
        return "-"
