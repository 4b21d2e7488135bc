# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""How far the correction of marks has come, and what refuses it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.corrections.amounts import gain, mismatch
from ansible.module_utils.pmsops.corrections.context import Context
from ansible.module_utils.pmsops.corrections.marks_request import (
    MarkArguments,
    MarkLimits,
    at_market,
    complete_prices,
    implied_fx,
    refuse_implausible,
    with_known_tickers,
)
from ansible.module_utils.pmsops.incidents import request_log
from ansible.module_utils.pmsops.pms import decision_journal, positions
from ansible.module_utils.pmsops.pms.decision_journal import Note
from ansible.module_utils.pmsops.pms.positions import Row, number

KIND = "mark"


@dataclass(frozen=True)
class Change:
    """A position before and after; the gains are in BRL."""

    position_id: int
    instrument: str
    before: float | None
    after: float
    gain_before: float
    gain_after: float


@dataclass(frozen=True)
class MarkPlan:
    """The steps that are left, and the *overrides* of the marking call."""

    arguments: MarkArguments
    overrides: Mapping[str, float]
    fx_rate: float
    changes: tuple[Change, ...]
    must_mark: bool
    must_note: bool
    digest: str
    # How many times this request was made on this day: marks may become wrong again.
    occasion: int = 1
    only_in_memory: tuple[str, ...] = ()

    @property
    def steps(self) -> tuple[str, ...]:
        """Return the names of the steps that are left."""
        steps = (("mark", self.must_mark), ("note", self.must_note))
        return tuple(name for name, is_left in steps if is_left)

    def summary(self) -> str:
        """Return previous and new marks as text, for the journal too."""
        lines = [
            f"{each.instrument} (position {each.position_id}) {number(each.before)} ->"
            f" {number(each.after)}, result {each.gain_before:,.2f} -> {each.gain_after:,.2f} BRL"
            for each in self.changes
            if each.instrument in self.arguments.prices
        ]
        source = self.arguments.source or "not given"
        return f"{'; '.join(lines)}. Source of the prices: {source}. USD at {number(self.fx_rate)}"


def plan(arguments: MarkArguments, context: Context, limits: MarkLimits) -> MarkPlan:
    """Return the steps that are left. Every refusal happens here, before any change.

    :raises OpsError: mtm.*, pms.*, database.*.
    """
    stored = positions.stored(context.database)
    quotes = positions.quotes(context.database)
    context.api.login()
    served = positions.served(context.api)
    open_ones = sorted(
        (row for row in served.values() if row["is_open"]), key=lambda row: int(row["id"])
    )
    arguments = (
        at_market(arguments, open_ones, quotes)
        if arguments.of_market
        else with_known_tickers(arguments, open_ones)
    )
    digest = arguments.digest(context.today)
    entry = request_log.load(context.evidence_root, KIND, digest)
    previous = {int(key): row for key, row in entry.document.get("previous", {}).items()}
    begun = entry.state("mark") is not None
    fx_rate = arguments.fx_rate or implied_fx(open_ones, quotes)
    overrides = complete_prices(arguments, open_ones)
    changes = tuple(_change(row, overrides, previous.get(row["id"])) for row in open_ones)
    must_mark = not _is_marked(open_ones, arguments, fx_rate)
    if must_mark:
        _refuse_stale(served, stored)
        refuse_implausible(arguments, open_ones, quotes, limits)
    occasion = entry.document.get("occasion", 1)
    noted = (
        begun and decision_journal.find(context.database, note_of(digest, occasion, "")) is not None
    )
    return MarkPlan(
        arguments,
        overrides,
        fx_rate,
        changes,
        must_mark,
        must_note=must_mark or (begun and not noted),
        digest=digest,
        occasion=occasion,
        only_in_memory=() if must_mark else tuple(_only_in_memory(changes, stored)),
    )


def note_of(digest: str, occasion: int, text: str) -> Note:
    """Return the journal note of a marking."""
    mark = f"marks {digest} {occasion}"
    return Note(mark, "MTM_OVERRIDE", f"Marks corrected: {text}")


def _change(row: Row, overrides: Mapping[str, float], previous: Row | None) -> Change:
    before = previous or row
    after = overrides[row["instrument"]]
    return Change(
        row["id"],
        row["instrument"],
        before["current_price"],
        after,
        before["unrealized_pnl_brl"] or 0.0,
        gain(row, after),
    )


def _is_marked(open_ones: Iterable[Row], arguments: MarkArguments, fx_rate: float) -> bool:
    """Tell whether the requested tickers have their prices and the calculated results."""
    for row in open_ones:
        price = arguments.prices.get(row["instrument"])
        if price is None:
            continue
        if row["current_price"] is None or not math.isclose(row["current_price"], price):
            return False
        if mismatch(row, "unrealized_pnl_brl", gain(row, price)):
            return False
        if arguments.fx_rate and mismatch(row, "unrealized_pnl_usd", gain(row, price) / fx_rate):
            return False
    return True


def differences(now: MarkPlan, context: Context) -> list[str]:
    """Return the differences between the marked book and the calculation, for all tickers."""
    found: list[str] = []
    for row in positions.served(context.api).values():
        expected = now.overrides.get(row["instrument"])
        if not row["is_open"] or expected is None:
            continue
        found += mismatch(row, "current_price", expected)
        found += mismatch(row, "unrealized_pnl_brl", gain(row, expected))
    return found


def _refuse_stale(served: Mapping[int, Row], stored: Mapping[int, Row]) -> None:
    """Refuse to mark a book that is older than its database."""
    found = positions.compare(served, stored)
    if found.stale:
        raise OpsError(
            f"The PMS does not show what its database holds: {'; '.join(found.summary())}.",
            "Reload its book first: ansible-playbook playbooks/dr_api.yml; then run this again.",
            code="mtm.stale",
        )


def _only_in_memory(changes: Iterable[Change], stored: Mapping[int, Row]) -> list[str]:
    """Return the marks that the database does not hold."""
    return [
        f"the mark of position {each.position_id}"
        for each in changes
        if each.position_id not in stored
        or not math.isclose(stored[each.position_id]["current_price"] or 0.0, each.after)
    ]
