# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The correction of marks: signs of results, kept marks, kills, notes and refusals."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.corrections import amounts
from ansible.module_utils.pmsops.corrections.marks import correct, describe_step
from ansible.module_utils.pmsops.corrections.marks_plan import MarkPlan, plan
from ansible.module_utils.pmsops.corrections.marks_request import MarkLimits, at_market, read
from ansible.module_utils.pmsops.incidents import request_log

from tests.unit.corrections.conftest import TODAY, Killed, World, record

PRICES = {"usdbrl": 5.25}


@pytest.fixture
def book(world: World) -> World:
    """Return a long and a short position in dollars, and one in euros, marked at a rate of 5."""
    world.open("USDBRL")
    world.open("USDBRL", direction="SHORT", notional_brl=4e6)
    world.open("EURUSD", execution_price=1.0)
    world.book.mark({"price_overrides": {"USDBRL": 52.0, "EURUSD": 1.1}, "fx_rate": 5.0})
    return world


def corrected(world: World, prices: Any = PRICES, **options: Any) -> tuple[MarkPlan, list[str]]:
    arguments = read(prices, options.pop("fx_rate", None), "the tests")
    limits = options.pop("limits", MarkLimits())
    return correct(arguments, world.context(**options), limits, record=record)


def values(world: World) -> list[tuple[float, float]]:
    return [(row["current_price"], row["unrealized_pnl_brl"]) for row in world.book.positions]


def test_a_wrong_mark_is_corrected_with_the_sign_of_each_position_and_others_are_kept(book):
    euro = values(book)[2]
    now, done = corrected(book)
    assert done == ["mark", "note"]
    long, short = values(book)[:2]
    assert long == (5.25, pytest.approx(10e6 * (5.25 / 5.2 - 1)))
    assert short == (5.25, pytest.approx(-4e6 * (5.25 / 5.2 - 1)))
    assert long[1] > 0 > short[1]
    assert values(book)[2] == euro
    assert [each.gain_after for each in now.changes[:2]] == [long[1], short[1]]
    assert now.only_in_memory == ()
    assert corrected(book)[1] == []


def test_the_rate_of_the_last_marking_is_kept_so_that_no_result_in_dollars_moves(book):
    before = book.book.positions[2]["unrealized_pnl_usd"]
    now, _done = corrected(book)
    assert now.fx_rate == 5.0
    assert book.book.positions[2]["unrealized_pnl_usd"] == pytest.approx(before)


def test_a_given_rate_is_used_and_checked(book):
    now, _done = corrected(book, fx_rate=5.5)
    assert now.fx_rate == 5.5
    gain = book.book.positions[0]["unrealized_pnl_brl"]
    assert book.book.positions[0]["unrealized_pnl_usd"] == pytest.approx(gain / 5.5)
    assert corrected(book, fx_rate=5.5)[1] == []
    book.book.positions[0]["unrealized_pnl_usd"] *= 2
    assert corrected(book, fx_rate=5.5)[1] == ["mark", "note"]


@pytest.mark.parametrize("fault", ["unsigned_pnl", "wrong_pnl"])
def test_a_pms_that_calculates_wrongly_is_an_error(book, fault):
    book.book.faults.add(fault)
    with pytest.raises(OpsError, match="unrealized_pnl_brl of position") as caught:
        corrected(book)
    assert caught.value.code == "mtm.unverified"
    assert "stop trading" in caught.value.remedy


def test_a_plan_changes_nothing_and_says_old_and_new(book):
    before = values(book)
    now = plan(read(PRICES, None, "PTAX"), book.context(), MarkLimits())
    assert now.steps == ("mark", "note")
    assert values(book) == before
    assert "USDBRL (position 1) 52 -> 5.25" in now.summary()
    assert "Source of the prices: PTAX. USD at 5" in now.summary()
    assert describe_step("mark", now) == "Mark USDBRL at 5.25; 1 other tickers keep their marks"
    assert describe_step("note", now).startswith("Note previous and new marks")


def test_the_note_has_the_marks_before_the_first_run(book):
    with pytest.raises(Killed):
        corrected(book, die_after="/mtm")
    assert values(book)[0][0] == 5.25
    _now, done = corrected(book)
    assert done == ["note"]
    (note,) = book.entries("MTM_OVERRIDE")
    assert "USDBRL (position 1) 52 -> 5.25" in note["manager_notes"]
    assert "the tests" in note["manager_notes"]


def test_a_run_that_was_killed_before_the_marking_is_done_again(book):
    with pytest.raises(Killed):
        corrected(book, die_before="/mtm")
    assert corrected(book)[1] == ["mark", "note"]
    assert len(book.entries("MTM_OVERRIDE")) == 1


def test_a_mark_that_becomes_wrong_again_is_corrected_and_noted_again(book):
    corrected(book)
    book.book.mark({"price_overrides": {"USDBRL": 52.0, "EURUSD": 1.1}, "fx_rate": 5.0})
    assert corrected(book)[1] == ["mark", "note"]
    assert len(book.entries("MTM_OVERRIDE")) == 2
    assert corrected(book)[1] == []


def test_the_market_marks_every_ticker_with_a_close(book):
    now, _done = corrected(book, "market", limits=MarkLimits(force=True))
    assert [price for price, _gain in values(book)] == [5.3, 5.3, 1.1]
    assert now.arguments.source == "the tests"
    found = at_market(read("market", None, None), [{"instrument": "USDBRL"}], quotes(book))
    assert found.source == "newest closes of market_data, 2026-11-24"
    book.book.positions[2]["current_price"] = 9.9
    with pytest.raises(OpsError, match=r"EURUSD at 1.1 is -88.9 % off its mark"):
        corrected(book, "market")


def quotes(world: World) -> Any:
    from ansible.module_utils.pmsops.pms import positions

    return positions.quotes(world.database)


def test_without_any_close_the_market_is_refused(book):
    with pytest.raises(OpsError, match="no close of the 1 open tickers") as caught:
        at_market(read("market", None, None), [{"instrument": "OLD"}], quotes(book))
    assert caught.value.code == "mtm.market"


@pytest.mark.parametrize(
    ("prices", "fx_rate", "says"),
    [
        (None, None, "prices is missing"),
        ({}, None, "prices is empty"),
        ("5.46", None, "not a mapping"),
        ({"USDBRL": None}, None, "price of USDBRL is missing"),
        ({"USDBRL": "5,2"}, None, "not a number"),
        ({"USDBRL": True}, None, "not a number"),
        ({"USDBRL": float("nan")}, None, "not a number"),
        ({"USDBRL": 0}, None, "at 0 or below"),
        ({"USDBRL": -5.0}, None, "at 0 or below"),
        (PRICES, "-1", "fx_rate is '-1'"),
        (PRICES, "x", "fx_rate is 'x'"),
    ],
)
def test_a_wrong_argument_is_named(prices, fx_rate, says):
    with pytest.raises(OpsError, match="Nothing was changed") as caught:
        read(prices, fx_rate, None)
    assert caught.value.code == "mtm.arguments"
    assert says in str(caught.value)


def refused(world: World, code: str, prices: Any = PRICES, **options: Any) -> str:
    before = values(world)
    with pytest.raises(OpsError) as caught:
        corrected(world, prices, **options)
    assert caught.value.code == code
    assert values(world) == before
    return f"{caught.value} {caught.value.remedy}"


def test_a_ticker_without_an_open_position_is_refused_with_the_open_ones(book):
    assert "EURUSD at 1.1, USDBRL at 52" in refused(book, "mtm.unknown", {"GBPUSD": 1.3})


def test_a_price_far_from_the_close_needs_force(book):
    text = refused(book, "mtm.implausible", {"USDBRL": 7.0})
    assert "USDBRL at 7 is +32.1 % off its newest close 5.3 of 2026-11-24" in text
    assert "force=true" in text
    assert corrected(book, {"USDBRL": 7.0}, limits=MarkLimits(force=True))[1] == ["mark", "note"]


def test_without_a_close_a_price_is_compared_with_the_mark(book):
    del book.database.quotes["USDBRL"]
    assert "off its mark" in refused(book, "mtm.implausible")


def test_a_rate_far_from_the_newest_one_needs_force(book):
    assert "newest USDBRL" in refused(book, "mtm.implausible", fx_rate=50.0)


def test_different_marks_of_one_ticker_need_a_price(book):
    book.open("EURUSD", execution_price=1.2)
    assert "EURUSD at 1.1, 1.2" in refused(book, "mtm.ambiguous")
    assert corrected(book, PRICES | {"EURUSD": 1.15})[1] == ["mark", "note"]


def test_a_book_older_than_its_database_is_not_marked(book):
    book.database.stored = [*book.book.positions, book.book.positions[0] | {"id": 9}]
    assert "dr_api.yml" in refused(book, "mtm.stale")


def test_a_mark_that_only_the_memory_of_the_pms_holds_is_reported(book):
    book.database.stored = [dict(row) for row in book.book.positions[:2]]
    now, _done = corrected(book)
    assert now.only_in_memory == tuple(f"the mark of position {number}" for number in (1, 2, 3))


def test_one_correction_at_a_time(book):
    with request_log.exclusive(book.root, "something else"):
        refused(book, "lock.held")


def test_a_book_that_was_never_marked_uses_the_newest_rate_or_the_default(world):
    world.open("EURUSD", execution_price=1.1)
    prices = {"EURUSD": 1.12}
    assert plan(read(prices, None, None), world.context(), MarkLimits()).fx_rate == 5.3
    del world.database.quotes["USDBRL"]
    assert plan(read(prices, None, None), world.context(), MarkLimits()).fx_rate == 5.0


# --- amounts --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asset_class", "direction", "entry", "price", "gain"),
    [
        ("FX", "LONG", 5.0, 5.5, 1e5),
        ("FX", "LONG", 5.0, 4.5, -1e5),
        ("FX", "SHORT", 5.0, 5.5, -1e5),
        ("FX", "SHORT", 5.0, 4.5, 1e5),
        ("RATES", "LONG", 75_000.0, 76_000.0, 1e4),
        ("RATES", "SHORT", 75_000.0, 76_000.0, -1e4),
        ("FX", "LONG", None, 5.5, 0.0),
        ("FX", "LONG", 0.0, 5.5, 0.0),
    ],
)
def test_a_gain_has_its_sign(asset_class, direction, entry, price, gain):
    row = {
        "asset_class": asset_class,
        "direction": direction,
        "notional_brl": 1e6,
        "entry_price": entry,
    }
    assert amounts.gain(row, price) == pytest.approx(gain)


@pytest.mark.parametrize(
    ("seen", "expected", "equal"),
    [
        (100.0, 100.009, True),
        (100.0, 100.02, False),
        (-100.0, 100.0, False),
        (None, 0.0, True),
        (1e12, 1e12 + 500, True),
    ],
)
def test_results_agree_to_a_cent_or_a_billionth(seen, expected, equal):
    assert (amounts.mismatch({"id": 1, "x": seen}, "x", expected) == []) is equal


@pytest.mark.parametrize(
    ("price", "reference", "deviation"),
    [
        (12.0, 10.0, None),
        (12.1, 10.0, 21.0),
        (7.9, 10.0, -21.0),
        (5.0, 0.0, None),
        (5.0, None, None),
    ],
)
def test_a_deviation_has_its_sign_and_a_limit(price, reference, deviation):
    found = amounts.deviation_percent(price, reference, 20.0)
    assert found == (None if deviation is None else pytest.approx(deviation))


def test_the_digest_is_that_of_release_0_1_so_that_its_notes_are_found():
    assert date(2026, 11, 25) == TODAY
    assert read({"USDBRL": 5.25}, None, "any").digest(TODAY) == "a8e48d2868e4"


def test_a_price_that_its_market_never_moves_to_is_asked_about_with_what_it_would_move():
    from ansible.module_utils.pmsops.corrections.marks_request import refuse_implausible
    from ansible.module_utils.pmsops.pms.positions import Quote

    row = {
        "instrument": "USDBRL", "current_price": 5.0, "entry_price": 5.0, "notional_brl": 50e6,
        "unrealized_pnl_brl": 0.0, "direction": "LONG", "asset_class": "FX",
    }  # fmt: skip
    quotes = {"USDBRL": Quote("USDBRL", "FX", 5.0, TODAY, swing=1.2)}
    refuse_implausible(read({"USDBRL": 5.15}, None, ""), [row], quotes, MarkLimits())
    with pytest.raises(OpsError) as caught:
        refuse_implausible(read({"USDBRL": 5.46}, 5.46, ""), [row], quotes, MarkLimits())
    assert "of which 3.6 % is plausible" in str(caught.value)
    assert "would move the result by +4,600,000 BRL" in str(caught.value)
    assert "fx_rate 5.46" in str(caught.value)
    # A market that swings by 10 % a day keeps the general limit; so does one without a history.
    assert amounts.plausible_percent(20.0, 10.0) == 20.0
    assert amounts.plausible_percent(20.0, None) == 20.0
    assert amounts.plausible_percent(20.0, 0.1) == 3.0
