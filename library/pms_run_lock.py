#!/usr/bin/python
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: pms_run_lock
short_description: Lock out other playbooks for the whole run
description:
  - Takes a lock on the managed host in the name of the ansible-playbook process, so that the lock
    lasts longer than one module. Frees it at the end.
  - Fails at once if another run holds the lock, and names that run.
  - The lock of a killed run is taken over. This happens at once if that run was on the same control
    node, and after its O(lease_seconds) if it was on another one.
author: Operations team (@ops)
attributes:
  check_mode:
    description: Reports whether the lock is free and takes nothing.
    support: full
  diff_mode:
    description: There is nothing to show a difference of.
    support: none
options:
  path:
    description: The lock file; its folder is made with mode 0700 where it is missing.
    type: path
    required: true
  purpose:
    description: The purpose of the run, shown to others while the lock is held.
    type: str
    required: true
  state:
    description: V(held) takes the lock, V(free) releases it.
    type: str
    choices: [held, free]
    default: held
  lease_seconds:
    description: The longest time that a run may take, in seconds.
    type: int
    default: 7200
  owner:
    description: The process that holds the lock. The action plugin fills it in.
    type: str
"""

EXAMPLES = r"""
- name: Lock out other go-live runs
  pms_run_lock:
    path: /var/lib/pms-ops/evidence/.golive.lock
    purpose: golive.yml

- name: Release the lock
  pms_run_lock:
    path: /var/lib/pms-ops/evidence/.golive.lock
    purpose: golive.yml
    state: free
"""

RETURN = r"""
recovered:
  description: The killed run whose lock was taken over; null if there was none.
  returned: success
  type: str
  sample: golive.yml, process 4711 on control1 since 2026-11-23T03:30:00Z
remedy:
  description: The operator's next step.
  returned: failure
  type: str
  sample: Wait for that run to end.
code: {description: Stable name of the error., returned: failure, type: str, sample: lock.run}
"""

from datetime import timedelta
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.pmsops.common import playbook_lock, timestamps
from ansible.module_utils.pmsops.common.caller import attended
from ansible.module_utils.pmsops.common.errors import ENDINGS, OpsError
from ansible.module_utils.pmsops.common.process_lock import ProcessId

SPEC = {
    "path": {"type": "path", "required": True},
    "purpose": {"type": "str", "required": True},
    "state": {"type": "str", "choices": ["held", "free"], "default": "held"},
    "lease_seconds": {"type": "int", "default": 7200},
    "owner": {"type": "str"},
}


def run(module: AnsibleModule) -> dict:
    """Take or free the lock; return the killed run that held it before."""
    params, path = module.params, Path(module.params["path"])
    owner = ProcessId.parse(params["owner"] or "")
    if owner is None:
        raise OpsError(
            "The lock has no owner, because the action plugin pms_run_lock did not run.",
            "Run the playbook with the project's ansible.cfg, which names the folders of plugins.",
            code="lock.owner",
        )
    if params["state"] == "free":
        freed = playbook_lock.free(path, owner, dry=module.check_mode)
        return {"changed": freed, "recovered": None}
    former = playbook_lock.holder(path)
    dead = playbook_lock.take(
        path,
        params["purpose"],
        owner,
        lease=timedelta(seconds=params["lease_seconds"]),
        now=timestamps.now(),
        dry=module.check_mode,
    )
    changed = former is None or former.owner != owner.text()
    return {"changed": changed, "recovered": dead.described() if dead else None}


def main() -> None:
    """Hand the arguments to run, and turn its errors into a failed task."""
    module = AnsibleModule(SPEC, supports_check_mode=True)
    try:
        with attended(module):
            result = run(module)
    except ENDINGS as exc:
        module.fail_json(msg=f"{exc} {exc.remedy}", remedy=exc.remedy, code=exc.code)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
