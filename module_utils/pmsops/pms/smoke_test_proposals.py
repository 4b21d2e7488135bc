# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Smoke test steps on the morning pack and on proposals."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from ansible.module_utils.pmsops.common.timestamps import UTC, from_iso
from ansible.module_utils.pmsops.pms.smoke_test_run import (
    ASSET_CLASS,
    NOTIONAL,
    Run,
    ids,
    listed,
    require,
)
from ansible.module_utils.pmsops.pms.smoke_test_traces import ENTRY, INSTRUMENT, Mismatch


def morning_pack(run: Run) -> str:
    """Generate the morning pack and read it back."""
    day = run.today.isoformat()
    pack = run.api.ask("generate_morning_pack", {"briefing_date": day, "force": True})
    run.created.pack = pack
    again = run.api.ask("morning_pack", date=day)
    require(pack, briefing_date=day)
    require(again, briefing_date=day, id=pack["id"])
    if not pack.get("macro_narrative"):
        raise Mismatch("the pack has no narrative, not even the template's")
    if len(pack.get("agent_views") or []) != 5:
        raise Mismatch(f"{len(pack.get('agent_views') or [])} agent views, not 5")
    return f"the pack of {day}, with a narrative and 5 agent views"


def morning_pack_stored(run: Run) -> str:
    """Check the morning pack's row in the database."""
    stored = run.rows(
        """SELECT id, macro_narrative, created_at FROM daily_briefings
            WHERE briefing_date = %(day)s ORDER BY id DESC LIMIT 1""",
        {"day": run.today},
    )
    if not stored:
        raise Mismatch(f"no row for {run.today} in daily_briefings")
    if stored[0]["macro_narrative"] != run.created.pack["macro_narrative"]:
        raise Mismatch(f"row {stored[0]['id']} of daily_briefings holds another pack")
    # Two packs of one day may say the same; the stored one has to be the one that was just made.
    if not _same_moment(run.created.pack.get("created_at"), stored[0]["created_at"]):
        raise Mismatch(
            f"row {stored[0]['id']} of daily_briefings is a pack of {stored[0]['created_at']}, not"
            " the one that was just made"
        )
    return f"row {stored[0]['id']} of daily_briefings"


def _same_moment(shown: Any, stored: Any) -> bool:
    """Tell whether the PMS and its database give a pack the same time, to a second."""
    try:
        moments = [
            each if isinstance(each, datetime) else from_iso(str(each)) for each in (shown, stored)
        ]
    except ValueError:
        return False
    first, second = (each if each.tzinfo else each.replace(tzinfo=UTC) for each in moments)
    return abs((first - second).total_seconds()) < 1


def proposals(run: Run) -> str:
    """Generate proposals and check which convictions give one."""
    expected = (("SHORT", 0.75), ("LONG", 0.65), ("LONG", 0.30))
    generated = run.api.ask(
        "generate_proposals",
        {
            "signals": [
                {
                    "instrument": INSTRUMENT,
                    "asset_class": ASSET_CLASS,
                    "direction": direction,
                    "conviction": conviction,
                    "signal_source": run.tag,
                    "suggested_notional_brl": NOTIONAL,
                }
                for direction, conviction in expected
            ]
        },
    )
    ours = {each["conviction"]: each for each in generated if each["instrument"] == INSTRUMENT}
    if sorted(ours) != [0.65, 0.75]:
        raise Mismatch(
            f"convictions 0.75, 0.65 and 0.30 gave proposals with {listed(sorted(ours))}"
        )
    run.created.to_approve, run.created.to_reject = ours[0.75], ours[0.65]
    pending = {each["id"] for each in run.traces.pending_and_ours()}
    unseen = {each["id"] for each in ours.values()} - pending
    if unseen:
        raise Mismatch(f"generated, but not among the pending ones: {listed(sorted(unseen))}")
    return f"proposals {ids(list(ours.values()))}; the one with conviction 0.30 was left out"


def proposals_stored(run: Run) -> str:
    """Check the proposals' rows in the database."""
    for proposal in (run.created.to_approve, run.created.to_reject):
        require(run.traces.proposal_row(proposal), status="PENDING", signal_source=run.tag)
    return "2 rows of trade_proposals"


def approve(run: Run) -> str:
    """Approve a proposal and check its position in the book."""
    approved = run.api.ask(
        "approve",
        {
            "execution_price": ENTRY,
            "execution_notional_brl": NOTIONAL,
            "manager_notes": run.tag,
            "manager_thesis": run.tag,
        },
        id=run.created.to_approve["id"],
    )
    run.created.approved = approved
    require(approved, status="APPROVED", execution_price=ENTRY)
    book = {each["id"]: each for each in run.traces.positions()}
    position = book.get(approved["position_id"])
    if position is None or position["instrument"] != INSTRUMENT:
        raise Mismatch(f"approved as position {approved['position_id']}, which is not in the book")
    if position["direction"] != "SHORT":
        # Stores of their own number their positions alike: this is the other one of the test.
        raise Mismatch(
            f"approved as position {position['id']}, which is another position in the book"
        )
    require(position, notional_brl=NOTIONAL, entry_price=ENTRY)
    run.created.hedge = position
    return f"proposal {approved['id']}, position {position['id']}"


def approve_stored(run: Run) -> str:
    """Check the approval's rows in the database."""
    row = run.traces.proposal_row(run.created.to_approve)
    require(row, status="APPROVED", position_id=run.created.hedge["id"])
    require(run.traces.position_row(run.created.hedge), direction="SHORT", notional_brl=NOTIONAL)
    return f"row {row['id']} of trade_proposals, position {row['position_id']}"


def reject_without_notes(run: Run) -> str:
    """Check that a rejection without notes is refused."""
    proposal = run.created.to_reject
    for body in ({}, {"manager_notes": "   "}):
        answer = run.api.call("reject", body, id=proposal["id"])
        if answer.status not in (400, 422):
            raise Mismatch(
                f"HTTP {answer.status} to a rejection with"
                f" {'blank' if body else 'no'} notes, not 400 or 422"
            )
    if proposal["id"] not in {each["id"] for each in run.traces.pending_and_ours()}:
        raise Mismatch(f"refused, but proposal {proposal['id']} is not pending any more")
    return "no notes and blank notes are refused, the proposal stays pending"


def reject(run: Run) -> str:
    """Reject a proposal with notes."""
    rejected = run.api.ask(
        "reject",
        {"manager_notes": f"{run.tag}: rejected on purpose"},
        id=run.created.to_reject["id"],
    )
    require(rejected, status="REJECTED")
    return f"proposal {rejected['id']}"


def reject_stored(run: Run) -> str:
    """Check the rejection's row in the database."""
    row = run.traces.proposal_row(run.created.to_reject)
    require(row, status="REJECTED", position_id=None)
    return f"row {row['id']} of trade_proposals"
