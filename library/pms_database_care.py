#!/usr/bin/python
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: pms_database_care
short_description: Recover the database server, its settings and the PMS on it
description:
  - With O(state=answers), waits for the server, starts it, ends idle connections and restarts it,
    in this order and only as far as needed.
  - With O(state=settings), resets what stops a running database from working, namely read-only
    defaults, TimescaleDB's restoring mode, and a scheduler that does not run.
  - With O(state=application), starts the stopped services of the PMS, and restarts the PMS if its
    book differs from the database.
  - With O(state=pages), only runs pg_amcheck and names the damage.
  - Writes no row of the PMS and ends no working session.
author: Operations team (@ops)
extends_documentation_fragment: [pmsops.database, pmsops.redis, pmsops.api, pmsops.services]
attributes:
  check_mode:
    description: Returns the first steps; later ones depend on their results.
    support: full
  diff_mode:
    description: The steps are in RV(actions).
    support: none
  idempotent:
    description: What works is not touched.
    support: full
options:
  state:
    description: The state to reach.
    type: str
    choices: [answers, settings, application, pages]
    required: true
  unit:
    description: Systemd unit of a database that runs in no container.
    type: str
    default: ""
  recovery_seconds:
    description: Seconds that the server may take to replay its log after a crash.
    type: int
    default: 600
  sessions:
    description: With V(application), restart the PMS even if its book is right.
    type: bool
    default: false
  incident:
    description: Folder of the incident that records each step.
    type: path
"""

EXAMPLES = r"""
- name: Recover the database server
  pms_database_care:
    database: "{{ pms_database }}"
    services: "{{ pms_services }}"
    state: answers
    incident: "{{ __incident.folder }}"
"""

RETURN = r"""
actions:
  description: The steps taken, or the first ones in check mode.
  returned: success
  type: list
  elements: str
  sample: ["Start macro_timescaledb, which was exited (exit status 137)"]
sessions:
  description: Whether open sessions keep an old setting, so that the PMS must reconnect.
  returned: success
  type: bool
  sample: false
damage:
  description: The findings of pg_amcheck, with V(pages).
  returned: success
  type: list
  elements: str
  sample: ["heap table \"macro_trading.public.signals\", block 3: page is not valid"]
remedy: {description: The operator's next step., returned: failure, type: str, sample: Wait.}
code: {description: Stable name of the error., returned: failure, type: str, sample: care.starting}
"""

from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.pmsops.client_tools import pg_amcheck
from ansible.module_utils.pmsops.common import argument_specs
from ansible.module_utils.pmsops.common.caller import attended
from ansible.module_utils.pmsops.common.errors import ENDINGS
from ansible.module_utils.pmsops.incidents.record import ActionRecorder, action_recorder
from ansible.module_utils.pmsops.pms import health
from ansible.module_utils.pmsops.postgresql.connection import Database
from ansible.module_utils.pmsops.recovery import database_server, database_settings, pms_reload
from ansible.module_utils.pmsops.recovery.server_control import Server, ServerControl, free_slots
from ansible.module_utils.pmsops.services.manager import Services

STATES = ["answers", "settings", "application", "pages"]
SPEC = {
    "database": argument_specs.database(),
    "redis": argument_specs.redis(),
    "api": argument_specs.api(),
    "services": argument_specs.services(),
    "state": {"type": "str", "choices": STATES, "required": True},
    "unit": {"type": "str", "default": ""},
    "recovery_seconds": {"type": "int", "default": 600},
    "sessions": {"type": "bool", "default": False},
    "incident": {"type": "path"},
}


def run(module: AnsibleModule) -> dict:
    """Bring the database or the PMS into the state, and return the steps."""
    params = module.params
    database = Database.from_options(params["database"])
    folder = Path(params["incident"]) if params["incident"] else None
    result = {"changed": False, "actions": [], "sessions": False, "damage": []}
    if params["state"] == "pages":
        return result | {"damage": pg_amcheck.damaged(database)}
    if module.check_mode:
        actions, sessions = plan(params["state"], database, params["api"]), False
    else:
        actions, sessions = recover(params, database, action_recorder(folder, "recover"))
    return result | {"changed": bool(actions), "actions": actions, "sessions": sessions}


def recover(params: dict, database: Database, record: ActionRecorder) -> tuple[list[str], bool]:
    """Return the steps taken, and whether open sessions must reconnect."""
    services = Services.from_options(params["services"])
    if params["state"] == "settings":
        return database_settings.fix(database, record=record)
    if params["state"] == "answers":
        server = Server(database, services, params["unit"], params["recovery_seconds"])
        actions = database_server.bring_back(server, ServerControl(server, record))
        return actions + free_slots(database, record=record), False
    actions = pms_reload.reload(
        database,
        services,
        (params["api"] or {}).get("url"),
        redis=params["redis"],
        sessions=params["sessions"],
        record=record,
    )
    return actions, False


def plan(state: str, database: Database, api: dict | None) -> list[str]:
    """Return the first steps."""
    if state == "answers":
        return database_server.plan(database)
    if database_server.look(database).kind != database_server.ANSWERS:
        return []  # both other states need the database
    if state == "settings":
        return [each.text for each in database_settings.needed(database)]
    problems = health.problems(database, (api or {}).get("url"))
    return [f"Restart the PMS: {text}" for text in problems[:1]]


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
