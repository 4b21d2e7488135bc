# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The stand-in PMS's rules, against the toolkit's own."""

from __future__ import annotations

import sys
from datetime import UTC, date, datetime, timedelta

import pytest
from ansible.module_utils.pmsops.pms import journal_hash, pnl

from tests.conftest import PROJECT

sys.path.insert(0, str(PROJECT / "roles/lab/files/pms"))
from pms_service import figures, journal, pricing, store
from pms_service.settings import Settings


@pytest.mark.parametrize("direction", ["LONG", "SHORT", "SIDEWAYS"])
@pytest.mark.parametrize(
    ("asset_class", "entry", "price"), [("FX", 5.2, 5.46), ("RATES", 75_400.0, 75_120.5)]
)
def test_the_result_is_the_one_that_the_toolkit_calculates(asset_class, direction, entry, price):
    assert pricing.gross_pnl(asset_class, direction, 1e7, entry, price) == pytest.approx(
        pnl.gross(
            asset_class=asset_class, direction=direction, notional=1e7, entry=entry, price=price
        )
    )


@pytest.mark.parametrize(
    "instrument", ["DI1F29", "DI_PRE_5Y", "USDBRL_PTAX", "NTN_B_2035", "GOLD", "zn_fut", "ES_FUT"]
)
def test_the_cost_is_the_one_that_the_toolkit_calculates(instrument):
    assert pricing.one_way_cost(instrument, 1e7) == pytest.approx(pnl.one_way_cost(instrument, 1e7))


def test_an_entry_has_the_hash_that_the_toolkit_recomputes():
    position = {"instrument": "USDBRL", "direction": "LONG", "notional_brl": 10_000_000}
    written = []
    entry = journal.record(
        lambda _table, row: written.append(row) or row,
        "OPEN",
        position,
        price=5,
        notes="não é \N{EURO SIGN}",
    )
    assert written == [entry]
    assert entry["is_locked"] is True
    assert entry["content_hash"] == journal_hash.content_hash(entry)


class Given:
    """A storage with rows, that fails to write when told so."""

    def __init__(self, rows: store.Rows) -> None:
        self.rows = {table: {} for table in store.TABLES} | rows
        self.private = store.PrivateStorage(None)

    def load(self) -> store.Rows:
        return self.rows

    def writing(self, rows: store.Rows):
        return self.private.writing(rows)


def test_a_change_that_fails_leaves_the_book_as_it_was():
    book = store.Book(Given({}))
    with pytest.raises(ZeroDivisionError), book.change() as write:
        write(store.POSITIONS, {"instrument": "USDBRL"})
        raise ZeroDivisionError
    assert book.all(store.POSITIONS) == []
    with book.change() as write:
        assert write(store.POSITIONS, {"instrument": "USDBRL"})["id"] == 1
    assert book.get(store.POSITIONS, 1) == {"id": 1, "instrument": "USDBRL"}


def test_each_way_to_split_the_result_sums_up_to_it():
    first = date(2026, 11, 2)
    positions = {
        number: {
            "id": number,
            "instrument": ("USDBRL", "IBOV")[number % 2],
            "asset_class": ("FX", "EQUITY")[number % 2],
            "direction": "LONG",
            "notional_brl": 1e6,
            "entry_date": first,
            "strategy_ids": ["FX-01"] if number % 2 else None,
            "is_open": True,
            "closed_at": datetime(2026, 11, 9, tzinfo=UTC),
        }
        for number in (1, 2, 3)
    }
    marks = {
        n: {
            "id": n,
            "position_id": n % 3 + 1,
            "snapshot_date": first + timedelta(days=n // 3),
            "daily_pnl_brl": 100.0 * n - 900,
        }
        for n in range(20)
    }
    book = store.Book(Given({store.POSITIONS: positions, store.MARKS: marks}))
    split = figures.attribution(book, "MTD", first, first + timedelta(days=30), 1e8)
    assert split["total_pnl_brl"] == sum(mark["daily_pnl_brl"] for mark in marks.values())
    for name in ("by_strategy", "by_asset_class", "by_instrument", "by_factor", "by_time_period"):
        total = sum(each["pnl_brl"] for each in split[name])
        assert total == pytest.approx(split["total_pnl_brl"]), name


def test_only_users_with_a_password_exist_and_an_unknown_mode_is_refused():
    settings = Settings.from_environment({"PMS_MANAGER_PASSWORD": "x", "FUND_AUM_BRL": "5e7"})
    assert list(settings.passwords) == ["manager"]
    assert settings.aum_brl == 5e7
    with pytest.raises(ValueError, match="PMS_MODE"):
        Settings.from_environment({"PMS_MODE": "strict"})
