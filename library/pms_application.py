#!/usr/bin/python
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: pms_application
short_description: Recover the PMS with the book of its database
description:
  - Starts, unpauses or resumes the PMS, and restarts it if it still hangs or serves another book
    than its database holds. Then deletes the keys of the former book from Redis.
  - Before a restart, saves what the PMS holds over HTTP into O(incident). Without O(confirm),
    refuses a restart that would lose a trade that no database holds.
author: Operations team (@ops)
extends_documentation_fragment: [pmsops.database, pmsops.redis, pmsops.api, pmsops.services]
attributes:
  check_mode:
    description: Returns the first steps.
    support: full
  diff_mode:
    description: The steps are in RV(actions).
    support: none
  idempotent:
    description: A healthy PMS is not touched.
    support: full
options:
  service:
    description: The service that is the PMS, one of those of O(services).
    type: str
    default: api
  persists:
    description: Whether this PMS stores trades that are made over HTTP in its database.
    type: bool
    default: true
  confirm:
    description: Name of the database, to allow a restart that loses trades that only the PMS holds.
    type: str
    default: ""
  healthy_seconds:
    description: Seconds that the PMS may take to become healthy.
    type: int
    default: 60
  stop_seconds:
    description: Seconds that it may take to stop; then it is killed.
    type: int
    default: 5
  incident:
    description: Folder of the incident that records each step.
    type: path
"""

EXAMPLES = r"""
- name: Recover the PMS
  pms_application:
    database: "{{ pms_database }}"
    redis: "{{ pms_redis }}"
    api: "{{ pms_api }}"
    services: "{{ pms_services }}"
    incident: "{{ __incident.folder }}"
"""

RETURN = r"""
actions:
  description: The steps taken, or the first ones in check mode.
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
from ansible.module_utils.pmsops.common.caller import attended
from ansible.module_utils.pmsops.common.errors import ENDINGS
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
    """Recover the PMS and return the steps."""
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
        with attended(module):
            result = run(module)
    except ENDINGS as exc:
        module.fail_json(msg=str(exc), remedy=exc.remedy, code=exc.code)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
