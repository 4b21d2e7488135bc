#!/usr/bin/python
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: pms_service
short_description: Recover services that are stopped, paused, hung or unhealthy
description:
  - Unpauses, starts or restarts each service that needs it, and waits until its health check
    passes. A healthy service is not touched.
  - Never creates or removes a container.
author: Operations team (@ops)
extends_documentation_fragment: [pmsops.services]
attributes:
  check_mode:
    description: Returns the steps it would take.
    support: full
  diff_mode:
    description: The steps are in RV(actions).
    support: none
  idempotent:
    description: With O(restart), a running service is restarted each time.
    support: partial
options:
  names:
    description: Services by name in the Compose project, or systemd units.
    type: list
    elements: str
    default: []
  containers:
    description: Containers by name, for services outside the project.
    type: list
    elements: str
    default: []
  restart:
    description: Restart healthy services too, because they do not work.
    type: bool
    default: false
  stop_seconds:
    description: Seconds that a service may take to stop; then it is killed.
    type: int
    default: 10
  healthy_seconds:
    description: Seconds that a service may take to become healthy.
    type: int
    default: 90
  incident:
    description: Folder of the incident that records each step.
    type: path
  movement:
    description: The phase of the incident that the steps belong to.
    type: str
    choices: [contain, recover]
    default: recover
"""

EXAMPLES = r"""
- name: Recover Redis
  pms_service:
    services: "{{ pms_services }}"
    containers: ["{{ pms_redis_container }}"]
    incident: "{{ __incident.folder }}"
"""

RETURN = r"""
actions:
  description: The steps taken, or planned in check mode.
  returned: success
  type: list
  elements: str
  sample: ["Start macro_redis, which was exited (exit status 0)"]
remedy: {description: The operator's next step., returned: failure, type: str, sample: Look.}
code:
  description: Stable name of the error.
  returned: failure
  type: str
  sample: services.unhealthy
"""

from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.pmsops.common import argument_specs
from ansible.module_utils.pmsops.common.caller import attended
from ansible.module_utils.pmsops.common.errors import ENDINGS
from ansible.module_utils.pmsops.incidents.record import action_recorder
from ansible.module_utils.pmsops.recovery.services import DesiredState, bring_up, planned_steps
from ansible.module_utils.pmsops.services.manager import Services

SPEC = {
    "services": argument_specs.services(),
    "names": {"type": "list", "elements": "str", "default": []},
    "containers": {"type": "list", "elements": "str", "default": []},
    "restart": {"type": "bool", "default": False},
    "stop_seconds": {"type": "int", "default": 10},
    "healthy_seconds": {"type": "int", "default": 90},
    "incident": {"type": "path"},
    "movement": {"type": "str", "choices": ["contain", "recover"], "default": "recover"},
}


def run(module: AnsibleModule) -> dict:
    """Recover the services and return the steps."""
    params = module.params
    services = Services.from_options(params["services"])
    desired = DesiredState(
        names=tuple(params["names"]),
        containers=tuple(name for name in params["containers"] if name),
        restart=params["restart"],
        stop_seconds=params["stop_seconds"],
        healthy_seconds=params["healthy_seconds"],
    )
    if module.check_mode:
        actions = [step.text for step in planned_steps(services, desired)]
        return {"changed": bool(actions), "actions": actions}
    folder = Path(params["incident"]) if params["incident"] else None
    actions = bring_up(
        services,
        desired,
        record=action_recorder(folder, params["movement"]),
    )
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
