#!/usr/bin/python
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: pms_verify
short_description: Compare a database with a backup set, object by object and row by row
description:
  - Reads the facts and fingerprints of a database under one snapshot and returns each difference
    from the set's manifest. On the live database these are the changes since the backup.
  - Nothing is written.
author: Operations team (@ops)
extends_documentation_fragment: [pmsops.database]
attributes:
  check_mode:
    description: The module only reads.
    support: full
  diff_mode:
    description: The result holds the differences.
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
  file:
    description: A set's folder or its dump. By default the newest set.
    type: path
  trust:
    description: Id of an additional key whose sets are accepted.
    type: str
  shown:
    description: Number of differences listed per kind; the others are counted.
    type: int
    default: 10
  amcheck:
    description:
      - Also check every heap and index page with pg_amcheck, for which the database needs the
        extension amcheck.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: List the changes since the newest backup
  pms_verify:
    database: "{{ pms_database }}"
    root: /var/backups/pms
    keys: /etc/pms-ops/keys
"""

RETURN = r"""
set:
  description: The set compared with.
  returned: success
  type: str
  sample: /var/backups/pms/2026-11-22_0600
identical:
  description: Whether there is no difference.
  returned: success
  type: bool
  sample: false
count:
  description: Number of differences.
  returned: success
  type: int
  sample: 2
differences:
  description: A line for each, at most O(shown) of a kind.
  returned: success
  type: list
  elements: str
  sample: ["contents: public.decision_journal has 41 rows, not 40"]
formula:
  description: Formula of the fingerprints that were compared. 3 covers every row as queries read it
    and every kind of object; 1 and 2, of sets of older releases, cover rows as they are stored.
  returned: success
  type: int
  sample: 3
not_restored:
  description: What the backup had and no restore of the set brings back, a line each; such things
    count as no difference.
  returned: success
  type: list
  elements: str
  sample: ["index public.by_name is invalid in the backup, and no restore brings it back"]
amcheck:
  description: Messages of pg_amcheck, empty if it found nothing; null if it did not run.
  returned: success
  type: list
  elements: str
  sample: []
snapshot_at:
  description: The moment of the database that the set holds.
  returned: success
  type: str
  sample: "2026-11-22T06:00:01.678878Z"
remedy:
  description: The operator's next step.
  returned: failure
  type: str
  sample: Do not restore this set. Take another one.
code:
  description: The error's stable name, as listed in docs/ERRORS.md.
  returned: failure
  type: str
  sample: verify.no-manifest
"""

from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.pmsops.client_tools import pg_amcheck
from ansible.module_utils.pmsops.common import argument_specs
from ansible.module_utils.pmsops.common.caller import attended
from ansible.module_utils.pmsops.common.errors import ENDINGS
from ansible.module_utils.pmsops.postgresql.connection import Database
from ansible.module_utils.pmsops.verify import against_set


def run(module: AnsibleModule) -> dict:
    """Compare, and say what differs."""
    import psycopg2  # after the package, which tells a Python that is too old

    params = module.params
    database = Database.from_options(params["database"])
    try:
        result = against_set.against(
            database,
            root=Path(params["root"]),
            keys=Path(params["keys"]),
            file=Path(params["file"]) if params["file"] else None,
            trust=params["trust"] or None,
            shown=params["shown"],
        )
        result["amcheck"] = pg_amcheck.damaged(database) if params["amcheck"] else None
    except psycopg2.Error as exc:
        raise database.to_error(exc) from exc
    return {"changed": False} | result


def main() -> None:
    """Hand the arguments to run, and turn its errors into a failed task."""
    module = AnsibleModule(
        {
            "database": argument_specs.database(),
            "root": {"type": "path", "required": True},
            "keys": {"type": "path", "required": True, "no_log": False},
            "file": {"type": "path"},
            "trust": {"type": "str"},
            "shown": {"type": "int", "default": 10},
            "amcheck": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    try:
        with attended(module):
            result = run(module)
    except ENDINGS as exc:
        module.fail_json(msg=str(exc), remedy=exc.remedy, code=exc.code)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
