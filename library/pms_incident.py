#!/usr/bin/python
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: pms_incident
short_description: Open an incident, or record how it ended
description:
  - Keeps each incident in its own folder below C(evidence_root/incidents), with C(incident.json)
    from the start and the page C(incident.md) at the end.
  - The next run of the same scenario resumes an incident that a killed run left open.
author: Operations team (@ops)
extends_documentation_fragment: [pmsops.audit]
attributes:
  check_mode:
    description: Finds an open incident and writes nothing.
    support: full
  diff_mode:
    description: The page is in RV(page).
    support: none
  idempotent:
    description:
      - O(state=found) changes nothing. O(state=open) resumes an open incident of the same scenario
        and O(subject). Each O(state=closed) adds a line to the ledger.
    support: partial
options:
  evidence_root:
    description: Folder of the evidence. Created with mode 0700 if it is missing.
    type: path
    required: true
  scenario:
    description: Name of the scenario in C(roles/incident/files/scenarios.yml).
    type: str
    required: true
  state:
    description:
      - V(found) looks for an open incident, V(open) opens one unless there is one, V(closed)
        records its outcome in the incident and in the ledger.
      - V(noted) records an O(action) of another role, and O(facts) for the next run.
    type: str
    choices: [found, open, noted, closed]
    default: found
  title:
    description: Title of the page.
    type: str
    default: ""
  subject:
    description: The subject, if the scenario alone does not identify it, for example a position.
    type: dict
    default: {}
  system:
    description: Names of the system, for the page.
    type: dict
    default: {}
  signs:
    description: The symptoms that were found, each with C(id), C(title) and C(finding).
    type: list
    elements: dict
    default: []
  began_at:
    description: When the detection began, in seconds since 1970. Without it, now.
    type: float
  verified_at:
    description: When the last check of the recovery ended, in seconds since 1970.
    type: float
  outcome:
    description: The outcome. An incident that is V(not_recovered) stays open for the next run.
    type: str
    choices: [recovered, not_recovered]
    default: recovered
  checks:
    description: Results of the checks after the recovery, as M(pms_gate) returns them.
    type: list
    elements: dict
    default: []
  facts:
    description:
      - Further entries of the page, C(cause), C(data_loss), C(journal) and C(why) it is still open.
      - An empty one keeps what an earlier task wrote.
    type: dict
    default: {}
  action:
    description: The action that V(noted) records.
    type: str
    default: ""
  movement:
    description: The phase of the incident that the action belongs to.
    type: str
    choices: [contain, recover]
    default: recover
  finished:
    description: Whether the action has ended; V(false) while it is in progress.
    type: bool
    default: true
  as_before:
    description:
      - Ids of checks that have to be as they were before the incident. RV(red_before) says how that
        was, by the newest run of the checklist before it in which O(anchor) passed.
    type: list
    elements: str
    default: []
  anchor:
    description: Id of the check that tells a run on a working system from one in a disaster.
    type: str
    default: ""
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

- name: Close the incident
  pms_incident:
    evidence_root: "{{ evidence_root }}"
    scenario: redis
    state: closed
    facts: {cause: the container was stopped}
"""

RETURN = r"""
id:
  description: Name of the incident; null without one.
  returned: success
  type: str
  sample: 2026-11-22_060000_redis_1a2b
folder:
  description: Folder of the incident; null without one.
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
  description: The actions so far, oldest first.
  returned: success
  type: list
  elements: dict
  sample: [{movement: recover, action: "Start macro_redis, which was exited", status: done}]
page:
  description: Path of the page; null before it is closed.
  returned: success
  type: str
  sample: incident.md
recovery_seconds:
  description: Seconds from the detection to the end of the checks; null before it is closed.
  returned: success
  type: float
  sample: 12.4
data_loss:
  description: The data loss that an earlier task recorded; null without one.
  returned: success
  type: str
  sample: everything committed after 06:00
red_before:
  description:
    - The checks of O(as_before) that some run speaks of. The text is empty if the check passed;
      otherwise it has the finding and the run.
  returned: success
  type: dict
  sample: {infra.api.journal: "the page is empty (run 2026-11-21_060000)", data.book: ""}
remedy: {description: The operator's next step., returned: failure, type: str, sample: Free 2 GB.}
code:
  description: Stable name of the error.
  returned: failure
  type: str
  sample: incident.unwritable
"""

from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.pmsops.common import argument_specs, timestamps
from ansible.module_utils.pmsops.common.caller import attended
from ansible.module_utils.pmsops.common.errors import ENDINGS
from ansible.module_utils.pmsops.evidence import audit, history, ledger
from ansible.module_utils.pmsops.incidents import lifecycle
from ansible.module_utils.pmsops.incidents.record import OUTCOMES

SPEC = {
    "evidence_root": {"type": "path", "required": True},
    "audit": argument_specs.audit(),
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
    "as_before": {"type": "list", "elements": "str", "default": []},
    "anchor": {"type": "str", "default": ""},
}


def run(module: AnsibleModule) -> dict:
    """Find, open, note or close the incident, and return which one it is."""
    root = Path(module.params["evidence_root"])
    transition = lifecycle.change(
        root,
        module.params,
        append=lambda content: ledger.append(root, "incident", content, now=timestamps.now()),
        check_mode=module.check_mode,
    )
    found = transition.describe()
    checks, anchor = module.params["as_before"], module.params["anchor"]
    before = history.red_before(root, checks, anchor=anchor, before=found["began_at"])
    return found | {"red_before": before if checks else {}}


def main() -> None:
    """Hand the arguments to run, and turn its errors into a failed task."""
    module = AnsibleModule(SPEC, supports_check_mode=True)
    try:
        with attended(module), audit.given(module.params["audit"]):
            result = run(module)
    except ENDINGS as exc:
        module.fail_json(msg=str(exc), remedy=exc.remedy, code=exc.code)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
