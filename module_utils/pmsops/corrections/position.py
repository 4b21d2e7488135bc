# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Correct a position: close the wrong one at its entry price, open the right one, note both.

Nothing is deleted. The book itself shows how far a correction has come: the right position carries
a mark in its notes, made from the request. The next run therefore finishes a killed one, wherever
it was killed, and repeats no step.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.corrections.context import Context
from ansible.module_utils.pmsops.corrections.position_plan import (
    KIND,
    PositionPlan,
    mark,
    marked,
    note_of,
    plan,
)
from ansible.module_utils.pmsops.corrections.position_request import (
    PositionArguments,
    PositionLimits,
    PositionRequest,
)
from ansible.module_utils.pmsops.incidents import request_log
from ansible.module_utils.pmsops.incidents.record import ActionRecorder
from ansible.module_utils.pmsops.incidents.request_log import SentRequest
from ansible.module_utils.pmsops.pms import decision_journal, positions
from ansible.module_utils.pmsops.pms.decision_journal import Note

POLL_SECONDS = 0.5

Step = Callable[[PositionPlan, Context, SentRequest, ActionRecorder], None]


def correct(
    arguments: PositionArguments,
    context: Context,
    limits: PositionLimits,
    *,
    record: ActionRecorder,
) -> tuple[PositionPlan, list[str]]:
    """Take the steps that are left; return the final plan and the steps taken.

    :raises OpsError: position.*, pms.*, database.*, journal.*, lock.held, incident.unwritable.
    """
    done: list[str] = []
    with request_log.exclusive(context.evidence_root, "correction of a position"):
        now = plan(arguments, context, limits)
        entry = request_log.load(context.evidence_root, KIND, now.request.digest)
        for step in now.steps:
            # Read again before each step: the last one, or somebody else, has changed the book.
            now = plan(arguments, context, limits)
            if step not in now.steps:
                continue
            if not entry.known:
                entry.update(request=now.request.subject(), wrong=now.wrong)
            STEPS[step](now, context, entry, record)
            done.append(step)
        now = plan(arguments, context, limits)
    if now.steps or now.differences:
        left = [*(f"step {step} is still missing" for step in now.steps), *now.differences]
        raise OpsError(
            f"The correction of position {arguments.position_id} failed its verification:"
            f" {'; '.join(left)}.",
            "Follow docs/DR_PLAYBOOK.md, scenario 3, and tell the risk officer; a second run"
            " repeats no step.",
            code="position.unverified",
        )
    return now, done


def describe_step(step: str, now: PositionPlan) -> str:
    """Return a step as one line."""
    number = now.request.position_id
    if step == "close":
        price = positions.number(now.close_price)
        return f"Close position {number}, {positions.describe(now.wrong)}, at {price}"
    if step == "open":
        return f"Open {now.request.right.describe()}"
    return f"Note the correction of position {number} in the decision journal"


def _close(now: PositionPlan, context: Context, entry: SentRequest, record: ActionRecorder) -> None:
    with record(describe_step("close", now)) as action, entry.sending("close"):
        closed = context.api.ask(
            "close_position",
            {
                "close_price": now.close_price,
                "manager_notes": f"Entered wrongly; right is {now.request.right.describe()}"
                f" {mark(now.request)}",
            },
            id=now.request.position_id,
        )
        realized = closed.get("realized_pnl_brl") if isinstance(closed, Mapping) else None
        action.result = "closed" if realized is None else f"{realized:,.2f} BRL realized"


def _open(now: PositionPlan, context: Context, entry: SentRequest, record: ActionRecorder) -> None:
    sent = entry.state("open")
    if sent and not sent["answered"] and _arrived(now.request, context, sent["sent_at"]):
        return
    right = now.request.right
    with record(describe_step("open", now)) as action, entry.sending("open"):
        opened = context.api.ask(
            "open_position",
            {
                "instrument": right.instrument,
                "asset_class": right.asset_class,
                "direction": right.direction,
                "notional_brl": right.notional_brl,
                "execution_price": right.price,
                "manager_thesis": f"Replaces position {now.request.position_id}, which was entered"
                f" wrongly {mark(now.request)}",
            },
        )
        number = opened.get("id") if isinstance(opened, Mapping) else None
        action.result = f"position {number}"


def _arrived(request: PositionRequest, context: Context, sent_at: float) -> bool:
    """Wait for a request of an earlier run that may still be in progress; tell if it arrived."""
    while True:
        if marked(request, positions.served(context.api)):
            return True
        left = sent_at + context.settle_seconds - time.time()
        if left <= 0:
            return False
        context.sleep(min(left, POLL_SECONDS))


def _write_note(
    now: PositionPlan, context: Context, _entry: SentRequest, record: ActionRecorder
) -> None:
    with record(describe_step("note", now)) as action:
        stored = positions.stored(context.database)
        note = note_of(now.request, now.wrong, now.right, now.close_price)
        if now.request.position_id not in stored:  # its row would have no position to refer to
            note = Note(note.mark, note.entry_type, note.text)
        written = decision_journal.write(note, context.database, context.api)
        action.result = f"entry {written.entry_id} ({written.way})"


STEPS: dict[str, Step] = {"close": _close, "open": _open, "note": _write_note}
