# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Correct a mark: given prices for some tickers, the others kept, the result calculated anew.

The PMS marks every open position in one call, and resets those that it is given no price for. So
the call always carries a price for each open ticker.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from statistics import median
from typing import Any

from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.corrections.position_request import (
    DIGEST_LENGTH,
    deviation_percent,
)
from ansible.module_utils.pmsops.incidents import request_log
from ansible.module_utils.pmsops.incidents.record import ActionRecorder
from ansible.module_utils.pmsops.pms import decision_journal, pnl, positions
from ansible.module_utils.pmsops.pms.client import PmsApi
from ansible.module_utils.pmsops.pms.positions import Quote, Row, number
from ansible.module_utils.pmsops.postgresql.connection import Database

KIND = "mark"
USAGE = """-e '{"prices": {"TICKER": PRICE}}'"""
# A result counts as right within a cent, or a billionth of it where it is large.
TOLERANCE_BRL = 0.01
RELATIVE = 1e-9
DEFAULT_FX = 5.0
# In place of prices: the newest close of each open ticker, as the PMS's own data have it.
MARKET = "market"
FX_TICKER = "USDBRL"


@dataclass(frozen=True)
class Limits:
    """From where on a price has to be asked for with ``force``."""

    percent: float = 20.0
    force: bool = False


@dataclass(frozen=True)
class Context:
    """Where a mark is corrected, and on which day."""

    api: PmsApi
    database: Database
    evidence_root: Path
    today: date


@dataclass(frozen=True)
class Arguments:
    """The prices asked for, the rate where one was given, and where they come from."""

    prices: Mapping[str, float]
    fx_rate: float | None
    source: str
    of_market: bool = False

    def digest(self, today: date) -> str:
        """Return what tells this request of this day from every other one."""
        text = json.dumps([sorted(self.prices.items()), self.fx_rate, today.isoformat()])
        return hashlib.sha256(text.encode()).hexdigest()[:DIGEST_LENGTH]


@dataclass(frozen=True)
class Change:
    """A position before and after; the gains are in BRL."""

    position_id: int
    instrument: str
    before: float | None
    after: float
    gain_before: float
    gain_after: float


@dataclass(frozen=True)
class Plan:
    """What is left to do: the call with *overrides*, and the note."""

    asked: Arguments
    overrides: Mapping[str, float]
    fx_rate: float
    changes: tuple[Change, ...]
    must_mark: bool
    must_note: bool
    digest: str
    # How many times it was asked for on this day: marks may become wrong again.
    occasion: int = 1
    only_in_memory: tuple[str, ...] = ()

    @property
    def steps(self) -> tuple[str, ...]:
        """Return the names of the steps that are left."""
        wanted = (("mark", self.must_mark), ("note", self.must_note))
        return tuple(name for name, is_left in wanted if is_left)

    def summary(self) -> str:
        """Return the change in words, previous and new values."""
        lines = [
            f"{each.instrument} (position {each.position_id}) {number(each.before)} ->"
            f" {number(each.after)}, result {each.gain_before:,.2f} -> {each.gain_after:,.2f} BRL"
            for each in self.changes
            if each.instrument in self.asked.prices
        ]
        source = self.asked.source or "not given"
        return f"{'; '.join(lines)}. Source of the prices: {source}. USD at {number(self.fx_rate)}"


def read(prices: Any, fx_rate: Any, source: Any) -> Arguments:
    """Return the arguments as values.

    :raises OpsError: mtm.arguments, with everything that is wrong about them.
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
        rate = _number(fx_rate)
        if rate is None or rate <= 0:
            wrong.append(f"fx_rate is {fx_rate!r}; it takes a number above 0")
    if wrong:
        raise OpsError(
            f"Nothing was changed: {'; '.join(wrong)}.",
            f"Give a number above 0 for each ticker whose mark is wrong: {USAGE}; the others keep"
            " theirs. Numbers have a point and stand without quotes.",
            code="mtm.arguments",
        )
    return Arguments(found, rate, str(source or "").strip(), of_market)


def plan(asked: Arguments, place: Context, limits: Limits) -> Plan:
    """Return what is left to do; everything that can be refused is refused here.

    :raises OpsError: mtm.*, pms.*, database.*.
    """
    stored = positions.stored(place.database)
    quotes = positions.quotes(place.database)
    place.api.login()
    served = positions.served(place.api)
    open_ones = sorted((row for row in served.values() if row["is_open"]), key=_by_id)
    asked = _at_market(asked, open_ones, quotes) if asked.of_market else _known(asked, open_ones)
    digest = asked.digest(place.today)
    entry = request_log.load(place.evidence_root, KIND, digest)
    previous = {int(key): row for key, row in entry.document.get("previous", {}).items()}
    begun = entry.state("mark") is not None
    fx_rate = asked.fx_rate or _implied_fx(open_ones, quotes)
    overrides = _overrides(asked, open_ones)
    changes = tuple(_change(row, overrides, previous.get(row["id"])) for row in open_ones)
    must_mark = not _is_marked(open_ones, asked, fx_rate)
    if must_mark:
        _refuse_stale(served, stored)
        _refuse_doubtful(asked, open_ones, quotes, limits)
    occasion = entry.document.get("occasion", 1)
    noted = begun and decision_journal.find(place.database, _note(digest, occasion, "")) is not None
    return Plan(
        asked,
        overrides,
        fx_rate,
        changes,
        must_mark,
        must_note=must_mark or (begun and not noted),
        digest=digest,
        occasion=occasion,
        only_in_memory=() if must_mark else tuple(_in_memory(changes, stored)),
    )


def correct(
    asked: Arguments, place: Context, limits: Limits, *, record: ActionRecorder
) -> tuple[Plan, list[str]]:
    """Do what is left, and return how it stands and which steps were done.

    :raises OpsError: mtm.*, pms.*, database.*, journal.*, lock.held, incident.unwritable.
    """
    done: list[str] = []
    with request_log.exclusive(place.evidence_root, "correction of a mark"):
        now = plan(asked, place, limits)
        entry = request_log.load(place.evidence_root, KIND, now.digest)
        if now.must_mark:
            # On disk before anything is sent: afterwards nobody knows the marks before.
            entry.update(
                previous=_previous(place.api),
                occasion=_next_occasion(now, entry, place.database),
            )
            now = plan(asked, place, limits)
            with record(describe_step("mark", now)) as action, entry.sending("mark"):
                action.result = _send(now, place)
            done.append("mark")
            now = plan(asked, place, limits)
        if now.must_note:
            with record(describe_step("note", now)) as action:
                written = decision_journal.write(
                    _note(now.digest, now.occasion, now.summary()), place.database, place.api
                )
                action.result = f"entry {written.entry_id} ({written.way})"
            done.append("note")
            now = plan(asked, place, limits)
        wrong = [*(f"{step} is still to be done" for step in now.steps), *_differences(now, place)]
    if wrong:
        raise OpsError(
            f"The marks are not as they have to be: {'; '.join(wrong)}.",
            "Where somebody else marked the book meanwhile (a schedule, the end-of-day pipeline),"
            " run this again; where a result is calculated wrongly, stop trading.",
            code="mtm.unverified",
        )
    return now, done


def describe_step(step: str, now: Plan) -> str:
    """Return a step as it is told."""
    if step == "note":
        return "Note previous and new marks in the decision journal"
    named = ", ".join(f"{name} at {number(price)}" for name, price in now.asked.prices.items())
    kept = len(now.overrides) - len(now.asked.prices)
    return f"Mark {named}; {kept} other tickers keep their marks"


def _send(now: Plan, place: Context) -> str:
    """Mark the whole book, and say how many positions that were."""
    answer = place.api.ask("mtm", {"price_overrides": dict(now.overrides), "fx_rate": now.fx_rate})
    count = answer.get("updated_count") if isinstance(answer, Mapping) else None
    return f"{count} positions marked, USD at {number(now.fx_rate)}"


def _note(digest: str, occasion: int, text: str) -> decision_journal.Note:
    mark = f"marks {digest} {occasion}"
    return decision_journal.Note(mark, "MTM_OVERRIDE", f"Marks corrected: {text}")


def _next_occasion(now: Plan, entry: request_log.SentRequest, database: Database) -> int:
    """Return the number of this marking: the next one, where the one before has its note."""
    if (
        not entry.known
        or decision_journal.find(database, _note(now.digest, now.occasion, "")) is None
    ):
        return now.occasion
    return now.occasion + 1


def _previous(api: PmsApi) -> dict[str, Row]:
    names = ("instrument", "current_price", "unrealized_pnl_brl", "unrealized_pnl_usd")
    return {
        str(row["id"]): {name: row[name] for name in names}
        for row in positions.served(api).values()
        if row["is_open"]
    }


def _by_id(row: Row) -> int:
    return row["id"]


def _number(value: Any) -> float | None:
    if isinstance(value, bool):
        return None
    try:
        found = float(value)
    except (TypeError, ValueError):
        return None
    return found if math.isfinite(found) else None


def _problem(price: Any) -> str | None:
    """Return why something is no price that a position may be marked at, None where it is one."""
    if price is None or price == "":
        return "is missing"
    if isinstance(price, (bool, str, list, dict)):
        return f"is {price!r}, not a number"
    found = _number(price)
    if found is None:
        return f"is {price!r}, not a number"
    return f"is {price}; nothing is marked at 0 or below" if found <= 0 else None


def _at_market(
    asked: Arguments, open_ones: Iterable[Row], quotes: Mapping[str, Quote]
) -> Arguments:
    """Return the request with the newest close of each open ticker that has one.

    :raises OpsError: mtm.market.
    """
    tickers = {row["instrument"] for row in open_ones}
    found = {name: quotes[name] for name in tickers if name in quotes and quotes[name].close}
    if not found:
        raise OpsError(
            f"Nothing was changed: the newest month of market_data has no close of the"
            f" {len(tickers)} open tickers.",
            f"Give prices instead, {USAGE}, and run playbooks/dr_pipeline.yml for the data.",
            code="mtm.market",
        )
    days = sorted({str(each.day) for each in found.values()})
    source = (
        asked.source
        or f"newest closes of market_data, {' to '.join(dict.fromkeys((days[0], days[-1])))}"
    )
    prices = {name: found[name].close for name in sorted(found)}
    return Arguments(prices, asked.fx_rate, source, of_market=True)


def _known(asked: Arguments, open_ones: Iterable[Row]) -> Arguments:
    """Return the request with the book's own spelling of its tickers.

    :raises OpsError: mtm.unknown.
    """
    tickers = {row["instrument"].upper(): row["instrument"] for row in open_ones}
    unknown = sorted(name for name in asked.prices if name.upper() not in tickers)
    if unknown:
        marks = {row["instrument"]: number(row["current_price"]) for row in open_ones}
        shown = ", ".join(f"{name} at {price}" for name, price in sorted(marks.items()))
        raise OpsError(
            f"Nothing was changed: no open position is in {', '.join(unknown)}.",
            f"Open are {shown or 'no positions at all'}.",
            code="mtm.unknown",
        )
    prices = {tickers[name.upper()]: price for name, price in asked.prices.items()}
    return Arguments(prices, asked.fx_rate, asked.source)


def _overrides(asked: Arguments, open_ones: Iterable[Row]) -> dict[str, float]:
    """Return a price for each open ticker.

    :raises OpsError: mtm.ambiguous where the mark to keep is not one.
    """
    marks: dict[str, set[float]] = {}
    for row in open_ones:
        mark = row["entry_price"] if row["current_price"] is None else row["current_price"]
        marks.setdefault(row["instrument"], set()).add(mark)
    kept = {name: values for name, values in marks.items() if name not in asked.prices}
    unclear = {name: values for name, values in kept.items() if len(values) > 1 or None in values}
    if unclear:
        shown = "; ".join(
            f"{name} at {', '.join(map(number, sorted(values - {None})))}"
            for name, values in sorted(unclear.items())
        )
        raise OpsError(
            f"Nothing was changed: positions of one ticker have different marks: {shown}.",
            "The PMS takes one price for a ticker. Give one for these too.",
            code="mtm.ambiguous",
        )
    return {name: next(iter(values)) for name, values in kept.items()} | dict(asked.prices)


def _gain(row: Row, price: float) -> float:
    """Return what a position has gained at a price; the PMS counts 0 without an entry price."""
    if not row["entry_price"]:
        return 0.0
    return pnl.gross(
        asset_class=row["asset_class"],
        direction=row["direction"],
        notional=row["notional_brl"],
        entry=row["entry_price"],
        price=price,
    )


def _change(row: Row, overrides: Mapping[str, float], previous: Row | None) -> Change:
    before = previous or row
    after = overrides[row["instrument"]]
    return Change(
        row["id"],
        row["instrument"],
        before["current_price"],
        after,
        before["unrealized_pnl_brl"] or 0.0,
        _gain(row, after),
    )


def _is_marked(open_ones: Iterable[Row], asked: Arguments, fx_rate: float) -> bool:
    """Tell whether the tickers asked for have these prices and the results that follow."""
    for row in open_ones:
        price = asked.prices.get(row["instrument"])
        if price is None:
            continue
        if row["current_price"] is None or not math.isclose(row["current_price"], price):
            return False
        if _unequal(row, "unrealized_pnl_brl", _gain(row, price)):
            return False
        if asked.fx_rate and _unequal(row, "unrealized_pnl_usd", _gain(row, price) / fx_rate):
            return False
    return True


def _differences(now: Plan, place: Context) -> list[str]:
    """Return where the marked book is not what it has to be, in the tickers not asked for too."""
    found: list[str] = []
    for row in positions.served(place.api).values():
        wanted = now.overrides.get(row["instrument"])
        if not row["is_open"] or wanted is None:
            continue
        found += _unequal(row, "current_price", wanted)
        found += _unequal(row, "unrealized_pnl_brl", _gain(row, wanted))
    return found


def _unequal(row: Row, name: str, wanted: float) -> list[str]:
    seen = row.get(name) or 0.0
    if math.isclose(seen, wanted, rel_tol=RELATIVE, abs_tol=TOLERANCE_BRL):
        return []
    return [f"{name} of position {row['id']} is {seen:,.2f}, calculated {wanted:,.2f}"]


def _implied_fx(open_ones: Iterable[Row], quotes: Mapping[str, Quote]) -> float:
    """Return the rate that the book was last marked with, so that no result in USD moves by it."""
    rates = [
        row["unrealized_pnl_brl"] / row["unrealized_pnl_usd"]
        for row in open_ones
        if row["unrealized_pnl_brl"] and row["unrealized_pnl_usd"]
    ]
    if rates:
        return round(median(rates), 6)
    quote = quotes.get(FX_TICKER)
    return quote.close if quote and quote.close else DEFAULT_FX


def _refuse_stale(served: Mapping[int, Row], stored: Mapping[int, Row]) -> None:
    """Refuse to mark a book that lags behind its database."""
    found = positions.compare(served, stored)
    if found.stale:
        raise OpsError(
            f"The PMS does not show what its database holds: {'; '.join(found.summary())}.",
            "Renew its book first: ansible-playbook playbooks/dr_api.yml; then run this again.",
            code="mtm.stale",
        )


def _refuse_doubtful(
    asked: Arguments, open_ones: list[Row], quotes: Mapping[str, Quote], limits: Limits
) -> None:
    """Refuse prices that are far from the newest close; without one, from the mark.

    A mark that is corrected is wrong, so it speaks only where nothing better is known: of closes
    themselves nothing else is.
    """
    marks = {row["instrument"]: row["current_price"] for row in open_ones}
    doubts = []
    for ticker, price in asked.prices.items():
        quote = None if asked.of_market else quotes.get(ticker)
        close = quote.close if quote else None
        off = deviation_percent(price, close or marks[ticker], limits.percent)
        if off is not None:
            against = f"newest close {number(close)} of {quote.day}" if close else "mark"
            doubts.append(f"{ticker} at {number(price)} is {off:+.1f} % off its {against}")
    rate = quotes.get(FX_TICKER)
    if asked.fx_rate and rate:
        off = deviation_percent(asked.fx_rate, rate.close, limits.percent)
        if off is not None:
            doubts.append(
                f"fx_rate {number(asked.fx_rate)} is {off:+.1f} % off the newest {FX_TICKER}"
            )
    if doubts and not limits.force:
        raise OpsError(
            f"Nothing was changed: {'; '.join(doubts)}; at most {limits.percent:g} % is plausible.",
            "Compare the price with its source; where it is right, add -e force=true.",
            code="mtm.implausible",
        )


def _in_memory(changes: Iterable[Change], stored: Mapping[int, Row]) -> list[str]:
    """Return which marks no database holds."""
    return [
        f"the mark of position {each.position_id}"
        for each in changes
        if each.position_id not in stored
        or not math.isclose(stored[each.position_id]["current_price"] or 0.0, each.after)
    ]
