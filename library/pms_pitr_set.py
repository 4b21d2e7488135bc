#!/usr/bin/python
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: pms_pitr_set
short_description: Make a backup set of any moment of the recovery window
description:
  - Reads the WAL that leads to the moment, restores the base backup before it, and recovers it in a
    throw-away container of the database's own image, without a network, up to the moment.
  - Makes a backup set of that copy, with manifest and fingerprints, and throws the copy away. It
    has no CSV exports, and nothing of what the PMS holds over HTTP.
    M(pms_restore) restores the set like any other. The live database is not touched.
  - A moment that cannot be had is refused before anything is made, with the nearest one that can.
author: Operations team (@ops)
extends_documentation_fragment: [pmsops.database]
attributes:
  check_mode:
    description: Returns the plan. A container reads the WAL; nothing is restored.
    support: full
  diff_mode:
    description: The plan is in RV(plan).
    support: none
  idempotent:
    description: A set of the same time or LSN that is there is used again.
    support: partial
options:
  at:
    description:
      - A time, in the fund's zone unless it has an offset; an LSN; or V(latest).
    type: str
    required: true
  engine:
    description: Which engine protects the server. V(external) is refused, as it is not operated.
    type: str
    choices: [barman, external]
    default: barman
  container:
    description: Name of the container that receives the WAL.
    type: str
    required: true
  canary_seconds:
    description:
      - Seconds between two canary rows. The copy must have those of before the moment, and none of
        after it. V(0) does not look for them.
    type: int
    default: 300
  root:
    description: Folder of the sets.
    type: path
    required: true
  keys:
    description: Folder of the signing keys.
    type: path
    required: true
  jobs:
    description: Processes of pg_dump.
    type: int
    default: 2
  recipients:
    description: Public keys of age; the set is encrypted for them.
    type: list
    elements: str
    default: []
"""

EXAMPLES = r"""
- name: Make a set of the second before the table was dropped
  pms_pitr_set:
    database: "{{ pms_database }}"
    at: "2026-11-27 14:59:30"
    container: pms_pitr
    root: /var/backups/pms
    keys: /etc/pms-ops/keys
"""

RETURN = r"""
plan:
  description: What is done, a line each.
  returned: success
  type: list
  elements: str
  sample: ["base backup: 20261122T020001 (full) of 2026-11-21 23:00:09.000000-03:00"]
set:
  description: Folder of the set; null in check mode.
  returned: success
  type: str
  sample: /var/backups/pms/2026-11-27_1759
id:
  description: Name of the set, which is that of the moment in UTC; null in check mode.
  returned: success
  type: str
  sample: 2026-11-27_1759
moment:
  description: What was asked for, the last transaction in the set, its position, the base backup.
  returned: when a set was made
  type: dict
  sample:
    asked: "2026-11-27 14:59:30"
    reached_at: "2026-11-27T17:59:29.069858+00:00"
    lsn: 0/D002B20
    base_backup: 20261122T020001
    canary: {before: "2026-11-27T17:57:11Z", after: "2026-11-27T18:02:11Z", warnings: []}
rows:
  description: Rows in the set.
  returned: when a set was made
  type: int
  sample: 1105418
size_bytes:
  description: Size of the set's files.
  returned: when a set was made
  type: int
  sample: 47123568
phases:
  description: Seconds of each phase.
  returned: when a set was made
  type: dict
  sample: {"plan": 1.2, "base backup": 3.2, "recovery": 1.1, "set": 2.6}
duration_seconds:
  description: Seconds of the whole.
  returned: when a set was made
  type: float
  sample: 8.1
remedy: {description: The operator's next step., returned: failure, type: str, sample: Wait.}
code:
  description: Stable name of the error.
  returned: failure
  type: str
  sample: pitr.before-window
"""

from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.pmsops.backup.settings import Settings as BackupSettings
from ansible.module_utils.pmsops.common import argument_specs
from ansible.module_utils.pmsops.common.caller import attended
from ansible.module_utils.pmsops.common.errors import ENDINGS
from ansible.module_utils.pmsops.pitr import moment_set, own_engine
from ansible.module_utils.pmsops.pitr.run import Protection
from ansible.module_utils.pmsops.pitr.settings import Settings
from ansible.module_utils.pmsops.postgresql.connection import Database
from ansible.module_utils.pmsops.services import docker_engine

SPEC = {
    "database": argument_specs.database(),
    "at": {"type": "str", "required": True},
    "engine": {"type": "str", "choices": ["barman", "external"], "default": "barman"},
    "container": {"type": "str", "required": True},
    "canary_seconds": {"type": "int", "default": 300},
    "root": {"type": "path", "required": True},
    "keys": {"type": "path", "required": True, "no_log": False},
    "jobs": {"type": "int", "default": 2},
    "recipients": {"type": "list", "elements": "str", "default": []},
}
RETURNED = ("plan", "set", "id", "moment", "rows", "size_bytes", "phases", "duration_seconds")


def run(module: AnsibleModule) -> dict:
    """Make the set, or say what would be done."""
    params = module.params
    own_engine.require_own(params["engine"], "restore a moment")
    root = Path(params["root"])
    protection = Protection(
        Database.from_options(params["database"]),
        Settings(params["container"], "", canary_seconds=params["canary_seconds"]),
    )
    protection.require_container()
    wanted = moment_set.MomentSet(protection, params["at"])
    if (there := wanted.find(root)) is not None:
        line = f"set {there.name} of this moment is there"
        return {"changed": False, "plan": [line], "set": str(there), "id": there.name}
    if module.check_mode:
        return {"changed": True, "plan": wanted.plan().lines(), "set": None, "id": None}
    settings = BackupSettings(
        root=root,
        keys=Path(params["keys"]),
        jobs=params["jobs"],
        recipients=tuple(params["recipients"]),
    )
    with docker_engine.refusals():
        result = wanted.make(settings)
    for warning in result.pop("warnings"):
        module.warn(warning)
    return {"changed": True} | {name: result[name] for name in RETURNED}


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
