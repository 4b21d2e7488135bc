#!/usr/bin/python
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: pms_redis_cache
short_description: Save, restore or warm the PMS's cache in Redis
description:
  - V(saved) copies the morning packs of Redis into the incident's folder, V(restored) writes those
    that Redis has lost, V(warm) lets the PMS fill its cache and checks the keys.
  - V(forgotten) deletes what a run of a pipeline wrote over, an empty book for example; packs of
    other days stay. A Redis that is down or refuses is a warning then, not an error.
  - Otherwise it deletes nothing and overwrites no existing key.
author: Operations team (@ops)
extends_documentation_fragment: [pmsops.redis, pmsops.api]
attributes:
  check_mode:
    description: Reads nothing and changes nothing.
    support: full
  diff_mode:
    description: Values of the cache are not shown.
    support: none
  idempotent:
    description: V(restored) writes only missing keys. V(saved) overwrites its file.
    support: partial
options:
  state:
    description: What to do.
    type: str
    choices: [saved, restored, warm, forgotten]
    required: true
  incident:
    description: Folder of the incident; required with V(saved) and V(restored).
    type: path
"""

EXAMPLES = r"""
- name: Save the packs that are only in Redis
  pms_redis_cache:
    redis: "{{ pms_redis }}"
    state: saved
    incident: "{{ __incident.folder }}"
"""

RETURN = r"""
count:
  description: Number of packs saved or restored, or of keys deleted.
  returned: success
  type: int
  sample: 1
names:
  description: The keys that Redis holds after warming.
  returned: success
  type: list
  elements: str
  sample: [pms:book, pms:risk:live]
remedy: {description: The operator's next step., returned: failure, type: str, sample: Start Redis.}
code:
  description: Stable name of the error.
  returned: failure
  type: str
  sample: redis.unreachable
"""

from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.pmsops.common import argument_specs, timestamps
from ansible.module_utils.pmsops.common.caller import attended
from ansible.module_utils.pmsops.common.errors import ENDINGS
from ansible.module_utils.pmsops.common.exchange_calendar import Clock
from ansible.module_utils.pmsops.incidents import record
from ansible.module_utils.pmsops.pms.client import PmsApi
from ansible.module_utils.pmsops.pms.redis_cache import forget_after_run
from ansible.module_utils.pmsops.recovery import redis_cache

STATES = ["saved", "restored", "warm", "forgotten"]
SPEC = {
    "redis": argument_specs.redis(),
    "api": argument_specs.api(),
    "state": {"type": "str", "choices": STATES, "required": True},
    "incident": {"type": "path"},
}
REQUIRED_IF = [("state", "saved", ["incident"]), ("state", "restored", ["incident"])]


def run(module: AnsibleModule) -> dict:
    """Save, restore or warm, and return the result."""
    params = module.params
    if module.check_mode:
        return {"changed": False, "count": 0, "names": []}
    folder = Path(params["incident"]) if params["incident"] else None
    options = params["redis"]
    if params["state"] == "forgotten":
        count, problem = forget_after_run(options, Clock(timestamps.now()).today)
        if problem:
            module.warn(problem)
        return {"changed": count > 0, "count": count, "names": []}
    if params["state"] == "saved":
        with record.action(folder, "contain", "Save the morning packs of Redis") as action:
            count = redis_cache.save(options, folder)
            action.result = f"{count} saved"
        return {"changed": count > 0, "count": count, "names": []}
    if params["state"] == "restored":
        with record.action(folder, "recover", "Restore lost morning packs") as action:
            count = redis_cache.put_back(options, folder)
            action.result = f"{count} restored"
        return {"changed": count > 0, "count": count, "names": []}
    with record.action(folder, "recover", "Warm the cache of the PMS") as action:
        api = PmsApi.if_configured(params["api"])
        if api is None:
            action.result = "skipped: pms_api_url is empty"
            return {"changed": False, "count": 0, "names": []}
        names = redis_cache.warm(options, api)
        action.result = ", ".join(names)
    return {"changed": False, "count": 0, "names": names}


def main() -> None:
    """Hand the arguments to run, and turn its errors into a failed task."""
    module = AnsibleModule(SPEC, required_if=REQUIRED_IF, supports_check_mode=True)
    try:
        with attended(module):
            result = run(module)
    except ENDINGS as exc:
        module.fail_json(msg=str(exc), remedy=exc.remedy, code=exc.code)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
