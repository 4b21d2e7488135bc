# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The request to correct marks: read from arguments, completed from the book, and refused early."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from statistics import median
from typing import Any

from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.corrections.amounts import (
    DIGEST_LENGTH,
    deviation_percent,
    finite,
    gain,
    plausible_percent,
)
from ansible.module_utils.pmsops.pms.positions import Quote, Row, number

USAGE = """-e '{"prices": {"TICKER": PRICE}}'"""
DEFAULT_FX = 5.0
# In context of prices: the newest close of each open ticker in the PMS's market data.
MARKET = "market"
FX_TICKER = "USDBRL"


@dataclass(frozen=True)
class MarkLimits:
    """Prices that deviate by more than this, or than their market swings, need ``force``."""

    percent: float = 20.0
    force: bool = False


@dataclass(frozen=True)
class MarkArguments:
    """The given prices, the exchange rate if one was given, and the source of both."""

    prices: Mapping[str, float]
    fx_rate: float | None
    source: str
    of_market: bool = False

    def digest(self, today: date) -> str:
        """Return the identity of this request on this day."""
        text = json.dumps([sorted(self.prices.items()), self.fx_rate, today.isoformat()])
        return hashlib.sha256(text.encode()).hexdigest()[:DIGEST_LENGTH]


def read(prices: Any, fx_rate: Any, source: Any) -> MarkArguments:
    """Return the arguments as values.

    :raises OpsError: mtm.arguments, naming every wrong argument.
    """
    wrong: list[str] = []
    found: dict[str, float] = {}
    of_market = prices == MARKET
    if prices is None or prices == "":
        wrong.append("prices is missing")
    elif of_market:
        pass
    elif not isinstance(prices, Mapping):
        wrong.append(f"prices is {type(prices).__name__}, not a mapping of tickers to prices")
    elif not prices:
        wrong.append("prices is empty")
    else:
        for ticker, price in prices.items():
            if problem := _problem(price):
                wrong.append(f"the price of {ticker} {problem}")
            else:
                found[str(ticker).strip()] = float(price)
    rate = None
    if fx_rate not in (None, ""):
        rate = finite(fx_rate)
        if rate is None or rate <= 0:
            wrong.append(f"fx_rate is {fx_rate!r}; it takes a number above 0")
    if wrong:
        raise OpsError(
            f"Nothing was changed: {'; '.join(wrong)}.",
            f"Give a number above 0 for each ticker with a wrong mark: {USAGE}; the others keep"
            " theirs. Write numbers with a point and without quotes.",
            code="mtm.arguments",
        )
    return MarkArguments(found, rate, str(source or "").strip(), of_market)


def _problem(price: Any) -> str | None:
    """Return why a value is no valid price, or None if it is one."""
    if price is None or price == "":
        return "is missing"
    if isinstance(price, (bool, str, list, dict)):
        return f"is {price!r}, not a number"
    found = finite(price)
    if found is None:
        return f"is {price!r}, not a number"
    return f"is {price}; no position is marked at 0 or below" if found <= 0 else None


def at_market(
    arguments: MarkArguments, open_ones: Iterable[Row], quotes: Mapping[str, Quote]
) -> MarkArguments:
    """Return the request with the newest close of each open ticker.

    :raises OpsError: mtm.market.
    """
    tickers = {row["instrument"] for row in open_ones}
    closes = {name: quotes[name].close for name in sorted(tickers) if name in quotes}
    prices = {name: close for name, close in closes.items() if close}
    if not prices:
        raise OpsError(
            f"Nothing was changed: the last 30 days of market_data have no close of the"
            f" {len(tickers)} open tickers.",
            f"Give prices instead, {USAGE}, and run playbooks/dr_pipeline.yml to load the data.",
            code="mtm.market",
        )
    days = sorted({str(quotes[name].day) for name in prices})
    source = (
        arguments.source
        or f"newest closes of market_data, {' to '.join(dict.fromkeys((days[0], days[-1])))}"
    )
    return MarkArguments(prices, arguments.fx_rate, source, of_market=True)


def with_known_tickers(arguments: MarkArguments, open_ones: Iterable[Row]) -> MarkArguments:
    """Return the request with the tickers as the book spells them.

    :raises OpsError: mtm.unknown.
    """
    tickers = {row["instrument"].upper(): row["instrument"] for row in open_ones}
    unknown = sorted(name for name in arguments.prices if name.upper() not in tickers)
    if unknown:
        marks = {row["instrument"]: number(row["current_price"]) for row in open_ones}
        shown = ", ".join(f"{name} at {price}" for name, price in sorted(marks.items()))
        raise OpsError(
            f"Nothing was changed: no open position is in {', '.join(unknown)}.",
            f"Open positions: {shown or 'none'}.",
            code="mtm.unknown",
        )
    prices = {tickers[name.upper()]: price for name, price in arguments.prices.items()}
    return MarkArguments(prices, arguments.fx_rate, arguments.source)


def complete_prices(arguments: MarkArguments, open_ones: Iterable[Row]) -> dict[str, float]:
    """Return a price for each open ticker: the given one, or its present mark.

    :raises OpsError: mtm.ambiguous if the positions of a ticker have different marks.
    """
    marks: dict[str, set[float]] = {}
    for row in open_ones:
        mark = row["entry_price"] if row["current_price"] is None else row["current_price"]
        marks.setdefault(row["instrument"], set()).add(mark)
    kept = {name: values for name, values in marks.items() if name not in arguments.prices}
    unclear = {name: values for name, values in kept.items() if len(values) > 1 or None in values}
    if unclear:
        shown = "; ".join(
            f"{name} at {', '.join(map(number, sorted(values - {None})))}"
            for name, values in sorted(unclear.items())
        )
        raise OpsError(
            f"Nothing was changed: positions of one ticker have different marks: {shown}.",
            "The PMS takes one price for each ticker. Give a price for these too.",
            code="mtm.ambiguous",
        )
    return {name: next(iter(values)) for name, values in kept.items()} | dict(arguments.prices)


def implied_fx(open_ones: Iterable[Row], quotes: Mapping[str, Quote]) -> float:
    """Return the exchange rate of the last marking, so that it changes no result in USD."""
    rates = [
        row["unrealized_pnl_brl"] / row["unrealized_pnl_usd"]
        for row in open_ones
        if row["unrealized_pnl_brl"] and row["unrealized_pnl_usd"]
    ]
    if rates:
        return float(round(median(rates), 6))
    quote = quotes.get(FX_TICKER)
    return quote.close if quote and quote.close else DEFAULT_FX


def refuse_implausible(
    arguments: MarkArguments, open_ones: list[Row], quotes: Mapping[str, Quote], limits: MarkLimits
) -> None:
    """Refuse prices that deviate too far from the newest close, or without one from the mark.

    The mark may itself be wrong, so it counts only if there is no close. Prices that are closes
    are compared with the mark.

    :raises OpsError: mtm.implausible.
    """
    marks = {row["instrument"]: row["current_price"] for row in open_ones}
    doubts = []
    for ticker, price in arguments.prices.items():
        quote = None if arguments.of_market else quotes.get(ticker)
        close = quote.close if quote else None
        most = plausible_percent(limits.percent, quote.swing if quote else None)
        deviation = deviation_percent(price, close or marks[ticker], most)
        if deviation is not None:
            against = f"newest close {number(close)} of {quote.day}" if quote and close else "mark"
            moved = sum(
                gain(row, price) - (row["unrealized_pnl_brl"] or 0.0)
                for row in open_ones
                if row["instrument"] == ticker
            )
            doubts.append(
                f"{ticker} at {number(price)} is {deviation:+.1f} % off its {against}, of which"
                f" {most:.3g} % is plausible, and would move the result by {moved:+,.0f} BRL"
            )
    rate = quotes.get(FX_TICKER)
    if arguments.fx_rate and rate:
        most = plausible_percent(limits.percent, rate.swing)
        deviation = deviation_percent(arguments.fx_rate, rate.close, most)
        if deviation is not None:
            doubts.append(
                f"fx_rate {number(arguments.fx_rate)} is {deviation:+.1f} % off the newest"
                f" {FX_TICKER}, of which {most:.3g} % is plausible"
            )
    if doubts and not limits.force:
        raise OpsError(
            f"Nothing was changed: {'; '.join(doubts)}.",
            "Compare the price with its source; if it is right, add -e force=true.",
            code="mtm.implausible",
        )
