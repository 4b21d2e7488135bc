# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether anything starts the jobs: a job that nothing starts is not merely not due yet."""

from __future__ import annotations

import subprocess
from pathlib import Path

from ansible.module_utils.pmsops.schedule.state import Schedule

SYSTEMD = Path("/run/systemd/system")
SECONDS = 10


def problem(schedule: Schedule, name: str, *, systemd: Path = SYSTEMD) -> str:
    """Return why nothing starts a job; "" if its timer is active, or if nobody can say."""
    if schedule.timers is None:
        return ""
    if not schedule.timers:
        return "nothing starts it: it was scheduled without timers"
    if not systemd.is_dir():
        return "nothing starts it: this machine does not run systemd"
    unit = f"{schedule.unit_prefix}{name}.timer"
    try:
        asked = subprocess.run(
            ["systemctl", "is-active", "--quiet", unit],
            timeout=SECONDS,
            capture_output=True,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return "" if asked.returncode == 0 else f"nothing starts it: {unit} is not active"
