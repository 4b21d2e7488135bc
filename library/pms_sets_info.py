#!/usr/bin/python
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: pms_sets_info
short_description: Name the backup set to rely on, and what a restore of it would lose
description:
  - Goes through the sets from the newest on, checks signature and files, and stops at the first
    that is sound. Each that is passed over is named with the reason.
  - Only looks.
author: Operations team (@ops)
extends_documentation_fragment: [pmsops.database]
attributes:
  check_mode:
    description: Only looks.
    support: full
  diff_mode:
    description: Nothing is changed.
    support: none
  idempotent:
    description: Only looks.
    support: full
options:
  root:
    description: Folder of the backup sets.
    type: path
    required: true
  keys:
    description: Folder of the trusted keys.
    type: path
    required: true
  trust:
    description: Id of one more signing key to accept sets of.
    type: str
    default: ""
  verified:
    description: Accept only a set that was restored and compared.
    type: bool
    default: true
  evidence_root:
    description: Folder of the ledger; a set whose last drill failed is passed over.
    type: path
  tables:
    description: Tables whose rows are counted, to say what a restore would lose.
    type: list
    elements: str
    default: []
"""

EXAMPLES = r"""
- name: Find the set to restore
  pms_sets_info:
    database: "{{ pms_database }}"
    root: "{{ backup_root }}"
    keys: "{{ pms_keys_dir }}"
    tables: "{{ pms_db_tables }}"
  register: __incident_set
"""

RETURN = r"""
set:
  description: Folder of the set; null without one.
  returned: success
  type: str
  sample: /var/backups/2026-11-22_0600
id:
  description: Its name; null without one.
  returned: success
  type: str
  sample: 2026-11-22_0600
snapshot_at:
  description: The moment that it holds.
  returned: success
  type: str
  sample: "2026-11-22T06:00:00Z"
verified:
  description: Whether it was restored and compared.
  returned: success
  type: bool
  sample: true
rpo_minutes:
  description: Minutes since that moment; what was committed in them, a restore loses.
  returned: success
  type: int
  sample: 42
loss: {description: The same in words., returned: success, type: str, sample: the last 42 minutes}
rows:
  description: Rows that the live tables have more than the set; null where they cannot be read.
  returned: success
  type: dict
  sample: {decision_journal: 3}
passed_over:
  description: The newer sets that cannot be relied on, each with the reason.
  returned: success
  type: list
  elements: str
  sample: ["2026-11-23_0600: toc.dat has another content than was signed"]
remedy: {description: The operator's next step., returned: failure, type: str, sample: Pin the key.}
code:
  description: Stable name of the error.
  returned: failure
  type: str
  sample: signing.unknown-key
"""

from datetime import UTC, datetime
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.pmsops.common import argument_specs
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.evidence import ledger
from ansible.module_utils.pmsops.postgresql.connection import Database
from ansible.module_utils.pmsops.repository import quarantine
from ansible.module_utils.pmsops.restore import data_loss as loss

SPEC = {
    "database": argument_specs.database(),
    "root": {"type": "path", "required": True},
    "keys": {"type": "path", "required": True, "no_log": False},
    "trust": {"type": "str", "default": ""},
    "verified": {"type": "bool", "default": True},
    "evidence_root": {"type": "path"},
    "tables": {"type": "list", "elements": "str", "default": []},
}


def run(module: AnsibleModule) -> dict:
    """Choose the set and say what it would lose."""
    params = module.params
    database = Database.from_options(params["database"])
    evidence = params["evidence_root"]
    choice = quarantine.choose(
        Path(params["root"]),
        Path(params["keys"]),
        database=database.name,
        trust=params["trust"] or None,
        verified=params["verified"],
        drills=ledger.records(Path(evidence), "drill") if evidence else (),
    )
    lost = {"snapshot_at": None, "rpo_minutes": None, "text": None, "rows": {}}
    if choice.folder:
        lost = loss.of(database, choice.document, params["tables"], now=datetime.now(UTC))
    return {
        "changed": False,
        "set": str(choice.folder) if choice.folder else None,
        "id": choice.document.get("id"),
        "snapshot_at": lost["snapshot_at"],
        "verified": choice.verified,
        "rpo_minutes": lost["rpo_minutes"],
        "loss": lost["text"],
        "rows": lost["rows"],
        "passed_over": choice.passed_over,
    }


def main() -> None:
    """Hand the arguments to run, and turn its errors into a failed task."""
    module = AnsibleModule(SPEC, supports_check_mode=True)
    try:
        result = run(module)
    except OpsError as exc:
        module.fail_json(msg=str(exc), remedy=exc.remedy, code=exc.code)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
