# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The five agents."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

from fastapi import APIRouter, HTTPException

from pms_service.models import AgentIn
from pms_service.packs import AGENTS
from pms_service.service import Caught, Pms, Service, day

VALUE = """
    SELECT avg(value) AS value, avg(confidence) AS confidence
      FROM signals WHERE signal_date = %(day)s
"""
SIGNAL = "INSERT INTO signals (signal_type, signal_date, value, confidence) VALUES (%s, %s, %s, %s)"
REPORT = """
    INSERT INTO agent_reports (agent_id, as_of_date, signals_count, narrative, model_diagnostics,
                               data_quality_flags)
    VALUES (%s, %s, 1, %s, '{}', '{}')
"""
router = APIRouter(tags=["Agents"], route_class=Caught)


@router.get("")
def agents() -> dict[str, Any]:
    """Return what the agents are; when they last ran is not told, as in the PMS."""
    listed = [
        {"agent_id": name, "name": name.replace("_", " ").title(), "last_run": None}
        for name in AGENTS
    ]
    return {"status": "ok", "data": listed, "meta": {"timestamp": datetime.now(UTC)}}


def _report(pms: Service, agent: str, when: date) -> dict[str, Any]:
    if agent not in AGENTS:
        raise HTTPException(404, f"Agent {agent} not found")
    found = pms.database.row(VALUE, {"day": when})
    value, confidence = found["value"] or 0.0, found["confidence"] or 0.5
    view = "positive" if value > 0 else "negative"
    return {
        "agent_id": agent,
        "as_of_date": when,
        "narrative": f"The view of {agent} on {when} is {view}.",
        "signals": [{"signal_type": agent, "value": value, "confidence": confidence}],
    }


@router.post("/{agent_id}/run")
def run(agent_id: str, pms: Pms, body: AgentIn | None = None) -> dict[str, Any]:
    """Let an agent report on a day, and store what it says."""
    when = day(body.date if body else None) or date.today()
    report = _report(pms, agent_id, when)
    signal = report["signals"][0]
    with pms.database.transaction() as cursor:
        cursor.execute(REPORT, (agent_id, when, report["narrative"]))
        cursor.execute(SIGNAL, (agent_id, when, signal["value"], signal["confidence"]))
    return {"status": "ok", "data": report, "meta": {"timestamp": datetime.now(UTC)}}


@router.get("/{agent_id}/latest")
def latest(agent_id: str, pms: Pms) -> dict[str, Any]:
    """Return what an agent would say today; nothing is stored."""
    report = _report(pms, agent_id, date.today())
    return {"status": "ok", "data": report, "meta": {"timestamp": datetime.now(UTC)}}
