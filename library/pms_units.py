#!/usr/bin/python
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: pms_units
short_description: Keep a set of unit files in a folder
description:
  - Writes the unit files that differ, and removes files of earlier runs that are no longer listed.
    It recognizes its files by name, C(pms-ops-*), and by their first line. No other file is
    touched. A file of the same name without that line is an error.
  - Does not talk to systemd.
author: Operations team (@ops)
attributes:
  check_mode:
    description: Returns the files that it would write and remove.
    support: full
  diff_mode:
    description: Shows each file before and after.
    support: full
  idempotent:
    description: Files that are already as listed are left alone.
    support: full
options:
  folder:
    description: Folder of the unit files.
    type: path
    required: true
  mark:
    description: The first line of each file.
    type: str
    required: true
  files:
    description: Content of each file by its name. Empty removes all.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Write the units
  pms_units:
    folder: /etc/systemd/system
    mark: "# Written by the role schedule of pms-ops."
    files: "{{ lookup('ansible.builtin.template', 'units.json.j2') | from_json }}"
"""

RETURN = r"""
written:
  description: Names of the files that were written, or would be.
  returned: success
  type: list
  elements: str
  sample: [pms-ops-backup.timer]
removed:
  description: Names of the files that were removed, or would be.
  returned: success
  type: list
  elements: str
  sample: [pms-ops-verify.timer]
remedy: {description: The operator's next step., returned: failure, type: str, sample: Sudo.}
code: {description: Name of the error., returned: failure, type: str, sample: schedule.folder}
"""

from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.pmsops.common.caller import attended
from ansible.module_utils.pmsops.common.errors import ENDINGS
from ansible.module_utils.pmsops.schedule import unit_files

SPEC = {
    "folder": {"type": "path", "required": True},
    "mark": {"type": "str", "required": True},
    "files": {"type": "dict", "required": True},
}


def run(module: AnsibleModule) -> dict:
    """Bring the files in line and return those that differed."""
    folder = Path(module.params["folder"])
    changes = unit_files.plan(folder, module.params["mark"], module.params["files"])
    if not module.check_mode:
        unit_files.apply(folder, changes)
    diff = [
        {
            "before_header": str(folder / name),
            "after_header": str(folder / name),
            "before": before,
            "after": after,
        }
        for name, (before, after) in [
            *changes.written.items(),
            *((name, (before, "")) for name, before in changes.removed.items()),
        ]
    ]
    return {
        "changed": changes.changed,
        "written": list(changes.written),
        "removed": list(changes.removed),
        "diff": diff,
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
