# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the newest runs of Dagster say: failed jobs, and runs that do not end."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from ansible.module_utils.pmsops.common.timestamps import UTC

# Statuses in which a run has ended.
OVER = frozenset({"SUCCESS", "FAILURE", "CANCELED"})
# A job whose newest run failed earlier than this is no longer reported.
TROUBLE_DAYS = 4


def trouble(
    results: list[dict[str, Any]], now: datetime, minutes: float, explain: Callable[[Any], str]
) -> dict[str, Any]:
    """Return the jobs whose newest run failed, the runs that failed, and those that do not end.

    ``failed`` and ``stuck`` hold both as text, or None without any; *explain* names a failed run.
    """
    seconds = now.timestamp()
    newest: dict[str, dict[str, Any]] = {}
    for run in sorted(results, key=lambda each: float(each["creationTime"]), reverse=True):
        newest.setdefault(run["jobName"], run)
    since = seconds - TROUBLE_DAYS * 86400
    lost = [
        run
        for run in results
        if run["status"] in ("FAILURE", "CANCELED") and run["creationTime"] > since
    ]
    failed = sorted(job for job, run in newest.items() if run in lost)
    stuck = [
        {
            "id": run["runId"],
            "job": run["jobName"],
            "status": run["status"],
            "since": datetime.fromtimestamp(run["creationTime"], UTC).isoformat(),
        }
        for run in results
        if run["status"] not in OVER and run["creationTime"] < seconds - 60 * minutes
    ]
    return {
        "failed_jobs": failed,
        "lost_runs": [{"id": run["runId"], "job": run["jobName"]} for run in lost],
        "stuck_runs": stuck,
        "failed": ", ".join(explain(newest[job]) for job in failed) or None,
        "stuck": ", ".join(f"{each['job']} since {each['since']}" for each in stuck) or None,
    }
