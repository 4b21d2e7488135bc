#!/usr/bin/python
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: pms_evidence
short_description: Write the evidence of a gate
description:
  - Writes a folder for the run below O(evidence_root), with C(record.json), C(report.html),
    C(checklist.md), C(junit.xml) and C(golive.prom), points C(latest) at it, and adds the run to
    the evidence ledger.
  - The folder appears when all its files are complete.
author: Operations team (@ops)
extends_documentation_fragment: [pmsops.audit]
attributes:
  check_mode:
    description: Writes nothing.
    support: full
  diff_mode:
    description: Each run is new.
    support: none
  idempotent:
    description: Each run leaves evidence of its own.
    support: none
options:
  evidence_root:
    description: Folder of the evidence. Made with mode 0700 where it is missing.
    type: path
    required: true
  keys:
    description:
      - Folder of the keys. Lines of the ledger are signed with a key in it, made at first use.
        Without it, the folder is the one that was used before.
    type: path
  gate:
    description: The registered result of M(pms_gate).
    type: dict
    required: true
  backup_root:
    description: Folder of the backup sets that the report shows.
    type: path
  system:
    description: Name and place of the system, for the report. Never a secret.
    type: dict
    default: {}
  targets:
    description: The recovery targets that the report compares drills with.
    type: dict
    default: {}
    suboptions:
      rto_seconds:
        description: Longest time to recover.
        type: float
      rpo_seconds:
        description: Longest time of which data may be lost.
        type: float
"""

EXAMPLES = r"""
- name: Write the evidence
  pms_evidence:
    evidence_root: "{{ evidence_root }}"
    backup_root: "{{ backup_root }}"
    gate: "{{ __golive_gate }}"
    system: {name: macro_trading}
  register: __golive_evidence
"""

RETURN = r"""
run: {description: Name of the run., returned: success, type: str, sample: 2026-11-23_090000}
folder:
  description: Folder of the run; null in check mode.
  returned: success
  type: str
  sample: /var/lib/pms-ops/evidence/2026-11-23_090000
record:
  description: The record of the run, as published in docs/schemas/record.schema.json.
  returned: success
  type: str
  sample: /var/lib/pms-ops/evidence/2026-11-23_090000/record.json
report:
  description: The HTML page for people.
  returned: success
  type: str
  sample: /var/lib/pms-ops/evidence/2026-11-23_090000/report.html
junit:
  description: The results for a CI server.
  returned: success
  type: str
  sample: /var/lib/pms-ops/evidence/2026-11-23_090000/junit.xml
checklist:
  description: The checklist with a box ticked for each check that passed.
  returned: success
  type: str
  sample: /var/lib/pms-ops/evidence/2026-11-23_090000/checklist.md
prometheus:
  description: The gauges for node_exporter's textfile collector.
  returned: success
  type: str
  sample: /var/lib/pms-ops/evidence/golive.prom
record_sha256:
  description: SHA-256 of the record, by which a sign-off names it.
  returned: success
  type: str
  sample: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
ledger_line: {description: The run's line in the ledger., returned: success, type: int, sample: 42}
ledger_sha256:
  description: Hash of that line. Keep it elsewhere to pin the chain.
  returned: success
  type: str
  sample: 5f3c1e0a9b77d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08e
previous:
  description: The previous run, and the checks that got better or worse; null at the first run.
  returned: success
  type: dict
  sample: {run: 2026-11-22_090000, verdict: go, better: [], worse: [], added: [], removed: []}
table:
  description: The results as lines for a terminal, with the path of the report.
  returned: success
  type: list
  elements: str
  sample: ["GO: 61 passed, 5 attested in 1.9 s."]
verdict: {description: The gate's verdict., returned: success, type: str, sample: go}
remedy: {description: The operator's next step., returned: failure, type: str, sample: Free 2 GB.}
code: {description: Stable name of the error., returned: failure, type: str, sample: evidence.gate}
"""

from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.pmsops.common import argument_specs, timestamps
from ansible.module_utils.pmsops.common.caller import attended
from ansible.module_utils.pmsops.common.errors import ENDINGS
from ansible.module_utils.pmsops.evidence import run_record
from ansible.module_utils.pmsops.reports import terminal

TARGETS = {"rto_seconds": {"type": "float"}, "rpo_seconds": {"type": "float"}}
SPEC = {
    "evidence_root": {"type": "path", "required": True},
    "keys": {"type": "path", "no_log": False},
    "gate": {"type": "dict", "required": True},
    "audit": argument_specs.audit(),
    "backup_root": {"type": "path"},
    "system": {"type": "dict", "default": {}},
    "targets": {"type": "dict", "default": {}, "options": TARGETS},
}
PLACES = (
    *("run", "folder", "record", "report", "junit", "checklist", "prometheus"),
    *("record_sha256", "ledger_line", "ledger_sha256", "previous"),
)


def run(module: AnsibleModule) -> dict:
    """Write the evidence and return its paths."""
    params = module.params
    gate = params["gate"]
    if module.check_mode:
        written = dict.fromkeys(PLACES) | {"verdict": gate.get("verdict")}
    else:
        options = run_record.Options(
            evidence_root=Path(params["evidence_root"]),
            keys=Path(params["keys"]) if params["keys"] else None,
            backup_root=Path(params["backup_root"]) if params["backup_root"] else None,
            system=params["system"],
            audit=params["audit"] or {},
            targets={key: value for key, value in params["targets"].items() if value is not None},
        )
        written = run_record.write(gate, options, now=timestamps.now())
    return {"changed": True, "table": terminal.table(gate, report=written["report"]), **written}


def main() -> None:
    """Hand the arguments to run, and turn its errors into a failed task."""
    module = AnsibleModule(SPEC, supports_check_mode=True)
    try:
        with attended(module):
            result = run(module)
    except ENDINGS as exc:
        module.fail_json(msg=str(exc), remedy=exc.remedy, code=exc.code)
    module.exit_json(invocation=argument_specs.invocation(module.params, "gate"), **result)


if __name__ == "__main__":
    main()
