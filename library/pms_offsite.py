#!/usr/bin/python
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: pms_offsite
short_description: Copy backup sets to other sites by restic, prove the copies, and fetch them
description:
  - A copy holds a set, the evidence with its ledger, the public halves of the keys, the inventory
    without secrets, and base backups and WAL where continuous protection is on.
  - A site that fails hinders no other one. What each site did last is noted beside the sets.
author: Operations team (@ops)
extends_documentation_fragment: [pmsops.offsite, pmsops.consent]
attributes:
  check_mode:
    description: Asks the sites and changes nothing there.
    support: full
  diff_mode:
    description: What would be done is in RV(sites).
    support: none
  idempotent:
    description: With O(state=tried), each run makes a copy.
    support: partial
options:
  state:
    description:
      - V(present) makes each repository that is missing.
      - V(uploaded) copies a set to each site, reads its manifest back, and compares it by hash.
      - V(checked) checks each repository, and reads a part of its data, another one each time.
      - V(fetched) brings a copy from the first site into an empty folder, and checks its files.
      - V(proved) notes that the set that was fetched was restored and found equal.
      - V(tried) makes a copy in order to delete it, and notes whether the site refused that.
      - V(pruned) removes the copies that the policy does not keep, from sites with C(deletes).
      - V(accepted) accepts the signs of ransomware in the newest set, and the clock of this machine
        where it was set or went back, so that V(pruned) goes on.
    type: str
    choices: [present, uploaded, checked, fetched, proved, tried, pruned, accepted]
    default: uploaded
  set:
    description:
      - With V(uploaded), the set's folder, by default the newest. With V(fetched), the id of a set,
        V(newest) or V(proved); V(pitr) is the archive of base backups and WAL. With V(proved), the
        id of the set.
    type: str
  into:
    description:
      - Folder to fetch into; it is empty, or missing, or has what a killed fetch left there.
    type: path
  known_seconds:
    description:
      - With V(uploaded), how many seconds old the answer may be that a site gave when it was asked
        for its copies; it is not asked again then. A run that asks at its start sets it.
    type: int
    default: 0
  seconds:
    description: With V(proved), how long the proof took.
    type: float
  reason:
    description: With V(accepted), why all is well.
    type: str
  inventory:
    description: Variables of the host to copy along, without secrets.
    type: dict
  pitr_volume:
    description: Docker volume with base backups and WAL, where continuous protection is on.
    type: str
  check_parts:
    description: How many runs of V(checked) read all data.
    type: int
    default: 7
  keep_last:
    description: How many of the newest sets V(pruned) keeps.
    type: int
    default: 7
  keep_daily:
    description: Of how many days V(pruned) keeps the newest set.
    type: int
    default: 30
  keep_weekly:
    description: Of how many ISO weeks V(pruned) keeps the newest set.
    type: int
    default: 26
  keep_monthly:
    description: Of how many months V(pruned) keeps the newest set.
    type: int
    default: 60
  strict:
    description: Fail if a site failed. Without it the failure is in RV(sites) alone.
    type: bool
    default: true
  metrics:
    description:
      - Folder for the textfile collector of Prometheus' node exporter; C(pms_offsite.prom) is
        written there. Without it no metrics are written.
    type: path
  metrics_system:
    description: The label C(system) of the metrics. Without it O(system).
    type: str
"""

EXAMPLES = r"""
- name: Copy the newest set to the vault
  pms_offsite:
    system: fund-prod
    root: /var/lib/pms-ops/backups
    evidence_root: /var/lib/pms-ops/evidence
    keys: /root/.config/pms-ops/keys
    repositories:
      - name: vault
        url: rest:https://vault.example.com:8000/fund-prod
        password_file: /etc/pms-ops/vault.password
        environment_file: /etc/pms-ops/vault.env
"""

RETURN = r"""
sites:
  description: What each site gave, or its error.
  returned: always
  type: list
  elements: dict
  sample:
    - {site: vault, ok: true, changed: true, set: 2026-11-29_0115, proved: true,
       snapshot: 5f3c1e0a9b77, new_bytes: 1203444, read_bytes: 57743272, seconds: 4.1, signs: []}
    - {site: elsewhere, ok: false, changed: false, code: offsite.unreachable,
       why: "Site elsewhere: restic snapshots ended with status 1: connection refused",
       remedy: Look at the network.}
failed:
  description: The sites that failed.
  returned: always
  type: list
  elements: str
  sample: [elsewhere]
remedy: {description: The operator's next step., returned: failure, type: str, sample: Wait.}
code:
  description: Stable name of the error.
  returned: failure
  type: str
  sample: offsite.unreachable
"""

from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.pmsops.common import argument_specs
from ansible.module_utils.pmsops.common.caller import attended
from ansible.module_utils.pmsops.common.errors import ENDINGS
from ansible.module_utils.pmsops.offsite import options
from ansible.module_utils.pmsops.repository.retention import Policy

STATES = ("present", "uploaded", "checked", "fetched", "proved", "tried", "pruned", "accepted")
SPEC = options.spec() | {
    "state": {"type": "str", "choices": list(STATES), "default": "uploaded"},
    "set": {"type": "str"},
    "into": {"type": "path"},
    "known_seconds": {"type": "int", "default": 0},
    "seconds": {"type": "float"},
    "reason": {"type": "str"},
    "inventory": {"type": "dict"},
    "pitr_volume": {"type": "str"},
    "check_parts": {"type": "int", "default": 7},
    "keep_last": {"type": "int", "default": 7},
    "keep_daily": {"type": "int", "default": 30},
    "keep_weekly": {"type": "int", "default": 26},
    "keep_monthly": {"type": "int", "default": 60},
    "strict": {"type": "bool", "default": True},
    "consent": argument_specs.consent(),
    "metrics": {"type": "path"},
    "metrics_system": {"type": "str"},
}
REQUIRED = [
    ("state", "fetched", ["into"]),
    ("state", "proved", ["set"]),
    ("state", "accepted", ["reason"]),
]


def run(module: AnsibleModule, found: list[dict]) -> bool:
    """Do the act on each site, fill *found* with what they gave, and return whether it changed."""
    params, state = module.params, module.params["state"]
    sites = options.sites(params, check=module.check_mode)
    if state == "accepted":
        sites.accept(params["reason"])
        found += sites.assessed()
        return True
    acts = {
        "present": sites.init,
        "uploaded": lambda: sites.upload(
            Path(params["set"]) if params["set"] else None, params["known_seconds"]
        ),
        "checked": lambda: sites.check(params["check_parts"]),
        "fetched": lambda: sites.fetch(params["set"] or "newest", Path(params["into"])),
        "proved": lambda: sites.proved({"set": params["set"], "seconds": params["seconds"]}),
        "tried": sites.try_to_delete,
        "pruned": lambda: sites.prune(
            Policy(*(params[f"keep_{each}"] for each in ("last", "daily", "weekly", "monthly")))
        ),
    }
    found += acts[state]()
    if params["metrics"] and not module.check_mode:
        sites.publish(
            Path(params["metrics"]),
            params["other_database"] or params["system"],
            system=params["metrics_system"] or params["system"],
            other_database=params["other_database"],
        )
    return any(each["changed"] for each in found)


def main() -> None:
    """Hand the arguments to run, and turn its errors into a failed task."""
    module = AnsibleModule(SPEC, supports_check_mode=True, required_if=REQUIRED)
    found: list[dict] = []
    try:
        with attended(module):
            changed = run(module, found)
    except ENDINGS as exc:
        module.fail_json(msg=str(exc), remedy=exc.remedy, code=exc.code, sites=found, failed=[])
    bad = [each for each in found if not each.get("ok", True)]
    result = {"changed": changed, "sites": found, "failed": [each["site"] for each in bad]}
    if bad and module.params["strict"]:
        why = " ".join(each["why"] for each in bad)
        module.fail_json(msg=why, remedy=bad[0]["remedy"], code=bad[0]["code"], **result)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
