# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Health: always 200, only the body tells."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import psycopg2
from fastapi import APIRouter
from fastapi.responses import RedirectResponse

from pms_service.service import Pms

COUNTED = ("macro_series", "market_data", "curves", "flow_data", "fiscal_data")
router = APIRouter(tags=["Health"])


@router.get("/health")
def health(pms: Pms) -> dict[str, Any]:
    """Say whether the database answers."""
    try:
        pms.database.row("SELECT 1")
        status, database = "ok", "connected"
    except psycopg2.Error:
        status, database = "degraded", "disconnected"
    return {"status": status, "database": database, "timestamp": datetime.now(UTC)}


@router.get("/health/data-status")
def data_status(pms: Pms) -> dict[str, Any]:
    """Count what is in the database."""
    counts = ", ".join(f"(SELECT count(*) FROM {name}) AS {name}" for name in COUNTED)
    rest = pms.database.row(
        f"SELECT {counts}, (SELECT count(*) FROM instruments) AS total_instruments,"
        " (SELECT count(*) FROM series_metadata) AS total_series_metadata"
    )
    return {
        "table_counts": {name: rest.pop(name) for name in COUNTED},
        **rest,
        "timestamp": datetime.now(UTC),
    }


@router.get("/api/v1/data/status", include_in_schema=False)
def data_status_alias() -> RedirectResponse:
    """Point at the status of the data."""
    return RedirectResponse("/health/data-status", 307)
