#!/usr/bin/python
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: pms_run_lock
short_description: Keep a second playbook out for the whole of a run
description:
  - Takes a lock on the managed host in the name of the ansible-playbook process, so that it
    outlives the modules of the run; frees it at the end.
  - Fails at once where another run holds it, and says which.
  - The lock of a run that was killed is taken over. On the control node itself that is seen at
    once; a run of another control node counts as alive until its O(lease_seconds) are over.
author: Operations team (@ops)
attributes:
  check_mode:
    description: Says whether the lock is free and takes nothing.
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
    description: What the run is, for whoever finds the lock held.
    type: str
    required: true
  state:
    description: Whether this run wants the lock, or is done with it.
    type: str
    choices: [held, free]
    default: held
  lease_seconds:
    description: How long a run may take at the longest.
    type: int
    default: 7200
  owner:
    description: The process that holds the lock. The action plugin fills it in.
    type: str
"""

EXAMPLES = r"""
- name: Keep a second go-live out
  pms_run_lock:
    path: /var/lib/pms-ops/evidence/.golive.lock
    purpose: golive.yml

- name: Let the next one in
  pms_run_lock:
    path: /var/lib/pms-ops/evidence/.golive.lock
    purpose: golive.yml
    state: free
"""

RETURN = r"""
recovered:
  description: The dead run whose lock was taken over; null where there was none.
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

from datetime import UTC, datetime, timedelta
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.pmsops.common import playbook_lock
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.common.process_lock import ProcessId

SPEC = {
    "path": {"type": "path", "required": True},
    "purpose": {"type": "str", "required": True},
    "state": {"type": "str", "choices": ["held", "free"], "default": "held"},
    "lease_seconds": {"type": "int", "default": 7200},
    "owner": {"type": "str"},
}


def run(module: AnsibleModule) -> dict:
    """Take or free the lock and say whose it was."""
    params, path = module.params, Path(module.params["path"])
    owner = ProcessId.parse(params["owner"] or "")
    if owner is None:
        raise OpsError(
            "The lock has no owner: the action plugin pms_run_lock did not run.",
            "Run the playbook with the project's ansible.cfg, which says where plugins are.",
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
        now=datetime.now(UTC),
        dry=module.check_mode,
    )
    changed = former is None or former.owner != owner.text()
    return {"changed": changed, "recovered": dead.described() if dead else None}


def main() -> None:
    """Hand the arguments to run, and turn its errors into a failed task."""
    module = AnsibleModule(SPEC, supports_check_mode=True)
    try:
        result = run(module)
    except OpsError as exc:
        module.fail_json(msg=f"{exc} {exc.remedy}", remedy=exc.remedy, code=exc.code)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
