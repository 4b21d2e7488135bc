#!/usr/bin/python
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: pms_evidence_merge
short_description: Bring the evidence of a replaced machine to the one that replaced it
description:
  - The other ledger stays whole below C(merged/), and a line of kind C(merge) in this one pins its
    last line. Neither chain is broken; C(scripts/verify_ledger.py) checks both.
author: Operations team (@ops)
attributes:
  check_mode:
    description: Compares and copies nothing.
    support: full
  diff_mode:
    description: The number of files is in RV(files).
    support: none
  idempotent:
    description: A ledger that was merged is not merged again.
    support: full
options:
  evidence_root:
    description: Folder of this machine's evidence.
    type: path
    required: true
  lost:
    description: Folder with the evidence of the machine that was replaced.
    type: path
    required: true
"""

EXAMPLES = r"""
- name: Merge what the lost machine had
  pms_evidence_merge:
    evidence_root: /var/lib/pms-ops/evidence
    lost: /srv/lost/evidence
"""

RETURN = r"""
folder: {description: Where it is., returned: success, type: str,
         sample: /var/lib/pms-ops/evidence/merged/5f3c1e0a9b77}
head: {description: Hash of its last line., returned: success, type: str, sample: 5f3c1e0a9b77}
lines: {description: Lines of its ledger., returned: success, type: int, sample: 41}
common_lines: {description: Lines that both have., returned: success, type: int, sample: 38}
files: {description: Files that were copied., returned: success, type: int, sample: 7}
problems: {description: Problems of its chain., returned: success, type: list, elements: str,
           sample: []}
remedy: {description: The operator's next step., returned: failure, type: str, sample: Free 2 GB.}
code: {description: Stable name of the error., returned: failure, type: str, sample: merge.nothing}
"""

from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.pmsops.common import timestamps
from ansible.module_utils.pmsops.common.caller import attended
from ansible.module_utils.pmsops.common.errors import ENDINGS
from ansible.module_utils.pmsops.evidence import merge

SPEC = {
    "evidence_root": {"type": "path", "required": True},
    "lost": {"type": "path", "required": True},
}


def run(module: AnsibleModule) -> dict:
    """Merge the evidence, and return what was done."""
    return merge.merge(
        Path(module.params["evidence_root"]),
        Path(module.params["lost"]),
        now=timestamps.now(),
        check=module.check_mode,
    )


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
