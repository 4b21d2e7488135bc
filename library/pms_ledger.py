#!/usr/bin/python
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: pms_ledger
short_description: Add a line to the evidence ledger, or check its chain
description:
  - Appends one line to C(ledger.jsonl), under a lock and synced to the disk. Each line carries the
    SHA-256 of the line before, and C(ledger.head) pins the last one.
  - Each line is signed by a key of the ledger's own, from the first line on that is written with
    O(keys). A line that cannot be signed says why, and the task does not fail.
  - Without O(kind) it only checks chain and signatures.
  - C(scripts/verify_ledger.py) checks a chain on any machine with Python.
author: Operations team (@ops)
extends_documentation_fragment: [pmsops.audit]
attributes:
  check_mode:
    description: Checks the chain and adds nothing.
    support: full
  diff_mode:
    description: The line is in RV(line).
    support: none
  idempotent:
    description: Each run adds a line of its own.
    support: none
options:
  evidence_root:
    description: Folder of the ledger. Made with mode 0700 where it is missing.
    type: path
    required: true
  kind:
    description: The kind of event. Without it nothing is added.
    type: str
    choices:
      - gate
      - backup
      - restore
      - swap
      - rollback
      - drill
      - incident
      - waiver
      - signoff
      - attestation
      - proof
      - offsite
      - approval
      - host
      - merge
      - deficiency
      - hold
  record:
    description: The facts to record. Never a secret.
    type: dict
    default: {}
  audit:
    description:
      - What the control node knows of the run (code, playbook, ticket, environment, start), as the
        filter C(pms_audit) returns it. The line then has the block C(audit).
    type: dict
  head:
    description:
      - Hash of a line, or its first 12 or more digits, as a pin that was kept elsewhere. The chain
        must contain it.
    type: str
  keys:
    description:
      - Folder of the keys. Lines of the ledger are signed with a key in it, made at first use.
        Without it, the folder is the one that was used before.
    type: path
  strict:
    description: Fail if the chain is broken, or a signature is wrong or missing.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Record the drill
  pms_ledger:
    evidence_root: /var/lib/pms-ops/evidence
    kind: drill
    record: {set: 2026-11-22_0600, proved: true, rto_seconds: 41.2, rpo_seconds: 3600}

- name: Stop if the ledger was altered
  pms_ledger:
    evidence_root: /var/lib/pms-ops/evidence
    head: 5f3c1e0a9b77
    strict: true
"""

RETURN = r"""
line:
  description: Number of the new line; null without one.
  returned: success
  type: int
  sample: 42
sha256:
  description: Hash of the last line. Keep it elsewhere to pin the chain.
  returned: success
  type: str
  sample: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
lines: {description: Lines of the ledger., returned: success, type: int, sample: 42}
signed_lines: {description: Those with a signature., returned: success, type: int, sample: 40}
unsigned:
  description: Why the new line is not signed; null where it is, or where signing did not begin.
  returned: success
  type: str
  sample: The ledger's key 5f3c1e0a9b77d659 is not in /home/ops/.config/pms-ops/keys.
problems:
  description: Problems of the chain, the first bad line first.
  returned: always
  type: list
  elements: str
  sample: []
notes:
  description: Harmless findings, such as the trace of a killed writer.
  returned: success
  type: list
  elements: str
  sample: []
remedy: {description: The operator's next step., returned: failure, type: str, sample: Free 2 GB.}
code: {description: Stable name of the error., returned: failure, type: str, sample: ledger.broken}
"""

from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.pmsops.common import argument_specs, timestamps
from ansible.module_utils.pmsops.common.caller import attended
from ansible.module_utils.pmsops.common.errors import ENDINGS
from ansible.module_utils.pmsops.evidence import audit, ledger

SPEC = {
    "evidence_root": {"type": "path", "required": True},
    "kind": {"type": "str", "choices": list(ledger.KINDS)},
    "record": {"type": "dict", "default": {}},
    "audit": argument_specs.audit(),
    "head": {"type": "str"},
    "keys": {"type": "path", "no_log": False},
    "strict": {"type": "bool", "default": False},
}


def run(module: AnsibleModule) -> dict:
    """Add a line if a kind is given, and check the chain."""
    params = module.params
    root = Path(params["evidence_root"])
    keys = Path(params["keys"]) if params["keys"] else None
    added = None
    if params["kind"] and not module.check_mode:
        now = timestamps.now()
        with audit.given(params["audit"]):
            added = ledger.append(root, params["kind"], params["record"], now=now, keys=keys)
        if added["unsigned"]:
            module.warn(f"Line {added['seq']} of the ledger is not signed. {added['unsigned']}")
    checked = params["strict"] or not params["kind"]
    chain = ledger.inspect(root, head=params["head"], keys=keys, signed=checked)
    if chain.problems and params["strict"]:
        module.fail_json(
            msg=f"The evidence ledger in {root} is damaged: {chain.problems[0]}.",
            remedy="Compare it with a copy kept elsewhere; scripts/verify_ledger.py reads both.",
            code="ledger.broken",
            problems=list(chain.problems),
        )
    return {
        "changed": bool(params["kind"]),
        "line": added["seq"] if added else None,
        "sha256": chain.sha256,
        "lines": chain.lines,
        "signed_lines": chain.signed_lines,
        "unsigned": added["unsigned"] if added else None,
        "problems": list(chain.problems),
        "notes": list(chain.notes),
    }


def main() -> None:
    """Hand the arguments to run, and turn its errors into a failed task."""
    module = AnsibleModule(SPEC, supports_check_mode=True)
    try:
        with attended(module):
            result = run(module)
    except ENDINGS as exc:
        module.fail_json(msg=str(exc), remedy=exc.remedy, code=exc.code, problems=[])
    module.exit_json(**result)


if __name__ == "__main__":
    main()
