#!/usr/bin/python
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: pms_set_aside
short_description: Mend damaged backup sets, or quarantine them
description:
  - Checks the sets, newest first, until one is intact, and renames the damaged ones to
    C(<name>.damaged), with a note that gives the reason. Sets share files, so every set that holds
    a damaged file is renamed too, however old.
  - A damaged or missing file is mended first, if another set has its content in a file of its own.
  - Nothing is deleted.
author: Operations team (@ops)
attributes:
  check_mode:
    description: Returns the sets to be renamed.
    support: full
  diff_mode:
    description: The sets are in RV(aside).
    support: none
  idempotent:
    description: A renamed set no longer counts as a set.
    support: full
options:
  root:
    description: Folder of the backup sets.
    type: path
    required: true
  keys:
    description: Folder of the trusted keys.
    type: path
    required: true
  trust:
    description: Id of an additional key whose sets are accepted.
    type: str
    default: ""
  evidence_root:
    description: Folder of the ledger; a set whose last drill failed counts as damaged.
    type: path
    required: true
  incident:
    description: Folder of the incident that records each step.
    type: path
"""

EXAMPLES = r"""
- name: Quarantine the damaged sets
  pms_set_aside:
    root: "{{ backup_root }}"
    keys: "{{ pms_keys_dir }}"
    evidence_root: "{{ evidence_root }}"
    incident: "{{ __incident.folder }}"
"""

RETURN = r"""
aside:
  description: The renamed sets, in check mode those to be renamed, each with the reason.
  returned: success
  type: list
  elements: dict
  sample: [{set: 2026-11-22_0600, why: toc.dat has another content than was signed}]
mended:
  description: The files that were mended, or would be in check mode, and from which set.
  returned: success
  type: list
  elements: str
  sample: ["/b/2026-11-22_0600/a.csv: mended from /b/2026-11-15_0600/a.csv"]
remedy: {description: The operator's next step., returned: failure, type: str, sample: Free 2 GB.}
code: {description: Stable name of the error., returned: failure, type: str, sample: set.not-aside}
"""

from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.pmsops.common import process_lock, timestamps
from ansible.module_utils.pmsops.common.caller import attended
from ansible.module_utils.pmsops.common.errors import ENDINGS
from ansible.module_utils.pmsops.evidence import ledger
from ansible.module_utils.pmsops.incidents import record
from ansible.module_utils.pmsops.repository import mending, quarantine, sets
from ansible.module_utils.pmsops.restore import database_lock

SPEC = {
    "root": {"type": "path", "required": True},
    "keys": {"type": "path", "required": True, "no_log": False},
    "trust": {"type": "str", "default": ""},
    "evidence_root": {"type": "path", "required": True},
    "incident": {"type": "path"},
}


def run(module: AnsibleModule) -> dict:
    """Find the damaged sets, mend or rename them, return them."""
    params = module.params
    root, keys, trust = Path(params["root"]), Path(params["keys"]), params["trust"] or None
    folder = Path(params["incident"]) if params["incident"] else None
    drills = ledger.records(Path(params["evidence_root"]), "drill")
    found = quarantine.damaged(root, keys, trust=trust, drills=drills)
    names = [each for each, _ in found]
    mended = mending.mend(root, names, keys, trust=trust, dry=True)
    if mended and not module.check_mode:
        with (
            process_lock.exclusive(sets.state_folder(root) / database_lock.LOCK, "mending"),
            record.action(folder, "contain", "Mend files that another set has") as action,
        ):
            mended = mending.mend(root, names, keys, trust=trust)
            action.result = "; ".join(mended)
        found = quarantine.damaged(root, keys, trust=trust, drills=drills)
    if found and not module.check_mode:
        with process_lock.exclusive(sets.state_folder(root) / database_lock.LOCK, "setting aside"):
            for each, why in found:
                with record.action(folder, "contain", f"Set {each.name} aside: {why}") as action:
                    action.result = f"now {quarantine.set_aside(each, why, now=timestamps.now())}"
    return {
        "changed": bool(found or mended),
        "mended": mended,
        "aside": [{"set": each.name, "why": why} for each, why in found],
    }


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
