#!/usr/bin/python
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: pms_disk
short_description: Report what fills the disks, and free as little as needed
description:
  - Reports the file systems of O(places), their growth and when each will be full. With
    O(state=freed), removes data until O(free_percent) are free.
  - Removes leftovers of killed runs and sets that retention deletes, and former databases only with
    O(confirmed). The newest set, the newest verified set and files of other programs always stay.
author: Operations team (@ops)
extends_documentation_fragment: [pmsops.database]
attributes:
  check_mode:
    description: Returns what may be removed.
    support: full
  diff_mode:
    description: The removed data is in RV(actions).
    support: none
  idempotent:
    description: Nothing is removed if there is enough space.
    support: full
options:
  state:
    description: Only report, or free what is needed.
    type: str
    choices: [looked, freed]
    default: looked
  places:
    description: Folders by their content, C(backups), C(evidence) and C(database).
    type: dict
    required: true
  backup_root:
    description: Folder of the backup sets.
    type: path
    required: true
  free_percent:
    description: Percentage of a file system that must be free.
    type: float
    default: 10
  confirmed:
    description: Whether former databases may be removed too.
    type: bool
    default: false
  keep_last:
    description: Number of newest sets to keep.
    type: int
    default: 7
  keep_daily:
    description: Number of days to keep the newest set of.
    type: int
    default: 14
  keep_weekly:
    description: Number of ISO weeks to keep the newest set of.
    type: int
    default: 8
  keep_monthly:
    description: Number of months to keep the newest set of.
    type: int
    default: 12
  keep_former:
    description: Number of former databases to keep; the newest always stays.
    type: int
    default: 0
  keep_former_days:
    description: Days to keep each former database.
    type: int
    default: 0
  incident:
    description: Folder of the incident that records each step.
    type: path
"""

EXAMPLES = r"""
- name: Free as little as needed
  pms_disk:
    database: "{{ pms_database }}"
    state: freed
    places:
      backups: "{{ backup_root }}"
      database: /var/lib/docker
    backup_root: "{{ backup_root }}"
    incident: "{{ __incident.folder }}"
"""

RETURN = r"""
enough:
  description: Whether every file system has enough free space.
  returned: success
  type: bool
  sample: true
lines:
  description: Each file system with free space, growth, and when it will be full.
  returned: success
  type: list
  elements: str
  sample: ["backups (/var/backups): 80.0 GB of 100.0 GB free (80.0 %)"]
growing:
  description: The largest data on the database's file system; with V(freed) only if it is short.
  returned: success
  type: list
  elements: str
  sample: ["database macro_trading: 2.0 GB"]
may_go:
  description: What may be removed where space is short, safest first.
  returned: success
  type: list
  elements: str
  sample: ["set 2026-01-02_0600, which retention deletes (about 1.0 GB)"]
actions:
  description: What was removed.
  returned: success
  type: list
  elements: str
  sample: ["set 2026-01-02_0600, which retention deletes"]
remedy: {description: The operator's next step., returned: failure, type: str, sample: Wait.}
code: {description: Stable name of the error., returned: failure, type: str, sample: lock.held}
"""

from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.pmsops.common import argument_specs
from ansible.module_utils.pmsops.common.caller import attended
from ansible.module_utils.pmsops.common.errors import ENDINGS
from ansible.module_utils.pmsops.incidents.record import action_recorder
from ansible.module_utils.pmsops.postgresql.connection import Database
from ansible.module_utils.pmsops.recovery import disk
from ansible.module_utils.pmsops.recovery.disk_cleanup import Policy, make_room
from ansible.module_utils.pmsops.repository import retention
from ansible.module_utils.pmsops.restore import former_retention

LOGS = "containers"
SPEC = {
    "database": argument_specs.database(),
    "state": {"type": "str", "choices": ["looked", "freed"], "default": "looked"},
    "places": {"type": "dict", "required": True},
    "backup_root": {"type": "path", "required": True},
    "free_percent": {"type": "float", "default": 10},
    "confirmed": {"type": "bool", "default": False},
    "keep_last": {"type": "int", "default": 7},
    "keep_daily": {"type": "int", "default": 14},
    "keep_weekly": {"type": "int", "default": 8},
    "keep_monthly": {"type": "int", "default": 12},
    "keep_former": {"type": "int", "default": 0},
    "keep_former_days": {"type": "int", "default": 0},
    "incident": {"type": "path"},
}


def run(module: AnsibleModule) -> dict:
    """Examine the disks, free what is needed, and return the findings and the actions."""
    params = module.params
    places = {name: Path(path) for name, path in params["places"].items()}
    policy = policy_from(params)
    incident = Path(params["incident"]) if params["incident"] else None
    actions, may_go = make_room(
        disk.file_systems(places),
        policy,
        remove=params["state"] == "freed" and not module.check_mode,
        record=action_recorder(incident, "recover"),
    )
    found = disk.file_systems(places)
    disk.add_growth(found, policy.backup_root)
    enough = all(each.free_percent >= policy.free_percent for each in found)
    growing = []
    if params["state"] == "looked" or not enough:
        logs = places.get(disk.DATABASE, Path("/var/lib/docker")) / LOGS
        growing = disk.growing(policy.database, logs)
    return {
        "changed": bool(actions),
        "enough": enough,
        "lines": [each.describe() for each in found],
        "growing": growing,
        "may_go": may_go,
        "actions": actions,
    }


def policy_from(params: dict) -> Policy:
    """Return the policy that the options describe."""
    return Policy(
        Database.from_options(params["database"]),
        Path(params["backup_root"]),
        params["free_percent"],
        retention.Policy(
            params["keep_last"],
            params["keep_daily"],
            params["keep_weekly"],
            params["keep_monthly"],
        ),
        former_retention.Policy(params["keep_former"], params["keep_former_days"]),
        params["confirmed"],
    )


def main() -> None:
    """Hand the arguments to run, and turn its errors into a failed task."""
    module = AnsibleModule(SPEC, supports_check_mode=True)
    try:
        with attended(module):
            result = run(module)
    except ENDINGS as exc:
        module.fail_json(msg=str(exc), remedy=exc.remedy, code=exc.code)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
