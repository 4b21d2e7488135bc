# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Prices and results of positions: calculated, and compared with what the PMS reports."""

from __future__ import annotations

import math
from typing import Any

from ansible.module_utils.pmsops.pms import pnl
from ansible.module_utils.pmsops.pms.positions import Row

# Results agree within a cent, or within a billionth of a large amount.
TOLERANCE_BRL = 0.01
RELATIVE_TOLERANCE = 1e-9
# Length of the digest that identifies a request in notes and file names.
# A price is asked about beyond so many times the largest swing of a month, and never below this.
SWINGS = 3.0
LEAST_PERCENT = 3.0
DIGEST_LENGTH = 12


def finite(value: Any) -> float | None:
    """Return a finite number, or None for anything else, True and False included."""
    if isinstance(value, bool):
        return None
    try:
        found = float(value)
    except (TypeError, ValueError):
        return None
    return found if math.isfinite(found) else None


def gain(row: Row, price: float) -> float:
    """Return the unrealized result of a position at a price, in BRL.

    Without an entry price it is 0, as in the PMS.
    """
    if not row["entry_price"]:
        return 0.0
    return pnl.gross(
        asset_class=row["asset_class"],
        direction=row["direction"],
        notional=row["notional_brl"],
        entry=row["entry_price"],
        price=price,
    )


def mismatch(row: Row, name: str, expected: float) -> list[str]:
    """Return a sentence if a value of a position is not the expected one, else nothing."""
    seen = row.get(name) or 0.0
    if math.isclose(seen, expected, rel_tol=RELATIVE_TOLERANCE, abs_tol=TOLERANCE_BRL):
        return []
    return [f"{name} of position {row['id']} is {seen:,.2f}, calculated {expected:,.2f}"]


def plausible_percent(limit: float, swing: float | None) -> float:
    """Return how far a price may be off a close: some of the largest swings of its own market.

    A dollar that moves by 1 % a day is not 9 % off; *limit* is for markets without a history.
    """
    return limit if swing is None else min(limit, max(LEAST_PERCENT, SWINGS * swing))


def deviation_percent(price: float, reference: float | None, limit: float) -> float | None:
    """Return the deviation from a reference in percent, or None within the limit."""
    if not reference or reference <= 0:
        return None
    deviation = 100 * (price / reference - 1)
    return deviation if abs(deviation) > limit else None
