#!/usr/bin/python
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: pms_gate
short_description: Run every check of a checklist at once and give a verdict
description:
  - Runs all probes of a checklist at the same time, each with an enforced time-out, and compares
    their answers with the checklist's expectations.
  - What gives no answer in time is asked again alone before the verdict, with more time where the
    host is busy. Without an answer it is unknown, with the load of the host as its cause.
  - A blocker that fails, or that could not be evaluated, makes a no-go. Nothing else does.
  - A no-go is a result and no error, so that its evidence can be written. Assert on RV(verdict).
author: Operations team (@ops)
extends_documentation_fragment: [pmsops.database, pmsops.redis, pmsops.api, pmsops.services]
attributes:
  check_mode:
    description: The module only reads, so it does the same.
    support: full
  diff_mode:
    description: Nothing changes.
    support: none
  idempotent:
    description: It changes nothing.
    support: full
options:
  checklist:
    description:
      - The checklist, the text of its YAML file, or the path of its YAML or JSON file on the
        managed host. Text is fastest for a long one.
    type: raw
    required: true
  sections:
    description: Ids of the sections to run, with what their checks need elsewhere. Empty means all.
    type: list
    elements: str
    default: []
  checks:
    description: Ids of single checks to run, with what they need. Adds to O(sections).
    type: list
    elements: str
    default: []
  without:
    description:
      - Parts that the system does not have. The checks about them are not run, do not block, and
        hinder no other check; RV(results) says C(absent) of them.
    type: list
    elements: str
    choices: [dagster, grafana, timescaledb]
    default: []
  variables:
    description: Values for the names that the checklist writes as C(${name}).
    type: dict
    default: {}
  facts:
    description: Results of steps that ran before, such as C(smoke) of M(pms_smoke_test).
    type: dict
    default: {}
  attestations:
    description:
      - The lists C(attestations) and C(waivers), or the path of a YAML or JSON file with them, on
        the managed host.
      - An expired, future-dated or nameless entry, or one of an unknown check, is an error.
    type: raw
  dagster_url:
    description: Base URL of Dagster. Empty makes the checks that need it unknown.
    type: str
  grafana:
    description: Address and user of Grafana. Empty makes the checks that need it unknown.
    type: dict
    suboptions:
      url:
        description: Base URL.
        type: str
      username:
        description: User name. Empty asks without a login.
        type: str
      password:
        description: The user's password.
        type: str
  compose_project:
    description: Compose project of the containers that the checklist names by service.
    type: str
  app_dir:
    description: A checkout of the PMS, for the checks that run its scripts.
    type: path
  backup_root:
    description: Folder of the backup sets.
    type: path
  evidence_root:
    description:
      - Folder of the evidence ledger. While the gate runs, C(.gate.progress) in it says how many
        checks are done.
    type: path
  lock:
    description:
      - Lock file of M(pms_run_lock). The gate takes no lock. It fails if a run holds this one
        before or after the probes, because the system was being changed.
    type: path
  workers:
    description: Number of probes that run at the same time. A hanging one does not count.
    type: int
    default: 8
  deadline_seconds:
    description:
      - Seconds for all checks at once. Checks without an answer are then asked again, one by one,
        for as long again, and for twice as long on a busy host. What is unfinished then is unknown.
    type: float
    default: 120.0
  wait_seconds:
    description:
      - Seconds to wait for the checks to pass. All are asked again, with a second between, until
        each has passed or the time is over; RV(results) are the last ones.
      - On a busy host it is as many times longer as the host is slower. 0 asks once.
    type: float
    default: 0.0
  not_demanded:
    description: Ids of checks that O(wait_seconds) does not wait for. They are run all the same.
    type: list
    elements: str
    default: []
"""

EXAMPLES = r"""
- name: Check everything
  pms_gate:
    checklist: "{{ lookup('ansible.builtin.file', 'checklist.yml') }}"
    database: "{{ pms_database }}"
    redis: "{{ pms_redis }}"
    api: "{{ pms_api }}"
  register: __golive_gate

- name: Stop unless the system may go live
  ansible.builtin.assert:
    that: __golive_gate.verdict == "go"
    fail_msg: "{{ __golive_gate.blocking | join(', ') }}"
"""

RETURN = r"""
verdict:
  description:
    - V(go), V(no-go), or V(broken) if the gate did not find its RV(negative_control). A broken gate
      says nothing about the system.
  returned: success
  type: str
  sample: go
exit_code:
  description: The verdict as an exit status; 0 for go, 1 for no-go, 4 for broken.
  returned: success
  type: int
  sample: 0
negative_control:
  description:
    - One random check whose real answer was judged once more by a wrong expectation, which has to
      make a no-go.
    - C(outcome) is V(found), V(not found), or V(nothing to check) if none of some random checks
      passed. C(seed) of the choice, C(check), the C(comparison) that was turned, and what it was
      C(given) as. No value of an answer is recorded.
  returned: success
  type: dict
  sample: {outcome: found, seed: 28824, check: infra.redis.ping, comparison: eq, given: ne}
blocking:
  description: Ids of the checks that make it a no-go.
  returned: success
  type: list
  elements: str
  sample: [infra.redis.ping]
reasons:
  description:
    - RV(blocking) as a no-go says it. C(checks) have a reason of their own, C(after) is how many
      need one of them. C(silent) gave no answer, for what C(shared) names.
  returned: success
  type: dict
  sample: {checks: [infra.redis.ping], silent: [], shared: [], after: 3}
causes:
  description: What checks without an answer have in common, with the ids of those checks.
  returned: success
  type: list
  elements: dict
  sample:
    - {cause: "the host is busy: load 24 on 2 processors", checks: [infra.api.health]}
counts:
  description: Number of checks by status, and of flaky ones.
  returned: success
  type: dict
  sample: {pass: 61, fail: 0, unknown: 0, waived: 0, attested: 5, flaky: 0}
results:
  description: Each check with its status, finding, remedy and duration.
  returned: success
  type: list
  elements: dict
  sample:
    - {id: infra.redis.ping, severity: blocker, status: pass, finding: reply is PONG, seconds: 0.01}
sections:
  description: The sections that were run, each with its counts.
  returned: success
  type: list
  elements: dict
  sample: [{id: infrastructure, title: Infrastructure, counts: {pass: 17, fail: 0}}]
table:
  description: The results as lines for a terminal, failures last.
  returned: success
  type: list
  elements: str
  sample: ["GO: 61 passed, 5 attested."]
summary:
  description: The results with one line for each section, failures last.
  returned: success
  type: list
  elements: str
  sample: ["Infrastructure  17 of 17"]
title: {description: The checklist's title., returned: success, type: str, sample: Go-live}
partial:
  description: Whether sections were left out.
  returned: success
  type: bool
  sample: false
started_at:
  description: When the gate began.
  returned: success
  type: str
  sample: "2026-11-23T09:00:00Z"
duration_seconds:
  description: How long all probes took.
  returned: success
  type: float
  sample: 1.9
checklist_sha256:
  description: SHA-256 of the checklist, by which evidence names it.
  returned: success
  type: str
  sample: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
remedy: {description: The operator's next step., returned: failure, type: str, sample: Correct it.}
code: {description: Stable name of the error., returned: failure, type: str, sample: gate.checklist}
"""

from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.pmsops.checks import gate, waiting
from ansible.module_utils.pmsops.checks.probes.context import Settings
from ansible.module_utils.pmsops.checks.validation import PARTS
from ansible.module_utils.pmsops.common import argument_specs, playbook_lock, timestamps
from ansible.module_utils.pmsops.common.caller import attended
from ansible.module_utils.pmsops.common.errors import ENDINGS
from ansible.module_utils.pmsops.reports import terminal

PROGRESS = ".gate.progress"
GRAFANA = {
    "url": {"type": "str"},
    "username": {"type": "str"},
    "password": {"type": "str", "no_log": True},
}
SPEC = {
    "checklist": {"type": "raw", "required": True},
    "database": argument_specs.database(),
    "redis": argument_specs.redis(),
    "api": argument_specs.api(),
    "services": argument_specs.services(),
    "grafana": {"type": "dict", "options": GRAFANA},
    "dagster_url": {"type": "str"},
    "compose_project": {"type": "str"},
    "app_dir": {"type": "path"},
    "backup_root": {"type": "path"},
    "evidence_root": {"type": "path"},
    "sections": {"type": "list", "elements": "str", "default": []},
    "checks": {"type": "list", "elements": "str", "default": []},
    "without": {"type": "list", "elements": "str", "choices": list(PARTS), "default": []},
    "variables": {"type": "dict", "default": {}},
    "facts": {"type": "dict", "default": {}},
    "attestations": {"type": "raw"},
    "lock": {"type": "path"},
    "workers": {"type": "int", "default": 8},
    "deadline_seconds": {"type": "float", "default": 120.0},
    "wait_seconds": {"type": "float", "default": 0.0},
    "not_demanded": {"type": "list", "elements": "str", "default": []},
}


def run(module: AnsibleModule) -> dict:
    """Run the gate and return its results."""
    params = module.params
    places = ("dagster_url", "compose_project", "app_dir", "backup_root", "evidence_root")
    services = ("database", "redis", "api", "grafana", "services", "facts")
    parts = {name: params[name] or {} for name in services}
    parts |= {name: params[name] or "" for name in places}
    options = gate.Options(
        sections=params["sections"],
        checks=params["checks"],
        variables=params["variables"],
        without=frozenset(params["without"]),
        attestations=params["attestations"],
        workers=params["workers"],
        deadline_seconds=params["deadline_seconds"],
        secrets=frozenset(module.no_log_values),
    )
    # Check mode writes nothing, no progress file either.
    shown = params["evidence_root"] and not module.check_mode
    path = Path(params["evidence_root"]) / PROGRESS if shown else None
    _require_free(params)

    def ask() -> dict:
        settings = Settings(now=timestamps.now(), **parts)
        return gate.run(params["checklist"], settings, options, progress=path)

    found = waiting.until_passed(ask, params["wait_seconds"], params["not_demanded"])
    _require_free(params)
    return {
        "changed": False,
        "table": terminal.table(found),
        "summary": terminal.table(found, short=True),
        **found,
    }


def _require_free(params: dict) -> None:
    """Refuse while another run changes the system that the probes read."""
    if params["lock"]:
        purpose = f"verdict on {params['database']['name']}"
        playbook_lock.see_free(Path(params["lock"]), purpose, now=timestamps.now())


def main() -> None:
    """Hand the arguments to run, and turn its errors into a failed task."""
    module = AnsibleModule(SPEC, supports_check_mode=True)
    try:
        with attended(module):
            result = run(module)
    except ENDINGS as exc:
        module.fail_json(msg=str(exc), remedy=exc.remedy, code=exc.code)
    module.exit_json(invocation=argument_specs.invocation(module.params, "checklist"), **result)


if __name__ == "__main__":
    main()
