#!/usr/bin/python
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: pms_position
short_description: Replace a wrong position by the right one
description:
  - Closes the wrong position at its entry price, opens the right one and notes both in the decision
    journal. Nothing is deleted.
  - Validates everything before the first change, and reads the book before each step. The next run
    with the same values finishes a killed one and repeats no step.
  - Takes a lock below O(evidence_root), so that only one correction runs at a time.
author: Operations team (@ops)
extends_documentation_fragment: [pmsops.database, pmsops.api]
attributes:
  check_mode:
    description: Validates the values, reads how far the correction has come, and changes nothing.
    support: full
  diff_mode:
    description: The steps are in RV(actions).
    support: none
  idempotent:
    description: By a mark in the notes of the right position, made from the values.
    support: full
options:
  evidence_root:
    description: Folder of the evidence; each request to the PMS is logged there first.
    type: path
    required: true
  position_id:
    description: Number of the wrong position.
    type: raw
  instrument:
    description: Ticker of the right position.
    type: raw
  direction:
    description: LONG or SHORT.
    type: raw
  notional_brl:
    description: Notional of the right position in BRL.
    type: raw
  price:
    description: Entry price of the right position.
    type: raw
  asset_class:
    description: Asset class of the right position. Without it, that of the instrument.
    type: raw
  price_percent:
    description: Deviation from the newest close, in percent, beyond which a price needs O(force).
    type: float
    default: 20.0
  most_notional_brl:
    description: Notional in BRL beyond which a position needs O(force).
    type: float
    default: 400000000.0
  force:
    description: Accept implausible values.
    type: bool
    default: false
  incident:
    description: Folder of the incident that records each step.
    type: path
"""

EXAMPLES = r"""
- name: Correct a position that was entered with the wrong direction
  pms_position:
    database: "{{ pms_database }}"
    api: "{{ pms_api }}"
    evidence_root: "{{ evidence_root }}"
    position_id: 17
    instrument: USDBRL
    direction: SHORT
    notional_brl: 15000000
    price: 5.41
"""

RETURN = r"""
actions:
  description: The steps taken, or planned in check mode.
  returned: success
  type: list
  elements: str
  sample: ["Close position 17, LONG USDBRL 15,000,000 BRL at 5.41, at 5.41"]
right_id:
  description: Number of the right position; null until it is opened.
  returned: success
  type: int
  sample: 37
exit_cost_brl:
  description: Exit cost of the wrong position, all that remains of it.
  returned: success
  type: float
  sample: 3000.0
summary:
  description: The correction as text.
  returned: success
  type: str
  sample: Position 17 was wrong and is closed at 5.41.
only_in_memory:
  description: What only the memory of the PMS holds, and a restart would lose.
  returned: success
  type: list
  elements: str
  sample: []
subject:
  description: The request with its values as they were read.
  returned: success
  type: dict
  sample: {position_id: 17, instrument: USDBRL, direction: SHORT, notional_brl: 15000000.0}
remedy: {description: The operator's next step., returned: failure, type: str, sample: Give it.}
code: {description: Name of the error., returned: failure, type: str, sample: position.unknown}
"""

from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.pmsops.common import argument_specs
from ansible.module_utils.pmsops.common.caller import attended
from ansible.module_utils.pmsops.common.errors import ENDINGS
from ansible.module_utils.pmsops.corrections import position, position_request
from ansible.module_utils.pmsops.corrections.context import Context
from ansible.module_utils.pmsops.corrections.position_plan import plan
from ansible.module_utils.pmsops.incidents.record import action_recorder
from ansible.module_utils.pmsops.pms.client import PmsApi
from ansible.module_utils.pmsops.postgresql.connection import Database

RAW = ("position_id", "instrument", "direction", "notional_brl", "price", "asset_class")
SPEC = {
    "database": argument_specs.database(),
    "api": argument_specs.api(),
    "evidence_root": {"type": "path", "required": True},
    **{name: {"type": "raw"} for name in RAW},
    "price_percent": {"type": "float", "default": 20.0},
    "most_notional_brl": {"type": "float", "default": 400000000.0},
    "force": {"type": "bool", "default": False},
    "incident": {"type": "path"},
}


def run(module: AnsibleModule) -> dict:
    """Correct the position, or return the planned steps."""
    params = module.params
    arguments = position_request.read({name: params[name] for name in RAW})
    limits = position_request.PositionLimits(
        params["price_percent"], params["most_notional_brl"], params["force"]
    )
    context = Context(
        PmsApi.from_options(params["api"]),
        Database.from_options(params["database"]),
        Path(params["evidence_root"]),
    )
    if module.check_mode:
        now = plan(arguments, context, limits)
        steps = list(now.steps)
    else:
        folder = Path(params["incident"]) if params["incident"] else None
        now, steps = position.correct(
            arguments, context, limits, record=action_recorder(folder, "recover")
        )
    return {
        "changed": bool(steps),
        "actions": [position.describe_step(step, now) for step in steps],
        "right_id": now.right["id"] if now.right else None,
        "exit_cost_brl": 0.0 if now.nothing_to_correct else now.exit_cost,
        "summary": now.summary(),
        "only_in_memory": list(now.only_in_memory),
        "subject": now.request.subject(),
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
