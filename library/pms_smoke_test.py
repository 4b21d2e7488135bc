#!/usr/bin/python
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: pms_smoke_test
short_description: Trade a small, tagged day through the PMS and compensate it
description:
  - Opens a position, marks it to market, generates the morning pack and proposals, approves one,
    rejects one and closes the position. After each step it checks the answer, the journal and the
    row in the database.
  - Uses its own instrument (C(NDF_PMS_OPS_SMOKE)) and tags all its rows. Nothing is deleted. It
    closes at the end whatever it opened, also after an error, and closes what an interrupted test
    left.
  - The journal is immutable and keeps the entries. The book keeps the costs of the trades, a few
    BRL.
  - A failed step does not fail the task; see RV(verdict).
author: Operations team (@ops)
extends_documentation_fragment: [pmsops.database, pmsops.api]
attributes:
  check_mode:
    description: Lists the planned steps and sends nothing to the PMS.
    support: full
  diff_mode:
    description: No file or setting changes.
    support: none
  idempotent:
    description: Each run trades again.
    support: none
options:
  allowed:
    description:
      - Whether test trades are allowed on this system. Otherwise the task fails and does nothing,
        so that nobody trades on production by mistake.
    type: bool
    default: false
  accept_remains:
    description:
      - Accept what a trade leaves on a book with open positions. Otherwise such a book is refused,
        because no release undoes a trade without a trace; the refusal says what stays.
    type: bool
    default: false
  evidence_root:
    description:
      - Folder for the record of each call that changes the book, written before it is sent. A test
        that was killed is found by it.
    type: path
  state:
    description: V(closed) trades nothing, and closes what a killed test left open.
    type: str
    choices: [tested, closed]
    default: tested
  deadline_seconds:
    description: Seconds after which no further step begins. The compensation always runs.
    type: int
    default: 120
"""

EXAMPLES = r"""
- name: Trade a small day through the PMS
  pms_smoke_test:
    api: "{{ pms_api }}"
    database: "{{ pms_database }}"
    allowed: true
  register: __smoke

- name: Show the failed steps
  ansible.builtin.debug:
    var: __smoke.steps | rejectattr('status', 'eq', 'pass')
"""

RETURN = r"""
steps:
  description: The result of each step, in order.
  returned: success
  type: list
  elements: dict
  contains:
    id: {description: Name of the step., returned: always, type: str, sample: open_stored}
    title: {description: Title of the step., returned: always, type: str, sample: Open a position}
    status:
      description: V(pass), V(fail), V(unknown), or V(planned) in check mode.
      returned: always
      type: str
      sample: pass
    finding: {description: Result as text., returned: always, type: str, sample: position 42}
    seconds: {description: Duration., returned: always, type: float, sample: 0.031}
    differences:
      description: What the PMS shows of the book after the test, and did not before.
      returned: always
      type: list
      elements: str
      sample: ["result.data.pnl_today_brl: 0.0 before, -8.0 now"]
    overdue:
      description: Whether an answer was missing when its time was over.
      returned: always
      type: bool
      sample: false
verdict:
  description: V(pass) if every step passed, V(planned) in check mode, else V(fail).
  returned: success
  type: str
  sample: pass
not_passed:
  description: The steps that did not pass.
  returned: success
  type: list
  elements: str
  sample: []
tag:
  description: Tag of all rows of the test.
  returned: success
  type: str
  sample: pms-ops-smoke 20261123T015500Z 5d1f0c
duration_seconds:
  description: Duration of the test.
  returned: success
  type: float
  sample: 1.9
remedy:
  description: The operator's next step.
  returned: failure
  type: str
  sample: Set golive_smoke_test to true where a tagged, compensated test trade is allowed.
code:
  description: The error's stable name, as listed in docs/ERRORS.md.
  returned: failure
  type: str
  sample: smoke.not_allowed
"""

from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.pmsops.common import argument_specs
from ansible.module_utils.pmsops.common.caller import attended
from ansible.module_utils.pmsops.common.errors import ENDINGS
from ansible.module_utils.pmsops.pms import smoke_test
from ansible.module_utils.pmsops.pms.client import PmsApi
from ansible.module_utils.pmsops.postgresql.connection import Database


def argument_spec() -> dict:
    """Return the options."""
    return {
        "api": argument_specs.api(),
        "database": argument_specs.database(),
        "allowed": {"type": "bool", "default": False},
        "accept_remains": {"type": "bool", "default": False},
        "evidence_root": {"type": "path"},
        "state": {"type": "str", "choices": ["tested", "closed"], "default": "tested"},
        "deadline_seconds": {"type": "int", "default": 120},
    }


def run(module: AnsibleModule) -> dict:
    """Run the smoke test, or return its planned steps."""
    params = module.params
    target = params["api"] or {}
    close_only = params["state"] == "closed"
    smoke_test.refuse_unless(params["allowed"] or close_only, target.get("url"))
    if module.check_mode:
        return {"changed": True} | smoke_test.plan()
    api = PmsApi(target["url"], target["username"], target["password"])
    database = Database.from_options(params["database"])
    result = smoke_test.run(
        api,
        database,
        deadline_seconds=params["deadline_seconds"],
        accepts=params["accept_remains"],
        evidence_root=Path(params["evidence_root"]) if params["evidence_root"] else None,
        close_only=close_only,
    )
    return {"changed": True} | result


def main() -> None:
    """Hand the arguments to run, and turn its errors into a failed task."""
    module = AnsibleModule(argument_spec(), supports_check_mode=True)
    try:
        with attended(module):
            result = run(module)
    except ENDINGS as exc:
        module.fail_json(msg=str(exc), remedy=exc.remedy, code=exc.code)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
