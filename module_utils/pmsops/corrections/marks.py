# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Correct marks: new prices for some tickers, the old ones for all others.

The PMS marks every open position in one call, and resets those without a price. The call therefore
carries a price for each open ticker.
"""

from __future__ import annotations

from collections.abc import Mapping

from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.corrections.context import Context
from ansible.module_utils.pmsops.corrections.marks_plan import (
    KIND,
    MarkPlan,
    differences,
    note_of,
    plan,
)
from ansible.module_utils.pmsops.corrections.marks_request import MarkArguments, MarkLimits
from ansible.module_utils.pmsops.incidents import request_log
from ansible.module_utils.pmsops.incidents.record import ActionRecorder
from ansible.module_utils.pmsops.incidents.request_log import SentRequest
from ansible.module_utils.pmsops.pms import decision_journal, positions
from ansible.module_utils.pmsops.pms.client import PmsApi
from ansible.module_utils.pmsops.pms.positions import Row, number
from ansible.module_utils.pmsops.postgresql.connection import Database


def correct(
    arguments: MarkArguments, context: Context, limits: MarkLimits, *, record: ActionRecorder
) -> tuple[MarkPlan, list[str]]:
    """Take the steps that are left; return the final plan and the steps taken.

    :raises OpsError: mtm.*, pms.*, database.*, journal.*, lock.held, incident.unwritable.
    """
    done: list[str] = []
    with request_log.exclusive(context.evidence_root, "correction of a mark"):
        now = plan(arguments, context, limits)
        entry = request_log.load(context.evidence_root, KIND, now.digest)
        if now.must_mark:
            # On disk before anything is sent: afterwards the old marks are gone.
            entry.update(
                previous=_previous(context.api),
                occasion=_next_occasion(now, entry, context.database),
            )
            now = plan(arguments, context, limits)
            with record(describe_step("mark", now)) as action, entry.sending("mark"):
                action.result = _send(now, context)
            done.append("mark")
            now = plan(arguments, context, limits)
        if now.must_note:
            with record(describe_step("note", now)) as action:
                written = decision_journal.write(
                    note_of(now.digest, now.occasion, now.summary()), context.database, context.api
                )
                action.result = f"entry {written.entry_id} ({written.way})"
            done.append("note")
            now = plan(arguments, context, limits)
        wrong = [
            *(f"step {step} is still missing" for step in now.steps),
            *differences(now, context),
        ]
    if wrong:
        raise OpsError(
            f"The marks failed their verification: {'; '.join(wrong)}.",
            "If somebody else marked the book meanwhile (a schedule, the end-of-day pipeline), run"
            " this again. If the PMS calculates a result wrongly, stop trading.",
            code="mtm.unverified",
        )
    return now, done


def describe_step(step: str, now: MarkPlan) -> str:
    """Return a step as one line."""
    if step == "note":
        return "Note previous and new marks in the decision journal"
    named = ", ".join(f"{name} at {number(price)}" for name, price in now.arguments.prices.items())
    kept = len(now.overrides) - len(now.arguments.prices)
    return f"Mark {named}; {kept} other tickers keep their marks"


def _send(now: MarkPlan, context: Context) -> str:
    """Mark the whole book; return the number of positions as text."""
    answer = context.api.ask(
        "mtm", {"price_overrides": dict(now.overrides), "fx_rate": now.fx_rate}
    )
    count = answer.get("updated_count") if isinstance(answer, Mapping) else None
    return f"{count} positions marked, USD at {number(now.fx_rate)}"


def _next_occasion(now: MarkPlan, entry: SentRequest, database: Database) -> int:
    """Return the number of this marking: the next one if the last one has its note."""
    if (
        not entry.known
        or decision_journal.find(database, note_of(now.digest, now.occasion, "")) is None
    ):
        return now.occasion
    return now.occasion + 1


def _previous(api: PmsApi) -> dict[str, Row]:
    names = ("instrument", "current_price", "unrealized_pnl_brl", "unrealized_pnl_usd")
    return {
        str(row["id"]): {name: row[name] for name in names}
        for row in positions.served(api).values()
        if row["is_open"]
    }
