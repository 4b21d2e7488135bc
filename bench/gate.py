# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""What many probes cost, against few."""

from __future__ import annotations

from bench.common import Figure, timed

ROUNDS = 3


def probes(count: int) -> None:
    """Run so many cheap probes, as the gate does."""
    from datetime import UTC, datetime

    from ansible.module_utils.pmsops.engine import Engine, Job
    from ansible.module_utils.pmsops.expectations import Clock
    from ansible.module_utils.pmsops.probes.context import Settings
    from ansible.module_utils.pmsops.variables import Variables

    now = datetime.now(UTC)
    expect = ({"path": "exists", "eq": True},)
    jobs = [Job(f"f{n}", "file", {"path": "/etc/passwd"}, expect) for n in range(count)]
    Engine(Settings(now=now), Variables({}, Clock(now))).run(jobs)


def figures() -> list[Figure]:
    """Measure 60 and 600 probes, the best of three."""
    few = min(timed(probes, 60)[0] for _ in range(ROUNDS))
    many = min(timed(probes, 600)[0] for _ in range(ROUNDS))
    return [
        Figure("gate: 60 probes inside the module", few, 3, "s"),
        Figure("gate: 600 probes against 60", many / few, 6, "x"),
    ]
