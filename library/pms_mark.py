#!/usr/bin/python
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: pms_mark
short_description: Correct wrong marks of open positions
description:
  - Marks the book with the given prices. The PMS resets tickers without a price, so all other open
    tickers are sent with their present marks. Notes old and new values and the source in the
    decision journal.
  - Calculates each result independently and compares it, to a cent or a billionth.
  - Takes a lock below O(evidence_root), so that only one correction runs at a time.
author: Operations team (@ops)
extends_documentation_fragment: [pmsops.database, pmsops.api]
attributes:
  check_mode:
    description: Validates the values, reads the book, and changes nothing.
    support: full
  diff_mode:
    description: Shows the marks before and after.
    support: full
  idempotent:
    description: Correct marks are not sent again; each marking has one journal entry.
    support: full
options:
  evidence_root:
    description: Folder of the evidence; each request to the PMS is logged there first.
    type: path
    required: true
  prices:
    description:
      - The right price of each ticker with a wrong mark.
      - V(market) takes the newest close of each open ticker from C(market_data).
    type: raw
  fx_rate:
    description: BRL for one USD. Without it, the rate of the last marking.
    type: raw
  source:
    description: Source of the prices, for the journal.
    type: raw
  price_percent:
    description:
      - Deviation from the newest close, in percent, beyond which a price needs O(force). Without a
        close, or if the price is one, the deviation from the present mark.
    type: float
    default: 20.0
  force:
    description: Accept implausible prices. A price of 0 or below is never accepted.
    type: bool
    default: false
  incident:
    description: Folder of the incident that records each step.
    type: path
"""

EXAMPLES = r"""
- name: Correct the mark of the dollar
  pms_mark:
    database: "{{ pms_database }}"
    api: "{{ pms_api }}"
    evidence_root: "{{ evidence_root }}"
    prices: {USDBRL: 5.46}
    source: PTAX of today
"""

RETURN = r"""
actions:
  description: The steps taken, or planned in check mode.
  returned: success
  type: list
  elements: str
  sample: ["Mark USDBRL at 5.46; 11 other tickers keep their marks"]
changes:
  description: Each open position with old and new mark and result, in BRL.
  returned: success
  type: list
  elements: dict
  sample: [{position_id: 17, instrument: USDBRL, before: 54.6, after: 5.46}]
fx_rate: {description: The exchange rate used., returned: success, type: float, sample: 5.41}
summary: {description: The correction as text., returned: success, type: str, sample: USDBRL 54.6}
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
  sample: {prices: "USDBRL 5.46", fx_rate: null, day: "2026-11-23"}
remedy: {description: The operator's next step., returned: failure, type: str, sample: Give it.}
code: {description: Stable name of the error., returned: failure, type: str, sample: mtm.unknown}
"""

from dataclasses import asdict
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.pmsops.common import argument_specs
from ansible.module_utils.pmsops.common.caller import attended
from ansible.module_utils.pmsops.common.errors import ENDINGS
from ansible.module_utils.pmsops.corrections import marks, marks_request
from ansible.module_utils.pmsops.corrections.context import Context
from ansible.module_utils.pmsops.corrections.marks_plan import plan
from ansible.module_utils.pmsops.incidents.record import action_recorder
from ansible.module_utils.pmsops.pms import positions
from ansible.module_utils.pmsops.pms.client import PmsApi
from ansible.module_utils.pmsops.postgresql.connection import Database

SPEC = {
    "database": argument_specs.database(),
    "api": argument_specs.api(),
    "evidence_root": {"type": "path", "required": True},
    "prices": {"type": "raw"},
    "fx_rate": {"type": "raw"},
    "source": {"type": "raw"},
    "price_percent": {"type": "float", "default": 20.0},
    "force": {"type": "bool", "default": False},
    "incident": {"type": "path"},
}


def run(module: AnsibleModule) -> dict:
    """Correct the marks, or return the planned steps."""
    params = module.params
    arguments = marks_request.read(params["prices"], params["fx_rate"], params["source"])
    limits = marks_request.MarkLimits(params["price_percent"], params["force"])
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
        now, steps = marks.correct(
            arguments, context, limits, record=action_recorder(folder, "recover")
        )
    prices = ", ".join(
        f"{name} {positions.number(price)}" for name, price in now.arguments.prices.items()
    )
    moved = [each for each in now.changes if each.instrument in now.arguments.prices]
    return {
        "changed": bool(steps),
        "actions": [marks.describe_step(step, now) for step in steps],
        "changes": [asdict(each) for each in now.changes],
        "fx_rate": now.fx_rate,
        "summary": now.summary(),
        "only_in_memory": list(now.only_in_memory),
        "subject": {
            "prices": prices,
            "fx_rate": arguments.fx_rate,
            "day": context.today.isoformat(),
        },
        "diff": {
            "before": {f"{each.instrument} {each.position_id}": each.before for each in moved},
            "after": {f"{each.instrument} {each.position_id}": each.after for each in moved},
        },
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
