# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the steps of one smoke test share: the PMS, the rows created so far, the comparisons."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from ansible.module_utils.pmsops.pms.client import PmsApi
from ansible.module_utils.pmsops.pms.smoke_test_remains import Shown
from ansible.module_utils.pmsops.pms.smoke_test_traces import Mismatch, Rows, Traces

ASSET_CLASS = "FX"
NOTIONAL = 10_000.0
DEFAULT_FX = 5.0
TOLERANCE = 0.01  # BRL


@dataclass
class CreatedRows:
    """What the test has created so far."""

    position: dict[str, Any] = field(default_factory=dict)
    hedge: dict[str, Any] = field(default_factory=dict)
    closed: dict[str, Any] = field(default_factory=dict)
    to_approve: dict[str, Any] = field(default_factory=dict)
    to_reject: dict[str, Any] = field(default_factory=dict)
    # The answer to the approval, also where its position is not in the book
    approved: dict[str, Any] = field(default_factory=dict)
    pack: dict[str, Any] = field(default_factory=dict)
    fx_rate: float = DEFAULT_FX
    # What the PMS showed of the book before the first trade, and every difference at the end
    before: Shown | None = None
    differences: list[str] = field(default_factory=list)
    all_closed: bool = False


@dataclass(frozen=True)
class Run:
    """One run against one PMS.

    *rows* runs one SELECT and returns its rows as dicts; it may raise OpsError.
    """

    api: PmsApi
    rows: Rows
    tag: str
    today: date
    traces: Traces
    created: CreatedRows = field(default_factory=CreatedRows)
    # Whether the operator accepts what a trade leaves on a book with positions
    accepts: bool = False


def same(seen: Any, expected: Any) -> bool:
    """Tell whether two values are equal, numbers to a cent."""
    if isinstance(expected, bool) or expected is None:
        return seen is expected
    if isinstance(expected, (int, float)):
        return isinstance(seen, (int, float)) and math.isclose(seen, expected, abs_tol=TOLERANCE)
    return bool(seen == expected)


def require(seen: Mapping[str, Any], **expected: Any) -> None:
    """Check the values of *seen*.

    :raises Mismatch: naming the first value that differs.
    """
    for name, value in expected.items():
        if not same(seen[name], value):
            raise Mismatch(f"{name} is {seen[name]}, not {value}")


def ids(things: Sequence[Mapping[str, Any]]) -> str:
    """Return the ids as one line."""
    return listed([each["id"] for each in things])


def listed(things: Sequence[Any]) -> str:
    """Return the values as one line."""
    return ", ".join(str(each) for each in things)
