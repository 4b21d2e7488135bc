# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""How far the correction of a position has come, and what refuses it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import psycopg2
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.corrections.amounts import gain, mismatch
from ansible.module_utils.pmsops.corrections.context import Context
from ansible.module_utils.pmsops.corrections.position_request import (
    PositionArguments,
    PositionLimits,
    PositionRequest,
    matches,
    resolve,
    unknown,
)
from ansible.module_utils.pmsops.incidents import request_log
from ansible.module_utils.pmsops.pms import decision_journal, pnl, positions
from ansible.module_utils.pmsops.pms.decision_journal import Note
from ansible.module_utils.pmsops.pms.positions import Quote, Row
from ansible.module_utils.pmsops.postgresql.connection import Database, fetch_value

KIND = "position"
STEPS = ("close", "open", "note")
_MARK = re.compile(r"\[pms-ops: corrects position (\d+), ([0-9a-f]{12})\]")


@dataclass(frozen=True)
class PositionPlan:
    """How far a correction has come, and the steps that are left."""

    request: PositionRequest
    wrong: Row
    right: Row | None
    steps: tuple[str, ...]
    close_price: float
    only_in_memory: tuple[str, ...] = ()
    differences: tuple[str, ...] = ()

    @property
    def nothing_to_correct(self) -> bool:
        """Tell whether the position is already the right one."""
        return not self.steps and self.right is None

    @property
    def exit_cost(self) -> float:
        """Return the exit cost of the wrong position in BRL: all that remains of it."""
        return pnl.one_way_cost(self.wrong["instrument"], self.wrong["notional_brl"])

    def summary(self) -> str:
        """Return the correction as text, for the journal too."""
        wrong = f"Position {self.request.position_id} ({positions.describe(self.wrong)})"
        if self.nothing_to_correct:
            return f"{wrong} is already the right position"
        number = f"position {self.right['id']}" if self.right else "a new position"
        return (
            f"{wrong} was wrong and is closed at {positions.number(self.close_price)}; its exit"
            f" cost of {self.exit_cost:,.2f} BRL remains. Right is {number}"
            f" ({self.request.right.describe()})"
        )


def mark(request: PositionRequest) -> str:
    """Return the mark in the notes of the right position."""
    return f"[pms-ops: corrects position {request.position_id}, {request.digest}]"


def plan(arguments: PositionArguments, context: Context, limits: PositionLimits) -> PositionPlan:
    """Return the steps that are left. Every refusal happens here, before any change.

    :raises OpsError: position.*, pms.*, database.*.
    """
    stored = positions.stored(context.database)
    quotes = positions.quotes(context.database)
    context.api.login()
    served = positions.served(context.api)
    if arguments.position_id not in served:
        if arguments.position_id in stored:
            raise _stale(f"position {arguments.position_id} is in the database and not in the PMS")
        raise unknown(arguments.position_id, served.values())
    wrong = served[arguments.position_id]
    request = resolve(arguments, wrong, quotes, served.values(), limits)
    _refuse_stale(request, served, stored)
    right = marked(request, served)
    _refuse_another(request, context, served, wrong)
    close_price = _close_price(wrong, quotes, request)
    if matches(wrong, request.right) and right is None and wrong["is_open"]:
        return PositionPlan(request, wrong, None, (), close_price)
    entry = request_log.load(context.evidence_root, KIND, request.digest)
    if not wrong["is_open"] and right is None:
        _refuse_foreign_close(request, wrong, entry, context.database)
    noted = decision_journal.find(context.database, note_of(request, wrong, right, close_price))
    done = {"close": not wrong["is_open"], "open": right is not None, "note": noted is not None}
    steps = tuple(step for step in STEPS if not done[step])
    return PositionPlan(
        request,
        wrong,
        right,
        steps,
        close_price,
        only_in_memory=() if steps else tuple(_only_in_memory(request, right, stored)),
        differences=() if steps else tuple(_differences(wrong, right, close_price)),
    )


def note_of(request: PositionRequest, wrong: Row, right: Row | None, price: float) -> Note:
    """Return the journal note of a correction."""
    text = PositionPlan(request, wrong, right, ("note",), price).summary()
    return Note(f"correction {request.digest}", "CORRECTION", text, request.position_id)


def marked(request: PositionRequest, rows: Mapping[int, Row]) -> Row | None:
    """Return the right position, open or closed since, or None.

    :raises OpsError: position.doubled if two carry the mark; no run of this creates a second.
    """
    found = [row for row in rows.values() if mark(request) in (row.get("notes") or "")]
    if len(found) > 1:
        raise OpsError(
            f"Two positions carry the mark of one correction: {positions.summary(found)}.",
            "Close the later one in the PMS at its entry price: somebody copied the mark.",
            code="position.doubled",
        )
    return found[0] if found else None


def _refuse_another(
    request: PositionRequest, context: Context, rows: Mapping[int, Row], wrong: Row
) -> None:
    """Refuse a different correction of the same position."""
    for row in rows.values():
        for number, digest in _MARK.findall(row.get("notes") or ""):
            if int(number) == request.position_id and digest != request.digest:
                raise OpsError(
                    f"Nothing was changed: position {number} was already corrected; position"
                    f" {row['id']} ({positions.describe(row)}) replaces it.",
                    f"If that one is wrong too, correct it: -e position_id={row['id']}.",
                    code="position.corrected",
                )
    if wrong["is_open"]:
        return
    for other in request_log.others(context.evidence_root, KIND, request.digest):
        about = other.get("request") or {}
        if about.get("position_id") == request.position_id and "close" in other.get("steps", {}):
            values = " ".join(f"-e {name}={value}" for name, value in about.items())
            raise OpsError(
                f"Nothing was changed: another correction of position {request.position_id} is"
                " unfinished.",
                f"Finish that one first: {values}",
                code="position.corrected",
            )


def _refuse_foreign_close(
    request: PositionRequest, wrong: Row, entry: request_log.SentRequest, database: Database
) -> None:
    """Refuse a position that was closed by anything but this correction."""
    if entry.state("close") is not None or _close_is_ours(request, database):
        return
    raise OpsError(
        f"Nothing was changed: position {request.position_id} ({positions.describe(wrong)}) was"
        f" already closed, at {positions.number(wrong.get('close_price'))} on"
        f" {wrong.get('closed_at')}, and not"
        " by this correction.",
        "A closed position cannot be corrected. If the right position is missing, open it in the"
        " PMS itself.",
        code="position.closed",
    )


def _close_is_ours(request: PositionRequest, database: Database) -> bool:
    """Tell whether the journal shows that this correction closed it."""
    try:
        with database.session(read_only=True) as cursor:
            return bool(
                fetch_value(
                    cursor,
                    "SELECT count(*) FROM public.decision_journal WHERE entry_type = 'CLOSE'"
                    " AND position_id = %s AND position(%s IN manager_notes) > 0",
                    (request.position_id, mark(request)),
                )
            )
    except psycopg2.Error as exc:
        raise database.to_error(exc) from exc


def _refuse_stale(
    request: PositionRequest, served: Mapping[int, Row], stored: Mapping[int, Row]
) -> None:
    """Refuse to change a book that is older than its database."""
    number = request.position_id
    if number in stored and served[number]["is_open"] and not stored[number]["is_open"]:
        raise _stale(f"position {number} is closed in the database and open in the PMS")
    right = marked(request, stored)
    if right and right["id"] not in served:
        raise _stale(
            f"position {right['id']}, the right one, is in the database and not in the PMS"
        )


def _stale(what: str) -> OpsError:
    return OpsError(
        f"The PMS does not show what its database holds: {what}.",
        "Reload its book first: ansible-playbook playbooks/dr_api.yml; then run this again.",
        code="position.stale",
    )


def _close_price(wrong: Row, quotes: Mapping[str, Quote], request: PositionRequest) -> float:
    """Return the entry price, or the next best price without one."""
    quote = quotes.get(wrong["instrument"])
    own: tuple[float | None, ...] = (
        wrong["entry_price"],
        wrong["current_price"],
        quote.close if quote else None,
    )
    if not wrong["is_open"] and wrong.get("close_price"):
        return float(wrong["close_price"])
    return next((price for price in own if price and price > 0), request.right.price)


def _only_in_memory(
    request: PositionRequest, right: Row | None, stored: Mapping[int, Row]
) -> list[str]:
    """Return the parts of a finished correction that the database does not hold."""
    found = []
    row = stored.get(request.position_id)
    if row is None or row["is_open"]:
        found.append(f"the closing of position {request.position_id}")
    if right is None or marked(request, stored) is None:
        found.append(f"position {right['id'] if right else '?'}")
    return found


def _differences(wrong: Row, right: Row | None, close_price: float) -> list[str]:
    """Return the differences between the reported and the calculated results."""
    found = []
    if wrong["entry_price"]:
        realized = pnl.realized(
            instrument=wrong["instrument"],
            asset_class=wrong["asset_class"],
            direction=wrong["direction"],
            notional=wrong["notional_brl"],
            entry=wrong["entry_price"],
            price=close_price,
        )
        found += mismatch(wrong, "realized_pnl_brl", realized)
    found += mismatch(wrong, "unrealized_pnl_brl", 0.0)
    if right and right["is_open"]:
        unrealized = gain(right, right["current_price"] or right["entry_price"])
        found += mismatch(right, "unrealized_pnl_brl", unrealized)
        cost = pnl.one_way_cost(right["instrument"], right["notional_brl"])
        found += mismatch(right, "transaction_cost_brl", cost)
    return found
