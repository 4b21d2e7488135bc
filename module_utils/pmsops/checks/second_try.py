# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Ask again, one by one, what gave no answer in time, before anything is said about it.

Eight probes at once on a busy host wait for each other, and a time-out then says something about
the host and nothing about the target. Alone and with more time, a healthy target answers.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

from ansible.module_utils.pmsops.checks.probes.context import Settings
from ansible.module_utils.pmsops.checks.runner import PASSING, Runner
from ansible.module_utils.pmsops.checks.variables import Variables
from ansible.module_utils.pmsops.checks.worker import ProbeResult, ProbeRun
from ansible.module_utils.pmsops.common import host_load

# A probe that waited for longer than this had its time; more of it only delays the verdict.
MAX_SECONDS = 60.0
# What takes the second try has this many times the deadline of the first one.
BUSY_DEADLINES = 2.0


class SecondTry:
    """The second try of one gate: which runs take it, and what their results mean.

    ``load`` is the highest that was seen before the first try, after it, and after the second.
    """

    def __init__(
        self,
        settings: Settings,
        variables: Variables,
        *,
        deadline_seconds: float,
    ) -> None:
        self._settings = settings
        self._variables = variables
        self._deadline_seconds = deadline_seconds
        self.load = host_load.now()
        self.secrets: set[str] = set()

    def take(self, runs: list[ProbeRun], found: dict[str, ProbeResult]) -> dict[str, ProbeResult]:
        """Return all results, those of the first try and of the second."""
        self.load = host_load.higher(self.load, host_load.now())
        again = self._chosen(runs, found)
        if again:
            found = found | self._ask(again, found)
        return found | {run.id: self._judged(run, found[run.id]) for run in runs}

    def _chosen(self, runs: list[ProbeRun], found: dict[str, ProbeResult]) -> dict[str, ProbeRun]:
        """Return the runs to ask again by id, with those that wait for one of them."""
        chosen = {run.id: self._with_more_time(run) for run in runs if self._may(run, found)}
        waiting = [run for run in runs if run.id not in chosen and found[run.id].needs]
        grown = True
        while grown:
            more = [run for run in waiting if set(found[run.id].needs) & set(chosen)]
            grown = bool(more)
            chosen |= {run.id: run for run in more}
            waiting = [run for run in waiting if run.id not in chosen]
        return chosen

    def _may(self, run: ProbeRun, found: dict[str, ProbeResult]) -> bool:
        result = found[run.id]
        if (
            run.acts
            or run.probe == "smoke"
            or run.timeout > MAX_SECONDS
            or result.status in PASSING
            or result.needs
        ):
            return False
        return result.overdue or (self.load.busy and run.load_sensitive)

    def _with_more_time(self, run: ProbeRun) -> ProbeRun:
        longer = min(run.timeout * self.load.patience, MAX_SECONDS)
        return replace(run, timeout=max(run.timeout, longer), retries=0)

    def _ask(
        self, again: dict[str, ProbeRun], found: dict[str, ProbeResult]
    ) -> dict[str, ProbeResult]:
        runner = Runner(
            self._settings,
            self._variables,
            workers=1,
            stuck_seconds=math.inf,  # one by one: a stuck worker makes no room for another
            deadline_seconds=self._deadline_seconds * (BUSY_DEADLINES if self.load.busy else 1),
        )
        known = {name: result for name, result in found.items() if name not in again}
        results = runner.run(list(again.values()), known)
        self.secrets |= runner.secrets()
        self.load = host_load.higher(self.load, host_load.now())
        for name, run in again.items():
            results[name].attempts += found[name].attempts
            if results[name].overdue:
                results[name].finding += f" when it was asked again alone, for {run.timeout:g} s"
        return {name: results[name] for name in again}

    def _judged(self, run: ProbeRun, result: ProbeResult) -> ProbeResult:
        """Return the result as it counts: what the host may be to blame for is unknown."""
        if result.overdue:
            fails = run.silence == "fail" or (run.silence == "fail_if_idle" and not self.load.busy)
            result.status = "fail" if fails else "unknown"
        elif self.load.busy and run.load_sensitive and result.status == "fail":
            result.status = "unknown"
        else:
            return result
        if self.load.busy:
            result.cause = self.load.describe()
        # A step that an earlier gate judged has that gate's sentence; only one can be said.
        said = result.finding.partition(f"; {host_load.SENTENCE} ")[0]
        result.finding = f"{said}; {self.load.describe()}"
        return result


def causes(results: list[dict[str, Any]]) -> dict[str, list[str]]:
    """Map each cause that results share to the ids of those checks."""
    found: dict[str, list[str]] = {}
    for result in results:
        if result.get("cause"):
            found.setdefault(result["cause"], []).append(result["id"])
    return found


def reasons(blocking: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the results that block as a no-go says them; a template takes a second for that.

    ``checks`` have a reason of their own. About ``silent`` ones nothing is known, for what
    ``shared`` says: they are named once, and are no failures. ``after`` is how many need these.
    """
    own = [each["id"] for each in blocking if not each["needs"] and not each["cause"]]
    silent = [each for each in blocking if each["cause"]]
    return {
        "checks": own,
        "silent": [each["id"] for each in silent],
        "shared": [
            f"{len(silent)} unknown without an answer in time, {cause}" for cause in causes(silent)
        ],
        "after": len(blocking) - len(own) - len(silent),
    }
