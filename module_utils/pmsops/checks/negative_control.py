# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The negative control of a gate: one check with a wrong expectation has to make a no-go.

The real answer of a check that passed is judged once more, with one of its expectations turned into
one that the answer does not meet. The record has no value of either.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ansible.module_utils.pmsops.checks import wrong_expectation
from ansible.module_utils.pmsops.checks.worker import ProbeResult, ProbeRun

FOUND, NOT_FOUND = "found", "not found"
NOTHING = "nothing to check"  # no pass, and no failure either
BROKEN, EXIT_CODE = "broken", 4
SEEDS = 2**32
# Checks whose answers are judged twice: the first of them that passes is the control.
CHOSEN = 8


@dataclass
class Control:
    """The negative control of one gate."""

    seed: int = field(default_factory=lambda: random.SystemRandom().randrange(SEEDS))

    def chosen(self, runs: Sequence[ProbeRun]) -> list[ProbeRun]:
        """Return the runs, a few random ones of them told to judge their answer twice."""
        names = self._names(runs)
        return [replace(run, control_seed=self.seed) if run.id in names else run for run in runs]

    def judge(
        self,
        runs: Sequence[ProbeRun],
        found: Mapping[str, ProbeResult],
        is_no_go: Callable[[str, ProbeResult], bool],
    ) -> dict[str, Any]:
        """Return the record: of the first chosen check that passed, or that none did.

        *is_no_go* tells whether a gate in which a check has this result is a no-go.
        """
        record: dict[str, Any] = {
            "outcome": NOTHING,
            "seed": self.seed,
            "check": None,
            "comparison": None,
            "given": None,
        }
        for name in self._names(runs):
            control = found[name].control
            if found[name].status != "pass" or control is None:
                continue
            expect = next(run.expect for run in runs if run.id == name)
            comparison, given = wrong_expectation.names(expect, self.seed)
            is_found = control.status == "fail" and is_no_go(name, control)
            outcome = FOUND if is_found else NOT_FOUND
            return record | {
                "outcome": outcome,
                "check": name,
                "comparison": comparison,
                "given": given,
            }
        return record

    def _names(self, runs: Sequence[ProbeRun]) -> list[str]:
        names = sorted(run.id for run in runs if run.expect)
        random.Random(self.seed).shuffle(names)  # noqa: S311 -- a choice that can be made again
        return names[:CHOSEN]
