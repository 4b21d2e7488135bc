# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The table of smoke test steps, and the runner that takes them in order."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import Any

from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.pms import smoke_test_book as book
from ansible.module_utils.pmsops.pms import smoke_test_compensation as compensation
from ansible.module_utils.pmsops.pms import smoke_test_proposals as proposals
from ansible.module_utils.pmsops.pms.client import PmsApi
from ansible.module_utils.pmsops.pms.smoke_test_intents import Intents
from ansible.module_utils.pmsops.pms.smoke_test_run import Run
from ansible.module_utils.pmsops.pms.smoke_test_traces import Mismatch, Rows, Traces


@dataclass(frozen=True)
class Step:
    """One step: its title, its function, and the steps that must have passed before it."""

    id: str
    title: str
    run: Callable[[Run], str]
    needs: tuple[str, ...] = ()


# Codes of errors that say only that no answer came in time
OVERDUE = ("pms.overdue", "database.timeout")
STEPS = (
    Step("api", "The PMS describes its routes and gives a token", book.connect),
    Step(
        "leftovers",
        "Positions of earlier, interrupted tests are closed",
        compensation.leftovers,
        needs=("api",),
    ),
    # Before the trades: a pack of the day keeps what the book is when it is made.
    Step(
        "morning_pack",
        "Generate the morning pack and read it back",
        proposals.morning_pack,
        needs=("api",),
    ),
    Step(
        "morning_pack_stored",
        "The morning pack is in the database",
        proposals.morning_pack_stored,
        needs=("morning_pack",),
    ),
    Step("open", "Open a position", book.open_position, needs=("api",)),
    Step("open_stored", "The open position is in the database", book.open_stored, needs=("open",)),
    Step("journal", "The journal has the opening", book.journal, needs=("open",)),
    Step("mtm", "Mark to market, and no other position changes", book.mtm, needs=("open",)),
    Step(
        "pnl",
        "Profit and loss agree with an independent calculation",
        book.unrealized_result,
        needs=("mtm",),
    ),
    Step("mtm_stored", "The mark is in the database", book.mtm_stored, needs=("mtm",)),
    Step(
        "proposals",
        "Proposals are generated from convictions of 0.55 and more",
        proposals.proposals,
        needs=("api",),
    ),
    Step(
        "proposals_stored",
        "The proposals are in the database",
        proposals.proposals_stored,
        needs=("proposals",),
    ),
    Step(
        "approve",
        "Approve a proposal, and its position is in the book",
        proposals.approve,
        needs=("proposals",),
    ),
    Step(
        "approve_stored",
        "The approval is in the database",
        proposals.approve_stored,
        needs=("approve",),
    ),
    Step(
        "reject_without_notes",
        "A rejection without notes is refused",
        proposals.reject_without_notes,
        needs=("proposals",),
    ),
    Step("reject", "Reject a proposal with notes", proposals.reject, needs=("proposals",)),
    Step(
        "reject_stored",
        "The rejection is in the database",
        proposals.reject_stored,
        needs=("reject",),
    ),
    Step(
        "close",
        "Close the position with the right realized result",
        book.close_positions,
        needs=("open",),
    ),
    Step("close_stored", "The closing is in the database", book.close_stored, needs=("close",)),
    Step(
        "audit_trail",
        "The journal has every action, locked, with right hashes",
        book.audit_trail,
        needs=("close",),
    ),
    Step("compensated", "Nothing of the test is left", compensation.compensated, needs=("api",)),
)


class SmokeTest:
    """One run of all steps against one PMS.

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
        accepts: bool = False,
        intents: Intents | None = None,
    ) -> None:
        self._run = Run(api, rows, tag, today, Traces(api, rows, tag=tag), accepts=accepts)
        self._intents = intents or Intents(None, tag=tag)
        api.announce = self._intents.before
        self._clock = clock
        self._ends = clock() + deadline_seconds
        self._results: list[dict[str, Any]] = []

    def run(self) -> list[dict[str, Any]]:
        """Take all steps and return the result of each; the compensation always runs."""
        *steps, last = STEPS
        try:
            for step in steps:
                self._take(step)
        finally:
            self._take(last, always=True)
            self._forget()
        return self._results

    def close(self) -> list[dict[str, Any]]:
        """Close what an earlier, killed test left, and trade nothing."""
        for step in STEPS[:2]:
            self._take(step)
        self._forget()
        return self._results

    def _forget(self) -> None:
        """Drop the record of what was sent, once nothing of any smoke test is open."""
        if self._run.created.all_closed:
            self._intents.closed()

    def _take(self, step: Step, *, always: bool = False) -> None:
        passed = {each["id"] for each in self._results if each["status"] == "pass"}
        missing = [need for need in step.needs if need not in passed]
        started = self._clock()
        overdue = False
        if missing:
            status, finding = "unknown", f"needs {', '.join(missing)}"
        elif started > self._ends and not always:
            status, finding = "unknown", "the deadline of the smoke test had passed"
            overdue = True
        else:
            try:
                status, finding = "pass", step.run(self._run)
            except Mismatch as exc:
                status, finding = "fail", str(exc)
            except OpsError as exc:
                overdue = exc.code in OVERDUE
                status = "unknown" if overdue or exc.code.startswith("database.") else "fail"
                finding = str(exc)
            except (KeyError, TypeError, ValueError, AttributeError) as exc:
                # The answer's shape breaks the contract; its values stay out of the report.
                status = "fail"
                finding = f"the answer of the PMS has another shape: {type(exc).__name__} {exc}"
        self._results.append(
            {
                "id": step.id,
                "title": step.title,
                "status": status,
                "finding": finding,
                "seconds": round(self._clock() - started, 3),
                "overdue": overdue,
                "differences": list(self._run.created.differences),
            }
        )
