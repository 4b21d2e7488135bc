#!/usr/bin/python
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: pms_deficiency
short_description: Open a deficiency, or close it by the record that shows its remedy
description:
  - A deficiency has an owner and a due date. It is a line of the evidence ledger, and so is its
    end, which names the line that shows the remedy by number and SHA-256.
  - One that is open past its due date is a finding of the go-live check C(evidence.deficiencies).
author: Operations team (@ops)
extends_documentation_fragment: [pmsops.audit]
attributes:
  check_mode:
    description: Checks all of it, and adds no line.
    support: full
  diff_mode:
    description: The deficiency is in RV(deficiency).
    support: none
  idempotent:
    description: One that is open with the same title, owner and day is not opened again; one that
      was closed by the same record is not closed again.
    support: full
options:
  state:
    description: V(opened) opens one, V(closed) closes O(id).
    type: str
    choices: [opened, closed]
    required: true
  evidence_root:
    description: Folder of the ledger.
    type: path
    required: true
  keys:
    description: Folder of the keys. Without it, the folder is the one that was used before.
    type: path
  title:
    description: What is deficient, in a few words.
    type: str
    default: ""
  owner:
    description: The person who has it remedied.
    type: str
    default: ""
  due:
    description: The day by which the remedy is shown, as C(2026-12-15), by the fund's calendar.
    type: str
    default: ""
  finding:
    description: What was found, and where.
    type: str
    default: ""
  id:
    description: Name of the deficiency to close.
    type: str
  shown_by:
    description: The record that shows the remedy, as the number of its line, or the name of a run,
      an incident or a set. It is newer than the deficiency, and passed.
    type: str
  who:
    description: The person who opens or closes it.
    type: str
    default: ""
  note:
    description: With V(closed), a word on the remedy.
    type: str
    default: ""
"""

EXAMPLES = r"""
- name: Write down what the drill found
  pms_deficiency:
    state: opened
    evidence_root: /var/lib/pms-ops/evidence
    title: Redis is in no set
    owner: Maria Silva
    due: "2026-12-15"
    audit: "{{ pms_audit }}"

- name: Close it by the backup that has Redis
  pms_deficiency:
    state: closed
    evidence_root: /var/lib/pms-ops/evidence
    id: D-42
    shown_by: 2026-12-01_0600
    who: Ana Souza
    audit: "{{ pms_audit }}"
"""

RETURN = r"""
deficiency:
  description: The deficiency. C(id) is null for one that check mode would open, and C(closed) while
    it is open.
  returned: success
  type: dict
  sample: {id: D-42, opened_at: "2026-11-30T09:00:00.000000Z", line: 42, title: Redis is in no set,
           owner: Maria Silva, due: "2026-12-15", finding: "", opened_by: Ana Souza, closed: null,
           overdue: false}
remedy: {description: The operator's next step., returned: failure, type: str, sample: Free 2 GB.}
code: {description: Stable name of the error., returned: failure, type: str,
       sample: deficiency.record}
"""

from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.pmsops.common import argument_specs, timestamps
from ansible.module_utils.pmsops.common.caller import attended
from ansible.module_utils.pmsops.common.errors import ENDINGS
from ansible.module_utils.pmsops.evidence import audit, deficiencies

SPEC = {
    "state": {"type": "str", "choices": ["opened", "closed"], "required": True},
    "evidence_root": {"type": "path", "required": True},
    "audit": argument_specs.audit(),
    "keys": {"type": "path", "no_log": False},
    "title": {"type": "str", "default": ""},
    "owner": {"type": "str", "default": ""},
    "due": {"type": "str", "default": ""},
    "finding": {"type": "str", "default": ""},
    "id": {"type": "str"},
    "shown_by": {"type": "str"},
    "who": {"type": "str", "default": ""},
    "note": {"type": "str", "default": ""},
}


def run(module: AnsibleModule) -> dict:
    """Open or close it, and return it."""
    params = module.params
    root = Path(params["evidence_root"])
    around = {
        "now": timestamps.now(),
        "keys": Path(params["keys"]) if params["keys"] else None,
        "check": module.check_mode,
    }
    if params["state"] == "opened":
        request = deficiencies.Request(
            title=params["title"].strip(),
            owner=params["owner"].strip(),
            due=params["due"].strip(),
            finding=params["finding"],
            by=params["who"],
        )
        found, changed = deficiencies.open_new(root, request, **around)
    else:
        found, changed = deficiencies.close(
            root,
            params["id"],
            params["shown_by"].strip(),
            by=params["who"],
            note=params["note"],
            **around,
        )
    return {"changed": changed, "deficiency": found}


def main() -> None:
    """Hand the arguments to run, and turn its errors into a failed task."""
    module = AnsibleModule(
        SPEC,
        supports_check_mode=True,
        required_if=[("state", "closed", ["id", "shown_by"])],
    )
    try:
        with attended(module), audit.given(module.params["audit"]):
            result = run(module)
    except ENDINGS as exc:
        module.fail_json(msg=str(exc), remedy=exc.remedy, code=exc.code)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
