#!/usr/bin/python
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: pms_incident
short_description: Open an incident, or record how it ended
description:
  - Keeps each incident in a folder of its own below C(evidence_root/incidents), with
    C(incident.json) while it goes on and the page C(incident.md) at its end.
  - An incident that a killed run left open is found again by the next run of the same scenario.
author: Operations team (@ops)
attributes:
  check_mode:
    description: Finds an open incident and writes nothing.
    support: full
  diff_mode:
    description: The page is in RV(page).
    support: none
  idempotent:
    description:
      - With O(state=found) nothing changes. With O(state=open) an open incident of the scenario
        about the same O(subject) is taken up again. Each O(state=closed) adds a line to the ledger.
    support: partial
options:
  evidence_root:
    description: Folder of the evidence. Made with mode 0700 where it is missing.
    type: path
    required: true
  scenario:
    description: Which scenario it is, as C(roles/incident/files/scenarios.yml) names it.
    type: str
    required: true
  state:
    description:
      - V(found) looks for an open incident, V(open) makes one unless there is one, V(closed)
        writes down how it ended, in the incident and in the ledger.
      - V(noted) writes down an O(action) that another role does, and O(facts) that a run after a
        kill has to know.
    type: str
    choices: [found, open, noted, closed]
    default: found
  title:
    description: What the page is headed with.
    type: str
    default: ""
  subject:
    description: What it is about where the scenario alone does not say it, such as a position.
    type: dict
    default: {}
  system:
    description: What the system is called, for the page.
    type: dict
    default: {}
  signs:
    description: What the detection found, each with C(id), C(title) and C(finding).
    type: list
    elements: dict
    default: []
  began_at:
    description: When the detection began, in seconds since 1970. Now where it is not given.
    type: float
  verified_at:
    description: When the last check of the recovery had ended, in seconds since 1970.
    type: float
  outcome:
    description: How it ended. What was V(not_recovered) stays open for the next run.
    type: str
    choices: [recovered, not_recovered]
    default: recovered
  checks:
    description: The checks made afterwards, as M(pms_gate) returns them.
    type: list
    elements: dict
    default: []
  facts:
    description:
      - More for the page, C(cause), C(data_loss), C(journal) and C(why) it is not over.
      - An empty one leaves what an earlier task wrote.
    type: dict
    default: {}
  action:
    description: The action that V(noted) writes down.
    type: str
    default: ""
  movement:
    description: The movement of the incident that the action belongs to.
    type: str
    choices: [contain, recover]
    default: recover
  finished:
    description: Whether the action has ended; without it is under way.
    type: bool
    default: true
"""

EXAMPLES = r"""
- name: Open the incident
  pms_incident:
    evidence_root: "{{ evidence_root }}"
    scenario: redis
    state: open
    title: Redis is unavailable
    signs: [{id: redis.answers, title: Redis answers, finding: nobody answers at 127.0.0.1:6379}]
  register: __incident_opened

- name: Record that it is over
  pms_incident:
    evidence_root: "{{ evidence_root }}"
    scenario: redis
    state: closed
    facts: {cause: the container was stopped}
"""

RETURN = r"""
id:
  description: The incident's name; null without one.
  returned: success
  type: str
  sample: 2026-11-22_060000_redis_1a2b
folder:
  description: Its folder; null without one.
  returned: success
  type: str
  sample: /var/lib/pms-ops/evidence/incidents/2026-11-22_060000_redis_1a2b
resumed:
  description: Whether an earlier run had opened it.
  returned: success
  type: bool
  sample: false
began_at:
  description: When it was first detected.
  returned: success
  type: str
  sample: "2026-11-22T06:00:00.000Z"
actions:
  description: What was done so far, oldest first.
  returned: success
  type: list
  elements: dict
  sample: [{movement: recover, action: "Start macro_redis, which was exited", status: done}]
page:
  description: Path of the page; null before the end.
  returned: success
  type: str
  sample: incident.md
recovery_seconds:
  description: From the detection to the end of the checks; null before the end.
  returned: success
  type: float
  sample: 12.4
data_loss:
  description: What was lost, as an earlier task wrote it down; null where none did.
  returned: success
  type: str
  sample: everything committed after 06:00
remedy: {description: The operator's next step., returned: failure, type: str, sample: Free 2 GB.}
code:
  description: Stable name of the error.
  returned: failure
  type: str
  sample: incident.unwritable
"""

from datetime import UTC, datetime
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.evidence import ledger
from ansible.module_utils.pmsops.incidents import lifecycle
from ansible.module_utils.pmsops.incidents.record import OUTCOMES

SPEC = {
    "evidence_root": {"type": "path", "required": True},
    "scenario": {"type": "str", "required": True},
    "state": {"type": "str", "choices": ["found", "open", "noted", "closed"], "default": "found"},
    "title": {"type": "str", "default": ""},
    "subject": {"type": "dict", "default": {}},
    "system": {"type": "dict", "default": {}},
    "signs": {"type": "list", "elements": "dict", "default": []},
    "began_at": {"type": "float"},
    "verified_at": {"type": "float"},
    "outcome": {"type": "str", "choices": list(OUTCOMES), "default": "recovered"},
    "checks": {"type": "list", "elements": "dict", "default": []},
    "facts": {"type": "dict", "default": {}},
    "action": {"type": "str", "default": ""},
    "movement": {"type": "str", "choices": ["contain", "recover"], "default": "recover"},
    "finished": {"type": "bool", "default": True},
}


def run(module: AnsibleModule) -> dict:
    """Find, open, note or close the incident, and return which one it is."""
    root = Path(module.params["evidence_root"])
    transition = lifecycle.change(
        root,
        module.params,
        append=lambda content: ledger.append(root, "incident", content, now=datetime.now(UTC)),
        check_mode=module.check_mode,
    )
    return transition.describe()


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
