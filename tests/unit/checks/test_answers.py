# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""HTTP checks against answers as the real PMS gives them: what else the same answer says."""

from __future__ import annotations

from copy import deepcopy
from datetime import UTC, datetime
from typing import Any

import pytest
from ansible.module_utils.pmsops.checks.variables import Variables
from ansible.module_utils.pmsops.checks.worker import ProbeResult, judge
from ansible.module_utils.pmsops.common.exchange_calendar import Clock

from tests.conftest import PROJECT
from tests.support.yaml_files import read_yaml

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
CLOCK = Clock(NOW)
CHECKS = {
    check["id"]: check
    for check in read_yaml(PROJECT / "roles/golive/files/checklist.yml")["checks"]
}
VARIABLES = {
    "limit_var_95_pct": 2.0,
    "limit_var_99_pct": 3.0,
    "limit_leverage_gross": 4.0,
    "limit_leverage_net": 2.0,
    "limit_drawdown_pct": 10.0,
    "api": {"username": "manager"},
}
RISK: dict[str, Any] = {
    "as_of_date": "2026-11-24",
    "var": {"parametric_95": 0.4, "parametric_99": 0.6, "limit_95_pct": 2.0, "limit_99_pct": 3.0},
    "leverage": {"gross": 1.2, "net": 0.4, "limit_gross": 4.0, "limit_net": 2.0},
    "drawdown": {"current_drawdown_pct": 0.0, "limit_pct": 10.0},
    "stress_tests": [{"scenario": "2008 financial crisis", "pnl_pct": -4.1}],
    "limits_summary": {
        "overall_status": "OK",
        "checks": [{"limit_name": "VAR_95", "status": "OK"}],
    },
    "alerts": [],
}
BREACH = {
    "type": "CONCENTRATION_BREACH",
    "severity": "BREACH",
    "message": "FX concentration 57.1% exceeds limit 40.0%",
    "value": 57.1,
    "limit": 40.0,
}
LIMITS = {"config": {"var_95_limit_pct": 2.0}, "limits_summary": RISK["limits_summary"]}
POSITION = {
    "id": 1,
    "is_open": True,
    "direction": "LONG",
    "notional_brl": 10e6,
    "current_price": 5.2,
}
PACK = {
    "briefing_date": "2026-11-23",
    "macro_narrative": "Inflation is easing.",
    "agent_views": [{"agent_id": f"agent{n}"} for n in range(5)],
}
BOOK = {"summary": {"aum": 100e6, "open_positions": 12}}
ALERTS: dict[str, Any] = {"status": "ok", "data": {"alerts": [], "total": 0}}
COMPONENTS = {
    "data": {
        "components": {
            "database": {"status": "healthy"},
            "agents": {"status": "healthy", "agents_total": 5},
            "risk": {"status": "healthy"},
        }
    }
}
ANSWERS = {
    "infra.api.risk": RISK,
    "infra.api.var": RISK,
    "config.risk_limits.var": RISK,
    "config.risk_limits.configured": LIMITS,
    "infra.api.positions": [POSITION],
    "config.narrative": PACK,
    "infra.api.fast": BOOK,
    "monitoring.alerts_route": ALERTS,
    "monitoring.components": COMPONENTS,
    "config.manager": {"username": "manager", "role": "MANAGER"},
}


def judged(check: str, body: Any) -> ProbeResult:
    expect = Variables(VARIABLES, CLOCK).fill(CHECKS[check]["expect"])
    return judge({"status": 200, "json": body, "seconds": 0.1}, expect, CLOCK)


@pytest.mark.parametrize("check", ANSWERS)
def test_a_good_answer_passes(check):
    assert judged(check, ANSWERS[check]).status == "pass"


@pytest.mark.parametrize(
    ("check", "place", "value", "says"),
    [
        ("infra.api.risk", ("alerts",), [BREACH], "CONCENTRATION_BREACH"),
        (
            "infra.api.risk",
            ("limits_summary", "checks"),
            [{"limit_name": "VAR_95", "status": "BREACHED"}],
            "BREACHED",
        ),
        ("infra.api.risk", ("alerts",), [{"type": "X"}], "has no severity"),
        ("infra.api.var", ("var", "parametric_95"), 0.0, "VaR 95 %"),
        ("infra.api.var", ("stress_tests",), [], "stress tests"),
        ("config.risk_limits.var", ("leverage", "limit_net"), 9.0, "net leverage limit"),
        (
            "config.risk_limits.configured",
            ("limits_summary",),
            {"overall_status": "BREACHED", "checks": [1]},
            "BREACHED",
        ),
        ("infra.api.positions", (0, "direction"), "SIDEWAYS", "SIDEWAYS"),
        ("infra.api.positions", (0, "current_price"), -1.0, "prices"),
        ("infra.api.positions", (0, "is_open"), False, "each is open"),
        ("config.narrative", ("briefing_date",), "2026-08-01", "day of the pack"),
        ("infra.api.fast", ("summary", "open_positions"), 0, "open positions"),
        (
            "monitoring.alerts_route",
            ("data", "alerts"),
            [{"name": "VaR critical", "severity": "critical"}],
            "VaR critical",
        ),
        ("monitoring.components", ("data", "components", "risk", "status"), "unhealthy", "risk"),
        ("config.manager", ("username",), "dev-user", "dev-user"),
    ],
)
def test_what_else_the_same_answer_says_is_read(check, place, value, says):
    body = deepcopy(ANSWERS[check])
    inner = body
    for step in place[:-1]:
        inner = inner[step]
    inner[place[-1]] = value
    found = judged(check, body)
    assert found.status == "fail"
    assert says in found.finding


def test_a_warning_near_a_limit_is_no_breach():
    near = RISK | {"alerts": [BREACH | {"severity": "WARNING"}]}
    assert judged("infra.api.risk", near).status == "pass"
