# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a smoke test leaves: everything that the PMS shows of the book, compared field by field."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.pms.client import PmsApi
from ansible.module_utils.pmsops.pms.smoke_test_traces import INSTRUMENT, TAG_PREFIX

# The pages that show the book, by the name of their operation, with the query that reads each past
# the cache of the PMS. One that a release does not offer is left out.
VIEWS: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "open positions": ("positions", {"is_open": "true"}),
    "closed positions": ("positions", {"is_open": "false"}),
    "proposals": ("proposals", {}),
    "book": ("book", {"as_of_date": "today"}),
    "result": ("pnl_summary", {"as_of_date": "today"}),
    "equity curve": ("equity_curve", {}),
    "result by dimension": ("pnl_attribution", {}),
    "result by month": ("monthly_heatmap", {}),
    "risk": ("risk", {"as_of_date": "today"}),
    "attribution": ("attribution", {"period": "MTD"}),
}
# What names an item of a list, the first that it has
NAMES = (
    *("id", "position_id", "snapshot_date", "date", "instrument", "strategy_id", "asset_class"),
    *("factor", "label", "limit_name", "scenario", "type", "name", "month"),
)
# Rows say when they were last written, and pages when they were read.
TIMES = frozenset({"updated_at", "timestamp", "as_of_date", "generated_at", "cached"})
# Views of single rows, which no test may change
ROWS = ("open positions", "closed positions", "proposals", "book.positions", "book.closed_today")
# Figures over the results of all days, of which today's now has the costs
OVER_DAYS = (".var.", "=var_", "drawdown")
# Figures over all closed trades
OVER_TRADES = (
    *("return", "ratio", "rate", "avg_", "profit", "drawdown", "vol_pct", "holding_days"),
    *("trades_count", "count"),
)
CENT = 0.01


@dataclass(frozen=True)
class Shown:
    """What the PMS shows of the book at one moment: each field by its path.

    ``own`` counts the rows of smoke tests by view; they are in no field. ``costs_brl`` is what
    their closed positions have realized.
    """

    fields: Mapping[str, Any]
    own: Mapping[str, int] = field(default_factory=dict)
    costs_brl: float = 0.0
    unread: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Remains:
    """The differences between two moments, as text: those of the costs, and all others."""

    costs: tuple[str, ...]
    others: tuple[str, ...]
    own: tuple[str, ...]


def read(api: PmsApi, today: date) -> Shown:
    """Return what the PMS shows of the book now."""
    fields: dict[str, Any] = {}
    own: dict[str, int] = {}
    unread: dict[str, str] = {}
    costs = 0.0
    for view, (operation, query) in VIEWS.items():
        if operation not in api.dialect.paths:
            continue
        days = {
            name: today.isoformat() if said == "today" else said for name, said in query.items()
        }
        try:
            answer = api.ask(operation, query=days)
        except OpsError as exc:
            unread[view] = str(exc)
            continue
        if isinstance(answer, list):
            rows = [row for row in answer if isinstance(row, Mapping)]
            mine = [row for row in rows if is_own(row)]
            own[view] = len(mine)
            if view == "closed positions":
                costs = math.fsum(row.get("realized_pnl_brl") or 0.0 for row in mine)
        fields |= _flat(answer, view)
    return Shown(fields, own, costs, unread)


def compare(before: Shown, after: Shown) -> Remains:
    """Return what differs, each difference with its place, the old and the new value."""
    costs_brl = after.costs_brl - before.costs_brl
    costs: list[str] = []
    others: list[str] = []
    for path in sorted({*before.fields, *after.fields}):
        old, new = before.fields.get(path), after.fields.get(path)
        if _same(old, new):
            continue
        text = f"{path}: {_said(before, path)} before, {_said(after, path)} now"
        (costs if _of_costs(path, old, new, costs_brl) else others).append(text)
    others += [
        f"{view}: readable before, and not now: {why}"
        for view, why in after.unread.items()
        if view not in before.unread
    ]
    own = [
        f"{count - before.own.get(view, 0)} {view}"
        for view, count in after.own.items()
        if count != before.own.get(view, 0)
    ]
    return Remains(tuple(costs), tuple(others), tuple(own))


def is_own(row: Mapping[str, Any]) -> bool:
    """Tell whether a row belongs to a smoke test."""
    return row.get("instrument") == INSTRUMENT or str(row.get("notes") or "").startswith(TAG_PREFIX)


def _flat(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Yield each field with its path; the rows of smoke tests are left out."""
    if isinstance(value, Mapping):
        if is_own(value):
            return
        for name, part in value.items():
            if name not in TIMES and name != INSTRUMENT:
                yield from _flat(part, f"{path}.{name}")
    elif isinstance(value, list):
        for number, part in enumerate(value):
            yield from _flat(part, f"{path}[{_name(part, number)}]")
    else:
        yield path, value


def _name(part: Any, number: int) -> str:
    found = next((name for name in NAMES if isinstance(part, Mapping) and name in part), None)
    return str(number) if found is None else f"{found}={part[found]}"


def _same(old: Any, new: Any) -> bool:
    if _number(old) and _number(new):
        return math.isclose(old, new, rel_tol=1e-9, abs_tol=1e-9)
    return bool(old == new)


def _number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _of_costs(path: str, old: Any, new: Any, costs_brl: float) -> bool:
    """Tell whether a difference is no more than what the closed trades of the test explain.

    A row of the fund has no share in them. An amount of the result may move by their costs at most;
    averages, ratios and counts over all closed trades move with the number of trades.
    """
    if path.startswith(ROWS) or not costs_brl:
        return False
    name = path.rpartition(".")[2]
    if old is None and (name in NAMES or name.startswith("cumulative")):
        return True  # the first trade of this class, or of this day
    if not (_number(old or 0.0) and _number(new or 0.0)):
        return False
    if path.startswith("risk") and any(word in path.lower() for word in OVER_DAYS):
        return True
    if path.startswith("result by dimension") or "pnl" in name:
        return bool(abs((new or 0.0) - (old or 0.0)) <= abs(costs_brl) + CENT)
    return any(word in name for word in OVER_TRADES)


def _said(shown: Shown, path: str) -> str:
    return repr(shown.fields[path]) if path in shown.fields else "nothing"
