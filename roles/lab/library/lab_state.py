#!/usr/bin/python
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: lab_state
short_description: Keep the ports and secrets of the lab
description:
  - Makes the state file at the first start, with free ports and random secrets.
  - The file is readable by its owner alone.
  - Later only checks that nobody else has taken a recorded port.
  - Returns no secret.
author: Operations team (@ops)
options:
  path:
    description: The state file.
    type: path
    required: true
  project:
    description: The lab's Compose project, whose containers may hold the ports.
    type: str
    required: true
  ports:
    description: Names of the services that publish a port.
    type: list
    elements: str
    required: true
  secret_names:
    description: Names of the secrets that the lab needs.
    type: list
    elements: str
    required: true
  code:
    description: Folders of code that services run, by name.
    type: dict
    default: {}
  wanted_ports:
    description: Ports to use instead of free ones, by service.
    type: dict
    default: {}
attributes:
  check_mode:
    description: Whether check mode predicts without writing.
    support: full
  diff_mode:
    description: Whether a difference is shown.
    support: none
"""
EXAMPLES = r"""
- name: Keep the ports and secrets of the lab
  lab_state:
    path: /srv/pms-ops/.lab/state.yml
    project: pms-lab
    ports: [timescaledb, redis]
    secret_names: [redis]
"""
RETURN = r"""
ports:
  description: The port of each service.
  returned: success
  type: dict
  sample: {redis: 24817, timescaledb: 21930}
new_secrets:
  description: The secrets that were made in this run, by name.
  returned: success
  type: list
  elements: str
  sample: [redis]
as_of:
  description: The business day before today in São Paulo, which the lab's data reaches.
  returned: success
  type: str
  sample: '2026-11-20'
code:
  description: A hash of each folder's files, by name.
  returned: success
  type: dict
  sample: {pms: 7d865e959b246691}
today:
  description: Today in São Paulo.
  returned: success
  type: str
  sample: '2026-11-23'
remedy:
  description: The operator's next step.
  returned: failure
  type: str
  sample: Stop that program.
"""

from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from ansible.module_utils import lab_state
from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.pmsops.common import exchange_calendar
from ansible.module_utils.pmsops.common.errors import OpsError


def run(module: AnsibleModule) -> dict:
    """Bring the state file up to date and say what it holds, without the secrets."""
    path = Path(module.params["path"])

    def command(argv: list[str]) -> str:
        return module.run_command(argv, check_rc=True)[1]

    lab_state.check_owner(path.parent, module.params["project"], command)
    before = lab_state.load(path)
    after = lab_state.complete(
        before,
        module.params["ports"],
        module.params["secret_names"],
        module.params["wanted_ports"],
        lab_state.is_free,
    )
    lab_state.check_ports(after["ports"], module.params["project"], command, lab_state.is_free)
    if before != after and not module.check_mode:
        lab_state.store(path, after)
    today = datetime.now(ZoneInfo("America/Sao_Paulo")).date()
    return {
        "changed": before != after,
        "ports": after["ports"],
        "new_secrets": sorted(set(after["secrets"]) - set(before["secrets"])),
        "code": {
            name: lab_state.fingerprint(Path(folder))
            for name, folder in module.params["code"].items()
        },
        "today": today.isoformat(),
        "as_of": exchange_calendar.previous_business_day(today).isoformat(),
    }


def main() -> None:
    """Hand the arguments to run, and turn its errors into a failed task."""
    spec = {
        "path": {"type": "path", "required": True},
        "project": {"type": "str", "required": True},
        "ports": {"type": "list", "elements": "str", "required": True},
        # Names, not secrets
        "secret_names": {"type": "list", "elements": "str", "required": True, "no_log": False},
        "code": {"type": "dict", "default": {}},
        "wanted_ports": {"type": "dict", "default": {}},
    }
    module = AnsibleModule(spec, supports_check_mode=True)
    try:
        result = run(module)
    except OpsError as exc:
        module.fail_json(msg=f"{exc} {exc.remedy}", remedy=exc.remedy, code=exc.code)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
