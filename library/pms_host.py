#!/usr/bin/python
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: pms_host
short_description: Make a new machine from a copy on another site, step by step
description:
  - C(playbooks/dr_host.yml) takes the steps in the order of O(state). Each is noted beside the
    sets, so that a run that was killed goes on; a step that is done is not done again.
  - A machine on which a system is already is refused with C(host.occupied).
author: Operations team (@ops)
extends_documentation_fragment: [pmsops.offsite]
attributes:
  check_mode:
    description: V(planned) asks the sites as always; the other states do nothing.
    support: full
  diff_mode:
    description: What would be there is in RV(will).
    support: none
  idempotent:
    description: A step that is done is not done again.
    support: full
options:
  state:
    description:
      - V(planned) chooses the copy and says what will be there, and what cannot be.
      - V(fetched) brings sets, evidence and files here, and marks on each site that this machine
        has the system now.
      - V(placed) puts the Compose files, their C(.env) and what services mount where they were.
      - V(noted) notes that O(step) is done.
      - V(finished) records in the ledger that this machine took over.
    type: str
    choices: [planned, fetched, placed, noted, finished]
    required: true
  set:
    description: The set to take, by its id, V(newest) or V(proved).
    type: str
    default: proved
  compose_project:
    description: The PMS's Compose project; without it no container is looked for.
    type: str
  other_databases:
    description: Other databases of the server to bring back.
    type: list
    elements: str
    default: []
  identity_file:
    description: Identity file of age, if the copy is encrypted.
    type: path
  step:
    description: With V(noted), the step that is done.
    type: str
"""

EXAMPLES = r"""
- name: Plan the new machine
  pms_host:
    system: fund-prod
    root: /var/lib/pms-ops/backups
    evidence_root: /var/lib/pms-ops/evidence
    keys: /root/.config/pms-ops/keys
    repositories: "{{ offsite_repositories }}"
    compose_project: macro_trading
    state: planned
"""

RETURN = r"""
site: {description: The site., returned: success, type: str, sample: vault}
set: {description: The set's id., returned: success, type: str, sample: 2026-11-29_0115}
will: {description: What will be there., returned: state is planned, type: list, elements: str,
       sample: ["set 2026-11-29_0115 of 2026-11-29T01:15:02Z, proved, from site vault"]}
cannot: {description: What cannot be there., returned: state is planned, type: list, elements: str,
         sample: ["images that no registry has: pms:1"]}
lost_images: {description: Images that no registry has., returned: state is planned, type: list,
              elements: str, sample: ["pms:1"]}
compose:
  description: Folder and files of the Compose project; empty if the copy does not have them.
  returned: success
  type: dict
  sample: {folder: /opt/macro_trading, config_files: [/opt/macro_trading/docker-compose.yml]}
done: {description: The steps that are done., returned: success, type: list, elements: str,
       sample: [fetched, placed]}
warnings_of_sites: {description: Sites that failed., returned: success, type: list, elements: str,
                    sample: []}
remedy: {description: The operator's next step., returned: failure, type: str, sample: Wait.}
code: {description: Stable name of the error., returned: failure, type: str, sample: host.occupied}
"""

import time
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.pmsops.common import signals
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.offsite import options
from ansible.module_utils.pmsops.recovery import new_host_plan
from ansible.module_utils.pmsops.recovery.new_host import NewHost
from ansible.module_utils.pmsops.services import docker_engine

SPEC = options.spec() | {
    "state": {
        "type": "str",
        "choices": ["planned", "fetched", "placed", "noted", "finished"],
        "required": True,
    },
    "set": {"type": "str", "default": "proved"},
    "compose_project": {"type": "str"},
    "other_databases": {"type": "list", "elements": "str", "default": []},
    "identity_file": {"type": "path"},
    "step": {"type": "str"},
}


def plan(host: NewHost, params: dict) -> dict:
    """Choose the copy, and say what will be there."""
    host.require_empty()
    host.require_keys()
    work, copy, passed_over = host.choose(params["set"])
    document = host.surroundings(work, copy)
    if "fetched" not in host.journal().get("steps", {}):
        new_host_plan.require_room(host.root, copy)
    others = host.others(work, params["other_databases"])
    images = new_host_plan.images(host.engine, document)
    archive = new_host_plan.has_archive(work.copies())
    will, cannot = new_host_plan.lines(copy, work.site, others, document, images, archive)
    return {
        "will": will,
        "cannot": cannot,
        "lost_images": images["lost"],
        "compose": document.get("compose") or {},
        "site": work.site,
        "set": copy.set,
        "warnings_of_sites": passed_over,
    }


def fetch(host: NewHost, params: dict) -> dict:
    """Bring everything here, and leave the mark that this machine has the system now."""
    host.require_empty()
    host.require_keys()
    work, copy, _ = host.choose(params["set"])
    compose = host.surroundings(work, copy).get("compose") or {}
    host.note(
        site=work.site,
        set=copy.set,
        snapshot=copy.snapshot,
        taken_at=copy.taken_at,
        head=copy.head,
        compose=compose,
    )
    host.fetch(work, copy, host.others(work, params["other_databases"]))
    return {"warnings_of_sites": host.take_over(copy)}


def run(module: AnsibleModule) -> dict:
    """Take one step, unless it is done."""
    params, state = module.params, module.params["state"]
    project = params["compose_project"]
    engine = docker_engine.engine() if project else None
    host = NewHost(options.sites(params, check=module.check_mode), project or "", engine)
    began = time.monotonic()
    known = host.journal()
    done = known.get("steps", {})
    step = params["step"] if state == "noted" else state
    result = {"changed": False, "warnings_of_sites": []}
    with docker_engine.refusals(), signals.raised():
        if state == "planned":
            result |= plan(host, params)
        elif step not in done and not module.check_mode:
            if state == "fetched":
                result |= fetch(host, params)
            elif state == "placed":
                identity = params["identity_file"]
                result["placed"] = host.place(Path(identity) if identity else None)
            elif state == "finished":
                host.finish({})
            seconds = round(time.monotonic() - began, 1)
            host.note(steps=host.journal().get("steps", {}) | {step: seconds})
            result["changed"] = True
    known = host.journal()
    shown = {name: known[name] for name in ("site", "set", "compose") if name in known}
    return result | shown | {"done": list(known.get("steps", {}))}


def main() -> None:
    """Hand the arguments to run, and turn its errors into a failed task."""
    module = AnsibleModule(
        SPEC, supports_check_mode=True, required_if=[("state", "noted", ["step"])]
    )
    try:
        result = run(module)
    except OpsError as exc:
        module.fail_json(msg=str(exc), remedy=exc.remedy, code=exc.code)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
