# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The book served and the book stored, and what a restart of the PMS would lose or mend."""

from __future__ import annotations

from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import pytest
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.incidents import record
from ansible.module_utils.pmsops.pms import positions as book
from ansible.module_utils.pmsops.recovery import pms as api_care


def position(number: int, **changes: Any) -> dict[str, Any]:
    return {
        "id": number,
        "instrument": "USDBRL",
        "direction": "LONG",
        "notional_brl": 1e7,
        "entry_price": 5.2,
        "is_open": True,
    } | changes


def rows(*positions: dict[str, Any]) -> dict[int, dict[str, Any]]:
    return {row["id"]: row for row in positions}


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
    found = book.compare(*CASES[kind])
    assert {name for name in CASES if getattr(found, name)} == {kind}
    assert found.stale == (kind in ("missing", "reopened", "differing"))
    assert found.in_memory_only == (kind in ("unstored", "closed_unstored"))
    assert len(found.summary()) == 1


def test_equal_books_do_not_differ_and_prices_may_move():
    ours, theirs = rows(position(1, current_price=5.4), CLOSED), rows(position(1), CLOSED)
    assert book.compare(ours, theirs).summary() == []


def test_a_position_that_is_closed_and_not_served_is_no_loss():
    assert book.compare({}, rows(CLOSED)).summary() == []


def test_many_ids_are_cut():
    many = rows(*(position(number) for number in range(20)))
    assert "and 12 more" in book.compare(many, {}).summary()[0]


# --- recovery of the PMS --------------------------------------------------------------------------


@pytest.fixture
def world(monkeypatch):
    """A PMS whose state the test sets, and a list of what was done to it."""
    state = SimpleNamespace(answers=True, served={}, stored={}, done=[], startable=[])

    def restart(*_arguments: Any) -> str:
        state.done.append("restart")
        return "Restart api"

    monkeypatch.setattr(api_care, "answers", lambda _url: state.answers)
    monkeypatch.setattr(api_care, "_start", lambda *_: [])
    monkeypatch.setattr(api_care, "_start_others", lambda *_: [])
    monkeypatch.setattr(api_care, "_wake", lambda *_: None)
    monkeypatch.setattr(api_care, "_save", lambda *_: state.done.append("save"))
    monkeypatch.setattr(api_care, "_restart", restart)
    monkeypatch.setattr(api_care, "_healthy", lambda _pms: None)
    monkeypatch.setattr(api_care.positions, "served", lambda _api: state.served)
    monkeypatch.setattr(api_care.positions, "stored", lambda _database: state.stored)
    return state


def pms(**changes: Any) -> api_care.Pms:
    options = {
        "url": "http://127.0.0.1:1",
        "service": "api",
        "services": SimpleNamespace(manager="compose", names=("api",), project="p"),
        "database": SimpleNamespace(name="macro_trading"),
        "redis": None,
    }
    return api_care.Pms(**(options | changes))


def recover(**changes: Any) -> list[str]:
    return api_care.recover(pms(**changes), None, record=lambda _: nullcontext(record.Action()))


def test_a_pms_that_is_well_is_left(world):
    assert recover() == []
    assert "restart" not in world.done


@pytest.mark.parametrize("kind", ["missing", "reopened", "differing"])
def test_a_stale_book_is_saved_and_renewed(world, kind):
    world.served, world.stored = CASES[kind]
    assert recover() == ["Restart api"]
    assert world.done == ["save", "restart"]


@pytest.mark.parametrize("kind", ["unstored", "closed_unstored"])
def test_a_restart_that_loses_something_is_refused_until_it_is_confirmed(world, kind):
    world.served, world.stored = CASES[kind]
    with pytest.raises(OpsError) as caught:
        recover()
    assert caught.value.code == "api.would_lose"
    assert "confirm=macro_trading" in caught.value.remedy
    assert world.done == ["save"]
    assert recover(confirmed=True) == ["Restart api"]


def test_what_a_pms_keeps_in_memory_by_nature_is_no_reason_to_restart_it(world):
    world.served, world.stored = CASES["unstored"]
    assert recover(persists=False) == []
    assert "restart" not in world.done


def test_one_that_hangs_is_restarted_but_not_where_its_memory_is_all_there_is(world):
    world.answers = False
    assert recover() == ["Restart api"]
    world.done.clear()
    with pytest.raises(OpsError) as caught:
        recover(persists=False)
    assert caught.value.code == "api.would_lose"
    assert world.done == []
    assert recover(persists=False, confirmed=True) == ["Restart api"]


def test_what_nothing_manages_is_told_and_not_touched(world):
    world.answers = False
    with pytest.raises(OpsError) as caught:
        recover(services=SimpleNamespace(manager="none", names=(), project=None))
    assert caught.value.code == "api.unmanaged"
    assert world.done == []
