#!/usr/bin/python
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: pms_brief
short_description: Make the brief of a time block of the manager's day
description:
  - Makes the readings of a block, adds the results of its checks and its manual tasks, and writes
    the brief as Markdown and HTML below C(evidence_root/ops).
  - Reads only. A reading that fails holds its reason and does not stop the others.
author: Operations team (@ops)
extends_documentation_fragment: [pmsops.database, pmsops.api]
attributes:
  check_mode:
    description: Reads the same and writes no page.
    support: full
  diff_mode:
    description: The brief is in RV(lines).
    support: none
  idempotent:
    description: The system is not changed; a later brief of the same day replaces the page.
    support: full
options:
  block:
    description:
      - The block with C(id), C(title), C(time), its C(readings) and its manual C(tasks).
    type: dict
    required: true
  checks:
    description: Results of the block's checks, as M(pms_gate) returns them.
    type: list
    elements: dict
    default: []
  backup_root:
    description: Folder of the backup sets.
    type: path
    required: true
  evidence_root:
    description: Folder of the evidence.
    type: path
    required: true
  move_limit_pct:
    description: Difference between market and mark, in percent, that needs attention.
    type: float
    default: 2.0
"""

EXAMPLES = r"""
- name: Make the brief of 06:00
  pms_brief:
    block: {id: premarket, title: Pre-market, time: "06:00", readings: [pack, proposals], tasks: []}
    database: "{{ pms_database }}"
    api: "{{ pms_api }}"
    backup_root: "{{ backup_root }}"
    evidence_root: "{{ evidence_root }}"
"""

RETURN = r"""
verdict:
  description: C(attention) if something needs attention, else C(well).
  returned: success
  type: str
  sample: well
attention:
  description: Points of attention.
  returned: success
  type: list
  elements: str
  sample: ["the newest morning pack is of 2026-11-20, today is 2026-11-23"]
open_tasks:
  description: Ids of the tasks without an attestation in their period.
  returned: success
  type: list
  elements: str
  sample: [open.execute]
lines:
  description: The brief as lines for a terminal.
  returned: success
  type: list
  elements: str
  sample: ["06:00 Pre-market", "", "Needs attention", "  nothing"]
markdown:
  description: Path of the page; null in check mode.
  returned: success
  type: str
  sample: /var/lib/pms-ops/evidence/ops/2026-11-23_premarket/brief.md
html:
  description: Path of the page; null in check mode.
  returned: success
  type: str
  sample: /var/lib/pms-ops/evidence/ops/2026-11-23_premarket/brief.html
remedy: {description: The operator's next step., returned: failure, type: str, sample: Correct it.}
code: {description: Stable name of the error., returned: failure, type: str, sample: ops.reading}
"""

from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.pmsops.briefs import brief
from ansible.module_utils.pmsops.briefs.reading import Source
from ansible.module_utils.pmsops.common import argument_specs, timestamps
from ansible.module_utils.pmsops.common.caller import attended
from ansible.module_utils.pmsops.common.errors import ENDINGS
from ansible.module_utils.pmsops.pms.client import PmsApi
from ansible.module_utils.pmsops.postgresql.connection import Database

SPEC = {
    "block": {"type": "dict", "required": True},
    "checks": {"type": "list", "elements": "dict", "default": []},
    "database": argument_specs.database(),
    "api": argument_specs.api(),
    "backup_root": {"type": "path", "required": True},
    "evidence_root": {"type": "path", "required": True},
    "move_limit_pct": {"type": "float", "default": 2.0},
}


def run(module: AnsibleModule) -> dict:
    """Make the brief and return it."""
    params = module.params
    now = timestamps.now()
    source = Source(
        Database.from_options(params["database"]),
        PmsApi.if_configured(params["api"]),
        now,
        backup_root=params["backup_root"],
        evidence_root=params["evidence_root"],
        move_limit_pct=params["move_limit_pct"],
    )
    evidence = Path(params["evidence_root"])
    block = params["block"]
    made = brief.compose(
        block,
        brief.read(block.get("readings", []), source),
        params["checks"],
        brief.open_tasks(block.get("tasks", []), evidence, now),
        now,
    )
    pages = {"markdown": None, "html": None}
    if not module.check_mode:
        pages = brief.keep(made, evidence, now)
    return {
        "changed": False,
        "verdict": made["verdict"],
        "attention": made["attention"],
        "open_tasks": [task["id"] for task in made["tasks"] if not task["done_by"]],
        "lines": brief.terminal(made),
    } | pages


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
