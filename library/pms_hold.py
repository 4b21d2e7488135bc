#!/usr/bin/python
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: pms_hold
short_description: Exempt a backup set from retention
description:
  - Retention never deletes a held set until the hold is lifted.
author: Operations team (@ops)
attributes:
  check_mode:
    description: Returns whether the hold would change.
    support: full
  diff_mode:
    description: Shows the hold before and after.
    support: full
  idempotent:
    description: A set that is already held for the same reason is not changed.
    support: full
options:
  set:
    description: Folder of the set.
    type: path
    required: true
  state:
    description: V(present) holds the set, V(absent) lifts the hold.
    type: str
    choices: [present, absent]
    default: present
  reason:
    description: Reason of the hold, and who asked for it. Required with O(state=present).
    type: str
"""

EXAMPLES = r"""
- name: Hold the year-end set
  pms_hold:
    set: /var/backups/pms/2026-12-30_2100
    reason: Annual accounts, requested by the auditor
"""

RETURN = r"""
held:
  description: Whether the set is held now.
  returned: success
  type: bool
  sample: true
remedy:
  description: The operator's next step.
  returned: failure
  type: str
  sample: Name a set's folder below backup_root, or its dump.
code:
  description: The error's stable name, as listed in docs/ERRORS.md.
  returned: failure
  type: str
  sample: manifest.missing
"""

import json
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.pmsops.common import file_system
from ansible.module_utils.pmsops.common.caller import attended
from ansible.module_utils.pmsops.common.errors import ENDINGS
from ansible.module_utils.pmsops.repository import manifest, sets


def run(module: AnsibleModule) -> dict:
    """Set or lift the hold; return what changed."""
    folder = Path(module.params["set"])
    manifest.read(folder)  # only a finished set can be held
    path = folder / sets.HOLD
    before = path.read_text() if path.exists() else ""
    held = module.params["state"] == "present"
    after = json.dumps({"reason": module.params["reason"]}) + "\n" if held else ""
    if before != after and not module.check_mode:
        if held:
            sets.write_note(path, after)
        else:
            with file_system.coded(folder):
                path.unlink()
    return {"changed": before != after, "held": held, "diff": {"before": before, "after": after}}


def main() -> None:
    """Hand the arguments to run, and turn its errors into a failed task."""
    module = AnsibleModule(
        {
            "set": {"type": "path", "required": True},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "reason": {"type": "str"},
        },
        required_if=[("state", "present", ["reason"])],
        supports_check_mode=True,
    )
    try:
        with attended(module):
            result = run(module)
    except ENDINGS as exc:
        module.fail_json(msg=str(exc), remedy=exc.remedy, code=exc.code)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
