# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the PMS says about itself."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime
from typing import Any

import psycopg2
import redis
from fastapi import APIRouter
from fastapi.responses import RedirectResponse

from pms_service import figures
from pms_service.models import AlertIn
from pms_service.packs import AGENTS
from pms_service.service import Pms, Service

FRESH_AGENTS = 3
# "Fresh" by the business day: a report of Friday is fresh on Monday.
REPORTS = """
    SELECT count(DISTINCT agent_id) AS fresh,
           extract(epoch FROM now() - min(newest)) / 3600 AS oldest
      FROM (SELECT agent_id, max(created_at) AS newest FROM agent_reports
             WHERE as_of_date > current_date - 5 GROUP BY agent_id) AS reports
"""
RUNS = """
    SELECT status, duration_seconds, created_at FROM pipeline_runs
     ORDER BY created_at DESC LIMIT 1
"""
SOURCES = "SELECT name FROM data_sources WHERE is_active ORDER BY id"
router = APIRouter(tags=["Monitoring"])


def _envelope(data: Any) -> dict[str, Any]:
    return {"status": "ok", "data": data, "meta": {"timestamp": datetime.now(UTC)}}


@router.get("/alerts")
def alerts() -> dict[str, Any]:
    """Return alerts: none, since nothing evaluates the rules."""
    return _envelope({"alerts": [], "total": 0})


@router.get("/pipeline-status")
def pipeline_status(pms: Pms) -> dict[str, Any]:
    """Return when the connectors ran last."""
    names = [row["name"] for row in pms.database.rows(SOURCES)]
    run = None if pms.settings.faithful else pms.database.row(RUNS)
    status = "unknown" if run is None else "healthy" if run["status"] == "SUCCESS" else "degraded"
    connectors = [
        {
            "connector": name,
            "status": status.upper(),
            "last_run": run and run["created_at"],
            "last_run_age": run and (datetime.now(UTC) - run["created_at"]).total_seconds(),
            "duration_seconds": run and run["duration_seconds"],
            "records_fetched": 0,
        }
        for name in names
    ]
    return _envelope(
        {"overall_status": status, "connectors": connectors, "total_connectors": len(names)}
    )


@router.get("/system-health")
def system_health(pms: Pms) -> dict[str, Any]:
    """Return how the parts are."""
    components = {
        "database": _database(pms),
        "redis": _redis(pms),
        "pipeline": _asked(pms, _pipeline),
        "agents": _asked(pms, _agents),
        "risk": _asked(pms, _risk),
    }
    states = {each["status"] for each in components.values()}
    worst = (
        "unhealthy" if "unhealthy" in states else "degraded" if "unknown" in states else "healthy"
    )
    return _envelope({"overall_status": worst, "components": components})


@router.get("/health", include_in_schema=False)
def system_health_alias() -> RedirectResponse:
    """Point at the system's health."""
    return RedirectResponse("/api/v1/monitoring/system-health", 307)


@router.post("/test-alert")
def test_alert(body: AlertIn | None = None) -> dict[str, Any]:
    """Say where an alert would go; the stand-in sends none."""
    channel = (body or AlertIn()).channel
    delivery = {"slack": False, "email": False}
    alert = {"rule_id": "TEST", "severity": "info", "timestamp": datetime.now(UTC)}
    configured = {
        "slack": bool(os.environ.get("SLACK_WEBHOOK_URL")),
        "email": bool(os.environ.get("SMTP_HOST")),
    }
    return _envelope(
        {
            "test_alert": alert,
            "delivery": delivery,
            "channel": channel,
            "configured": configured,
        }
    )


def _database(pms: Service) -> dict[str, Any]:
    started = time.monotonic()
    try:
        pms.database.row("SELECT 1")
    except psycopg2.Error as exc:
        return {"status": "unhealthy", "error": type(exc).__name__}
    return {"status": "healthy", "latency_ms": round(1000 * (time.monotonic() - started), 2)}


def _redis(pms: Service) -> dict[str, Any]:
    if pms.settings.faithful:
        return {"status": "unhealthy", "error": "'coroutine' object has no attribute 'ping'"}
    started = time.monotonic()
    try:
        pms.cache.ping()
    except redis.RedisError as exc:
        return {"status": "unhealthy", "error": type(exc).__name__}
    return {"status": "healthy", "latency_ms": round(1000 * (time.monotonic() - started), 2)}


def _asked(pms: Service, question: Any) -> dict[str, Any]:
    try:
        return question(pms)
    except psycopg2.Error as exc:
        return {"status": "unhealthy", "error": type(exc).__name__}


def _pipeline(pms: Service) -> dict[str, Any]:
    run = None if pms.settings.faithful else pms.database.row(RUNS)
    if run is None:
        return {"status": "unknown"}
    status = "healthy" if run["status"] == "SUCCESS" else "unhealthy"
    return {"status": status, "last_run": run["created_at"]}


def _agents(pms: Service) -> dict[str, Any]:
    found = pms.database.row(REPORTS)
    return {
        "status": "healthy" if found["fresh"] >= FRESH_AGENTS else "unhealthy",
        "agents_fresh": found["fresh"],
        "agents_total": len(AGENTS),
        "oldest_report_age_hours": found["oldest"],
    }


def _risk(pms: Service) -> dict[str, Any]:
    rows = pms.database.rows(
        "SELECT daily_return FROM portfolio_returns ORDER BY return_date DESC LIMIT %(days)s",
        {"days": figures.TRADING_DAYS},
    )
    returns = sorted(row["daily_return"] for row in rows)
    var = -returns[int(0.05 * len(returns))] if returns else None
    return {
        "status": "healthy" if returns else "unknown",
        "var_95": var,
        "n_observations": len(returns),
    }
