#!/usr/bin/python
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: pms_site
short_description: Write the page over all runs, sets, drills and incidents
description:
  - Writes C(site/index.html) below O(evidence_root), one page that needs no server and no network.
    It links to the report and the record of each run and incident, and to the manifest of each set.
  - What cannot be read, or does not fit the ledger, is named on the page and in RV(problems); it
    does not fail the module.
  - The page holds what the ledger holds, so only its owner can read it.
author: Operations team (@ops)
attributes:
  check_mode:
    description: Tells whether the page would change.
    support: full
  diff_mode:
    description: The page is not shown.
    support: none
  idempotent:
    description: The same evidence gives the same page.
    support: full
options:
  evidence_root:
    description: Folder of the evidence.
    type: path
    required: true
  backup_root:
    description: Folder of the backup sets; without it no set is listed.
    type: path
  keys:
    description: Folder of the keys. With it, the signatures of the ledger are checked too.
    type: path
  system:
    description: Name of the system, for the title.
    type: str
    default: ""
"""

EXAMPLES = r"""
- name: Write the page over all runs
  pms_site:
    evidence_root: /srv/pms-ops/evidence
    backup_root: /srv/pms-ops/backups
    keys: "{{ pms_keys_dir }}"
    system: "{{ pms_db_name }}"
  register: __pms_site
"""

RETURN = r"""
path:
  description: The page.
  returned: success
  type: str
  sample: /srv/pms-ops/evidence/site/index.html
runs: {description: Number of go-live runs., returned: success, type: int, sample: 41}
sets: {description: Number of backup sets., returned: success, type: int, sample: 14}
drills: {description: Number of drills., returned: success, type: int, sample: 52}
incidents: {description: Number of incidents., returned: success, type: int, sample: 3}
lines: {description: Number of lines of the ledger., returned: success, type: int, sample: 2048}
problems:
  description: What cannot be read, or does not fit the ledger.
  returned: success
  type: list
  elements: str
  sample: ["Run 2026-11-22_090000: record.json was altered after the run"]
remedy: {description: The operator's next step., returned: failure, type: str, sample: Free 2 GB.}
code:
  description: Stable name of the error.
  returned: failure
  type: str
  sample: site.unwritable
"""

from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.pmsops.common import timestamps
from ansible.module_utils.pmsops.common.caller import attended
from ansible.module_utils.pmsops.common.errors import ENDINGS
from ansible.module_utils.pmsops.evidence import site
from ansible.module_utils.pmsops.evidence.site_facts import Sources

SPEC = {
    "evidence_root": {"type": "path", "required": True},
    "backup_root": {"type": "path"},
    "keys": {"type": "path", "no_log": False},
    "system": {"type": "str", "default": ""},
}


def run(module: AnsibleModule) -> dict:
    """Write the page, and return where it is."""
    params = module.params
    sources = Sources(
        evidence_root=Path(params["evidence_root"]),
        backup_root=Path(params["backup_root"]) if params["backup_root"] else None,
        keys=Path(params["keys"]) if params["keys"] else None,
        system=params["system"],
    )
    return site.write(sources, now=timestamps.now(), check=module.check_mode)


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
