# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a smoke test leaves: which differences its costs explain, and which nothing explains."""

from __future__ import annotations

from datetime import date
from types import SimpleNamespace
from typing import Any

import pytest
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.pms import smoke_test_remains as remains
from ansible.module_utils.pmsops.pms.smoke_test_remains import Shown
from ansible.module_utils.pmsops.pms.smoke_test_traces import INSTRUMENT

COSTS = -8.0


def differs(path: str, old: Any, new: Any, costs: float = COSTS) -> str:
    """Return which kind of difference a change of one field is."""
    before = Shown({} if old is None else {path: old})
    found = remains.compare(before, Shown({path: new}, costs_brl=costs))
    if not found.costs and not found.others:
        return "none"
    return "costs" if found.costs else "others"


@pytest.mark.parametrize(
    ("path", "old", "new", "kind"),
    [
        ("result.data.pnl_today_brl", 0.0, -8.0, "costs"),
        ("result.data.pnl_today_brl", 0.0, 500.0, "others"),
        ("book.summary.total_realized_pnl_brl", 1e6, 1e6 - 8, "costs"),
        ("book.summary.total_notional_brl", 1e6, 1e6 + 10_000, "others"),
        ("book.summary.leverage", 1.75, 1.7501, "others"),
        ("book.summary.open_positions", 12, 13, "others"),
        ("open positions[id=3].unrealized_pnl_usd", 10_000.0, 9_615.38, "others"),
        ("open positions[id=3].current_price", 5.0, 5.0 + 1e-12, "none"),
        # The first marks of a day make a new day in every series.
        ("equity curve[snapshot_date=2026-11-29].daily_pnl_brl", None, -8.0, "costs"),
        ("equity curve[snapshot_date=2026-11-29].daily_pnl_brl", None, 500.0, "others"),
        ("equity curve[snapshot_date=2026-11-29].snapshot_date", None, "2026-11-29", "costs"),
        ("equity curve[snapshot_date=2026-11-29].cumulative_pnl_brl", None, -261_890.7, "costs"),
        ("risk.limits_summary.checks[limit_name=VAR_95].current_value", 0.1277, 0.1278, "costs"),
        ("risk.leverage.gross", 1.75, 1.7501, "others"),
        ("attribution.performance_stats.win_rate_pct", 31.0, 30.0, "costs"),
        ("result by dimension.data.by_strategy.DISCRETIONARY", 0.0, -8.0, "costs"),
        ("result by dimension.data.by_strategy.DISCRETIONARY", 0.0, 500.0, "others"),
    ],
)
def test_only_what_the_costs_of_the_test_explain_is_no_fault(path, old, new, kind):
    assert differs(path, old, new) == kind


def test_without_costs_every_difference_is_a_fault():
    assert differs("result.data.pnl_today_brl", 0.0, -8.0, costs=0.0) == "others"


class Api:
    """A PMS that answers each operation with what a test gives it."""

    def __init__(self, **answers: Any) -> None:
        self.answers = answers
        self.dialect = SimpleNamespace(paths=answers)

    def ask(self, operation: str, query: Any) -> Any:
        if isinstance(self.answers[operation], OpsError):
            raise self.answers[operation]
        return self.answers[operation]


def test_rows_of_smoke_tests_are_counted_and_every_other_field_is_read():
    own = {"id": 9, "instrument": INSTRUMENT, "realized_pnl_brl": -4.0, "is_open": False}
    fund = {"id": 1, "instrument": "USDBRL", "current_price": 5.5, "updated_at": "now"}
    api = Api(
        positions=[fund, own],
        pnl_attribution={"data": {"by_instrument": {INSTRUMENT: -4.0, "USDBRL": 7.0}}},
    )
    shown = remains.read(api, date(2026, 11, 29))
    assert shown.fields == {
        f"{view} positions[id=1].{name}": value
        for view in ("open", "closed")
        for name, value in (("id", 1), ("instrument", "USDBRL"), ("current_price", 5.5))
    } | {"result by dimension.data.by_instrument.USDBRL": 7.0}
    assert (shown.own, shown.costs_brl) == ({"open positions": 1, "closed positions": 1}, -4.0)


def test_a_page_that_can_no_longer_be_read_is_a_difference():
    gone = OpsError("GET /api/v1/pms/risk/live answered 500.", "Look.", code="pms.answer")
    before = remains.read(Api(risk={"alerts": []}), date(2026, 11, 29))
    after = remains.read(Api(risk=gone), date(2026, 11, 29))
    assert "risk: readable before, and not now" in remains.compare(before, after).others[-1]
