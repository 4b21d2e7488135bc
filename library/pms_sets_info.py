#!/usr/bin/python
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: pms_sets_info
short_description: Find the newest intact backup set, and what a restore of it would lose
description:
  - Checks signature and files of the sets, newest first, and returns the first that is intact. Each
    skipped set is returned with the reason.
  - Changes nothing.
author: Operations team (@ops)
extends_documentation_fragment: [pmsops.database]
attributes:
  check_mode:
    description: The module only reads.
    support: full
  diff_mode:
    description: The module only reads.
    support: none
  idempotent:
    description: The module only reads.
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
    description: Id of an additional key whose sets are accepted.
    type: str
    default: ""
  verified:
    description: Accept only a verified set, one that was restored and compared.
    type: bool
    default: true
  complete:
    description:
      - Return the newest intact set, verified or not, that has every table of the newest verified
        one and most of its rows. A restore proves it before the swap.
      - A backup that was made after the damage lacks what was lost, and is skipped.
    type: bool
    default: false
  evidence_root:
    description: Folder of the ledger; a set whose last drill failed is skipped.
    type: path
  tables:
    description: Tables whose rows are counted, to estimate the loss of a restore.
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
  description: Folder of the set; null if there is none.
  returned: success
  type: str
  sample: /var/backups/2026-11-22_0600
id:
  description: Name of the set; null if there is none.
  returned: success
  type: str
  sample: 2026-11-22_0600
owner:
  description: Role that owns the database of the set; null if there is none.
  returned: success
  type: str
  sample: macro_user
snapshot_at:
  description: Time of its snapshot.
  returned: success
  type: str
  sample: "2026-11-22T06:00:00Z"
verified:
  description: Whether it was restored and compared.
  returned: success
  type: bool
  sample: true
rpo_minutes:
  description: Minutes since the snapshot. A restore loses what was committed since then.
  returned: success
  type: int
  sample: 42
loss: {description: The loss as a text., returned: success, type: str, sample: the last 42 minutes}
rows:
  description: Rows that the live tables have in excess of the set; null if they cannot be read.
  returned: success
  type: dict
  sample: {decision_journal: 3}
verified_set:
  description:
    - With O(complete), the newest verified set if another one was chosen, with its own loss.
    - It has the keys RV(set), RV(id), RV(snapshot_at), RV(rpo_minutes), RV(loss) and RV(rows).
  returned: success
  type: dict
  sample: {id: 2026-11-21_0600, loss: the last 1482 minutes}
missing:
  description: Sets that the ledger knows and the disk has not, C(set) and C(what).
  returned: success
  type: list
  elements: dict
  sample: []
passed_over:
  description: The newer sets that were skipped, and the missing ones, each with the reason.
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

from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.pmsops.common import argument_specs, timestamps
from ansible.module_utils.pmsops.common.caller import attended
from ansible.module_utils.pmsops.common.errors import ENDINGS
from ansible.module_utils.pmsops.evidence import ledger, missing_sets
from ansible.module_utils.pmsops.postgresql.connection import Database
from ansible.module_utils.pmsops.repository import choice, quarantine
from ansible.module_utils.pmsops.restore import data_loss

SPEC = {
    "database": argument_specs.database(),
    "root": {"type": "path", "required": True},
    "keys": {"type": "path", "required": True, "no_log": False},
    "trust": {"type": "str", "default": ""},
    "verified": {"type": "bool", "default": True},
    "complete": {"type": "bool", "default": False},
    "evidence_root": {"type": "path"},
    "tables": {"type": "list", "elements": "str", "default": []},
}


def run(module: AnsibleModule) -> dict:
    """Choose the set and estimate the loss."""
    params = module.params
    database = Database.from_options(params["database"])
    evidence = params["evidence_root"]
    places = (Path(params["root"]), Path(params["keys"]))
    given = {
        "database": database.name,
        "trust": params["trust"] or None,
        "drills": ledger.records(Path(evidence), "drill") if evidence else (),
    }
    other = None
    if params["complete"]:
        chosen, verified = choice.newest_complete(*places, **given)
        if verified.folder not in (None, chosen.folder):
            other = described(verified, database, params["tables"])
    else:
        chosen = quarantine.choose(*places, verified=params["verified"], **given)
    missing = missing_sets.of_roots(Path(params["root"]), Path(evidence)) if evidence else []
    return {
        "changed": False,
        "missing": [{"set": each.name, "what": each.text()} for each in missing],
        **described(chosen, database, params["tables"]),
        "verified": chosen.verified,
        "verified_set": other,
        "passed_over": [*(each.text() for each in missing), *chosen.passed_over],
    }


def described(chosen: quarantine.Choice, database: Database, tables: list[str]) -> dict:
    """Return a set, and what a restore of it would lose."""
    lost = {"snapshot_at": None, "rpo_minutes": None, "text": None, "rows": {}}
    if chosen.folder:
        lost = data_loss.estimate(database, chosen.document, tables, now=timestamps.now())
    return {
        "set": str(chosen.folder) if chosen.folder else None,
        "id": chosen.document.get("id"),
        "owner": owner(chosen.document),
        "snapshot_at": lost["snapshot_at"],
        "rpo_minutes": lost["rpo_minutes"],
        "loss": lost["text"],
        "rows": lost["rows"],
    }


def owner(document: dict) -> str | None:
    """Return the owner of a set's database; regrole quotes a name that SQL would not take plain."""
    name = (document.get("database") or {}).get("owner")
    return name[1:-1].replace('""', '"') if name and name.startswith('"') else name


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
