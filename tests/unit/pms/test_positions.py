# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The served and the stored book, and whether the PMS works on its database."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from ansible.module_utils.pmsops.pms import health, positions
from ansible.module_utils.pmsops.pms.client import PmsApi

from tests.support.book_database import BookDatabase
from tests.support.standin_pms import StandIn, served


def position(number: int, **changes: Any) -> dict[str, Any]:
    return {
        "id": number,
        "instrument": "USDBRL",
        "direction": "LONG",
        "notional_brl": 1e7,
        "entry_price": 5.2,
        "is_open": True,
    } | changes


def rows(*found: dict[str, Any]) -> dict[int, dict[str, Any]]:
    return {row["id"]: row for row in found}


CLOSED = position(2, is_open=False)
CASES = {
    "missing": (rows(position(1)), rows(position(1), position(2))),
    "unstored": (rows(position(1), position(2)), rows(position(1))),
    "closed_unstored": (rows(CLOSED), rows(position(2))),
    "reopened": (rows(position(2)), rows(CLOSED)),
    "differing": (rows(position(2, entry_price=5.3)), rows(position(2))),
}


@pytest.mark.parametrize("kind", CASES)
def test_each_difference_is_named_and_no_other(kind):
    found = positions.compare(*CASES[kind])
    assert {name for name in CASES if getattr(found, name)} == {kind}
    assert found.stale == (kind in ("missing", "reopened", "differing"))
    assert found.in_memory_only == (kind in ("unstored", "closed_unstored"))
    assert found.wrong(persists=True)
    assert found.wrong(persists=False) == found.stale
    assert len(found.summary()) == 1


def test_equal_books_do_not_differ_and_prices_may_move():
    ours, theirs = rows(position(1, current_price=5.4), CLOSED), rows(position(1), CLOSED)
    found = positions.compare(ours, theirs)
    assert found.summary() == []
    assert not found.wrong(persists=True)


class SendsText:
    """A PMS with decimal columns: FastAPI sends each Decimal as text."""

    def __init__(self, **texts: str) -> None:
        self._row = position(1) | texts

    def ask(self, operation: str, *, query: Mapping[str, Any]) -> list[dict[str, Any]]:
        return [self._row] if query["is_open"] == "true" else []


def test_amounts_that_are_served_as_text_are_numbers():
    found = positions.served(SendsText(notional_brl="10000000.00", entry_price="5.20"))
    assert positions.compare(found, rows(position(1))).summary() == []
    assert positions.summary(found.values()) == "1: LONG USDBRL 10,000,000 BRL at 5.2"


@pytest.mark.parametrize("price", ["5.21", "five"])
def test_another_amount_as_text_still_differs(price):
    found = positions.served(SendsText(notional_brl="10000000.00", entry_price=price))
    assert positions.compare(found, rows(position(1))).differing == (1,)


def test_a_position_that_is_closed_and_not_served_is_no_loss():
    assert positions.compare({}, rows(CLOSED)).summary() == []


def test_many_ids_are_cut():
    many = rows(*(position(number) for number in range(20)))
    assert "and 12 more" in positions.compare(many, {}).summary()[0]


@pytest.fixture
def book():
    return StandIn()


def problems(book: StandIn, database: BookDatabase) -> list[str]:
    with served(book) as url:
        return health.problems(database, url)


def test_a_pms_that_serves_the_book_of_its_database_has_no_problem(book):
    book.positions = [position(1), CLOSED]
    assert problems(book, BookDatabase(book)) == []


@pytest.mark.parametrize("kind", CASES)
def test_health_and_comparison_give_the_same_answer(book, kind):
    ours, theirs = CASES[kind]
    book.positions, database = list(ours.values()), BookDatabase(book)
    database.stored = list(theirs.values())
    with served(book) as url:
        compared = positions.compare(
            positions.served(PmsApi(url)), positions.stored(database)
        ).summary()
        assert health.problems(database, url) == compared != []


def test_a_closed_position_that_only_the_pms_knows_is_no_problem(book):
    book.positions, database = [position(1), CLOSED], BookDatabase(book)
    database.stored = [position(1)]
    assert problems(book, database) == []


def test_a_pms_that_lost_its_database_says_so_itself(book):
    book.faults.add("no_database")
    assert "/health answers" in problems(book, BookDatabase(book))[0]


def test_a_database_that_is_down_is_the_first_problem(book):
    database = BookDatabase(book)
    database.is_down = True
    assert problems(book, database) == ["the database does not answer: nobody answers"]


def test_without_a_url_only_the_database_is_asked(book):
    assert health.problems(BookDatabase(book), None) == []


def test_another_application_s_database_has_no_book_to_compare(book):
    book.positions, database = [position(1)], BookDatabase(book)
    database.has_positions = False
    assert problems(book, database) == []


def test_a_pms_that_is_down_is_a_problem(book):
    with served(book) as url:
        pass
    found = health.problems(BookDatabase(book), url)
    assert len(found) == 1 and "did not answer GET /health" in found[0]


@pytest.mark.parametrize("row", [{"id": 1}, {"is_open": True}, "text"], ids=str)
def test_positions_without_id_or_state_are_a_problem_and_no_crash(book, row, monkeypatch):
    """A swap probes the PMS after its renames: only a problem makes it swap back."""
    monkeypatch.setattr(PmsApi, "ask", lambda *_args, **_options: [row])
    assert "list of positions" in problems(book, BookDatabase(book))[0]
