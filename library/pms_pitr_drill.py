#!/usr/bin/python
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: pms_pitr_drill
short_description: Recover a copy to a random second, and prove that it can be used
description:
  - Recovers a throw-away copy of the server to a moment of the recovery window, reads every row of
    every table, runs pg_amcheck if the database has the extension, and asks the PMS's queries. Then
    the copy is thrown away.
  - M(pms_pitr), in its state V(proved), compares row by row, at the moments of sets.
author: Operations team (@ops)
extends_documentation_fragment: [pmsops.database, pmsops.queries]
attributes:
  check_mode:
    description: Returns at once; nothing is recovered.
    support: full
  diff_mode:
    description: It changes nothing.
    support: none
  idempotent:
    description: It changes nothing.
    support: full
options:
  at:
    description:
      - A time, in the fund's zone unless it has an offset; an LSN; V(latest); or V(random), a
        second of the last day that the window has.
    type: str
    default: random
  engine:
    description: Which engine protects the server. V(external) is refused, as it is not operated.
    type: str
    choices: [barman, external]
    default: barman
  container:
    description: Name of the container that receives the WAL.
    type: str
    required: true
  canary_seconds:
    description:
      - Seconds between two canary rows. The copy must have those of before the moment, and none of
        after it. V(0) does not look for them.
    type: int
    default: 300
  root:
    description: Folder of the sets, for the lock.
    type: path
    required: true
"""

EXAMPLES = r"""
- name: Drill a random second of the last day
  pms_pitr_drill:
    database: "{{ pms_database }}"
    container: pms_pitr
    root: /var/backups/pms
"""

RETURN = r"""
drill:
  description:
    - What was recovered and seen; a drill that failed returns what it had found out. Null in check
      mode.
  returned: always
  type: dict
  sample:
    of: moment
    asked: random
    moment: "2026-11-28T17:59:30Z"
    proved: true
    base_backup: 20261122T020001
    wal_bytes: 41943040
    lsn: 0/D002B20
    canary: {before: "2026-11-28T17:57:11Z", after: "2026-11-28T18:02:11Z", warnings: []}
    tables: 175
    rows: 286356
    queries: [{"title": "the open book", "rows": 12, "seconds": 0.004}]
    notes: []
    phases: {"plan": 1.2, "base backup": 3.2, "recovery": 1.1, "proof": 2.6}
    duration_seconds: 8.1
remedy: {description: The operator's next step., returned: failure, type: str, sample: Wait.}
code:
  description: Stable name of the error.
  returned: failure
  type: str
  sample: pitr.not-enabled
"""

from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.pmsops.common import argument_specs
from ansible.module_utils.pmsops.common.caller import attended
from ansible.module_utils.pmsops.common.errors import ENDINGS
from ansible.module_utils.pmsops.pitr import moment_drill, own_engine
from ansible.module_utils.pmsops.pitr.run import Protection
from ansible.module_utils.pmsops.pitr.settings import Settings
from ansible.module_utils.pmsops.postgresql.connection import Database
from ansible.module_utils.pmsops.services import docker_engine
from ansible.module_utils.pmsops.verify import queries

SPEC = {
    "database": argument_specs.database(),
    "at": {"type": "str", "default": "random"},
    "engine": {"type": "str", "choices": ["barman", "external"], "default": "barman"},
    "container": {"type": "str", "required": True},
    "canary_seconds": {"type": "int", "default": 300},
    "root": {"type": "path", "required": True},
    "queries": queries.argument_spec(),
}


def run(module: AnsibleModule, facts: dict) -> dict:
    """Drill the moment. *facts* receives what it has found out when it fails."""
    params = module.params
    own_engine.require_own(params["engine"], "drill a moment")
    protection = Protection(
        Database.from_options(params["database"]),
        Settings(params["container"], "", canary_seconds=params["canary_seconds"]),
    )
    protection.require_container()
    if module.check_mode:
        return {"changed": False, "drill": None}
    wanted = [queries.Query(**each) for each in params["queries"]]
    with docker_engine.refusals():
        moment_drill.drill(protection, Path(params["root"]), params["at"], wanted, facts)
    return {"changed": False, "drill": facts}


def main() -> None:
    """Hand the arguments to run, and turn its errors into a failed task."""
    module = AnsibleModule(SPEC, supports_check_mode=True)
    facts: dict = {}
    try:
        with attended(module):
            result = run(module, facts)
    except ENDINGS as exc:
        module.fail_json(msg=str(exc), remedy=exc.remedy, code=exc.code, drill=facts)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
