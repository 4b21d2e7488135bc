#!/usr/bin/python
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: pms_checkpoint_info
short_description: Choose a checkpoint, or the means for a new one
description:
  - A checkpoint is a held backup set with a note, to which a rollback returns.
author: Operations team (@ops)
extends_documentation_fragment: [pmsops.database]
attributes:
  check_mode:
    description: It only reads.
    support: full
  diff_mode:
    description: It changes nothing.
    support: none
  idempotent:
    description: It only reads.
    support: full
options:
  root:
    description: Folder of the backup sets.
    type: path
    required: true
  evidence_root:
    description: Folder of the ledger, which knows checkpoints that are gone.
    type: path
    required: true
  wanted:
    description:
      - The checkpoint to choose, by its note or by the name of its set. V(latest) is the newest. Of
        several with one note it is the newest, and RV(notes) say so.
    type: str
  note:
    description:
      - Note of a checkpoint that is to be made. RV(means) says by what it would be reached again.
    type: str
  keep_warm:
    description: Whether the proved copy may be kept, as in M(pms_restore).
    type: bool
    default: true
"""

EXAMPLES = r"""
- name: Choose the newest checkpoint
  pms_checkpoint_info:
    database: "{{ pms_database }}"
    root: /var/backups/pms
    evidence_root: /var/lib/pms-ops/evidence
    wanted: latest
"""

RETURN = r"""
chosen:
  description: The checkpoint, with its C(set), C(folder) and C(note); null without O(wanted).
  returned: success
  type: dict
  sample: {set: 2026-11-22_0600, folder: /var/backups/pms/2026-11-22_0600, note: release 4.2}
notes:
  description: What there is to say about the choice.
  returned: success
  type: list
  elements: str
  sample: []
note:
  description: O(note) as it is kept; null without it.
  returned: success
  type: str
  sample: release 4.2
same_note:
  description: The sets of checkpoints that have this note already.
  returned: success
  type: list
  elements: str
  sample: []
means:
  description: V(set and warm copy) or V(set alone); null without O(note).
  returned: success
  type: str
  sample: set and warm copy
reason:
  description: Why it is these means, and how long the way back is.
  returned: success
  type: str
  sample: "The set is held, and its proved copy kept: the way back needs no load."
provable:
  description: Whether the server has room for a staging database, in which the set is proved.
  returned: success
  type: bool
  sample: true
restore_seconds:
  description: How long a restore from the files takes, by the last one; null if there was none.
  returned: success
  type: float
  sample: 31.4
remedy:
  description: The operator's next step.
  returned: failure
  type: str
  sample: 'Make one: pms-ops checkpoint --note "release 4.2".'
code:
  description: Stable name of the error.
  returned: failure
  type: str
  sample: checkpoint.none
"""

from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.pmsops.common import argument_specs
from ansible.module_utils.pmsops.common.caller import attended
from ansible.module_utils.pmsops.common.errors import ENDINGS
from ansible.module_utils.pmsops.evidence import checkpoints as known
from ansible.module_utils.pmsops.postgresql.connection import Database
from ansible.module_utils.pmsops.repository import checkpoints
from ansible.module_utils.pmsops.restore import checkpoint_means
from ansible.module_utils.pmsops.services import docker_engine

SPEC = {
    "database": argument_specs.database(),
    "root": {"type": "path", "required": True},
    "evidence_root": {"type": "path", "required": True},
    "wanted": {"type": "str"},
    "note": {"type": "str"},
    "keep_warm": {"type": "bool", "default": True},
}


def run(module: AnsibleModule) -> dict:
    """Choose a checkpoint, or the means for a new one."""
    params = module.params
    root, evidence = Path(params["root"]), Path(params["evidence_root"])
    result = {"changed": False, "chosen": None, "notes": [], "note": None, "same_note": []}
    result |= {"means": None, "reason": None, "provable": None, "restore_seconds": None}
    if params["wanted"] is not None:
        chosen, result["notes"] = known.choose(root, evidence, params["wanted"])
        result["chosen"] = {
            "set": chosen.id,
            "folder": str(chosen.folder),
            "note": chosen.note,
        }
    if params["note"] is not None:
        note = checkpoints.require_note(params["note"])
        same = checkpoints.with_note(checkpoints.listed(root), note)
        database = Database.from_options(params["database"])
        with docker_engine.refusals():
            result |= checkpoint_means.choose(database, root, keep=params["keep_warm"])
        result |= {"note": note, "same_note": [each.id for each in same]}
    return result


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
