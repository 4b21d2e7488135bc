# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is asked of a correction: read from arguments, refused in words before any change."""

from __future__ import annotations

import difflib
import hashlib
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.pms.positions import Quote, Row, number, summary

DIRECTIONS = ("LONG", "SHORT")
# Those that the PMS has limits for; the table of instruments may know more.
ASSET_CLASSES = ("RATES", "FX", "INFLATION", "SOVEREIGN", "CREDIT", "EQUITY")
ARGUMENTS = ("position_id", "instrument", "direction", "notional_brl", "price")
USAGE = (
    "-e position_id=ID -e instrument=TICKER -e direction=LONG|SHORT -e notional_brl=AMOUNT"
    " -e price=PRICE"
)
DIGEST_LENGTH = 12


@dataclass(frozen=True)
class Limits:
    """From where on a value has to be asked for with ``force``."""

    price_percent: float = 20.0
    notional_brl: float = 400_000_000.0
    force: bool = False


@dataclass(frozen=True)
class PositionSpec:
    """The right position."""

    instrument: str
    asset_class: str
    direction: str
    notional_brl: float
    price: float

    def describe(self) -> str:
        """Return it in a few words."""
        return (
            f"{self.direction} {self.instrument} {self.notional_brl:,.0f} BRL at"
            f" {number(self.price)}"
        )


@dataclass(frozen=True)
class Request:
    """Which position is wrong, and what is right instead."""

    position_id: int
    right: PositionSpec

    @property
    def digest(self) -> str:
        """Return what tells this request from every other one."""
        text = json.dumps(asdict(self), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:DIGEST_LENGTH]

    def subject(self) -> dict[str, Any]:
        """Return what an incident about it is about."""
        return {"position_id": self.position_id, **asdict(self.right)}


@dataclass(frozen=True)
class Arguments:
    """The arguments, each for itself checked; the class may have been left out."""

    position_id: int
    instrument: str
    direction: str
    notional_brl: float
    price: float
    asset_class: str | None


def read(arguments: Mapping[str, Any]) -> Arguments:
    """Return the arguments as values.

    :raises OpsError: position.arguments, with everything that is wrong about them.
    """
    given = {name: _text(arguments.get(name)) for name in (*ARGUMENTS, "asset_class")}
    wrong = [f"{name} is missing" for name in ARGUMENTS if not given[name]]
    identity = None
    if given["position_id"]:
        if given["position_id"].isascii() and given["position_id"].isdigit():
            identity = int(given["position_id"])
        else:
            wrong.append(f"position_id is {given['position_id']!r}; it takes a position's number")
    direction = given["direction"].upper()
    if direction and direction not in DIRECTIONS:
        wrong.append(f"direction is {given['direction']!r}; it takes {' or '.join(DIRECTIONS)}")
    values = {}
    for name in ("notional_brl", "price"):
        if given[name]:
            values[name] = positive(given[name])
            if values[name] is None:
                wrong.append(
                    f"{name} is {given[name]!r}; it takes a number above 0, with a point and no"
                    " separators of thousands"
                )
    if wrong:
        raise OpsError(
            f"Nothing was changed: {'; '.join(wrong)}.",
            f"Give the right position: {USAGE}; asset_class where it is another one's too.",
            code="position.arguments",
        )
    return Arguments(
        identity,
        given["instrument"],
        direction,
        values["notional_brl"],
        values["price"],
        given["asset_class"].upper() or None,
    )


def resolve(
    asked: Arguments,
    wrong: Row,
    quotes: Mapping[str, Quote],
    known: Iterable[Row],
    limits: Limits,
) -> Request:
    """Return the request against a book, refused where it is implausible and not forced.

    :raises OpsError: position.arguments, position.implausible.
    """
    tickers = {each.upper(): each for each in quotes}
    tickers |= {row["instrument"].upper(): row["instrument"] for row in known}
    instrument = tickers.get(asked.instrument.upper(), asked.instrument)
    quote = quotes.get(instrument)
    classes = sorted(
        set(ASSET_CLASSES)
        | {each.asset_class.upper() for each in quotes.values()}
        | {row["asset_class"].upper() for row in known}
    )
    asset_class = asked.asset_class or _class_of(instrument, wrong, quote)
    if asset_class not in classes:
        raise OpsError(
            f"Nothing was changed: asset_class is {asset_class!r}, which the PMS does not know.",
            f"It takes {', '.join(classes)}.",
            code="position.arguments",
        )
    trade = PositionSpec(instrument, asset_class, asked.direction, asked.notional_brl, asked.price)
    doubts = list(_doubts(trade, quote, asked.instrument.upper() in tickers, tickers, limits))
    if doubts and not limits.force:
        raise OpsError(
            f"Nothing was changed: {'; '.join(doubts)}.",
            "Correct it, or add -e force=true where it is meant.",
            code="position.implausible",
        )
    return Request(asked.position_id, trade)


def is_the_same(wrong: Row, right: PositionSpec) -> bool:
    """Tell whether a position is already what it is wanted to be."""
    return (
        wrong["instrument"] == right.instrument
        and wrong["asset_class"].upper() == right.asset_class
        and wrong["direction"] == right.direction
        and math.isclose(wrong["notional_brl"], right.notional_brl, rel_tol=1e-12)
        and math.isclose(wrong["entry_price"] or 0.0, right.price, rel_tol=1e-12)
    )


def unknown(position_id: int, rows: Iterable[Row]) -> OpsError:
    """Return the refusal of a position that is not there."""
    open_ones = [row for row in rows if row["is_open"]]
    return OpsError(
        f"Nothing was changed: there is no position {position_id}.",
        f"Open are {summary(open_ones)}.",
        code="position.unknown",
    )


def positive(value: Any) -> float | None:
    """Return a number above 0, None for anything else."""
    try:
        found = float(value)
    except (TypeError, ValueError):
        return None
    return found if math.isfinite(found) and found > 0 and "_" not in str(value) else None


def deviation_percent(price: float, reference: float | None, percent: float) -> float | None:
    """Return by how many percent a price is off, None where that is within the limit."""
    if not reference or reference <= 0:
        return None
    off = 100 * (price / reference - 1)
    return off if abs(off) > percent else None


def _text(value: Any) -> str:
    return "" if value is None or isinstance(value, bool) else str(value).strip()


def _class_of(instrument: str, wrong: Row, quote: Quote | None) -> str:
    """Return the class where none was given: the wrong one's, unless the instrument has another."""
    if instrument == wrong["instrument"] or quote is None:
        return wrong["asset_class"].upper()
    return quote.asset_class.upper()


def _doubts(
    trade: PositionSpec,
    quote: Quote | None,
    is_known: bool,
    tickers: Mapping[str, str],
    limits: Limits,
) -> Iterable[str]:
    if not is_known:
        near = difflib.get_close_matches(trade.instrument.upper(), tickers, n=4, cutoff=0.5)
        like = f"; like it are {', '.join(tickers[each] for each in near)}" if near else ""
        yield f"neither the table of instruments nor the book knows {trade.instrument}{like}"
    if quote is not None:
        if quote.asset_class.upper() != trade.asset_class:
            yield (
                f"asset_class is {trade.asset_class}, and {trade.instrument} is"
                f" {quote.asset_class.upper()}"
            )
        off = deviation_percent(trade.price, quote.close, limits.price_percent)
        if off is not None:
            yield (
                f"price {number(trade.price)} is {off:+.1f} % off the newest close of"
                f" {trade.instrument}, {number(quote.close)} of {quote.day}; at most"
                f" {limits.price_percent:g} % is plausible"
            )
    if trade.notional_brl > limits.notional_brl:
        yield (
            f"notional_brl {trade.notional_brl:,.0f} is more than the assets bear,"
            f" {limits.notional_brl:,.0f}"
        )
