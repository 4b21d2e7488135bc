# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""A stand-in for the database behind a stand-in PMS: positions, quotes, journal, agent reports.

It answers the fixed queries of pms/ and recovery/ out of lists, and fails on any other statement.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from typing import Any

import psycopg2
from ansible.module_utils.pmsops.common.errors import OpsError

from tests.support.standin_pms import StandIn


class BookDatabase:
    """The database of a stand-in PMS. ``stored`` None means that all its trades are stored."""

    name = "macro_trading"
    user = "pms_ops"
    maintenance_name = "postgres"

    def __init__(self, book: StandIn) -> None:
        self.book = book
        self.stored: list[dict[str, Any]] | None = None
        self.quotes: dict[str, tuple[str, float | None, date | None]] = {}
        self.agents: list[str] = []
        # How many rows of the day each table has; a table that is not named does not exist.
        self.of_day: dict[str, int] = {"trade_proposals": 0, "daily_briefings": 0}
        self.has_positions = True
        self.has_journal = True
        self.is_down = False
        self.began = 1_800_000_000.0
        self.statements: list[str] = []
        self._answer: list[tuple[Any, ...]] = []

    @contextmanager
    def session(self, **_options: Any) -> Iterator[BookDatabase]:
        """Yield itself as the cursor."""
        if self.is_down:
            raise OpsError("nobody answers", "Start it.", code="database.unreachable")
        yield self

    def to_error(self, exc: psycopg2.Error) -> OpsError:
        """Return the error of a statement."""
        return OpsError(str(exc), "Look.", code="database.statement")

    def execute(self, sql: str, params: Any = None) -> None:
        """Answer one of the known statements."""
        self.statements.append(sql)
        self._answer = self._rows(sql, params)

    def fetchone(self) -> tuple[Any, ...] | None:
        """Return the first row of the answer."""
        return self._answer[0] if self._answer else None

    def fetchall(self) -> list[tuple[Any, ...]]:
        """Return all rows of the answer."""
        return self._answer

    def _rows(self, sql: str, params: Any) -> list[tuple[Any, ...]]:
        journal = self.book.journal
        if sql.startswith("SET LOCAL"):
            return []
        if "to_regclass('public.portfolio_positions')" in sql:
            return [("portfolio_positions" if self.has_positions else None,)]
        if "to_regclass('public.decision_journal')" in sql:
            return [(not self.has_journal,)]
        if "FROM public.portfolio_positions" in sql:
            return [(row,) for row in self.positions()]
        if "FROM public.instruments" in sql:
            return [(ticker, *quote) for ticker, quote in self.quotes.items()]
        if "count(*) FROM public.decision_journal WHERE entry_type = 'CLOSE'" in sql:
            number, mark = params
            found = [row for row in journal if row["entry_type"] == "CLOSE"]
            found = [row for row in found if row["position_id"] == number]
            return [(sum(mark in (row["manager_notes"] or "") for row in found),)]
        if "SELECT id FROM public.decision_journal" in sql:
            (mark,) = params
            return [(row["id"],) for row in journal if mark in (row["manager_notes"] or "")][:1]
        if sql.startswith("INSERT INTO public.decision_journal"):
            journal.append(dict(params) | {"id": len(journal) + 1, "proposal_id": None})
            return [(journal[-1]["id"],)]
        if sql == "SELECT to_regclass(%s)":
            return [(params[0] if params[0].removeprefix("public.") in self.of_day else None,)]
        if match := re.match(r"SELECT count\(\*\) FROM public\.(\w+) WHERE", sql):
            return [(self.of_day[match[1]],)]
        if "FROM public.agent_reports" in sql:
            return [(agent,) for agent in self.agents]
        if "pg_postmaster_start_time" in sql:
            return [(self.began,)]
        raise AssertionError(f"unexpected statement {sql}")

    def positions(self) -> list[dict[str, Any]]:
        """Return the stored positions."""
        return self.book.positions if self.stored is None else self.stored
