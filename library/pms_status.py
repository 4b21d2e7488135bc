#!/usr/bin/python
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: pms_status
short_description: Report the state of backups, drills, gates and incidents on a host
description:
  - Reads only the folders of backups and evidence. It asks no database and no service, so it works
    during an outage too.
author: Operations team (@ops)
attributes:
  check_mode:
    description: The module only looks, so it does the same.
    support: full
  diff_mode:
    description: Nothing changes.
    support: none
  idempotent:
    description: It changes nothing.
    support: full
options:
  backup_root:
    description: Folder of the backup sets.
    type: path
    required: true
  evidence_root:
    description: Folder of the evidence.
    type: path
    required: true
  backup_hours:
    description: Hours after which the newest set is too old.
    type: float
    default: 26
  drill_hours:
    description: Hours after which the last drill is too old.
    type: float
    default: 840
  gate_hours:
    description: Hours after which the last gate is too old.
    type: float
    default: 192
  head:
    description: Hash of a line of the ledger, or its first 12 or more digits, pinned elsewhere.
    type: str
  keys:
    description: Folder of the keys. With it, the signatures of the ledger are checked too.
    type: path
  protected:
    description: Whether the system is protected continuously. What was last seen of it is returned.
    type: bool
    default: false
  drill_host:
    description: Host of the monthly drill elsewhere; its age is due then. Empty if there is none.
    type: str
    default: ""
  sites:
    description: Names of the other sites that are to have copies of the sets.
    type: list
    elements: str
    default: []
  sets:
    description: Also return each set, as RV(sets).
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Report what is due
  pms_status:
    backup_root: /srv/pms-ops/backups
    evidence_root: /srv/pms-ops/evidence
  register: __status_found
"""

RETURN = r"""
status:
  description: The newest set, drill and gate, open incidents, the ledger, and what is due.
  returned: success
  type: dict
  sample: {sets: 14, incidents: [], due: [{what: no drill was run yet, next: pms-ops drill}]}
sets:
  description: The sets, newest first, with age, size, proof and hold.
  returned: if O(sets)
  type: list
  elements: dict
  sample: [{id: 2026-11-22_0600, verified_at: null, held: true, hold_reason: annual audit}]
"""

from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.pmsops.common import timestamps
from ansible.module_utils.pmsops.common.caller import attended
from ansible.module_utils.pmsops.common.errors import ENDINGS
from ansible.module_utils.pmsops.evidence import set_list, status

SPEC = {
    "backup_root": {"type": "path", "required": True},
    "evidence_root": {"type": "path", "required": True},
    "backup_hours": {"type": "float", "default": 26},
    "drill_hours": {"type": "float", "default": 840},
    "gate_hours": {"type": "float", "default": 192},
    "head": {"type": "str"},
    "keys": {"type": "path", "no_log": False},
    "protected": {"type": "bool", "default": False},
    "sites": {"type": "list", "elements": "str", "default": []},
    "drill_host": {"type": "str", "default": ""},
    "sets": {"type": "bool", "default": False},
}


def run(module: AnsibleModule) -> dict:
    """Read the folders and return the state."""
    params = module.params
    names = ("backup_hours", "drill_hours", "gate_hours")
    now, root = timestamps.now(), Path(params["backup_root"])
    found = status.collect(
        root,
        Path(params["evidence_root"]),
        now=now,
        limits=status.Limits(**{name: params[name] for name in names}),
        head=params["head"],
        protects=params["protected"],
        sites=params["sites"],
        keys=Path(params["keys"]) if params["keys"] else None,
        drill_host=params["drill_host"],
    )
    listed = {"sets": set_list.collect(root, now=now)} if params["sets"] else {}
    return {"changed": False, "status": found} | listed


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
