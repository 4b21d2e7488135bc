# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Profit and loss by the rule of the PMS, against figures seen on the running service."""

from __future__ import annotations

import pytest
from ansible.module_utils.pmsops.pms import pnl

USDBRL = {"asset_class": "FX", "direction": "LONG", "notional": 10_000_000.0, "entry": 5.20}


def test_a_mark_gives_what_the_running_service_gave():
    assert pnl.gross(**USDBRL, price=5.46) == pytest.approx(500_000.0)


def test_closing_gives_what_the_running_service_gave():
    assert pnl.realized(instrument="USDBRL", **USDBRL, price=5.30) == pytest.approx(190_307.69)


def test_closing_at_the_entry_price_costs_the_exit():
    realized = pnl.realized(
        instrument="USDBRL",
        asset_class="FX",
        direction="LONG",
        notional=15_000_000.0,
        entry=5.20,
        price=5.20,
    )
    assert realized == pytest.approx(-3_000.0)


def test_a_short_position_gains_when_the_price_falls():
    assert pnl.gross(**(USDBRL | {"direction": "SHORT"}), price=5.46) == pytest.approx(-500_000.0)


def test_rates_are_counted_in_unit_prices():
    gain = pnl.gross(
        asset_class="RATES", direction="LONG", notional=5_000_000.0, entry=98_000.0, price=98_100.0
    )
    assert gain == pytest.approx(5_000.0)


@pytest.mark.parametrize(
    ("instrument", "bps"),
    [("DI1F27", 1.0), ("DI_PRE_252", 1.0), ("DOLF27", 0.8), ("NTN_B_2035", 3.0), ("XYZ", 2.0)],
)
def test_the_cost_follows_from_the_beginning_of_the_ticker(instrument, bps):
    assert pnl.one_way_cost(instrument, 10_000.0) == pytest.approx(bps)
