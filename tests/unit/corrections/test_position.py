# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The correction of a position: results with their signs, kills at each step, and refusals."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.corrections import position_plan
from ansible.module_utils.pmsops.corrections.position import correct, describe_step
from ansible.module_utils.pmsops.corrections.position_plan import PositionPlan, plan
from ansible.module_utils.pmsops.corrections.position_request import (
    PositionArguments,
    PositionLimits,
    read,
)
from ansible.module_utils.pmsops.incidents import request_log
from ansible.module_utils.pmsops.pms import journal_hash

from tests.unit.corrections.conftest import Killed, World, record

LIMITS = PositionLimits(price_percent=1000.0, notional_brl=1e9)


def arguments(position_id: int, **changes: Any) -> PositionArguments:
    return read(
        {
            "position_id": position_id,
            "instrument": "USDBRL",
            "direction": "SHORT",
            "notional_brl": 12_000_000,
            "price": 5.25,
        }
        | changes
    )


def corrected(world: World, number: int = 1, **changes: Any) -> tuple[PositionPlan, list[str]]:
    return correct(arguments(number, **changes), world.context(), LIMITS, record=record)


def test_the_wrong_position_is_closed_and_the_right_one_replaces_it(world):
    world.open()["current_price"] = 5.5  # a mark is no price to close at
    assert plan(arguments(1), world.context(), LIMITS).steps == ("close", "open", "note")
    assert world.book.positions[0]["is_open"]  # a plan changes nothing
    now, done = corrected(world)
    assert done == ["close", "open", "note"]
    wrong, right = world.book.positions
    assert (wrong["is_open"], wrong["close_price"]) == (False, 5.2)
    assert wrong["realized_pnl_brl"] == pytest.approx(-2000.0)  # the cost of the exit, no result
    assert right["is_open"]
    assert [right[name] for name in ("direction", "notional_brl", "entry_price")] == [
        "SHORT",
        12e6,
        5.25,
    ]
    assert now.right == right
    assert now.exit_cost == pytest.approx(2000.0)
    assert now.only_in_memory == now.differences == ()
    assert corrected(world)[1] == []
    assert len(world.book.positions) == 2


def test_the_note_names_both_positions_and_proves_itself(world):
    world.open()
    now, _done = corrected(world)
    (note,) = world.entries("CORRECTION")
    assert note["manager_notes"].startswith(now.summary())
    assert "Position 1 (LONG USDBRL 10,000,000 BRL at 5.2)" in note["manager_notes"]
    assert "position 2 (SHORT USDBRL 12,000,000 BRL at 5.25)" in note["manager_notes"]
    assert note["content_hash"] == journal_hash.content_hash(note)
    assert [describe_step(step, now) for step in ("close", "open", "note")] == [
        "Close position 1, LONG USDBRL 10,000,000 BRL at 5.2, at 5.2",
        "Open SHORT USDBRL 12,000,000 BRL at 5.25",
        "Note the correction of position 1 in the decision journal",
    ]


@pytest.mark.parametrize("direction", ["LONG", "SHORT"])
@pytest.mark.parametrize("mark", [5.0, 5.5])
def test_the_result_of_the_right_position_is_checked_with_its_sign(world, direction, mark):
    world.open()
    corrected(world, direction=direction)
    right = world.book.positions[1]
    right["current_price"] = mark
    sign = 1 if direction == "LONG" else -1
    right["unrealized_pnl_brl"] = sign * 12e6 * (mark / 5.25 - 1)
    assert corrected(world, direction=direction)[1] == []
    right["unrealized_pnl_brl"] *= -1
    with pytest.raises(OpsError, match="unrealized_pnl_brl of position 2") as caught:
        corrected(world, direction=direction)
    assert caught.value.code == "position.unverified"


@pytest.mark.parametrize(
    ("number", "name", "value"),
    [
        (0, "realized_pnl_brl", 2000.0),
        (0, "unrealized_pnl_brl", 1.0),
        (1, "transaction_cost_brl", 0.0),
    ],
)
def test_a_result_that_the_pms_calculates_wrongly_is_an_error(world, number, name, value):
    world.open()
    corrected(world)
    world.book.positions[number][name] = value
    with pytest.raises(OpsError, match=name) as caught:
        corrected(world)
    assert caught.value.code == "position.unverified"


@pytest.mark.parametrize("when", ["die_before", "die_after"])
@pytest.mark.parametrize("at", ["/close", "/open"])
def test_a_killed_correction_is_finished_and_repeats_no_step(world, at, when):
    world.open()
    with pytest.raises(Killed):
        correct(arguments(1), world.context(**{when: at}), LIMITS, record=record)
    corrected(world)
    assert [row["is_open"] for row in world.book.positions] == [False, True]
    assert [len(world.entries(kind)) for kind in ("OPEN", "CLOSE", "CORRECTION")] == [2, 1, 1]


def test_a_kill_before_the_note_leaves_only_the_note(world):
    world.open()
    world.database.has_journal = False
    with pytest.raises(OpsError, match="no table decision_journal"):
        corrected(world)
    world.database.has_journal = True
    corrected(world)
    assert len(world.entries("CORRECTION")) == 1


def test_an_unanswered_opening_that_arrives_late_is_not_sent_again(world):
    world.open()
    with pytest.raises(Killed):
        correct(arguments(1), world.context(die_before="/open"), LIMITS, record=record)
    request = plan(arguments(1), world.context(), LIMITS).request

    def arrive(_seconds: float) -> None:
        world.open(
            direction="SHORT",
            notional_brl=12e6,
            execution_price=5.25,
            manager_thesis=position_plan.mark(request),
        )

    late = world.context(settle_seconds=60.0, sleep=arrive)
    correct(arguments(1), late, LIMITS, record=record)
    assert len(world.book.positions) == 2


def test_a_position_that_is_right_is_left_alone(world):
    world.open()
    same = {"direction": "long", "notional_brl": 1e7, "price": 5.2}
    now, done = corrected(world, **same)
    assert (done, now.nothing_to_correct) == ([], True)
    assert now.summary().endswith("is already the right position")


def test_a_position_without_an_entry_price_is_closed_at_its_mark(world):
    row = world.open()
    row |= {"entry_price": None, "current_price": 5.4}
    assert plan(arguments(1), world.context(), LIMITS).close_price == 5.4
    row["current_price"] = None
    assert plan(arguments(1), world.context(), LIMITS).close_price == 5.3  # the newest close
    world.database.quotes.clear()
    assert plan(arguments(1), world.context(), LIMITS).close_price == 5.25  # of the right one


def refused(world: World, code: str, number: int = 1, **changes: Any) -> OpsError:
    before = [dict(row) for row in world.book.positions]
    with pytest.raises(OpsError) as caught:
        corrected(world, number, **changes)
    assert caught.value.code == code
    assert world.book.positions == before
    return caught.value


def test_an_unknown_position_is_refused_with_the_open_ones(world):
    world.open()
    assert "1: LONG USDBRL" in refused(world, "position.unknown", 7).remedy


def test_a_second_other_correction_is_refused(world):
    world.open()
    corrected(world)
    assert "position_id=2" in refused(world, "position.corrected", price=5.26).remedy


def test_a_correction_that_was_begun_otherwise_has_to_be_finished_first(world):
    world.open()
    with pytest.raises(Killed):
        correct(arguments(1), world.context(die_after="/close"), LIMITS, record=record)
    assert "-e price=5.25" in refused(world, "position.corrected", price=5.26).remedy


def test_a_position_that_somebody_else_closed_is_refused(world):
    world.open()
    world.book.close(1, {"close_price": 5.3})
    assert "already closed, at 5.3" in str(refused(world, "position.closed"))


def test_a_close_of_this_correction_is_known_by_the_journal_without_the_request_log(world):
    world.open()
    with pytest.raises(Killed):
        correct(arguments(1), world.context(die_after="/close"), LIMITS, record=record)
    for path in world.root.rglob("position_*.json"):
        path.unlink()
    assert corrected(world)[1] == ["open", "note"]


def test_two_positions_with_one_mark_are_refused(world):
    world.open()
    corrected(world)
    world.open(manager_thesis=world.book.positions[1]["notes"])
    refused(world, "position.doubled")


@pytest.mark.parametrize("case", ["closed", "not served", "right one not served"])
def test_a_book_older_than_its_database_is_not_changed(world, case):
    world.open()
    stored = [dict(row) for row in world.book.positions]
    if case == "closed":
        stored[0]["is_open"] = False
    elif case == "not served":
        world.book.positions.clear()
    else:
        request = plan(arguments(1), world.context(), LIMITS).request
        stored.append(stored[0] | {"id": 2, "notes": position_plan.mark(request)})
    world.database.stored = stored
    assert "dr_api.yml" in refused(world, "position.stale").remedy


def test_what_only_the_memory_of_the_pms_holds_is_reported(world):
    world.open()
    world.database.stored = []
    now, done = corrected(world)
    assert done == ["close", "open", "note"]
    assert now.only_in_memory == ("the closing of position 1", "position 2")
    (note,) = world.entries("CORRECTION")
    assert note["position_id"] is None  # the database has no such row to refer to


def test_one_correction_at_a_time(world):
    world.open()
    with request_log.exclusive(world.root, "something else"):
        refused(world, "lock.held")
