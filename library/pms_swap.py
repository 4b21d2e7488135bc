#!/usr/bin/python
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: pms_swap
short_description: Put a proved copy in the place of the live database, or bring the former one back
description:
  - Stops the services that write, renames both databases in one transaction, starts TimescaleDB's
    workers and sees them run, starts the services, clears the PMS's keys in Redis, and asks the PMS
    by its JSON bodies whether it works on the new database and serves its book.
  - Where it does not, the same swap is done backwards at once, and the task fails saying so.
  - Each step is journalled, and the next run finishes or cleans up after a killed one.
  - "**The live database changes its name; nothing of it is deleted.**"
author: Operations team (@ops)
extends_documentation_fragment: [pmsops.database, pmsops.redis, pmsops.api, pmsops.services]
attributes:
  check_mode:
    description: Says which databases would be renamed.
    support: full
  diff_mode:
    description: Shows the names before and after.
    support: full
  idempotent:
    description: With O(state=recovered) a second run changes nothing; a swap is done each time.
    support: partial
options:
  root:
    description: Folder of the backup sets; locks and journals are kept below it.
    type: path
    required: true
  state:
    description:
      - V(swapped) puts O(incoming) in place; what was live becomes C(<database>__before_<run>).
      - V(rolled_back) brings the database back that the live one replaced; what was live becomes
        C(<database>__undone_<run>). After a rollback it changes nothing.
      - V(recovered) only finishes or cleans up after a killed run.
    type: str
    choices: [swapped, rolled_back, recovered]
    default: swapped
  incoming:
    description:
      - The proved copy; required with O(state=swapped).
      - With O(state=rolled_back) one of the databases put aside earlier, where it is not to be the
        one that the live database replaced.
    type: str
  resume:
    description:
      - The set that is going to be restored; with O(state=recovered) a copy of it that a run
        before has proved is kept, for M(pms_restore) to go on with.
    type: path
  keep_former:
    description:
      - Databases put aside to keep; older ones are dropped after a swap that went well.
      - V(0) never drops one. The newest is never dropped.
    type: int
    default: 0
  keep_former_days:
    description: Days for which each of them is kept, whatever their number.
    type: int
    default: 0
"""

EXAMPLES = r"""
- name: Bring the database of before the restore back
  pms_swap:
    database: "{{ pms_database }}"
    services: "{{ pms_services }}"
    redis: "{{ pms_redis }}"
    api: "{{ pms_api }}"
    root: /var/backups/pms
    state: rolled_back
"""

RETURN = r"""
live:
  description: The database that is live.
  returned: success
  type: str
  sample: macro_trading
former:
  description: What was live before; null where nothing was swapped.
  returned: success
  type: str
  sample: macro_trading__before_20261123023709
incoming:
  description: What was put in place, by its name before; null where nothing was swapped.
  returned: success
  type: str
  sample: macro_trading__restore_20261123023709
since:
  description: When what would be put in place was made or put aside.
  returned: in check mode, where something would be swapped
  type: str
  sample: "2026-11-23T02:37:09Z"
waiting:
  description: The proved copy of O(resume) that waits for its swap.
  returned: success
  type: str
  sample: macro_trading__restore_20261123023709
finished:
  description:
    - What a killed run's swap, finished now, has put in place; the SHA-256 of the set's manifest,
      or V(former) for a rollback.
  returned: success
  type: str
  sample: former
resumed:
  description: Whether that is the set of O(resume).
  returned: success
  type: bool
  sample: false
recovered:
  description: What a killed run had left, and what was done about it.
  returned: success
  type: list
  elements: str
  sample: ["The run before ended in step 'rename'."]
pruned:
  description: Former databases that were dropped.
  returned: success
  type: list
  elements: str
  sample: []
phases:
  description: Seconds of each step.
  returned: success
  type: dict
  sample: {"rename": 0.06}
remedy:
  description: The operator's next step.
  returned: failure
  type: str
  sample: The former database is live again. Read the log of service api.
code:
  description: The error's stable name, as listed in docs/ERRORS.md.
  returned: failure
  type: str
  sample: restore.probe
"""

from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.pmsops.common import argument_specs, signals
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.restore import swap_run as swapping


def argument_spec() -> dict:
    """Return the options."""
    return {
        "database": argument_specs.database(),
        "redis": argument_specs.redis(),
        "api": argument_specs.api(),
        "services": argument_specs.services(),
        "root": {"type": "path", "required": True},
        "state": {
            "type": "str",
            "choices": ["swapped", "rolled_back", "recovered"],
            "default": "swapped",
        },
        "incoming": {"type": "str"},
        "resume": {"type": "path"},
        "keep_former": {"type": "int", "default": 0},
        "keep_former_days": {"type": "int", "default": 0},
    }


def run(module: AnsibleModule) -> dict:
    """Swap, or say what would be renamed."""
    params = module.params
    operation = swapping.Operation.from_options(params)
    if module.check_mode:
        return operation.plan(params["state"], params["incoming"])
    resume = Path(params["resume"]) if params["resume"] else None
    with signals.raised():
        return operation.run(params["state"], params["incoming"], resume=resume)


def main() -> None:
    """Hand the arguments to run, and turn its errors into a failed task."""
    module = AnsibleModule(
        argument_spec(),
        required_if=[("state", "swapped", ["incoming"])],
        supports_check_mode=True,
    )
    try:
        result = run(module)
    except OpsError as exc:
        module.fail_json(msg=str(exc), remedy=exc.remedy, code=exc.code)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
