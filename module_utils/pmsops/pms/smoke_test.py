# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The workflow smoke test: a small trading day through the PMS's own interface.

All its rows carry one tag and one instrument that nobody trades. Nothing is deleted. Its two
positions are opposite and are closed at the same price, so the book's result changes by the costs
only.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import psycopg2
import psycopg2.extras
from ansible.module_utils.pmsops.common.business_zone import BUSINESS_ZONE
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.common.timestamps import UTC
from ansible.module_utils.pmsops.pms.client import PmsApi
from ansible.module_utils.pmsops.pms.smoke_test_intents import Intents
from ansible.module_utils.pmsops.pms.smoke_test_remains import is_own
from ansible.module_utils.pmsops.pms.smoke_test_steps import STEPS, SmokeTest
from ansible.module_utils.pmsops.pms.smoke_test_traces import TAG_PREFIX
from ansible.module_utils.pmsops.postgresql import session_settings
from ansible.module_utils.pmsops.postgresql.connection import Database

STATEMENT_TIMEOUT_SECONDS = 10
LOCK_KEY = 7_306_841  # advisory lock in the PMS's database: one smoke test at a time


def refuse_unless(allowed: bool, url: str | None) -> None:
    """Refuse to trade unless the system allows it.

    :raises OpsError: smoke.not_allowed or smoke.no_url.
    """
    if not allowed:
        raise OpsError(
            "The smoke test trades on the system, and golive_smoke_test is false.",
            "Set golive_smoke_test: true in the inventory of a system where a tagged, compensated"
            " test trade is allowed.",
            code="smoke.not_allowed",
        )
    if not url:
        raise OpsError(
            "The smoke test needs the address of the PMS: pms_api_url is empty.",
            "Set pms_api_url to the base URL of the PMS.",
            code="smoke.no_url",
        )


def refuse_book_in_use(api: PmsApi) -> None:
    """Refuse to trade on a book with positions of the fund.

    A PMS that does not answer is no reason: the steps of the test then say so.

    :raises OpsError: smoke.book-in-use
    """
    try:
        shown = api.ask("positions", query={"is_open": "true"})
    except OpsError:
        return
    rows = [row for row in shown if isinstance(row, Mapping)] if isinstance(shown, list) else []
    if positions := [row for row in rows if not is_own(row)]:
        raise OpsError(
            f"The book has {len(positions)} open positions, and no release of the PMS undoes a"
            " trade without a trace. What stays: the closed test positions, proposals and journal"
            " entries, and their costs in the result. Releases that keep approved trades apart from"
            " the book also keep the test's exposure there; a marking counts again in the equity"
            " curve, and changes results in USD that were marked at another rate.",
            "Run the smoke test before the first position is booked, or on a copy of the system. If"
            " what stays is acceptable here, set golive_smoke_test_accept_remains: true.",
            code="smoke.book-in-use",
        )


def plan() -> dict[str, Any]:
    """Return the result of a run in check mode."""
    steps = [
        {"id": step.id, "title": step.title, "status": "planned", "finding": "", "seconds": 0.0}
        for step in STEPS
    ]
    return _result(steps, tag="", duration=0.0, verdict="planned")


def run(
    api: PmsApi,
    database: Database,
    *,
    deadline_seconds: float,
    accepts: bool = False,
    evidence_root: Path | None = None,
    close_only: bool = False,
) -> dict[str, Any]:
    """Run the test and return its result, also if steps failed.

    *accepts* says that the operator accepts what a trade leaves on a book with positions;
    *evidence_root* gets the record of what is sent; with *close_only*, only what a killed test left
    is closed.

    :raises OpsError: smoke.running if another one is using the same database; smoke.book-in-use.
    """
    now = datetime.now(UTC)
    tag = f"{TAG_PREFIX} {now:%Y%m%dT%H%M%SZ} {secrets.token_hex(3)}"
    began = time.monotonic()
    with _Reader(database) as reader:
        if not (accepts or close_only):
            refuse_book_in_use(api)
        test = SmokeTest(
            api,
            reader.rows,
            tag=tag,
            today=now.astimezone(BUSINESS_ZONE).date(),
            deadline_seconds=deadline_seconds,
            accepts=accepts,
            intents=Intents(evidence_root, tag=tag),
        )
        steps = test.close() if close_only else test.run()
    return _result(steps, tag=tag, duration=round(time.monotonic() - began, 3))


def _result(
    steps: list[dict[str, Any]], *, tag: str, duration: float, verdict: str | None = None
) -> dict[str, Any]:
    missed = [step["id"] for step in steps if step["status"] in ("fail", "unknown")]
    return {
        "steps": steps,
        "verdict": verdict or ("fail" if missed else "pass"),
        "not_passed": missed,
        "tag": tag,
        "duration_seconds": duration,
    }


class _Reader:
    """Read-only SQL on one connection, which also holds the lock against a second smoke test.

    An unreachable database does not stop the test: the steps that read it become unknown.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._connection: Any = None

    def __enter__(self) -> _Reader:
        try:
            self._connect()
        except OpsError:
            return self
        if not self.rows("SELECT pg_try_advisory_lock(%(key)s) AS got", {"key": LOCK_KEY})[0][
            "got"
        ]:
            self._connection.close()
            raise OpsError(
                "Another smoke test is running on this system.",
                "Wait until it ends, a minute or two, and run this one again.",
                code="smoke.running",
            )
        return self

    def __exit__(self, *_exc: object) -> None:
        if self._connection is not None:
            self._connection.close()

    def rows(self, sql: str, params: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Return the rows of one SELECT.

        :raises OpsError: database.unreachable, database.query, and those of connecting.
        """
        try:
            if self._connection is None or self._connection.closed:
                self._connect()
            with self._connection.cursor(cursor_factory=psycopg2.extras.RealDictCursor) as cursor:
                cursor.execute(sql, params)
                return [dict(row) for row in cursor.fetchall()]
        except psycopg2.Error as exc:
            lines = str(exc).strip().splitlines()
            raise OpsError(
                f"The database did not answer a query: {lines[0] if lines else type(exc).__name__}",
                "Repair the database first, then run the smoke test again.",
                code="database.query",
            ) from exc

    def _connect(self) -> None:
        self._connection = self._database.connect(read_only=True, autocommit=True)
        with self._connection.cursor() as cursor:
            session_settings.limit_statements(cursor, STATEMENT_TIMEOUT_SECONDS, transaction=False)
