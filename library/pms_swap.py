#!/usr/bin/python
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: pms_swap
short_description: Swap a proved staging database with the live one, or roll back
description:
  - Stops the services that write, renames both databases in one transaction, starts TimescaleDB's
    workers and checks that they run, starts the services, clears the PMS's keys in Redis, and
    checks by the PMS's JSON answers that it works on the new database and serves its positions.
  - If it does not, the swap is reverted, and the task fails with the reason. Writes wait until the
    PMS is found to work, so none is lost. The proved database stays for the next try.
  - Whatever else does not start is a warning.
  - Each step is journalled. After a killed run, the next one finishes it or cleans up.
  - "**The live database is renamed; nothing in it is deleted.**"
author: Operations team (@ops)
extends_documentation_fragment:
  - pmsops.database
  - pmsops.redis
  - pmsops.api
  - pmsops.services
  - pmsops.audit
attributes:
  check_mode:
    description: Returns which databases would be renamed.
    support: full
  diff_mode:
    description: Shows the names before and after.
    support: full
  idempotent:
    description: With O(state=recovered) a second run changes nothing; other states swap each time.
    support: partial
options:
  root:
    description: Folder of the backup sets; locks and journals are kept below it.
    type: path
    required: true
  state:
    description:
      - V(swapped) makes O(incoming) live; the live database becomes C(<database>__before_<run>).
      - V(rolled_back) makes the former database live that the live one replaced; the live database
        becomes C(<database>__undone_<run>). Right after a rollback, it changes nothing.
      - V(recovered) only finishes an interrupted run, or cleans up after it.
    type: str
    choices: [swapped, rolled_back, recovered]
    default: swapped
  incoming:
    description:
      - The proved staging database; required with O(state=swapped).
      - With O(state=rolled_back) another former or rolled-back database than the one that the live
        database replaced.
    type: str
  resume:
    description:
      - The set that is going to be restored. With O(state=recovered), a staging database of it that
        an interrupted run has proved is kept, and M(pms_restore) continues with it.
    type: path
  evidence_root:
    description:
      - Folder of the ledger. The module itself adds the line of a swap or rollback, which a later
        task of a killed playbook could not. A swap that no line names is added with C(seen_later).
      - Without it nothing is recorded.
    type: path
  record:
    description: What the ledger's line says of the set, beside the names of the databases.
    type: dict
    default: {}
  keep_former:
    description:
      - Number of former and rolled-back databases to keep; older ones are dropped after a
        successful swap.
      - V(0) keeps all. The newest is never dropped.
    type: int
    default: 0
  keep_former_days:
    description: Days for which each of them is kept in any case.
    type: int
    default: 0
  slots:
    description:
      - What becomes of the live database's logical replication slots, which cannot follow its name
        to another database. In any case each consumer has to read all tables again.
      - V(refuse) refuses the swap before anything is changed.
      - V(drop) drops them once the PMS works on the new live database.
      - V(recreate) then also makes new ones of the same names and plugins on the new live database.
    type: str
    choices: [refuse, drop, recreate]
    default: refuse
  probe_seconds:
    description: Seconds that the PMS has, after the renames, to work on the new live database.
    type: int
    default: 150
  restart_seconds:
    description: Seconds for which a swap waits until a person has restarted the PMS, if the
      manager of O(services) is V(none).
    type: int
    default: 900
  probe_writes:
    description:
      - Let the PMS write to the new live database before it is accepted, for one that does not
        start without writing, as for a migration.
      - Otherwise writes wait until the PMS is found to work, so that a swap back loses none.
      - What was written before a swap back stays in the rejected database, which is kept, and is
        named and counted.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Roll back to the database before the restore
  pms_swap:
    database: "{{ pms_database }}"
    services: "{{ pms_services }}"
    redis: "{{ pms_redis }}"
    api: "{{ pms_api }}"
    root: /var/backups/pms
    state: rolled_back
"""

RETURN = r"""
consent:
  description:
    - The plan that a second person has to approve, with its hash and the command for it. Null where
      O(database.consent) demands none.
  returned: in check mode
  type: dict
  sample: {"sha256": "4be1c0", "lines": ["operation: swap"], "command": "pms-ops approve 4be1c0"}
live:
  description: Name of the live database.
  returned: success
  type: str
  sample: macro_trading
former:
  description: The former database, by its new name; null if nothing was swapped.
  returned: success
  type: str
  sample: macro_trading__before_20261123023709
incoming:
  description: The database that became live, by its earlier name; null if nothing was swapped.
  returned: success
  type: str
  sample: macro_trading__restore_20261123023709
since:
  description: When the incoming database was created or replaced.
  returned: in check mode, if something would be swapped
  type: str
  sample: "2026-11-23T02:37:09Z"
waiting:
  description: The proved staging database of O(resume) that waits for its swap.
  returned: success
  type: str
  sample: macro_trading__restore_20261123023709
finished:
  description:
    - The swap of an interrupted run that was finished now; the SHA-256 of the set's manifest, or
      V(former) for a rollback.
  returned: success
  type: str
  sample: former
resumed:
  description: Whether that swap was of the set O(resume).
  returned: success
  type: bool
  sample: false
recovered:
  description: What an interrupted run had left, and what was done about it.
  returned: success
  type: list
  elements: str
  sample: ["The previous run ended in step 'rename'."]
slots:
  description:
    - What became of the logical slots of the database that was live. Each with C(name), C(plugin),
      C(outcome) (V(recreated), V(dropped) or V(failed)) and C(text).
    - In check mode what would become of them, with the value of O(slots) as C(outcome).
  returned: success
  type: list
  elements: dict
  sample: [{"name": "cdc", "plugin": "pgoutput", "outcome": "recreated", "text": "Slot cdc was"}]
prepared_transactions:
  description: The prepared transactions that would refuse the swap.
  returned: success
  type: list
  elements: str
  sample: []
not_dropped:
  description: Why former databases that retention lets go were not dropped, and what to type.
  returned: success
  type: list
  elements: str
  sample: []
pruned:
  description: Former databases that were dropped.
  returned: success
  type: list
  elements: str
  sample: []
by_hand:
  description: What a person has to do during the swap, if the manager of O(services) is V(none).
  returned: in check mode, if something would be swapped
  type: list
  elements: str
  sample: []
down_seconds:
  description: Seconds from the stop of the services until the PMS was seen to work.
  returned: success; null if nothing was swapped
  type: float
  sample: 7.4
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
from ansible.module_utils.pmsops.common import argument_specs
from ansible.module_utils.pmsops.common.caller import attended
from ansible.module_utils.pmsops.common.errors import ENDINGS
from ansible.module_utils.pmsops.evidence import audit
from ansible.module_utils.pmsops.restore import slot_handover
from ansible.module_utils.pmsops.restore.swap_run import SwapRun
from ansible.module_utils.pmsops.services import docker_engine


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
        "evidence_root": {"type": "path"},
        "audit": argument_specs.audit(),
        "record": {"type": "dict", "default": {}},
        "slots": {"type": "str", "choices": list(slot_handover.CHOICES), "default": "refuse"},
        "probe_seconds": {"type": "int", "default": 150},
        "restart_seconds": {"type": "int", "default": 900},
        "probe_writes": {"type": "bool", "default": False},
        "keep_former": {"type": "int", "default": 0},
        "keep_former_days": {"type": "int", "default": 0},
    }


def run(module: AnsibleModule) -> dict:
    """Swap, or say what would be renamed."""
    params = module.params
    swap_run = SwapRun.from_options(params)
    if module.check_mode:
        plan = swap_run.plan(params["state"], params["incoming"])
        plan.pop("warnings")
        return plan
    resume = Path(params["resume"]) if params["resume"] else None
    with docker_engine.refusals():
        result = swap_run.run(params["state"], params["incoming"], resume=resume)
    failed = [each["text"] for each in result["slots"] if each["outcome"] == slot_handover.FAILED]
    for warning in [*failed, *result["not_dropped"], *result.pop("warnings")]:
        module.warn(warning)
    return result


def main() -> None:
    """Hand the arguments to run, and turn its errors into a failed task."""
    module = AnsibleModule(
        argument_spec(),
        required_if=[("state", "swapped", ["incoming"])],
        supports_check_mode=True,
    )
    try:
        with attended(module), audit.given(module.params["audit"]):
            result = run(module)
    except ENDINGS as exc:
        module.fail_json(msg=str(exc), remedy=exc.remedy, code=exc.code)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
