# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The arguments of a correction: what is read, completed and refused."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.corrections.position_request import (
    PositionLimits,
    PositionRequest,
    PositionSpec,
    matches,
    positive,
    read,
    resolve,
    unknown,
)
from ansible.module_utils.pmsops.pms.positions import Quote

GIVEN = {
    "position_id": "7",
    "instrument": " usdbrl ",
    "direction": "short",
    "notional_brl": "15000000",
    "price": "5.41",
}
QUOTES = {
    "USDBRL": Quote("USDBRL", "FX", 5.4, date(2026, 11, 24)),
    "DI1F29": Quote("DI1F29", "RATES", 75_000.0, date(2026, 11, 24)),
}
WRONG = {
    "id": 7,
    "instrument": "USDBRL",
    "asset_class": "FX",
    "direction": "LONG",
    "notional_brl": 15e6,
    "entry_price": 5.41,
    "is_open": True,
}


def request(limits: PositionLimits | None = None, **changes: Any) -> PositionRequest:
    return resolve(read(GIVEN | changes), WRONG, QUOTES, [WRONG], limits or PositionLimits())


def test_numbers_and_names_are_read_however_they_are_written():
    found = request()
    assert found.position_id == 7
    assert found.right == PositionSpec("USDBRL", "FX", "SHORT", 15e6, 5.41)
    assert found.right.describe() == "SHORT USDBRL 15,000,000 BRL at 5.41"
    assert found.subject()["position_id"] == 7 and found.subject()["direction"] == "SHORT"


def test_the_digest_is_that_of_release_0_1_so_that_its_notes_are_found():
    assert request().digest == "0a4892f5d552"


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"position_id": "seven"}, "a position's number"),
        ({"position_id": "²"}, "a position's number"),
        ({"position_id": True}, "position_id is missing"),
        ({"direction": "SIDEWAYS"}, "LONG or SHORT"),
        ({"notional_brl": "-1"}, "number above 0"),
        ({"notional_brl": "1.000.000,00"}, "number above 0"),
        ({"notional_brl": "1_000"}, "number above 0"),
        ({"price": "nan"}, "number above 0"),
        ({"price": "inf"}, "number above 0"),
        ({"price": "", "instrument": None}, "price is missing"),
    ],
)
def test_a_wrong_argument_is_named(changes, says):
    with pytest.raises(OpsError, match="Nothing was changed") as caught:
        read(GIVEN | changes)
    assert caught.value.code == "position.arguments"
    assert says in str(caught.value)


def test_all_wrong_arguments_are_named_at_once():
    with pytest.raises(OpsError) as caught:
        read({})
    assert str(caught.value).count("is missing") == 5


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"price": 54.1}, "price 54.1 is +901.9 % off the newest close of USDBRL, 5.4"),
        ({"price": 4.0}, "-25.9 %"),
        ({"instrument": "USDBLR"}, "similar are USDBRL"),
        ({"instrument": "XYZ"}, "XYZ is neither an instrument of the PMS nor in the book"),
        ({"notional_brl": 5e9}, "above the limit of the fund's assets, 400,000,000"),
        ({"instrument": "di1f29", "price": 75_000, "asset_class": "fx"}, "DI1F29 is RATES"),
    ],
)
def test_an_implausible_request_needs_force(changes, says):
    with pytest.raises(OpsError, match="Nothing was changed") as caught:
        request(**changes)
    assert caught.value.code == "position.implausible"
    assert says in str(caught.value)
    assert "force=true" in caught.value.remedy
    assert request(PositionLimits(force=True), **changes)


def test_a_class_that_the_pms_does_not_know_is_refused_even_with_force():
    with pytest.raises(OpsError, match="TULIPS") as caught:
        request(PositionLimits(force=True), asset_class="tulips")
    assert caught.value.code == "position.arguments"
    assert "RATES" in caught.value.remedy


def test_the_class_follows_the_instrument_unless_it_is_given():
    assert request(instrument="di1f29", price=75_000).right.asset_class == "RATES"
    assert request(instrument="di1f29", price=75_000).right.instrument == "DI1F29"
    assert request().right.asset_class == "FX"


@pytest.mark.parametrize(
    "changes",
    [
        {"instrument": "EURUSD"},
        {"asset_class": "RATES"},
        {"direction": "SHORT"},
        {"notional_brl": 15e6 + 1},
        {"entry_price": 5.42},
        {"entry_price": None},
    ],
)
def test_a_position_matches_only_in_every_value(changes):
    right = PositionSpec("USDBRL", "FX", "LONG", 15e6, 5.41)
    assert matches(WRONG, right)
    assert not matches(WRONG | changes, right)


def test_an_unknown_position_is_refused_with_the_open_ones():
    closed = WRONG | {"id": 8, "is_open": False}
    remedy = unknown(9, [WRONG, closed]).remedy
    assert remedy == "Open positions: 7: LONG USDBRL 15,000,000 BRL at 5.41."


@pytest.mark.parametrize(("value", "number"), [("5", 5.0), (0, None), ([], None), (True, None)])
def test_a_positive_number_is_one_above_0(value, number):
    assert positive(value) == number
