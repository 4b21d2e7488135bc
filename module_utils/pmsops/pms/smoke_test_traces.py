# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The rows of a smoke test: how to find them in the book and in the database."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ansible.module_utils.pmsops.pms.client import PmsApi

TAG_PREFIX = "pms-ops-smoke"
# A ticker of its own, so that no price of the real book changes; the prefix sets its costs.
INSTRUMENT = "NDF_PMS_OPS_SMOKE"
ENTRY = 5.20
JOURNAL_LIMIT = 200

Rows = Callable[[str, Mapping[str, Any]], list[dict[str, Any]]]


class Mismatch(Exception):
    """A value differs from the expected one."""


class Traces:
    """The rows that smoke tests created in one PMS.

    *rows* runs one SELECT and returns its rows as dicts; it may raise OpsError.
    """

    def __init__(self, api: PmsApi, rows: Rows, *, tag: str) -> None:
        self._api = api
        self._rows = rows
        self._tag = tag

    def positions(self) -> list[dict[str, Any]]:
        """Return the open positions of the book."""
        found: list[dict[str, Any]] = self._api.ask("positions", query={"is_open": "true"})
        return found

    def open_and_ours(self) -> list[dict[str, Any]]:
        """Return the open positions of this smoke test and of earlier ones."""
        return [
            each
            for each in self.positions()
            if each["instrument"] == INSTRUMENT or (each["notes"] or "").startswith(TAG_PREFIX)
        ]

    def pending_and_ours(self) -> list[dict[str, Any]]:
        """Return the pending proposals of smoke tests."""
        return [
            each
            for each in self._api.ask("proposals", query={"status": "PENDING"})
            if each["instrument"] == INSTRUMENT and each["status"] == "PENDING"
        ]

    def close_at_entry(self, position: Mapping[str, Any], why: str) -> None:
        """Close a position at its entry price, so that only the costs remain."""
        price = position["entry_price"] or position["current_price"] or ENTRY
        self._api.ask(
            "close_position",
            {"close_price": price, "manager_notes": f"{self._tag}: {why}"},
            id=position["id"],
        )

    def reject(self, proposal: Mapping[str, Any], why: str) -> None:
        """Reject a proposal of a smoke test."""
        self._api.ask("reject", {"manager_notes": f"{self._tag}: {why}"}, id=proposal["id"])

    def journal_of(
        self,
        kind: str,
        *,
        position: Mapping[str, Any] | None = None,
        proposal: Mapping[str, Any] | None = None,
    ) -> list[dict[str, Any]]:
        """Return the entries of one kind about a position or a proposal."""
        query: dict[str, Any] = {"entry_type": kind, "limit": JOURNAL_LIMIT}
        if position:
            query["position_id"] = position["id"]
        return [
            each
            for each in self._api.ask("journal", query=query)
            if each["entry_type"] == kind
            and each["instrument"] == INSTRUMENT
            and (position is None or each["position_id"] == position["id"])
            and (proposal is None or each["proposal_id"] == proposal["id"])
        ]

    def position_row(self, position: Mapping[str, Any]) -> dict[str, Any]:
        """Return the database's row of a position."""
        # By instrument too: a PMS that keeps its book in memory may reuse ids of stored rows.
        found = self._rows(
            """SELECT id, direction, notional_brl, entry_price, current_price, is_open, closed_at,
                      close_price, realized_pnl_brl, notes
                 FROM portfolio_positions WHERE id = %(id)s AND instrument = %(instrument)s""",
            {"id": position["id"], "instrument": INSTRUMENT},
        )
        if not found:
            raise Mismatch(f"position {position['id']} is not in portfolio_positions")
        return found[0]

    def proposal_row(self, proposal: Mapping[str, Any]) -> dict[str, Any]:
        """Return the database's row of a proposal."""
        found = self._rows(
            """SELECT id, status, signal_source, position_id
                 FROM trade_proposals WHERE id = %(id)s AND instrument = %(instrument)s""",
            {"id": proposal["id"], "instrument": INSTRUMENT},
        )
        if not found:
            raise Mismatch(f"proposal {proposal['id']} is not in trade_proposals")
        return found[0]
