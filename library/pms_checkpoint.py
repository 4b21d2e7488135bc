#!/usr/bin/python
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: pms_checkpoint
short_description: Make a backup set a checkpoint, or release a checkpoint
description:
  - A checkpoint is a held backup set with a note, to which a rollback returns. Retention never
    deletes it, and no drill takes its warm copy away while it is the newest one that has a copy.
  - Each act adds a line of kind V(hold) to the ledger. If a run was killed before it added its
    line, the next one adds it.
author: Operations team (@ops)
extends_documentation_fragment: [pmsops.database, pmsops.audit]
attributes:
  check_mode:
    description: Returns whether the hold would change.
    support: full
  diff_mode:
    description: RV(held) and RV(note) say it.
    support: none
  idempotent:
    description: A set that is this checkpoint already is not changed.
    support: full
options:
  root:
    description: Folder of the backup sets.
    type: path
    required: true
  evidence_root:
    description: Folder of the ledger.
    type: path
    required: true
  keys:
    description: Folder of the keys, which sign the ledger.
    type: path
    required: true
  state:
    description: V(present) holds the set O(set), V(absent) releases the checkpoint O(note).
    type: str
    choices: [present, absent]
    default: present
  set:
    description: Folder of the set. Required with O(state=present).
    type: path
  note:
    description:
      - Note of the checkpoint. With O(state=absent) its note or the name of its set; V(latest) is
        the newest. One of several that have the same note is named by its set.
    type: str
    required: true
  record:
    description: Facts for the ledger's line, such as who ordered it. Never a secret.
    type: dict
    default: {}
"""

EXAMPLES = r"""
- name: Make the new set a checkpoint
  pms_checkpoint:
    database: "{{ pms_database }}"
    root: /var/backups/pms
    evidence_root: /var/lib/pms-ops/evidence
    keys: /etc/pms-ops/keys
    set: /var/backups/pms/2026-11-22_0600
    note: release 4.2
"""

RETURN = r"""
set: {description: Name of the set., returned: success, type: str, sample: 2026-11-22_0600}
note: {description: Its note., returned: success, type: str, sample: release 4.2}
held: {description: Whether it is a checkpoint now., returned: success, type: bool, sample: true}
warm:
  description: The warm copy of the set; null if there is none, or the server does not answer.
  returned: success
  type: str
  sample: macro_trading__warm_20261123023709
restore_seconds:
  description: How long a restore from the files takes, by the last one; null if there was none.
  returned: success
  type: float
  sample: 31.4
caught_up:
  description: Lines of earlier acts that the ledger lacked and has now.
  returned: success
  type: list
  elements: str
  sample: []
remedy:
  description: The operator's next step.
  returned: failure
  type: str
  sample: "Name the set: pms-ops checkpoint --release 2026-11-22_0600."
code:
  description: Stable name of the error.
  returned: failure
  type: str
  sample: checkpoint.several
"""

from contextlib import suppress
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.pmsops.common import argument_specs
from ansible.module_utils.pmsops.common.caller import attended
from ansible.module_utils.pmsops.common.errors import ENDINGS, OpsError
from ansible.module_utils.pmsops.evidence import audit
from ansible.module_utils.pmsops.evidence import checkpoints as known
from ansible.module_utils.pmsops.postgresql.connection import Database
from ansible.module_utils.pmsops.repository import checkpoints, sets
from ansible.module_utils.pmsops.restore import checkpoint_means

SPEC = {
    "database": argument_specs.database(),
    "root": {"type": "path", "required": True},
    "evidence_root": {"type": "path", "required": True},
    "keys": {"type": "path", "required": True, "no_log": False},
    "audit": argument_specs.audit(),
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "set": {"type": "path"},
    "note": {"type": "str", "required": True},
    "record": {"type": "dict", "default": {}},
}


def run(module: AnsibleModule) -> dict:
    """Make a checkpoint, or release one; return what changed."""
    import psycopg2  # after the package, which tells a Python that is too old

    params = module.params
    root, evidence, keys = (Path(params[name]) for name in ("root", "evidence_root", "keys"))
    held = params["state"] == "present"
    caught_up = [] if module.check_mode else known.catch_up(root, evidence, keys)
    if held:
        note = checkpoints.require_note(params["note"])
        chosen = checkpoints.Checkpoint(Path(params["set"]), note)
    else:
        chosen = known.only(root, evidence, params["note"])
    changed = (checkpoints.note_of(chosen.folder) == chosen.note) != held
    warm = None
    with suppress(OpsError, psycopg2.Error):  # the set is the checkpoint, whatever the server says
        warm = checkpoint_means.warm(Database.from_options(params["database"]), chosen.folder)
    seconds = (sets.verification(chosen.folder) or {}).get("duration_seconds")
    seconds = seconds or checkpoint_means.last_seconds(root, chosen.folder)
    if changed and not module.check_mode:
        facts = params["record"] | {
            "manifest_sha256": manifest_sha256(chosen.folder),
            "means": checkpoint_means.WARM if warm else checkpoint_means.ALONE,
            "warm_copy": warm,
            "restore_seconds": seconds,
        }
        if held:
            checkpoints.make(chosen.folder, chosen.note)
        else:
            checkpoints.release(chosen)
        act = known.HELD if held else known.LIFTED
        for warning in known.write(root, evidence, keys, chosen, act, **facts):
            module.warn(warning)
    return {
        "changed": changed,
        "set": chosen.id,
        "note": chosen.note,
        "held": held,
        "warm": warm,
        "restore_seconds": seconds,
        "caught_up": caught_up,
    }


def manifest_sha256(folder: Path) -> str | None:
    """Return the hash that names a set; None where its manifest cannot be read."""
    try:
        return sets.resolve(folder).manifest_sha256
    except OpsError:
        return None


def main() -> None:
    """Hand the arguments to run, and turn its errors into a failed task."""
    module = AnsibleModule(
        SPEC, required_if=[("state", "present", ["set"])], supports_check_mode=True
    )
    try:
        with attended(module), audit.given(module.params["audit"]):
            result = run(module)
    except ENDINGS as exc:
        module.fail_json(msg=str(exc), remedy=exc.remedy, code=exc.code)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
