#!/usr/bin/python
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: pms_offsite_info
short_description: Return the copies on other sites, and what was last done with each site
description:
  - Without O(ask), only the note beside the sets is read.
author: Operations team (@ops)
extends_documentation_fragment: [pmsops.offsite]
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
  ask:
    description: Ask each site for its copies.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Find out which sites have the newest set
  pms_offsite_info:
    system: fund-prod
    root: /var/lib/pms-ops/backups
    evidence_root: /var/lib/pms-ops/evidence
    keys: /root/.config/pms-ops/keys
    repositories: "{{ offsite_repositories }}"
"""

RETURN = r"""
sites:
  description:
    - What is known of each site. C(behind) says what it lacks, null if it has the newest set.
  returned: success
  type: list
  elements: dict
  sample:
    - {site: vault, current: true, behind: null, signs: [], errors: {}}
copies:
  description:
    - The copies of each site with O(ask), or the error of the site. C(replaced) says that another
      machine took the system over, null if none did.
  returned: success
  type: list
  elements: dict
  sample:
    - {site: vault, ok: true, changed: false, replaced: null,
       copies: [{snapshot: 5f3c1e0a9b77, set: 2026-11-29_0115, proved: true}]}
remedy: {description: The operator's next step., returned: failure, type: str, sample: Wait.}
code:
  description: Stable name of the error.
  returned: failure
  type: str
  sample: offsite.restic-missing
"""

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.pmsops.common.caller import attended
from ansible.module_utils.pmsops.common.errors import ENDINGS
from ansible.module_utils.pmsops.offsite import options

SPEC = options.spec() | {"ask": {"type": "bool", "default": False}}


def run(module: AnsibleModule) -> dict:
    """Return what is known of the sites, and what they say themselves if they are asked."""
    sites = options.sites(module.params, check=True)
    copies = sites.copies() if module.params["ask"] else []
    return {"changed": False, "sites": sites.assessed(), "copies": copies}


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
