# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""One reading of a brief: heading, lines, table, and points of attention."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from ansible.module_utils.pmsops.common.business_zone import BUSINESS_ZONE
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.pms.client import PmsApi
from ansible.module_utils.pmsops.postgresql import session_settings
from ansible.module_utils.pmsops.postgresql.connection import Database

QUERY_SECONDS = 10


@dataclass
class Reading:
    """The content under one heading; *failed* is the reason if it could not be read."""

    title: str
    lines: list[str] = field(default_factory=list)
    head: tuple[str, ...] = ()
    rows: list[tuple[Any, ...]] = field(default_factory=list)
    attention: list[str] = field(default_factory=list)
    failed: str = ""

    def plain(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {
            "title": self.title,
            "lines": self.lines,
            "head": list(self.head),
            "rows": [[str(cell) for cell in row] for row in self.rows],
            "attention": self.attention,
            "failed": self.failed,
        }


@dataclass
class Source:
    """The sources of readings. *api* is None without a URL."""

    database: Database
    api: PmsApi | None
    now: datetime
    backup_root: str = ""
    evidence_root: str = ""
    move_limit_pct: float = 2.0

    @property
    def today(self) -> date:
        """Return today in the fund's time zone."""
        return self.now.astimezone(BUSINESS_ZONE).date()

    def ask(self, operation: str, **options: Any) -> Any:
        """Return the PMS's answer.

        :raises OpsError: pms.no_url and what PmsApi raises.
        """
        if self.api is None:
            raise OpsError(
                "The brief needs the address of the PMS: pms_api_url is empty.",
                "Set pms_api_url to the base URL of the PMS.",
                code="pms.no_url",
            )
        return self.api.ask(operation, **options)

    def rows(self, sql: str, params: Any = None) -> list[tuple[Any, ...]]:
        """Return the rows of a query, read-only.

        :raises OpsError: database.*.
        """
        import psycopg2

        try:
            with self.database.session(read_only=True) as cursor:
                session_settings.limit_statements(cursor, QUERY_SECONDS)
                cursor.execute(sql, params)
                return cursor.fetchall()
        except psycopg2.Error as exc:
            raise self.database.to_error(exc) from exc


def money(value: Any) -> str:
    """Return an amount in BRL with separators of thousands."""
    return "-" if value is None else f"{float(value):,.0f}"


def price(value: Any) -> str:
    """Return a price without trailing zeros."""
    return "-" if value is None else f"{float(value):,.4f}".rstrip("0").rstrip(".")


def percent(value: Any) -> str:
    """Return a change in percent, with its sign."""
    return "-" if value is None else f"{float(value):+.2f} %"


def short(text: Any, length: int = 60) -> str:
    """Return a text on one line, cut to *length*."""
    flat = " ".join(str(text or "").split())
    return flat if len(flat) <= length else flat[: length - 1] + "…"
