# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Smoke test steps on the book: open, mark, close, journal, compensation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ansible.module_utils.pmsops.pms import pnl
from ansible.module_utils.pmsops.pms import smoke_test_remains as remains
from ansible.module_utils.pmsops.pms.client import describe_error
from ansible.module_utils.pmsops.pms.journal_hash import content_hash
from ansible.module_utils.pmsops.pms.smoke_test_run import (
    ASSET_CLASS,
    DEFAULT_FX,
    NOTIONAL,
    Run,
    listed,
    require,
    same,
)
from ansible.module_utils.pmsops.pms.smoke_test_traces import ENTRY, INSTRUMENT, Mismatch

MARK = 5.46

# Operations that the test needs.
REQUIRED_OPERATIONS = (
    "positions",
    "open_position",
    "close_position",
    "mtm",
    "proposals",
    "generate_proposals",
    "approve",
    "reject",
    "journal",
    "generate_morning_pack",
    "morning_pack",
)


def connect(run: Run) -> str:
    """Check that the PMS offers every operation of the test, and log in."""
    missing = [name for name in REQUIRED_OPERATIONS if name not in run.api.dialect.paths]
    if missing:
        raise Mismatch(f"the PMS does not offer {listed(missing)}")
    if not run.api.login():
        return "all operations exist; no login, because no user name is set"
    return "all operations exist; the login works"


def open_position(run: Run) -> str:
    """Open a position and check the answer and the book."""
    run.created.all_closed = False
    answer = run.api.call(
        "open_position",
        {
            "instrument": INSTRUMENT,
            "asset_class": ASSET_CLASS,
            "direction": "LONG",
            "notional_brl": NOTIONAL,
            "execution_price": ENTRY,
            "manager_thesis": run.tag,
        },
    )
    if answer.status != 201 or not isinstance(answer.body, dict):
        raise Mismatch(f"HTTP {answer.status} and not 201{describe_error(answer.body)}")
    run.created.position = answer.body
    require(
        answer.body,
        instrument=INSTRUMENT,
        direction="LONG",
        notional_brl=NOTIONAL,
        entry_price=ENTRY,
        is_open=True,
        transaction_cost_brl=pnl.one_way_cost(INSTRUMENT, NOTIONAL),
    )
    if answer.body["id"] not in {each["id"] for each in run.traces.open_and_ours()}:
        raise Mismatch(f"position {answer.body['id']} was opened but is not in the book")
    return f"position {answer.body['id']}"


def open_stored(run: Run) -> str:
    """Check the open position's row in the database."""
    row = run.traces.position_row(run.created.position)
    require(row, direction="LONG", notional_brl=NOTIONAL, entry_price=ENTRY, is_open=True)
    if run.tag not in (row["notes"] or ""):
        raise Mismatch(f"row {row['id']} of portfolio_positions has another position's notes")
    return f"row {row['id']} of portfolio_positions"


def journal(run: Run) -> str:
    """Check that the journal has one entry for the opening."""
    entries = run.traces.journal_of("OPEN", position=run.created.position)
    if len(entries) != 1:
        raise Mismatch(
            f"{len(entries)} OPEN entries for position {run.created.position['id']}, not 1"
        )
    return f"entry {entries[0]['id']}"


def mtm(run: Run) -> str:
    """Mark the book and check that only the test position moved."""
    before = sorted(run.traces.positions(), key=lambda each: each["updated_at"] or "")
    run.created.fx_rate = fx_rate([each for each in before if not remains.is_own(each)], run)
    prices = {each["instrument"]: _price(each) for each in before}
    prices[INSTRUMENT] = MARK
    answer = run.api.ask("mtm", {"price_overrides": prices, "fx_rate": run.created.fx_rate})
    if answer["status"] != "ok" or answer["updated_count"] < 1:
        raise Mismatch(f"status {answer['status']}, {answer['updated_count']} updated")
    after = {each["id"]: each for each in run.traces.positions()}
    run.created.position = after[run.created.position["id"]]
    require(run.created.position, current_price=MARK)
    moved = [
        each["id"]
        for each in before
        if each["instrument"] != INSTRUMENT
        and each["id"] in after
        and not same(_price(each), _price(after[each["id"]]))
    ]
    if moved:
        raise Mismatch(f"the prices of other positions changed: {listed(moved)}")
    return f"{answer['updated_count']} positions marked, only the test's own moved"


def unrealized_result(run: Run) -> str:
    """Compare the unrealized result with an independent calculation."""
    position = run.created.position
    expected = pnl.gross(
        asset_class=ASSET_CLASS, direction="LONG", notional=NOTIONAL, entry=ENTRY, price=MARK
    )
    require(
        position,
        unrealized_pnl_brl=expected,
        unrealized_pnl_usd=expected / run.created.fx_rate,
    )
    return f"{position['unrealized_pnl_brl']:.2f} BRL, {position['unrealized_pnl_usd']:.2f} USD"


def mtm_stored(run: Run) -> str:
    """Check the mark and its snapshot in the database."""
    require(run.traces.position_row(run.created.position), current_price=MARK)
    marks = run.rows(
        """SELECT mark_price, unrealized_pnl_brl FROM position_pnl_history
            WHERE position_id = %(id)s AND instrument = %(instrument)s
              AND snapshot_date >= %(today)s
            ORDER BY snapshot_date DESC, id DESC LIMIT 1""",
        {
            "id": run.created.position["id"],
            "instrument": INSTRUMENT,
            "today": run.today,
        },
    )
    if not marks:
        raise Mismatch("no row of today in position_pnl_history")
    require(
        marks[0],
        mark_price=MARK,
        unrealized_pnl_brl=run.created.position["unrealized_pnl_brl"],
    )
    return "position and snapshot"


def close_positions(run: Run) -> str:
    """Close both positions and check the realized result."""
    # Opposite positions, one price: the results cancel. Without the second, the entry price.
    price = MARK if run.created.hedge else ENTRY
    for position in (run.created.hedge, run.created.position):
        if not position:
            continue
        closed = run.api.ask(
            "close_position",
            {"close_price": price, "manager_notes": f"{run.tag}: end of the test"},
            id=position["id"],
        )
        if position is run.created.position:
            run.created.closed = closed
        cost = pnl.one_way_cost(INSTRUMENT, NOTIONAL)
        require(
            closed,
            is_open=False,
            close_price=price,
            unrealized_pnl_brl=0.0,
            transaction_cost_brl=2 * cost,
            realized_pnl_brl=pnl.realized(
                instrument=INSTRUMENT,
                asset_class=ASSET_CLASS,
                direction=position["direction"],
                notional=NOTIONAL,
                entry=ENTRY,
                price=price,
            ),
        )
    return f"{run.created.closed['realized_pnl_brl']:.2f} BRL realized at {price}"


def close_stored(run: Run) -> str:
    """Check the closed position's row in the database."""
    row = run.traces.position_row(run.created.position)
    require(
        row,
        is_open=False,
        close_price=run.created.closed["close_price"],
        realized_pnl_brl=run.created.closed["realized_pnl_brl"],
    )
    if row["closed_at"] is None:
        raise Mismatch(f"row {row['id']} of portfolio_positions has no closed_at")
    return f"row {row['id']} of portfolio_positions"


def audit_trail(run: Run) -> str:
    """Check that each action has one locked journal entry with a correct hash."""
    expected = [
        ("OPEN", {"position": run.created.position}),
        ("CLOSE", {"position": run.created.position}),
    ]
    if run.created.hedge:
        expected += [
            ("OPEN", {"position": run.created.hedge}),
            ("CLOSE", {"position": run.created.hedge}),
        ]
    if run.created.to_reject:
        expected.append(("REJECT", {"proposal": run.created.to_reject}))
    seen: list[int] = []
    for kind, about in expected:
        entries = run.traces.journal_of(kind, **about)
        what, value = next(iter(about.items()))
        if len(entries) != 1:
            raise Mismatch(f"{len(entries)} {kind} entries for {what} {value['id']}, not 1")
        if not entries[0]["is_locked"]:
            raise Mismatch(f"entry {entries[0]['id']} of the journal is not locked")
        seen.append(entries[0]["id"])
    stored = run.rows(
        """SELECT id, entry_type, instrument, direction, notional_brl, entry_price,
                  manager_notes, system_notes, content_hash, is_locked
             FROM decision_journal WHERE id = ANY(%(ids)s)""",
        {"ids": seen},
    )
    lost = set(seen) - {row["id"] for row in stored if row["instrument"] == INSTRUMENT}
    if lost:
        raise Mismatch(f"entries not in decision_journal: {listed(sorted(lost))}")
    wrong = [row["id"] for row in stored if content_hash(row) != row["content_hash"]]
    if wrong:
        raise Mismatch(f"entries whose hash does not recompute: {listed(sorted(wrong))}")
    return f"{len(seen)} entries, all stored and locked, hashes recomputed"


def _price(position: Mapping[str, Any]) -> Any:
    price = position["current_price"]
    return position["entry_price"] if price is None else price


def fx_rate(positions: Sequence[Mapping[str, Any]], run: Run) -> float:
    """Return the rate at which the book was marked, so that marking again changes no result in USD.

    A marking has one rate for all positions. Where they were marked at several, any rate changes
    some of them, and only an operator may accept that.
    """
    rates: dict[float, list[Any]] = {}
    for each in positions:
        brl, usd = each["unrealized_pnl_brl"], each["unrealized_pnl_usd"]
        if brl and usd:
            rates.setdefault(float(round(brl / usd, 4)), []).append(each["id"])
    if len(rates) > 1 and not run.accepts:
        said = "; ".join(f"{rate:g}: position {listed(named)}" for rate, named in rates.items())
        raise Mismatch(
            f"nothing was marked: the book was marked at several rates ({said}), and one marking"
            " would change results in USD"
        )
    # Positions come in the order of their last change: the last one has the newest rate.
    newest = next(reversed(rates.values()), None) if rates else None
    return next((r for r, named in rates.items() if named is newest), DEFAULT_FX)
