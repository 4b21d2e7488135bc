#!/usr/bin/python
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: pms_application
short_description: Bring the PMS back with the book that its database holds
description:
  - Starts it where it is stopped, lets it go on where it is paused, and restarts it where it hangs
    or shows another book than its database; then deletes what Redis holds of the former book.
  - Before a restart, what it holds over HTTP is saved into O(incident). A restart that would lose
    what no database holds is refused without O(confirm).
author: Operations team (@ops)
extends_documentation_fragment: [pmsops.database, pmsops.redis, pmsops.api, pmsops.services]
attributes:
  check_mode:
    description: Says what it would begin with.
    support: full
  diff_mode:
    description: The steps are in RV(actions).
    support: none
  idempotent:
    description: A PMS that is well is left alone.
    support: full
options:
  service:
    description: The service that is the PMS, one of those of O(services).
    type: str
    default: api
  persists:
    description: Whether this PMS writes to its database what is done over HTTP.
    type: bool
    default: true
  confirm:
    description: The database's name, to allow a restart that loses what only the PMS holds.
    type: str
    default: ""
  healthy_seconds:
    description: Seconds that the PMS may take to become well.
    type: int
    default: 60
  stop_seconds:
    description: Seconds that it may take to stop before it is killed.
    type: int
    default: 5
  incident:
    description: Folder of the incident in which each step is written down.
    type: path
"""

EXAMPLES = r"""
- name: Bring the PMS back
  pms_application:
    database: "{{ pms_database }}"
    redis: "{{ pms_redis }}"
    api: "{{ pms_api }}"
    services: "{{ pms_services }}"
    incident: "{{ __incident.folder }}"
"""

RETURN = r"""
actions:
  description: What was done, or would be.
  returned: success
  type: list
  elements: str
  sample: ["Start api, which was exited (exit status 0)"]
remedy: {description: The operator's next step., returned: failure, type: str, sample: Read it.}
code: {description: Name of the error., returned: failure, type: str, sample: api.unwell}
"""

from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.pmsops.common import argument_specs
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.incidents.record import action_recorder
from ansible.module_utils.pmsops.pms.client import PmsApi
from ansible.module_utils.pmsops.postgresql.connection import Database
from ansible.module_utils.pmsops.recovery.pms import Pms, plan, recover
from ansible.module_utils.pmsops.services.manager import Services

SPEC = {
    "database": argument_specs.database(),
    "redis": argument_specs.redis(),
    "api": argument_specs.api(),
    "services": argument_specs.services(),
    "service": {"type": "str", "default": "api"},
    "persists": {"type": "bool", "default": True},
    "confirm": {"type": "str", "default": ""},
    "healthy_seconds": {"type": "int", "default": 60},
    "stop_seconds": {"type": "int", "default": 5},
    "incident": {"type": "path"},
}


def run(module: AnsibleModule) -> dict:
    """Bring the PMS back and say what that took."""
    params = module.params
    database = Database.from_options(params["database"])
    pms = Pms(
        url=PmsApi.from_options(params["api"]).url,
        service=params["service"],
        services=Services.from_options(params["services"]),
        database=database,
        redis=params["redis"],
        persists=params["persists"],
        confirmed=params["confirm"] == database.name,
        healthy_seconds=params["healthy_seconds"],
        stop_seconds=params["stop_seconds"],
    )
    if module.check_mode:
        actions = plan(pms)
    else:
        folder = Path(params["incident"]) if params["incident"] else None
        actions = recover(pms, folder, record=action_recorder(folder, "recover"))
    return {"changed": bool(actions), "actions": actions}


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
