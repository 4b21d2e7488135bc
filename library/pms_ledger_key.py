#!/usr/bin/python
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: pms_ledger_key
short_description: Change the key of the evidence ledger, or accept lines that it did not sign
description:
  - Each change is a line of the ledger. A rotation is signed by the old key and by the new one.
  - A key that is lost cannot sign. O(state=replaced) begins a new one, and anybody who reads the
    ledger sees that the old one did not sign this.
author: Operations team (@ops)
attributes:
  check_mode:
    description: Changes nothing, and reports the key in use.
    support: full
  diff_mode:
    description: The key is in RV(key).
    support: none
  idempotent:
    description: Each rotation makes a new key.
    support: none
options:
  state:
    description:
      - V(rotated) makes a new key, and both keys sign that.
      - V(replaced) makes a new key because the old one is lost, for O(reason).
      - V(accepted) accepts O(lines) that say why they are not signed, or that are dated back.
    type: str
    choices: [rotated, replaced, accepted]
    required: true
  evidence_root:
    description: Folder of the ledger.
    type: path
    required: true
  keys:
    description: Folder of the keys.
    type: path
    required: true
  lines:
    description: Numbers of the lines to accept.
    type: list
    elements: int
    default: []
  who:
    description: The person who accepts them.
    type: str
  reason:
    description: Why.
    type: str
"""

EXAMPLES = r"""
- name: Let a new key sign the ledger
  pms_ledger_key:
    state: rotated
    evidence_root: /var/lib/pms-ops/evidence
    keys: /home/ops/.config/pms-ops/keys

- name: Accept the lines of a night on which the key could not be read
  pms_ledger_key:
    state: accepted
    evidence_root: /var/lib/pms-ops/evidence
    keys: /home/ops/.config/pms-ops/keys
    lines: [41, 42]
    who: Maria Silva
    reason: the disk with the keys was not mounted
"""

RETURN = r"""
line: {description: Number of the new line; null in check mode., returned: success, type: int,
       sample: 43}
key:
  description: Id of the key that signs from now on. Auditors keep it outside the machine.
  returned: success
  type: str
  sample: 5f3c1e0a9b77d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08e
remedy: {description: The operator's next step., returned: failure, type: str, sample: Free 2 GB.}
code: {description: Stable name of the error., returned: failure, type: str,
       sample: ledger.key-missing}
"""

from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.pmsops.common import timestamps
from ansible.module_utils.pmsops.common.caller import attended
from ansible.module_utils.pmsops.common.errors import ENDINGS
from ansible.module_utils.pmsops.evidence import key_changes, ledger

SPEC = {
    "state": {"type": "str", "choices": ["rotated", "replaced", "accepted"], "required": True},
    "evidence_root": {"type": "path", "required": True},
    "keys": {"type": "path", "required": True, "no_log": False},
    "lines": {"type": "list", "elements": "int", "default": []},
    "who": {"type": "str"},
    "reason": {"type": "str"},
}
REQUIRED_IF = [
    ("state", "replaced", ["reason"]),
    ("state", "accepted", ["lines", "who", "reason"]),
]


def run(module: AnsibleModule) -> dict:
    """Add the line, and return the key in use."""
    params = module.params
    root, keys = Path(params["evidence_root"]), Path(params["keys"])
    line = {"seq": None}
    if not module.check_mode:
        line = _change(params, root, keys)
    return {"changed": True, "line": line["seq"], "key": ledger.inspect(root).key}


def _change(params: dict, root: Path, keys: Path) -> dict:
    now = timestamps.now()
    if params["state"] == "rotated":
        return key_changes.rotate(root, keys, now=now)
    if params["state"] == "replaced":
        return key_changes.replace(root, keys, params["reason"], now=now)
    return key_changes.accept(root, keys, params["lines"], params["who"], params["reason"], now=now)


def main() -> None:
    """Hand the arguments to run, and turn its errors into a failed task."""
    module = AnsibleModule(SPEC, supports_check_mode=True, required_if=REQUIRED_IF)
    try:
        with attended(module):
            result = run(module)
    except ENDINGS as exc:
        module.fail_json(msg=str(exc), remedy=exc.remedy, code=exc.code)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
