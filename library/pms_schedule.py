#!/usr/bin/python
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: pms_schedule
short_description: Keep the record and the metrics of scheduled jobs in line with their list
description:
  - Brings the record of the scheduled jobs in line with their list. A job that never ran gets a
    deadline, and a job that left the list leaves no alert behind.
  - The record of a job that stays is kept.
author: Operations team (@ops)
attributes:
  check_mode:
    description: Says whether the list changed, and writes nothing.
    support: full
  diff_mode:
    description: Shows the jobs with their times before and after.
    support: full
  idempotent:
    description: A list that is already recorded changes nothing.
    support: full
options:
  state:
    description: V(absent) removes the record and the metrics.
    type: str
    choices: [present, absent]
    default: present
  state_dir:
    description: Folder of the record; it must exist for O(state=present).
    type: path
    required: true
  metrics_dir:
    description: Folder that node_exporter's textfile collector reads.
    type: path
    required: true
  jobs:
    description: The jobs, as C(schedule_jobs) of the role C(schedule) describes them.
    type: list
    elements: dict
    default: []
  watched:
    description: Whether there is a watch over continuous protection. Without it, its record goes.
    type: bool
    default: false
  metrics_system:
    description: The label C(system) of the metrics. Without it they have none.
    type: str
    default: ""
"""

EXAMPLES = r"""
- name: Record the jobs
  pms_schedule:
    state_dir: /var/lib/pms-ops
    metrics_dir: /var/lib/pms-ops/metrics
    jobs:
      - name: backup
        command: [.venv/bin/ansible-playbook, playbooks/backup.yml]
        days: business_days
        at: ["22:15"]
        window_minutes: 180
"""

RETURN = r"""
jobs:
  description: Each job with the moment by which its next run must have succeeded.
  returned: success
  type: dict
  sample: {backup: "2026-11-26T04:15:00+00:00"}
remedy: {description: The operator's next step., returned: failure, type: str, sample: Correct it.}
code: {description: Stable name of the error., returned: failure, type: str, sample: schedule.job}
"""

from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.pmsops.common import textfile_metrics, timestamps
from ansible.module_utils.pmsops.common.caller import attended
from ansible.module_utils.pmsops.common.errors import ENDINGS
from ansible.module_utils.pmsops.notify import state as notify_state
from ansible.module_utils.pmsops.schedule import state, watch
from ansible.module_utils.pmsops.schedule.calendar import ScheduledJob
from ansible.module_utils.pmsops.schedule.state import Schedule

SPEC = {
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "state_dir": {"type": "path", "required": True},
    "metrics_dir": {"type": "path", "required": True},
    "jobs": {"type": "list", "elements": "dict", "default": []},
    "watched": {"type": "bool", "default": False},
    "metrics_system": {"type": "str", "default": ""},
}


def present(module: AnsibleModule, schedule: Schedule) -> dict:
    """Bring the record in line with the jobs."""
    now = timestamps.now()
    before = schedule.records() if schedule.state.exists() else {}
    after = schedule.planned(now)["jobs"]
    shown = [_shown(before.values()), _shown(after)]
    missing = not _metrics(schedule, state.METRICS).exists()
    unwatched = [] if module.params["watched"] else _watch_files(schedule)
    changed = shown[0] != shown[1] or missing or bool(unwatched)
    if changed and not module.check_mode:
        with schedule.locked():
            schedule.write(schedule.planned(now))
        for path in unwatched:
            path.unlink()
    jobs = {record["name"]: record["fresh_until"] for record in after}
    return {"changed": changed, "jobs": jobs, "diff": {"before": shown[0], "after": shown[1]}}


def absent(module: AnsibleModule, schedule: Schedule) -> dict:
    """Remove the files that the units wrote; a folder stays where it holds other files."""
    ours = [
        *(schedule.state / name for name in (state.STATUS, state.LOCK)),
        *(schedule.state / name for name in (notify_state.STATE, notify_state.LOCK)),
        *(_metrics(schedule, name) for name in (state.METRICS, notify_state.METRICS)),
        *_watch_files(schedule),
    ]
    found = [path for path in ours if path.exists()]
    if schedule.metrics_folder.parent == schedule.state:
        found += _emptied(schedule.metrics_folder, found)
    found += _emptied(schedule.state, found)
    if not module.check_mode:
        for path in found:
            path.rmdir() if path.is_dir() else path.unlink()
    before = "".join(f"{path}\n" for path in found)
    return {"changed": bool(found), "jobs": {}, "diff": {"before": before, "after": ""}}


def _watch_files(schedule: Schedule) -> list[Path]:
    """Return the files of the watch that are there."""
    files = schedule.state / watch.NAME, _metrics(schedule, watch.METRICS)
    return [path for path in files if path.exists()]


def _metrics(schedule: Schedule, name: str) -> Path:
    return textfile_metrics.path_of(schedule.metrics_folder, name, schedule.system)


def _emptied(folder: Path, removed: list[Path]) -> list[Path]:
    """Return the folder if it holds only *removed* files."""
    if not folder.is_dir() or folder.is_mount():
        return []
    return [folder] if set(folder.iterdir()) <= set(removed) else []


def _shown(records) -> str:
    return "".join(
        f"{record['name']}: {record.get('title')}, {record.get('when')},"
        f" must succeed by {record.get('fresh_until')}\n"
        for record in sorted(records, key=lambda record: record["name"])
    )


def main() -> None:
    """Hand the arguments to the state's function, and turn its errors into a failed task."""
    module = AnsibleModule(SPEC, supports_check_mode=True)
    params = module.params
    try:
        folders = Path(params["state_dir"]), Path(params["metrics_dir"])
        schedule = Schedule(
            [ScheduledJob.from_options(options) for options in params["jobs"]], *folders
        )
        schedule.system = params["metrics_system"]
        with attended(module):
            result = (present if params["state"] == "present" else absent)(module, schedule)
    except ENDINGS as exc:
        module.fail_json(msg=str(exc), remedy=exc.remedy, code=exc.code)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
