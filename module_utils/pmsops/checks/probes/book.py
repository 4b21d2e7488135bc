# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Compare the book that the PMS serves with the one that its database holds."""

from __future__ import annotations

from typing import Any

from ansible.module_utils.pmsops.checks.probes import Deadline, Failed
from ansible.module_utils.pmsops.checks.probes.context import Context
from ansible.module_utils.pmsops.checks.probes.http import request
from ansible.module_utils.pmsops.checks.probes.sql import run
from ansible.module_utils.pmsops.pms import positions
from ansible.module_utils.pmsops.pms.dialect import OPERATIONS


def ask(params: dict[str, Any], context: Context, deadline: Deadline) -> dict[str, Any]:
    """Return how many are open, which ids differ, and that in words.

    With ``persists: false`` what is in the PMS alone is no difference: the release keeps it there.
    """
    served: dict[int, dict[str, Any]] = {}
    for is_open in ("false", "true"):
        served |= {row["id"]: row for row in _positions(context, deadline, is_open)}
    rows = run(context, deadline, positions.STORED)["rows"]
    found = positions.compare(served, {row["position"]["id"]: row["position"] for row in rows})
    wrong = found.wrong(persists=params.get("persists", True))
    return {
        "open": sum(row["is_open"] for row in served.values()),
        "missing": list(found.missing),
        "unstored": list(found.unstored),
        "differences": "; ".join(found.summary()) if wrong else None,
    }


def _positions(context: Context, deadline: Deadline, is_open: str) -> list[dict[str, Any]]:
    answer: dict[str, Any] = {}
    for path in OPERATIONS["positions"].paths:
        url = f"{context.base_url('api')}{path}?is_open={is_open}"
        answer = request(context, deadline, "GET", url)
        if answer["status"] != 404:
            break
    found = answer.get("json")
    if answer["status"] != 200 or not isinstance(found, list):
        raise Failed(f"the PMS answers HTTP {answer['status']} for its positions, and no list")
    return found
