# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Correct a position: close the wrong one where it was entered, open the right one, note both.

Nothing is deleted. The book itself says how far a correction came: the right position carries a
mark in its notes, made of the request. So a run that was killed anywhere is finished by the next
one, and never does a step twice.
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import psycopg2
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.corrections.position_request import (
    Arguments,
    Limits,
    Request,
    is_the_same,
    resolve,
    unknown,
)
from ansible.module_utils.pmsops.incidents import request_log
from ansible.module_utils.pmsops.incidents.record import ActionRecorder
from ansible.module_utils.pmsops.pms import decision_journal, pnl, positions
from ansible.module_utils.pmsops.pms.client import PmsApi
from ansible.module_utils.pmsops.pms.positions import Row
from ansible.module_utils.pmsops.postgresql.connection import Database, fetch_value

KIND = "position"
STEPS = ("close", "open", "note")
TOLERANCE_BRL = 0.01
# How long an unanswered request may still be under way in the PMS: longer than its own time-outs.
SETTLE_SECONDS = 20.0
POLL_SECONDS = 0.5
_MARK = re.compile(r"\[pms-ops: corrects position (\d+), ([0-9a-f]{12})\]")


@dataclass(frozen=True)
class Context:
    """Where a correction is made, and how it waits."""

    api: PmsApi
    database: Database
    evidence_root: Path
    settle_seconds: float = SETTLE_SECONDS
    sleep: Callable[[float], None] = time.sleep


@dataclass(frozen=True)
class Plan:
    """How far a correction came, and which steps are left."""

    request: Request
    wrong: Row
    right: Row | None
    steps: tuple[str, ...]
    close_price: float
    only_in_memory: tuple[str, ...] = ()
    differences: tuple[str, ...] = field(default=())

    @property
    def nothing_to_correct(self) -> bool:
        """Tell whether the position was never wrong."""
        return not self.steps and self.right is None

    @property
    def exit_cost(self) -> float:
        """Return what remains of the wrong position: the cost of leaving it, in BRL."""
        return pnl.one_way_cost(self.wrong["instrument"], self.wrong["notional_brl"])

    def summary(self) -> str:
        """Return the correction in a sentence or two."""
        wrong = f"Position {self.request.position_id} ({positions.describe(self.wrong)})"
        if self.nothing_to_correct:
            return f"{wrong} is already what was asked for"
        number = f"position {self.right['id']}" if self.right else "a new position"
        return (
            f"{wrong} was wrong and is closed at {positions.number(self.close_price)}; its exit"
            f" cost of {self.exit_cost:,.2f} BRL remains. Right is {number}"
            f" ({self.request.right.describe()})"
        )


def mark(request: Request) -> str:
    """Return what the right position carries in its notes."""
    return f"[pms-ops: corrects position {request.position_id}, {request.digest}]"


def plan(asked: Arguments, place: Context, limits: Limits) -> Plan:
    """Return what is left to do; everything that can be refused is refused here.

    :raises OpsError: position.*, pms.*, database.*.
    """
    stored = positions.stored(place.database)
    quotes = positions.quotes(place.database)
    place.api.login()
    served = positions.served(place.api)
    if asked.position_id not in served:
        if asked.position_id in stored:
            raise _stale(f"position {asked.position_id} is in the database and not in the PMS")
        raise unknown(asked.position_id, served.values())
    wrong = served[asked.position_id]
    request = resolve(asked, wrong, quotes, served.values(), limits)
    _refuse_stale(request, served, stored)
    right = _marked(request, served)
    _refuse_another(request, place, served, wrong)
    close_price = _close_price(wrong, quotes, request)
    if is_the_same(wrong, request.right) and right is None and wrong["is_open"]:
        return Plan(request, wrong, None, (), close_price)
    entry = request_log.load(place.evidence_root, KIND, request.digest)
    if not wrong["is_open"] and right is None:
        _refuse_foreign_close(request, wrong, entry, place.database)
    noted = decision_journal.find(place.database, _note(request, wrong, right, close_price))
    done = {"close": not wrong["is_open"], "open": right is not None, "note": noted is not None}
    steps = tuple(step for step in STEPS if not done[step])
    return Plan(
        request,
        wrong,
        right,
        steps,
        close_price,
        only_in_memory=() if steps else tuple(_in_memory(request, right, stored)),
        differences=() if steps else tuple(_differences(wrong, right, close_price)),
    )


def correct(
    asked: Arguments, place: Context, limits: Limits, *, record: ActionRecorder
) -> tuple[Plan, list[str]]:
    """Do what is left, and return how it stands and which steps were done.

    :raises OpsError: position.*, pms.*, database.*, journal.*, lock.held, incident.unwritable.
    """
    done: list[str] = []
    with request_log.exclusive(place.evidence_root, "correction of a position"):
        now = plan(asked, place, limits)
        entry = request_log.load(place.evidence_root, KIND, now.request.digest)
        for step in now.steps:
            # Read again before each step: what was true a step ago need not be any more.
            now = plan(asked, place, limits)
            if step not in now.steps:
                continue
            if not entry.known:
                entry.update(request=now.request.subject(), wrong=now.wrong)
            _DOING[step](now, place, entry, record)
            done.append(step)
        now = plan(asked, place, limits)
    if now.steps or now.differences:
        left = [*(f"{step} is still to be done" for step in now.steps), *now.differences]
        raise OpsError(
            f"The correction of position {asked.position_id} is not as it has to be:"
            f" {'; '.join(left)}.",
            "Compare the book with docs/DR_PLAYBOOK.md, scenario 3, and tell the risk officer;"
            " running it again does no step twice.",
            code="position.unverified",
        )
    return now, done


def describe_step(step: str, now: Plan) -> str:
    """Return a step as it is told."""
    number = now.request.position_id
    if step == "close":
        price = positions.number(now.close_price)
        return f"Close position {number}, {positions.describe(now.wrong)}, at {price}"
    if step == "open":
        return f"Open {now.request.right.describe()}"
    return f"Note in the decision journal what stands for position {number}"


def _close(
    now: Plan, place: Context, entry: request_log.SentRequest, record: ActionRecorder
) -> None:
    with record(describe_step("close", now)) as action, entry.sending("close"):
        closed = place.api.ask(
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


def _open(
    now: Plan, place: Context, entry: request_log.SentRequest, record: ActionRecorder
) -> None:
    sent = entry.state("open")
    if sent and not sent["answered"] and _arrived(now.request, place, sent["sent_at"]):
        return
    right = now.request.right
    with record(describe_step("open", now)) as action, entry.sending("open"):
        opened = place.api.ask(
            "open_position",
            {
                "instrument": right.instrument,
                "asset_class": right.asset_class,
                "direction": right.direction,
                "notional_brl": right.notional_brl,
                "execution_price": right.price,
                "manager_thesis": f"Stands for position {now.request.position_id}, which was"
                f" entered wrongly {mark(now.request)}",
            },
        )
        number = opened.get("id") if isinstance(opened, Mapping) else None
        action.result = f"position {number}"


def _arrived(request: Request, place: Context, sent_at: float) -> bool:
    """Wait for a request of an earlier run that may still be under way; tell whether it came."""
    while True:
        if _marked(request, positions.served(place.api)):
            return True
        left = sent_at + place.settle_seconds - time.time()
        if left <= 0:
            return False
        place.sleep(min(left, POLL_SECONDS))


def _write_note(
    now: Plan, place: Context, _entry: request_log.SentRequest, record: ActionRecorder
) -> None:
    with record(describe_step("note", now)) as action:
        stored = positions.stored(place.database)
        note = _note(now.request, now.wrong, now.right, now.close_price)
        if now.request.position_id not in stored:  # a row that refers to none is refused
            note = decision_journal.Note(note.mark, note.entry_type, note.text)
        written = decision_journal.write(note, place.database, place.api)
        action.result = f"entry {written.entry_id} ({written.way})"


_DOING = {"close": _close, "open": _open, "note": _write_note}


def _note(request: Request, wrong: Row, right: Row | None, price: float) -> decision_journal.Note:
    text = Plan(request, wrong, right, ("note",), price).summary()
    return decision_journal.Note(
        f"correction {request.digest}", "CORRECTION", text, request.position_id
    )


def _marked(request: Request, rows: Mapping[int, Row]) -> Row | None:
    """Return the right position, open or closed since.

    :raises OpsError: position.doubled where there are two, which no run of this makes.
    """
    found = [row for row in rows.values() if mark(request) in (row.get("notes") or "")]
    if len(found) > 1:
        raise OpsError(
            f"Two positions carry the mark of one correction: {positions.summary(found)}.",
            "Close the later one at its entry price by hand; somebody copied the mark.",
            code="position.doubled",
        )
    return found[0] if found else None


def _refuse_another(request: Request, place: Context, rows: Mapping[int, Row], wrong: Row) -> None:
    """Refuse a second, other correction of the same position."""
    for row in rows.values():
        for number, digest in _MARK.findall(row.get("notes") or ""):
            if int(number) == request.position_id and digest != request.digest:
                raise OpsError(
                    f"Nothing was changed: position {number} was corrected already, position"
                    f" {row['id']} ({positions.describe(row)}) stands for it.",
                    f"Where that one is wrong too, correct it: -e position_id={row['id']}.",
                    code="position.corrected",
                )
    if wrong["is_open"]:
        return
    for other in request_log.others(place.evidence_root, KIND, request.digest):
        about = other.get("request") or {}
        if about.get("position_id") == request.position_id and "close" in other.get("steps", {}):
            values = " ".join(f"-e {name}={value}" for name, value in about.items())
            raise OpsError(
                f"Nothing was changed: another correction of position {request.position_id} was"
                " begun and is not finished.",
                f"Finish that one first: {values}",
                code="position.corrected",
            )


def _refuse_foreign_close(
    request: Request, wrong: Row, entry: request_log.SentRequest, database: Database
) -> None:
    """Refuse a position that somebody else closed."""
    if entry.state("close") is not None or _close_is_ours(request, database):
        return
    raise OpsError(
        f"Nothing was changed: position {request.position_id} ({positions.describe(wrong)}) was"
        f" closed already, at {positions.number(wrong.get('close_price'))} on"
        f" {wrong.get('closed_at')}, and not"
        " by this correction.",
        "There is nothing to close any more. Where the right position is missing, open it in the"
        " PMS itself.",
        code="position.closed",
    )


def _close_is_ours(request: Request, database: Database) -> bool:
    """Tell whether the journal says that this correction closed it."""
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


def _refuse_stale(request: Request, served: Mapping[int, Row], stored: Mapping[int, Row]) -> None:
    """Refuse to write into a book that lags behind its database."""
    number = request.position_id
    if number in stored and served[number]["is_open"] and not stored[number]["is_open"]:
        raise _stale(f"position {number} is closed in the database and open in the PMS")
    right = _marked(request, stored)
    if right and right["id"] not in served:
        raise _stale(
            f"position {right['id']}, the right one, is in the database and not in the PMS"
        )


def _stale(what: str) -> OpsError:
    return OpsError(
        f"The PMS does not show what its database holds: {what}.",
        "Renew its book first: ansible-playbook playbooks/dr_api.yml; then run this again.",
        code="position.stale",
    )


def _close_price(wrong: Row, quotes: Mapping[str, positions.Quote], request: Request) -> float:
    """Return the entry price, or the next best one where the position has none."""
    quote = quotes.get(wrong["instrument"])
    own = (wrong["entry_price"], wrong["current_price"], quote.close if quote else None)
    if not wrong["is_open"] and wrong.get("close_price"):
        return wrong["close_price"]
    return next((price for price in own if price and price > 0), request.right.price)


def _in_memory(request: Request, right: Row | None, stored: Mapping[int, Row]) -> list[str]:
    """Return what no database holds of a correction that is made."""
    found = []
    row = stored.get(request.position_id)
    if row is None or row["is_open"]:
        found.append(f"the closing of position {request.position_id}")
    if right is None or _marked(request, stored) is None:
        found.append(f"position {right['id'] if right else '?'}")
    return found


def _differences(wrong: Row, right: Row | None, close_price: float) -> list[str]:
    """Return where the result of a correction is not what it has to be."""
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
        found += _unequal(wrong, "realized_pnl_brl", realized)
    found += _unequal(wrong, "unrealized_pnl_brl", 0.0)
    if right and right["is_open"]:
        gain = pnl.gross(
            asset_class=right["asset_class"],
            direction=right["direction"],
            notional=right["notional_brl"],
            entry=right["entry_price"],
            price=right["current_price"] or right["entry_price"],
        )
        found += _unequal(right, "unrealized_pnl_brl", gain)
        cost = pnl.one_way_cost(right["instrument"], right["notional_brl"])
        found += _unequal(right, "transaction_cost_brl", cost)
    return found


def _unequal(row: Row, name: str, wanted: float) -> list[str]:
    seen = row.get(name) or 0.0
    if math.isclose(seen, wanted, rel_tol=1e-9, abs_tol=TOLERANCE_BRL):
        return []
    return [f"{name} of position {row['id']} is {seen:,.2f}, calculated {wanted:,.2f}"]
