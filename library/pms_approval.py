#!/usr/bin/python
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: pms_approval
short_description: Show a plan that waits for a second person, and approve it with their key
description:
  - A swap, a rollback and an off-site prune are refused until a second person has approved their
    plan, where C(database.consent) of M(pms_swap) demands it. The plan is in the folder of the
    ledger, under its hash.
  - The private key is read where the person has it, on the control node. It never leaves there.
author: Operations team (@ops)
extends_documentation_fragment: [pmsops.approvers]
attributes:
  check_mode:
    description: Checks key and plan; signs and writes nothing.
    support: full
  diff_mode:
    description: The plan is in RV(lines).
    support: none
  idempotent:
    description: Each approval has an id and a time of its own.
    support: partial
options:
  state:
    description:
      - V(shown) reads the plan O(plan) and changes nothing.
      - V(signed) signs O(document), which is a plan, with O(key_file).
      - V(kept) keeps O(document), which is an approval, for the run that it allows.
      - V(new_key) makes a key at O(key_file), unless it is there.
    type: str
    choices: [shown, signed, kept, new_key]
    default: shown
  evidence_root:
    description: Folder of the ledger; required with V(shown) and V(kept).
    type: path
  plan:
    description: The hash of a plan, or its first 12 or more digits; required with V(shown).
    type: str
  document:
    description: The plan or the approval.
    type: dict
  key_file:
    description: The person's private Ed25519 key in PEM form, mode 0600.
    type: path
"""

EXAMPLES = r"""
- name: Show the plan
  pms_approval:
    evidence_root: /var/lib/pms-ops/evidence
    plan: 4be1c0d2a9f7
"""

RETURN = r"""
plan: {description: The plan., returned: state=shown, type: dict, sample: {operation: swap}}
lines:
  description: The plan for people, a line for each field.
  returned: state=shown
  type: list
  elements: str
  sample: ["operation: swap", "set: 2026-11-22_0600"]
sha256: {description: The hash of the plan., returned: state=shown, type: str, sample: 4be1c0d2a9f7}
approval:
  description: The approval. Null in check mode.
  returned: state=signed
  type: dict
  sample: {plan_sha256: 4be1c0d2a9f7, signed_at: "2026-11-30T03:00:00Z"}
approved_by:
  description: The person whose key it is.
  returned: state=signed
  type: str
  sample: Maria Silva
path:
  description: Where the approval lies.
  returned: state=kept
  type: str
  sample: /var/lib/pms-ops/evidence/approvals/4be1c0d2a9f7.approval.json
public_key:
  description: The public half of the key.
  returned: state=new_key
  type: str
  sample: Kx3yVQ7n2cYhJ0yq1b0m1tq3D9Uu0yZVd3v4mQ2m8mQ=
remedy: {description: The operator's next step., returned: failure, type: str, sample: Sign again.}
code: {description: Stable name of the error., returned: failure, type: str,
       sample: approval.own-plan}
"""

from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.pmsops.approvals import documents, people
from ansible.module_utils.pmsops.approvals import plan as plans
from ansible.module_utils.pmsops.common import argument_specs, timestamps
from ansible.module_utils.pmsops.common.caller import attended
from ansible.module_utils.pmsops.common.errors import ENDINGS

SPEC = {
    "state": {
        "type": "str",
        "choices": ["shown", "signed", "kept", "new_key"],
        "default": "shown",
    },
    "evidence_root": {"type": "path"},
    "plan": {"type": "str"},
    "document": {"type": "dict"},
    "key_file": {"type": "path", "no_log": False},
    "approvers": argument_specs.consent()["options"]["approvers"],
}
REQUIRED = [
    ("state", "shown", ["evidence_root", "plan"]),
    ("state", "signed", ["document", "key_file"]),
    ("state", "kept", ["evidence_root", "document"]),
    ("state", "new_key", ["key_file"]),
]


def run(module: AnsibleModule) -> dict:
    """Do what the state names."""
    params, check = module.params, module.check_mode
    if params["state"] == "new_key":
        made, public_key = people.make_key(Path(params["key_file"]), check=check)
        return {"changed": made, "public_key": public_key}
    if params["state"] == "signed":
        person, approval = documents.approve(
            params["document"],
            people.of_options(params["approvers"]),
            Path(params["key_file"]),
            timestamps.now(),
        )
        return {
            "changed": True,
            "approval": None if check else approval,
            "approved_by": person.name,
        }
    root = Path(params["evidence_root"])
    if params["state"] == "kept":
        path = None if check else str(documents.keep_approval(root, params["document"]))
        return {"changed": True, "path": path}
    plan = documents.waiting(root, params["plan"])
    return {
        "changed": False,
        "plan": plan,
        "lines": plans.lines(plan),
        "sha256": plans.sha256(plan),
    }


def main() -> None:
    """Hand the arguments to run, and turn its errors into a failed task."""
    module = AnsibleModule(SPEC, supports_check_mode=True, required_if=REQUIRED)
    try:
        with attended(module):
            result = run(module)
    except ENDINGS as exc:
        module.fail_json(msg=str(exc), remedy=exc.remedy, code=exc.code)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
