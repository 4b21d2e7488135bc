# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The request to correct a position: read from arguments, and refused before any change."""

from __future__ import annotations

import difflib
import hashlib
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.corrections.amounts import (
    DIGEST_LENGTH,
    deviation_percent,
    finite,
)
from ansible.module_utils.pmsops.pms.positions import Quote, Row, number, summary

DIRECTIONS = ("LONG", "SHORT")
# The classes with limits in the PMS; the table of instruments may have more.
ASSET_CLASSES = ("RATES", "FX", "INFLATION", "SOVEREIGN", "CREDIT", "EQUITY")
ARGUMENTS = ("position_id", "instrument", "direction", "notional_brl", "price")
USAGE = (
    "-e position_id=ID -e instrument=TICKER -e direction=LONG|SHORT -e notional_brl=AMOUNT"
    " -e price=PRICE"
)


@dataclass(frozen=True)
class PositionLimits:
    """Values beyond these need ``force``."""

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
        """Return the position as a short text."""
        return (
            f"{self.direction} {self.instrument} {self.notional_brl:,.0f} BRL at"
            f" {number(self.price)}"
        )


@dataclass(frozen=True)
class PositionRequest:
    """The wrong position, and the right one in its place.

    Its field names are part of the digest, so of notes that are already in the PMS.
    """

    position_id: int
    right: PositionSpec

    @property
    def digest(self) -> str:
        """Return the identity of this request."""
        text = json.dumps(asdict(self), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:DIGEST_LENGTH]

    def subject(self) -> dict[str, Any]:
        """Return the subject of its incident."""
        return {"position_id": self.position_id, **asdict(self.right)}


@dataclass(frozen=True)
class PositionArguments:
    """The arguments, each valid by itself; the class is optional."""

    position_id: int
    instrument: str
    direction: str
    notional_brl: float
    price: float
    asset_class: str | None


def read(arguments: Mapping[str, Any]) -> PositionArguments:
    """Return the arguments as values.

    :raises OpsError: position.arguments, naming every wrong argument.
    """
    given = {name: _text(arguments.get(name)) for name in (*ARGUMENTS, "asset_class")}
    wrong = [f"{name} is missing" for name in ARGUMENTS if not given[name]]
    identity = given["position_id"]
    if identity and not (identity.isascii() and identity.isdigit()):
        wrong.append(f"position_id is {identity!r}; it takes a position's number")
    direction = given["direction"].upper()
    if direction and direction not in DIRECTIONS:
        wrong.append(f"direction is {given['direction']!r}; it takes {' or '.join(DIRECTIONS)}")
    notional, price = positive(given["notional_brl"]), positive(given["price"])
    wrong += [
        f"{name} is {given[name]!r}; it takes a number above 0, with a point and no separators of"
        " thousands"
        for name, value in (("notional_brl", notional), ("price", price))
        if given[name] and value is None
    ]
    if wrong or notional is None or price is None:
        raise OpsError(
            f"Nothing was changed: {'; '.join(wrong)}.",
            f"Give the right position: {USAGE}; add asset_class if it differs.",
            code="position.arguments",
        )
    return PositionArguments(
        int(identity),
        given["instrument"],
        direction,
        notional,
        price,
        given["asset_class"].upper() or None,
    )


def resolve(
    arguments: PositionArguments,
    wrong: Row,
    quotes: Mapping[str, Quote],
    known: Iterable[Row],
    limits: PositionLimits,
) -> PositionRequest:
    """Return the request for a position of the book; refuse an implausible one without force.

    :raises OpsError: position.arguments, position.implausible.
    """
    tickers = {each.upper(): each for each in quotes}
    tickers |= {row["instrument"].upper(): row["instrument"] for row in known}
    instrument = tickers.get(arguments.instrument.upper(), arguments.instrument)
    quote = quotes.get(instrument)
    classes = sorted(
        set(ASSET_CLASSES)
        | {each.asset_class.upper() for each in quotes.values()}
        | {row["asset_class"].upper() for row in known}
    )
    asset_class = arguments.asset_class or _class_of(instrument, wrong, quote)
    if asset_class not in classes:
        raise OpsError(
            f"Nothing was changed: asset_class is {asset_class!r}, which the PMS does not know.",
            f"It takes {', '.join(classes)}.",
            code="position.arguments",
        )
    spec = PositionSpec(
        instrument, asset_class, arguments.direction, arguments.notional_brl, arguments.price
    )
    doubts = list(_doubts(spec, quote, arguments.instrument.upper() in tickers, tickers, limits))
    if doubts and not limits.force:
        raise OpsError(
            f"Nothing was changed: {'; '.join(doubts)}.",
            "Correct it, or add -e force=true if it is right.",
            code="position.implausible",
        )
    return PositionRequest(arguments.position_id, spec)


def matches(row: Row, right: PositionSpec) -> bool:
    """Tell whether a position is already the right one."""
    return (
        row["instrument"] == right.instrument
        and row["asset_class"].upper() == right.asset_class
        and row["direction"] == right.direction
        and math.isclose(row["notional_brl"], right.notional_brl, rel_tol=1e-12)
        and math.isclose(row["entry_price"] or 0.0, right.price, rel_tol=1e-12)
    )


def unknown(position_id: int, rows: Iterable[Row]) -> OpsError:
    """Return the error for a position that does not exist."""
    open_ones = [row for row in rows if row["is_open"]]
    return OpsError(
        f"Nothing was changed: there is no position {position_id}.",
        f"Open positions: {summary(open_ones)}.",
        code="position.unknown",
    )


def positive(value: Any) -> float | None:
    """Return a number above 0, or None for anything else."""
    found = finite(value)
    return found if found and found > 0 and "_" not in str(value) else None


def _text(value: Any) -> str:
    return "" if value is None or isinstance(value, bool) else str(value).strip()


def _class_of(instrument: str, wrong: Row, quote: Quote | None) -> str:
    """Return the class if none was given: of the wrong position, or of a new instrument."""
    if instrument == wrong["instrument"] or quote is None:
        return str(wrong["asset_class"]).upper()
    return quote.asset_class.upper()


def _doubts(
    spec: PositionSpec,
    quote: Quote | None,
    is_known: bool,
    tickers: Mapping[str, str],
    limits: PositionLimits,
) -> Iterable[str]:
    if not is_known:
        near = difflib.get_close_matches(spec.instrument.upper(), tickers, n=4, cutoff=0.5)
        like = f"; similar are {', '.join(tickers[each] for each in near)}" if near else ""
        yield f"{spec.instrument} is neither an instrument of the PMS nor in the book{like}"
    if quote is not None:
        if quote.asset_class.upper() != spec.asset_class:
            yield (
                f"asset_class is {spec.asset_class}, and {spec.instrument} is"
                f" {quote.asset_class.upper()}"
            )
        # The trade may be weeks old, so the swings of this month say nothing of its price.
        deviation = deviation_percent(spec.price, quote.close, limits.price_percent)
        if deviation is not None:
            yield (
                f"price {number(spec.price)} is {deviation:+.1f} % off the newest close of"
                f" {spec.instrument}, {number(quote.close)} of {quote.day}; at most"
                f" {limits.price_percent:g} % is plausible"
            )
    if spec.notional_brl > limits.notional_brl:
        yield (
            f"notional_brl {spec.notional_brl:,.0f} is above the limit of the fund's assets,"
            f" {limits.notional_brl:,.0f}"
        )
