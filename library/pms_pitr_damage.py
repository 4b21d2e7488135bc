#!/usr/bin/python
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: pms_pitr_damage
short_description: Find the moment before tables, or the database, were dropped
description:
  - Reads the WAL that M(pms_pitr) has received, and names the commit that dropped each table that
    is gone. The moment before that commit can be restored exactly.
  - It knows the tables that M(pms_pitr) saw within the window. It needs PostgreSQL 15 or newer.
author: Operations team (@ops)
extends_documentation_fragment: [pmsops.database]
attributes:
  check_mode:
    description: The module only looks, so it does the same.
    support: full
  diff_mode:
    description: Nothing changes.
    support: none
  idempotent:
    description: It changes nothing.
    support: full
options:
  engine:
    description: Which engine protects the server. V(external) is refused, as it is not operated.
    type: str
    choices: [barman, external]
    default: barman
  container:
    description: Name of the container that receives the WAL.
    type: str
    required: true
  root:
    description: Folder of the sets, beside which M(pms_pitr) notes the tables.
    type: path
    required: true
  inventory:
    description: The inventory options of a command, with a leading space.
    type: str
    default: ""
"""

EXAMPLES = r"""
- name: Find when the missing table was dropped
  pms_pitr_damage:
    database: "{{ pms_database }}"
    container: pms_pitr
    root: /var/backups/pms
"""

RETURN = r"""
drops:
  description: What was dropped, oldest first; a table that is null is the database itself.
  returned: success
  type: list
  elements: dict
  sample:
    - {table: public.victim, lsn: 0/1BAB1F8, at: "2026-11-27 14:59:31.123456-03:00"}
lines:
  description: The same for an operator, with the commands that restore the moment before.
  returned: success
  type: list
  elements: str
  sample: ["table public.victim was dropped at 2026-11-27 14:59:31.123456-03:00"]
remedy: {description: The operator's next step., returned: failure, type: str, sample: Wait.}
code:
  description: Stable name of the error.
  returned: failure
  type: str
  sample: pitr.not-running
"""

from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.pmsops.common import argument_specs
from ansible.module_utils.pmsops.common.caller import attended
from ansible.module_utils.pmsops.common.errors import ENDINGS
from ansible.module_utils.pmsops.pitr import damage, own_engine
from ansible.module_utils.pmsops.pitr.run import Protection
from ansible.module_utils.pmsops.pitr.settings import Settings
from ansible.module_utils.pmsops.postgresql.connection import Database
from ansible.module_utils.pmsops.services import docker_engine

SPEC = {
    "database": argument_specs.database(),
    "engine": {"type": "str", "choices": ["barman", "external"], "default": "barman"},
    "container": {"type": "str", "required": True},
    "root": {"type": "path", "required": True},
    "inventory": {"type": "str", "default": ""},
}


def run(module: AnsibleModule) -> dict:
    """Return the drops, and the lines for an operator."""
    params = module.params
    own_engine.require_own(params["engine"], "find the moment of a drop")
    database = Database.from_options(params["database"])
    protection = Protection(database, Settings(params["container"], ""))
    protection.require_container()
    with docker_engine.refusals():
        found = damage.search(protection, Path(params["root"]))
    return {
        "changed": False,
        "drops": [each.document() for each in found],
        "lines": damage.lines(found, database.name, params["inventory"]),
    }


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
