# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The jobs of a schedule with everything that its unit files need."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import ansible.module_utils
from ansible.errors import AnsibleFilterError

_OURS = str(Path(__file__).resolve().parents[2] / "module_utils")
if _OURS not in ansible.module_utils.__path__:
    ansible.module_utils.__path__.append(_OURS)

DOCUMENTATION = r"""
name: pms_schedule_jobs
short_description: Complete a list of jobs
description:
  - Checks each job, fills in what it leaves out, and adds the command that it runs, the calendar
    events of its timer, and the jobs that it is ordered after.
author: Operations team (@ops)
options:
  _input:
    description: The jobs, as C(schedule_jobs) of the role C(schedule) describes them.
    type: list
    elements: dict
    required: true
  playbook_command:
    description: What runs a playbook, with the options that all of them have.
    type: list
    elements: str
    required: true
  zone:
    description: The time zone of a job that has none of its own; without one, São Paulo's.
    type: str
    default: ""
"""

EXAMPLES = r"""
jobs: "{{ schedule_jobs | pms_schedule_jobs(['.venv/bin/ansible-playbook']) }}"
"""

RETURN = r"""
_value:
  description: The completed jobs, in the order given.
  type: list
  elements: dict
  sample: [{name: drill, calendars: ["Sat *-*-* 03:30:00 America/Sao_Paulo"], after: [backup]}]
"""

DEFAULTS = {"timeout_minutes": 60, "delay_minutes": 5, "catch_up": True, "exclusive": False}
# From the end of the time that a run may take, until its absence is an alarm.
GRACE_MINUTES = 15


def schedule_jobs(
    jobs: list[dict[str, Any]], playbook_command: list[str], zone: str = ""
) -> list[dict[str, Any]]:
    """Return the jobs with defaults, command, calendars and order."""
    from ansible.module_utils.pmsops.common.errors import OpsError
    from ansible.module_utils.pmsops.schedule.calendar import ScheduledJob, calendars

    found: list[dict[str, Any]] = []
    for given in jobs:
        job = (
            DEFAULTS
            | {"zone": zone}
            | {name: value for name, value in given.items() if value is not None}
        )
        if ("playbook" in job) == ("command" in job):
            raise AnsibleFilterError(f"Job {job.get('name')}: give it a playbook or a command.")
        start = [*playbook_command, job["playbook"]] if "playbook" in job else job["command"]
        job["command"] = [*map(str, start), *map(str, job.get("arguments", []))]
        takes = job["delay_minutes"] + job["timeout_minutes"]
        job.setdefault("window_minutes", takes + GRACE_MINUTES)
        job.setdefault("title", job.get("name"))
        try:
            job["calendars"] = calendars(ScheduledJob.from_options(job))
        except OpsError as exc:
            raise AnsibleFilterError(f"{exc} {exc.remedy}") from exc
        if job["window_minutes"] < takes:
            raise AnsibleFilterError(
                f"Job {job['name']}: window_minutes is {job['window_minutes']}, less than the"
                f" {takes} that delay_minutes and timeout_minutes allow it."
            )
        if job["name"] in [other["name"] for other in found]:
            raise AnsibleFilterError(f"Two jobs are called {job['name']}.")
        earlier = [other["name"] for other in found if other["exclusive"]]
        job["after"] = earlier if job["exclusive"] else []
        found.append(job)
    return found


class FilterModule:
    """Gives the filter to Ansible."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filter by its name."""
        return {"pms_schedule_jobs": schedule_jobs}
