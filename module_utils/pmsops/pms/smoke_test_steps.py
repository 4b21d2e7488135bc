# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The steps of the workflow smoke test, and what each must see."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.pms import journal_hash, pnl
from ansible.module_utils.pmsops.pms.client import PmsApi, describe_error
from ansible.module_utils.pmsops.pms.smoke_test_traces import (
    ENTRY,
    INSTRUMENT,
    Mismatch,
    Rows,
    Traces,
)

ASSET_CLASS = "FX"
NOTIONAL = 10_000.0
MARK = 5.46
DEFAULT_FX = 5.0
TOLERANCE = 0.01  # BRL

# What the test cannot do without.
NEEDED = (
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


@dataclass(frozen=True)
class Step:
    """One step: what it shows, and which steps it cannot do without."""

    id: str
    title: str
    needs: tuple[str, ...] = ()


STEPS = (
    Step("api", "The PMS describes its routes and gives a token"),
    Step("leftovers", "Positions of earlier, interrupted tests are closed", ("api",)),
    Step("open", "Open a position", ("api",)),
    Step("open_stored", "The open position is in the database", ("open",)),
    Step("journal", "The journal has the opening", ("open",)),
    Step("mtm", "Mark to market, and no other position changes", ("open",)),
    Step("pnl", "Profit and loss agree with an independent calculation", ("mtm",)),
    Step("mtm_stored", "The mark is in the database", ("mtm",)),
    Step("morning_pack", "Generate the morning pack and read it back", ("api",)),
    Step("morning_pack_stored", "The morning pack is in the database", ("morning_pack",)),
    Step("proposals", "Proposals are generated from convictions of 0.55 and more", ("api",)),
    Step("proposals_stored", "The proposals are in the database", ("proposals",)),
    Step("approve", "Approve a proposal, and its position is in the book", ("proposals",)),
    Step("approve_stored", "The approval is in the database", ("approve",)),
    Step("reject_without_notes", "A rejection without notes is refused", ("proposals",)),
    Step("reject", "Reject a proposal with notes", ("proposals",)),
    Step("reject_stored", "The rejection is in the database", ("reject",)),
    Step("close", "Close the position with the right realized result", ("open",)),
    Step("close_stored", "The closing is in the database", ("close",)),
    Step("audit_trail", "The journal has every action, locked, with right hashes", ("close",)),
    Step("compensated", "Nothing of the test is left open", ("api",)),
)


@dataclass
class CreatedRows:
    """What the test has made so far."""

    position: dict[str, Any] = field(default_factory=dict)
    hedge: dict[str, Any] = field(default_factory=dict)
    closed: dict[str, Any] = field(default_factory=dict)
    to_approve: dict[str, Any] = field(default_factory=dict)
    to_reject: dict[str, Any] = field(default_factory=dict)
    pack: dict[str, Any] = field(default_factory=dict)
    fx_rate: float = DEFAULT_FX


class SmokeTest:
    """One run against one PMS.

    *rows* runs one SELECT and returns its rows as dicts; it may raise OpsError.
    """

    def __init__(
        self,
        api: PmsApi,
        rows: Rows,
        *,
        tag: str,
        today: date,
        deadline_seconds: float = 120.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._api = api
        self._rows = rows
        self._traces = Traces(api, rows, tag=tag)
        self._tag = tag
        self._today = today
        self._clock = clock
        self._ends = clock() + deadline_seconds
        self._made = CreatedRows()
        self._results: list[dict[str, Any]] = []

    def run(self) -> list[dict[str, Any]]:
        """Take all steps, the compensation in any case, and return what each found."""
        *steps, last = STEPS
        try:
            for step in steps:
                self._take(step)
        finally:
            self._take(last, always=True)
        return self._results

    def _take(self, step: Step, *, always: bool = False) -> None:
        passed = {each["id"] for each in self._results if each["status"] == "pass"}
        missing = [need for need in step.needs if need not in passed]
        started = self._clock()
        if missing:
            status, finding = "unknown", f"needs {', '.join(missing)}"
        elif started > self._ends and not always:
            status, finding = "unknown", "the time for the smoke test was over"
        else:
            try:
                status, finding = "pass", getattr(self, f"_step_{step.id}")()
            except Mismatch as exc:
                status, finding = "fail", str(exc)
            except OpsError as exc:
                if exc.code == "run.interrupted":
                    raise
                status = "unknown" if exc.code.startswith("database.") else "fail"
                finding = str(exc)
            except (KeyError, TypeError, ValueError, AttributeError) as exc:
                # An answer of another shape than the contract's; the value itself stays out.
                status = "fail"
                finding = f"the answer of the PMS has another shape: {type(exc).__name__} {exc}"
        self._results.append(
            {
                "id": step.id,
                "title": step.title,
                "status": status,
                "finding": finding,
                "seconds": round(self._clock() - started, 3),
            }
        )

    # --- the steps -----------------------------------------------------------------------------

    def _step_api(self) -> str:
        missing = [name for name in NEEDED if name not in self._api.dialect.paths]
        if missing:
            raise Mismatch(f"the PMS does not offer {_list(missing)}")
        if not self._api.login():
            return "all routes are there; no user name is set, so no token was asked for"
        return "all routes are there; a token was given"

    def _step_leftovers(self) -> str:
        left = self._traces.open_and_ours()
        for position in left:
            self._traces.close_at_entry(position, "left by an interrupted smoke test")
        pending = self._traces.pending_and_ours()
        for proposal in pending:
            self._traces.reject(proposal, "left by an interrupted smoke test")
        if still := self._traces.open_and_ours():
            raise Mismatch(f"still open: positions {_ids(still)}")
        if not left and not pending:
            return "none"
        return f"closed {len(left)} positions and rejected {len(pending)} proposals"

    def _step_open(self) -> str:
        answer = self._api.call(
            "open_position",
            {
                "instrument": INSTRUMENT,
                "asset_class": ASSET_CLASS,
                "direction": "LONG",
                "notional_brl": NOTIONAL,
                "execution_price": ENTRY,
                "manager_thesis": self._tag,
            },
        )
        if answer.status != 201 or not isinstance(answer.body, dict):
            raise Mismatch(f"HTTP {answer.status} and not 201{describe_error(answer.body)}")
        self._made.position = answer.body
        _expect(
            answer.body,
            instrument=INSTRUMENT,
            direction="LONG",
            notional_brl=NOTIONAL,
            entry_price=ENTRY,
            is_open=True,
            transaction_cost_brl=pnl.one_way_cost(INSTRUMENT, NOTIONAL),
        )
        if answer.body["id"] not in {each["id"] for each in self._traces.open_and_ours()}:
            raise Mismatch(f"position {answer.body['id']} was opened but is not in the book")
        return f"position {answer.body['id']}"

    def _step_open_stored(self) -> str:
        row = self._traces.position_row(self._made.position)
        _expect(row, direction="LONG", notional_brl=NOTIONAL, entry_price=ENTRY, is_open=True)
        if self._tag not in (row["notes"] or ""):
            raise Mismatch(f"row {row['id']} of portfolio_positions has another position's notes")
        return f"row {row['id']} of portfolio_positions"

    def _step_journal(self) -> str:
        entries = self._traces.journal_of("OPEN", position=self._made.position)
        if len(entries) != 1:
            raise Mismatch(
                f"{len(entries)} OPEN entries for position {self._made.position['id']}, not 1"
            )
        return f"entry {entries[0]['id']}"

    def _step_mtm(self) -> str:
        before = sorted(self._traces.positions(), key=lambda each: each["updated_at"] or "")
        self._made.fx_rate = _fx_rate(before)
        prices = {each["instrument"]: _price(each) for each in before}
        prices[INSTRUMENT] = MARK
        answer = self._api.ask("mtm", {"price_overrides": prices, "fx_rate": self._made.fx_rate})
        if answer["status"] != "ok" or answer["updated_count"] < 1:
            raise Mismatch(f"status {answer['status']}, {answer['updated_count']} updated")
        after = {each["id"]: each for each in self._traces.positions()}
        self._made.position = after[self._made.position["id"]]
        _expect(self._made.position, current_price=MARK)
        moved = [
            each["id"]
            for each in before
            if each["instrument"] != INSTRUMENT
            and each["id"] in after
            and not _same(_price(each), _price(after[each["id"]]))
        ]
        if moved:
            raise Mismatch(f"the prices of other positions changed: {_list(moved)}")
        return f"{answer['updated_count']} positions marked, only the test's own moved"

    def _step_pnl(self) -> str:
        position = self._made.position
        expected = pnl.gross(
            asset_class=ASSET_CLASS, direction="LONG", notional=NOTIONAL, entry=ENTRY, price=MARK
        )
        _expect(
            position,
            unrealized_pnl_brl=expected,
            unrealized_pnl_usd=expected / self._made.fx_rate,
        )
        return f"{position['unrealized_pnl_brl']:.2f} BRL, {position['unrealized_pnl_usd']:.2f} USD"

    def _step_mtm_stored(self) -> str:
        _expect(self._traces.position_row(self._made.position), current_price=MARK)
        marks = self._rows(
            """SELECT mark_price, unrealized_pnl_brl FROM position_pnl_history
                WHERE position_id = %(id)s AND instrument = %(instrument)s
                  AND snapshot_date >= %(today)s
                ORDER BY snapshot_date DESC, id DESC LIMIT 1""",
            {
                "id": self._made.position["id"],
                "instrument": INSTRUMENT,
                "today": self._today,
            },
        )
        if not marks:
            raise Mismatch("no row of today in position_pnl_history")
        _expect(
            marks[0],
            mark_price=MARK,
            unrealized_pnl_brl=self._made.position["unrealized_pnl_brl"],
        )
        return "position and snapshot"

    def _step_morning_pack(self) -> str:
        day = self._today.isoformat()
        pack = self._api.ask("generate_morning_pack", {"briefing_date": day, "force": True})
        self._made.pack = pack
        again = self._api.ask("morning_pack", date=day)
        _expect(pack, briefing_date=day)
        _expect(again, briefing_date=day, id=pack["id"])
        if not pack.get("macro_narrative"):
            raise Mismatch("the pack has no narrative, not even the template's")
        if len(pack.get("agent_views") or []) != 5:
            raise Mismatch(f"{len(pack.get('agent_views') or [])} agent views, not 5")
        return f"the pack of {day}, with a narrative and 5 agent views"

    def _step_morning_pack_stored(self) -> str:
        stored = self._rows(
            """SELECT id, macro_narrative FROM daily_briefings
                WHERE briefing_date = %(day)s ORDER BY id DESC LIMIT 1""",
            {"day": self._today},
        )
        if not stored:
            raise Mismatch(f"no row for {self._today} in daily_briefings")
        if stored[0]["macro_narrative"] != self._made.pack["macro_narrative"]:
            raise Mismatch(f"row {stored[0]['id']} of daily_briefings holds another pack")
        return f"row {stored[0]['id']} of daily_briefings"

    def _step_proposals(self) -> str:
        wanted = (("SHORT", 0.75), ("LONG", 0.65), ("LONG", 0.30))
        generated = self._api.ask(
            "generate_proposals",
            {
                "signals": [
                    {
                        "instrument": INSTRUMENT,
                        "asset_class": ASSET_CLASS,
                        "direction": direction,
                        "conviction": conviction,
                        "signal_source": self._tag,
                        "suggested_notional_brl": NOTIONAL,
                    }
                    for direction, conviction in wanted
                ]
            },
        )
        ours = {each["conviction"]: each for each in generated if each["instrument"] == INSTRUMENT}
        if sorted(ours) != [0.65, 0.75]:
            raise Mismatch(
                f"convictions 0.75, 0.65 and 0.30 gave proposals with {_list(sorted(ours))}"
            )
        self._made.to_approve, self._made.to_reject = ours[0.75], ours[0.65]
        pending = {each["id"] for each in self._traces.pending_and_ours()}
        unseen = {each["id"] for each in ours.values()} - pending
        if unseen:
            raise Mismatch(f"generated, but not among the pending ones: {_list(sorted(unseen))}")
        return f"proposals {_ids(list(ours.values()))}; the one with conviction 0.30 was left out"

    def _step_proposals_stored(self) -> str:
        for proposal in (self._made.to_approve, self._made.to_reject):
            _expect(self._traces.proposal_row(proposal), status="PENDING", signal_source=self._tag)
        return "2 rows of trade_proposals"

    def _step_approve(self) -> str:
        approved = self._api.ask(
            "approve",
            {
                "execution_price": ENTRY,
                "execution_notional_brl": NOTIONAL,
                "manager_notes": self._tag,
                "manager_thesis": self._tag,
            },
            id=self._made.to_approve["id"],
        )
        _expect(approved, status="APPROVED", execution_price=ENTRY)
        book = {each["id"]: each for each in self._traces.positions()}
        position = book.get(approved["position_id"])
        if position is None or position["instrument"] != INSTRUMENT:
            raise Mismatch(
                f"approved as position {approved['position_id']}, which is not in the book"
            )
        if position["direction"] != "SHORT":
            # Stores of their own number their positions alike: this is the other one of the test.
            raise Mismatch(
                f"approved as position {position['id']}, which is another position in the book"
            )
        _expect(position, notional_brl=NOTIONAL, entry_price=ENTRY)
        self._made.hedge = position
        return f"proposal {approved['id']}, position {position['id']}"

    def _step_approve_stored(self) -> str:
        row = self._traces.proposal_row(self._made.to_approve)
        _expect(row, status="APPROVED", position_id=self._made.hedge["id"])
        _expect(
            self._traces.position_row(self._made.hedge), direction="SHORT", notional_brl=NOTIONAL
        )
        return f"row {row['id']} of trade_proposals, position {row['position_id']}"

    def _step_reject_without_notes(self) -> str:
        proposal = self._made.to_reject
        for body in ({}, {"manager_notes": "   "}):
            answer = self._api.call("reject", body, id=proposal["id"])
            if answer.status not in (400, 422):
                raise Mismatch(
                    f"HTTP {answer.status} to a rejection with"
                    f" {'blank' if body else 'no'} notes, not 400 or 422"
                )
        if proposal["id"] not in {each["id"] for each in self._traces.pending_and_ours()}:
            raise Mismatch(f"refused, but proposal {proposal['id']} is not pending any more")
        return "no notes and blank notes are refused, the proposal stays pending"

    def _step_reject(self) -> str:
        rejected = self._api.ask(
            "reject",
            {"manager_notes": f"{self._tag}: rejected on purpose"},
            id=self._made.to_reject["id"],
        )
        _expect(rejected, status="REJECTED")
        return f"proposal {rejected['id']}"

    def _step_reject_stored(self) -> str:
        row = self._traces.proposal_row(self._made.to_reject)
        _expect(row, status="REJECTED", position_id=None)
        return f"row {row['id']} of trade_proposals"

    def _step_close(self) -> str:
        # Opposite positions, one price: the results cancel. Without the second, the entry price.
        price = MARK if self._made.hedge else ENTRY
        for position in (self._made.hedge, self._made.position):
            if not position:
                continue
            closed = self._api.ask(
                "close_position",
                {"close_price": price, "manager_notes": f"{self._tag}: end of the test"},
                id=position["id"],
            )
            if position is self._made.position:
                self._made.closed = closed
            cost = pnl.one_way_cost(INSTRUMENT, NOTIONAL)
            _expect(
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
        return f"{self._made.closed['realized_pnl_brl']:.2f} BRL realized at {price}"

    def _step_close_stored(self) -> str:
        row = self._traces.position_row(self._made.position)
        _expect(
            row,
            is_open=False,
            close_price=self._made.closed["close_price"],
            realized_pnl_brl=self._made.closed["realized_pnl_brl"],
        )
        if row["closed_at"] is None:
            raise Mismatch(f"row {row['id']} of portfolio_positions has no closed_at")
        return f"row {row['id']} of portfolio_positions"

    def _step_audit_trail(self) -> str:
        wanted = [
            ("OPEN", {"position": self._made.position}),
            ("CLOSE", {"position": self._made.position}),
        ]
        if self._made.hedge:
            wanted += [
                ("OPEN", {"position": self._made.hedge}),
                ("CLOSE", {"position": self._made.hedge}),
            ]
        if self._made.to_reject:
            wanted.append(("REJECT", {"proposal": self._made.to_reject}))
        seen: list[int] = []
        for kind, about in wanted:
            entries = self._traces.journal_of(kind, **about)
            what, value = next(iter(about.items()))
            if len(entries) != 1:
                raise Mismatch(f"{len(entries)} {kind} entries for {what} {value['id']}, not 1")
            if not entries[0]["is_locked"]:
                raise Mismatch(f"entry {entries[0]['id']} of the journal is not locked")
            seen.append(entries[0]["id"])
        stored = self._rows(
            """SELECT id, entry_type, instrument, direction, notional_brl, entry_price,
                      manager_notes, system_notes, content_hash, is_locked
                 FROM decision_journal WHERE id = ANY(%(ids)s)""",
            {"ids": seen},
        )
        lost = set(seen) - {row["id"] for row in stored if row["instrument"] == INSTRUMENT}
        if lost:
            raise Mismatch(f"entries not in decision_journal: {_list(sorted(lost))}")
        wrong = [row["id"] for row in stored if _hash(row) != row["content_hash"]]
        if wrong:
            raise Mismatch(f"entries whose hash does not recompute: {_list(sorted(wrong))}")
        return f"{len(seen)} entries, all stored and locked, hashes recomputed"

    def _step_compensated(self) -> str:
        left = self._traces.open_and_ours()
        for position in left:
            self._traces.close_at_entry(position, "compensation")
        pending = self._traces.pending_and_ours()
        for proposal in pending:
            self._traces.reject(proposal, "compensation")
        still, waiting = self._traces.open_and_ours(), self._traces.pending_and_ours()
        if still or waiting:
            raise Mismatch(
                f"still open: positions {_ids(still) or 'none'},"
                f" proposals {_ids(waiting) or 'none'}"
            )
        return f"{len(left)} positions and {len(pending)} proposals had to be undone"


def _hash(row: Mapping[str, Any]) -> str:
    return journal_hash.content_hash(row)


def _same(seen: Any, wanted: Any) -> bool:
    if isinstance(wanted, bool) or wanted is None:
        return seen is wanted
    if isinstance(wanted, (int, float)):
        return isinstance(seen, (int, float)) and math.isclose(seen, wanted, abs_tol=TOLERANCE)
    return seen == wanted


def _expect(seen: Mapping[str, Any], **wanted: Any) -> None:
    """Raise Refuted naming the first value of *seen* that is not the wanted one."""
    for name, value in wanted.items():
        if not _same(seen[name], value):
            raise Mismatch(f"{name} is {seen[name]}, not {value}")


def _price(position: Mapping[str, Any]) -> float:
    price = position["current_price"]
    return position["entry_price"] if price is None else price


def _fx_rate(positions: Sequence[Mapping[str, Any]]) -> float:
    """Return the rate that the book was last marked with, so that marking anew changes nothing."""
    for each in positions:
        brl, usd = each["unrealized_pnl_brl"], each["unrealized_pnl_usd"]
        if brl and usd:
            return round(brl / usd, 6)
    return DEFAULT_FX


def _ids(things: Sequence[Mapping[str, Any]]) -> str:
    return _list([each["id"] for each in things])


def _list(things: Sequence[Any]) -> str:
    return ", ".join(str(each) for each in things)
