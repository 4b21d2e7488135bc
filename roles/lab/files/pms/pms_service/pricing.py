# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The PMS's rules for profit, loss and costs."""

from __future__ import annotations

# Prices of rates instruments are unit prices, for a face value of 100,000.
FACE_VALUE = 100_000.0
DEFAULT_FX_RATE = 5.0
DEFAULT_COST_BPS = 2.0
# One way, by the instrument's prefix.
COST_BPS = {
    "DI1": 1.0,
    "DI_PRE": 1.0,
    "DDI": 1.5,
    "DOL": 0.8,
    "USDBRL": 2.0,
    "NDF": 2.0,
    "NTN_B": 3.0,
    "NTNB": 3.0,
    "LTN": 1.5,
    "UST": 0.6,
    "ZN": 1.1,
    "ZF": 1.1,
    "ES": 1.0,
    "CDS": 5.0,
    "IBOV": 1.5,
}


def gross_pnl(
    asset_class: str, direction: str, notional: float, entry: float, price: float
) -> float:
    """Return the gain in BRL; whatever is not LONG counts as short."""
    sign = 1.0 if direction == "LONG" else -1.0
    if asset_class == "RATES":
        return (price - entry) * notional / FACE_VALUE * sign
    return notional * (price / entry - 1.0) * sign


def one_way_cost(instrument: str, notional: float) -> float:
    """Return the cost of one trade in BRL."""
    bps = next(
        (bps for prefix, bps in COST_BPS.items() if instrument.upper().startswith(prefix)),
        DEFAULT_COST_BPS,
    )
    return notional * bps / 10_000.0


def in_usd(brl: float, fx_rate: float | None) -> float:
    """Return an amount in USD."""
    return brl / (fx_rate or DEFAULT_FX_RATE)
