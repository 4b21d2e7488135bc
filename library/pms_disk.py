#!/usr/bin/python
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: pms_disk
short_description: Say what fills the disks, and free the least that helps
description:
  - Looks at the file systems that the folders of O(places) are on, says what grows there and when
    each is full, and with O(state=freed) removes what may go until O(free_percent) are free.
  - What may go is litter of runs that died and sets that the retention policy lets go; databases
    that restores have put aside only with O(confirmed). The newest set, the newest verified one
    and other people's files never go.
author: Operations team (@ops)
extends_documentation_fragment: [pmsops.database]
attributes:
  check_mode:
    description: Says what may go.
    support: full
  diff_mode:
    description: What went is in RV(actions).
    support: none
  idempotent:
    description: With enough room nothing is removed.
    support: full
options:
  state:
    description: Only look, or free what is needed.
    type: str
    choices: [looked, freed]
    default: looked
  places:
    description: Folders by what is in them; C(backups), C(evidence) and C(database) are known.
    type: dict
    required: true
  backup_root:
    description: Folder of the backup sets.
    type: path
    required: true
  free_percent:
    description: Share of a file system that has to be free.
    type: float
    default: 10
  confirmed:
    description: Whether databases that restores have put aside may go too.
    type: bool
    default: false
  keep_last:
    description: Newest sets to keep.
    type: int
    default: 7
  keep_daily:
    description: Days of which the newest set is kept.
    type: int
    default: 14
  keep_weekly:
    description: ISO weeks of which the newest set is kept.
    type: int
    default: 8
  keep_monthly:
    description: Months of which the newest set is kept.
    type: int
    default: 12
  keep_former:
    description: Databases put aside to keep; the newest always stays.
    type: int
    default: 0
  keep_former_days:
    description: Days for which each of them is kept.
    type: int
    default: 0
  incident:
    description: Folder of the incident in which each step is written down.
    type: path
"""

EXAMPLES = r"""
- name: Free the least that helps
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
  description: Whether every file system has the room.
  returned: success
  type: bool
  sample: true
lines:
  description: Each file system, its room, what grows on it, and when it is full.
  returned: success
  type: list
  elements: str
  sample: ["backups (/var/backups): 80.0 GB of 100.0 GB free (80.0 %)"]
growing:
  description: The largest things on the database's file system, where room is short or asked for.
  returned: success
  type: list
  elements: str
  sample: ["database macro_trading: 2.0 GB"]
may_go:
  description: What may go where room is short, the safest first.
  returned: success
  type: list
  elements: str
  sample: ["set 2026-01-02_0600, which the retention policy lets go (about 1.0 GB)"]
actions:
  description: What went, or would.
  returned: success
  type: list
  elements: str
  sample: ["set 2026-01-02_0600, which the retention policy lets go"]
remedy: {description: The operator's next step., returned: failure, type: str, sample: Wait.}
code: {description: Stable name of the error., returned: failure, type: str, sample: lock.held}
"""

from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.pmsops.common import argument_specs
from ansible.module_utils.pmsops.common.errors import OpsError
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
        result = run(module)
    except OpsError as exc:
        module.fail_json(msg=str(exc), remedy=exc.remedy, code=exc.code)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
