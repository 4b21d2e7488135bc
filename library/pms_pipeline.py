#!/usr/bin/python
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: pms_pipeline
short_description: Recover Dagster and today's jobs
description:
  - Starts stopped services, reloads code, starts schedules, ends stuck runs and runs failed jobs
    again, least intrusive step first.
  - A process that works on after the end of its run is waited for, and ended where it does not end,
    before its job runs again. Whoever runs the module on the host has to be root to see it there.
  - If Dagster cannot be recovered, the PMS does today's work itself, once. The module then fails
    with the code V(pipeline.by_hand), because Dagster is still down.
author: Operations team (@ops)
extends_documentation_fragment: [pmsops.database, pmsops.api, pmsops.redis, pmsops.services]
attributes:
  check_mode:
    description: Returns the first steps.
    support: full
  diff_mode:
    description: The steps are in RV(actions).
    support: none
  idempotent:
    description: What works is not touched. With V(pipeline.data) or V(pipeline.pack) in O(signs),
      the job runs each time.
    support: partial
options:
  dagster_url:
    description: Base URL of Dagster.
    type: str
    required: true
  evidence_root:
    description: Folder of the evidence; each request to the PMS is logged there first.
    type: path
    required: true
  signs:
    description: Ids of the symptoms that were found.
    type: list
    elements: str
    default: []
  data_job:
    description: Job that loads the market data.
    type: str
    default: daily_pipeline
  pack_job:
    description: Job that generates the morning pack.
    type: str
    default: pms_preopen_pipeline
  job_seconds:
    description: Seconds that a job may take.
    type: int
    default: 180
  healthy_seconds:
    description: Seconds that Dagster may take to become healthy.
    type: int
    default: 90
  stuck_minutes:
    description: Minutes after which a run that has not ended is stuck.
    type: int
    default: 60
  incident:
    description: Folder of the incident that records each step.
    type: path
"""

EXAMPLES = r"""
- name: Recover the pipeline
  pms_pipeline:
    database: "{{ pms_database }}"
    api: "{{ pms_api }}"
    services: "{{ pms_services }}"
    dagster_url: "{{ pms_dagster_url }}"
    evidence_root: "{{ evidence_root }}"
    signs: [pipeline.pack]
"""

RETURN = r"""
actions:
  description: The steps taken, or the first ones in check mode.
  returned: success
  type: list
  elements: str
  sample: [Start schedule pms_eod_schedule, Run pms_preopen_pipeline again]
left_out:
  description:
    - The jobs and days of their schedules that had no run in the last two weeks; empty in check
      mode. Nothing is run for them.
  returned: success
  type: list
  elements: str
  sample: [pms_eod_pipeline had no run on 2026-11-26]
remedy: {description: The operator's next step., returned: failure, type: str, sample: Read it.}
code: {description: Stable name of the error., returned: failure, type: str, sample: pipeline.job}
"""

from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.pmsops.common import argument_specs, timestamps
from ansible.module_utils.pmsops.common.caller import attended
from ansible.module_utils.pmsops.common.errors import ENDINGS
from ansible.module_utils.pmsops.common.exchange_calendar import Clock
from ansible.module_utils.pmsops.incidents.record import action_recorder
from ansible.module_utils.pmsops.pms.client import PmsApi
from ansible.module_utils.pmsops.postgresql.connection import Database
from ansible.module_utils.pmsops.recovery import pipeline, pipeline_jobs
from ansible.module_utils.pmsops.recovery.dagster import Dagster
from ansible.module_utils.pmsops.services.manager import Services

SPEC = {
    "database": argument_specs.database(),
    "api": argument_specs.api(),
    "redis": argument_specs.redis(),
    "services": argument_specs.services(),
    "dagster_url": {"type": "str", "required": True},
    "evidence_root": {"type": "path", "required": True},
    "signs": {"type": "list", "elements": "str", "default": []},
    "data_job": {"type": "str", "default": "daily_pipeline"},
    "pack_job": {"type": "str", "default": "pms_preopen_pipeline"},
    "job_seconds": {"type": "int", "default": 180},
    "healthy_seconds": {"type": "int", "default": 90},
    "stuck_minutes": {"type": "int", "default": 60},
    "incident": {"type": "path"},
}


def run(module: AnsibleModule) -> dict:
    """Recover the pipeline and return the steps."""
    params = module.params
    clock = Clock(timestamps.now())
    symptoms = pipeline.Symptoms(
        frozenset(params["signs"]), pack_day=clock.today, data_day=clock.business_day(1)
    )
    target = pipeline.Pipeline(
        dagster=Dagster(params["dagster_url"]),
        services=Services.from_options(params["services"]),
        api=PmsApi.from_options(params["api"]),
        database=Database.from_options(params["database"]),
        evidence_root=Path(params["evidence_root"]),
        redis=params["redis"],
        **{
            name: params[name]
            for name in ("data_job", "pack_job", "job_seconds", "healthy_seconds", "stuck_minutes")
        },
    )
    if module.check_mode:
        return _result(module, pipeline.plan(symptoms, target), [])
    record = action_recorder(Path(params["incident"]) if params["incident"] else None, "recover")
    actions = pipeline.recover(symptoms, target, record=record)
    return _result(module, actions, pipeline_jobs.name_left_out(target, record))


def _result(module: AnsibleModule, actions: list[str], left_out: list[str]) -> dict:
    for line in left_out:
        module.warn(f"{line}.")
    return {"changed": bool(actions), "actions": actions, "left_out": left_out}


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
