# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""A stand-in PMS with a small book, its database, and a context to correct it in."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.pmsops.corrections.context import Context
from ansible.module_utils.pmsops.incidents.record import Action
from ansible.module_utils.pmsops.pms.client import Answer, PmsApi

from tests.support.book_database import BookDatabase
from tests.support.standin_pms import StandIn, served

TODAY = date(2026, 11, 25)


class Killed(BaseException):
    """The end of a run, as a kill would be: nothing may catch it."""


class Session(PmsApi):
    """A session that a test can kill before or after a request."""

    die_before = ""
    die_after = ""

    def request(self, method: str, path: str, *rest: Any, **more: Any) -> Answer:
        """Send one request."""
        if self.die_before and path.endswith(self.die_before):
            raise Killed
        answer = super().request(method, path, *rest, **more)
        if self.die_after and path.endswith(self.die_after):
            raise Killed
        return answer


@dataclass
class World:
    """The book, its database, and a context."""

    book: StandIn
    database: BookDatabase
    url: str
    root: Path

    def context(self, **options: Any) -> Context:
        """Return a context with a session of its own, which options may kill."""
        session = Session(self.url, "manager", "right")
        for name in ("die_before", "die_after"):
            setattr(session, name, options.pop(name, ""))
        options = {"settle_seconds": 0.0, "sleep": lambda _seconds: None} | options
        return Context(session, self.database, self.root, TODAY, **options)

    def open(self, instrument: str = "USDBRL", **changes: Any) -> dict[str, Any]:
        """Open a position of the fund."""
        self.book.open(
            {
                "instrument": instrument,
                "asset_class": "FX",
                "direction": "LONG",
                "notional_brl": 10_000_000.0,
                "execution_price": 5.2,
                "manager_thesis": "of the fund",
            }
            | changes
        )
        return self.book.positions[-1]

    def entries(self, kind: str) -> list[dict[str, Any]]:
        """Return the entries of a kind in the journal."""
        return [row for row in self.book.journal if row["entry_type"] == kind]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    book = StandIn()
    database = BookDatabase(book)
    database.quotes = {
        "USDBRL": ("FX", 5.3, date(2026, 11, 24)),
        "EURUSD": ("FX", 1.1, date(2026, 11, 24)),
        "DI1F29": ("RATES", 75_000.0, date(2026, 11, 24)),
        "OLD": ("FX", None, None),
    }
    with served(book) as url:
        yield World(book, database, url, tmp_path)


def record(_text: str) -> AbstractContextManager[Action]:
    """Record nothing."""
    return nullcontext(Action())
