# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Query Grafana, and run the SQL of its panels on the real database."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote

from ansible.module_utils.pmsops.checks.probes import Deadline, Failed, Overdue, Unanswerable
from ansible.module_utils.pmsops.checks.probes.context import Context
from ansible.module_utils.pmsops.checks.probes.http import request
from ansible.module_utils.pmsops.checks.probes.sql import run as query

ABOUT = {
    "health": "/api/health",
    "dashboards": "/api/search?type=dash-db",
    "datasources": "/api/datasources",
    "rules": "/api/v1/provisioning/alert-rules",
}
# Grafana's macros, each with equivalent SQL.
MACROS = (
    (
        r"\$__timeFilter\(([^()]*(?:\([^()]*\))?[^()]*)\)",
        r"\1 BETWEEN now() - interval '6 hours' AND now()",
    ),
    (r"\$__timeGroup(?:Alias)?\(([^,()]+),[^()]*\)", r"date_trunc('hour', \1::timestamptz)"),
    (r"\$__unixEpochFilter\(([^()]+)\)", r"\1 BETWEEN 0 AND extract(epoch FROM now())"),
    (r"\$__time\(([^()]+)\)", r"\1 AS time"),
    (r"\$__timeFrom\(\)", "(now() - interval '6 hours')"),
    (r"\$__timeTo\(\)", "now()"),
    (r"\$__interval(_ms)?", "1 hour"),
)

_VARIABLE = r"\$\{{{0}(?::\w+)?\}}|\${0}\b"


def ask(params: dict[str, Any], context: Context, deadline: Deadline) -> dict[str, Any]:
    """Return Grafana's answer about one subject, or the panels of a dashboard with their errors."""
    if uid := params.get("dashboard"):
        return _dashboard(context, deadline, str(uid))
    about = params["about"]
    if about not in ABOUT:
        raise Unanswerable(f"about: {about} is not one of {', '.join(ABOUT)}")
    found = _get(context, deadline, ABOUT[about])
    return {about: found, "count": len(found)} if about != "health" else found


def _get(context: Context, deadline: Deadline, path: str) -> Any:
    grafana = context.settings.grafana
    basic = (
        (grafana["username"], grafana.get("password") or "") if grafana.get("username") else None
    )
    answer = request(context, deadline, "GET", context.base_url("grafana") + path, basic=basic)
    if answer["status"] != 200 or "json" not in answer:
        raise Failed(f"Grafana answers HTTP {answer['status']} to {path}")
    return answer["json"]


def _dashboard(context: Context, deadline: Deadline, uid: str) -> dict[str, Any]:
    found = _get(context, deadline, f"/api/dashboards/uid/{quote(uid, safe='')}")["dashboard"]
    values = _variables(found)
    panels = []
    for panel in _panels(found.get("panels") or []):
        queries = [
            target["rawSql"] for target in panel.get("targets") or [] if target.get("rawSql")
        ]
        if not queries:
            continue  # a row or a text
        errors = [error for sql in queries if (error := _error(context, deadline, sql, values))]
        panels.append(
            {
                "title": panel.get("title") or f"panel {panel.get('id')}",
                "runs": not errors,
                "error": errors[0] if errors else None,
            }
        )
    return {
        "title": found.get("title"),
        "panels": panels,
        "count": len(panels),
        "broken": [panel["title"] for panel in panels if not panel["runs"]],
    }


def _panels(panels: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return all panels, those inside collapsed rows too."""
    return [one for panel in panels for one in (panel, *_panels(panel.get("panels") or []))]


def _variables(dashboard: dict[str, Any]) -> dict[str, str]:
    """Return the dashboard's own variables with their current values."""
    found = {}
    for variable in (dashboard.get("templating") or {}).get("list") or []:
        value = (variable.get("current") or {}).get("value", "")
        found[variable.get("name", "")] = str(
            value[0] if isinstance(value, list) and value else value
        )
    return found


def _error(context: Context, deadline: Deadline, sql: str, values: dict[str, str]) -> str | None:
    try:
        text = plain_sql(sql, values)
        query(context, deadline, f"SELECT * FROM ({text}\n) AS panel LIMIT 1")
    except Overdue:
        raise
    except Failed as exc:
        return str(exc)
    return None


def plain_sql(sql: str, values: dict[str, str]) -> str:
    """Return a panel's query with Grafana's macros and the dashboard's variables replaced."""
    text = sql.strip().rstrip(";")
    for pattern, replacement in MACROS:
        text = re.sub(pattern, replacement, text)
    for name, value in values.items():
        text = re.sub(_VARIABLE.format(re.escape(name)), value.replace("\\", r"\\"), text)
    return text
