# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Profit and loss of a position, calculated independently of the PMS."""

from __future__ import annotations

# One-way cost in basis points of the notional, by the instrument's prefix; the longest wins.
COST_BPS = (
    ("DI_PRE", 1.0),
    ("DI1", 1.0),
    ("DDI", 1.5),
    ("DOL", 0.8),
    ("USDBRL", 2.0),
    ("NDF", 2.0),
    ("NTN_B", 3.0),
    ("NTNB", 3.0),
    ("LTN", 1.5),
    ("UST", 0.6),
    ("ZN", 1.1),
    ("ZF", 1.1),
    ("ES", 1.0),
    ("CDS", 5.0),
    ("IBOV", 1.5),
)
DEFAULT_COST_BPS = 2.0
# Prices of rates instruments are unit prices (PU): quoted for a face value of 100,000.
FACE_VALUE = 100_000.0


def gross(
    *, asset_class: str, direction: str, notional: float, entry: float, price: float
) -> float:
    """Return the gain in BRL of a position of *notional* BRL from *entry* to *price*.

    Only LONG gains when the price rises; anything else counts as short, as it does in the PMS.
    """
    sign = 1.0 if direction.upper() == "LONG" else -1.0
    if asset_class.upper() == "RATES":
        return (price - entry) * notional / FACE_VALUE * sign
    return notional * (price / entry - 1.0) * sign


def one_way_cost(instrument: str, notional: float) -> float:
    """Return the cost of one trade of *notional* BRL, in BRL."""
    name = instrument.upper()
    matching = [(prefix, bps) for prefix, bps in COST_BPS if name.startswith(prefix)]
    bps = max(matching, key=lambda each: len(each[0]))[1] if matching else DEFAULT_COST_BPS
    return notional * bps / 10_000.0


def realized(
    *,
    instrument: str,
    asset_class: str,
    direction: str,
    notional: float,
    entry: float,
    price: float,
) -> float:
    """Return the realized result in BRL of closing at *price*: the gain less the exit cost.

    The entry cost was booked at the opening.
    """
    gain = gross(
        asset_class=asset_class, direction=direction, notional=notional, entry=entry, price=price
    )
    return gain - one_way_cost(instrument, notional)
