#!/usr/bin/python
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: pms_machine_info
short_description: Return what tells this machine from another one
description:
  - A drill on another host is compared with it. Ids are hashed.
author: Operations team (@ops)
attributes:
  check_mode:
    description: The module only reads.
    support: full
  diff_mode:
    description: The module only reads.
    support: none
  idempotent:
    description: The module only reads.
    support: full
options:
  container:
    description: Container whose image is named, too.
    type: str
"""

EXAMPLES = r"""
- name: Find out which machine this is
  pms_machine_info:
"""

RETURN = r"""
machine:
  description:
    - Host name, machine id, id of the boot and id of the Docker Engine; null for what is not known.
  returned: success
  type: dict
  sample: {hostname: fund-prod, machine_id: 1f0c7f1d6f2a9d10, boot_id: 5b9d0a3a31c2e7f4,
           engine_id: 8c1b6c1e-6f0e-4d0b-9d4e-0c3f4a4b7b52}
image:
  description: Image of O(container); null without one.
  returned: success
  type: str
  sample: timescale/timescaledb:2.21.1-pg17
"""

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.pmsops.common.caller import attended
from ansible.module_utils.pmsops.common.errors import ENDINGS
from ansible.module_utils.pmsops.drills import machine


def main() -> None:
    """Return the identity of the machine, and turn errors into a failed task."""
    module = AnsibleModule({"container": {"type": "str"}}, supports_check_mode=True)
    name = module.params["container"]
    try:
        with attended(module):
            result = {
                "machine": machine.describe(),
                "image": machine.image_of(name) if name else None,
            }
    except ENDINGS as exc:
        module.fail_json(msg=str(exc), remedy=exc.remedy, code=exc.code)
    module.exit_json(changed=False, **result)


if __name__ == "__main__":
    main()
