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
extends_documentation_fragment: [pmsops.offsite, pmsops.audit]
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
      - V(engine) finds the packages of the distribution that a Docker Engine needs; none where one
        is here.
      - V(planned) chooses the copy and says what will be there, and what cannot be.
      - V(fetched) brings sets, evidence and files here, and marks on each site that this machine
        has the system now.
      - V(placed) puts the Compose files, their C(.env) and what services mount where they were.
        They come from the parts of the set; what it does not hold, or what changed after it, comes
        from beside the set. Copies of older releases have all of it there.
      - V(archived) brings base backups and WAL into the volume of O(pitr_container), and starts it,
        if the plan chose the newest moment.
      - V(fallen_back) notes that the moment could not be had, for O(why), and removes what was
        brought for it and what lies in the database's volume. The set is restored then.
      - V(noted) notes that O(step) is done.
      - V(finished) records in the ledger that this machine took over.
    type: str
    choices: [engine, planned, fetched, placed, archived, fallen_back, noted, finished]
    required: true
  set:
    description: The set to take, by its id, V(newest) or V(proved).
    type: str
    default: proved
  moment:
    description:
      - V(preferred) takes the newest moment of base backups and WAL, if a site has them and they
        lead beyond the set, and the set if not. V(newest) stops where that moment cannot be had
        (C(host.no-moment)); a plan in check mode says so. V(set) takes the set.
    type: str
    choices: [preferred, newest, set]
    default: preferred
  reached:
    description: With V(noted), the moment that the database has.
    type: str
  pitr_container:
    description: The container that receives WAL; without it the set is taken.
    type: str
    default: ""
  pitr_image:
    description: Its image.
    type: str
    default: ""
  database_container:
    description: The database's container.
    type: str
    default: ""
  known_roles:
    description: Roles whose passwords the inventory has, and the maintenance role.
    type: list
    elements: str
    default: []
  without_passwords:
    description: Go on although roles that log in would have no password (C(host.no-passwords)).
    type: bool
    default: false
  why:
    description: With V(fallen_back), why the moment could not be had.
    type: str
    default: ""
  code:
    description: With V(fallen_back), the name of that error.
    type: str
    default: ""
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
  unfired:
    description: With V(planned), why no timer would start a job here; empty if timers will.
    type: str
    default: ""
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
roles_without_password: {description: Roles that log in and would have no password.,
                         returned: state is planned, type: list, elements: str,
                         sample: [macro_user]}
compose:
  description: Folder and files of the Compose project; empty if the copy does not have them.
  returned: success
  type: dict
  sample: {folder: /opt/macro_trading, config_files: [/opt/macro_trading/docker-compose.yml]}
moment:
  description:
    - The archive whose newest moment is restored in place of the set; null if the set is.
  returned: success
  type: dict
  sample: {snapshot: 9a3b4c, received_at: "2026-11-29T01:20:31Z"}
moment_at: {description: The moment that the database has; null if it has that of the set.,
            returned: success, type: str, sample: "2026-11-29T01:20:31Z"}
fell_back:
  description: Why the newest moment could not be had; null if it could, or was not tried.
  returned: success
  type: dict
  sample: {code: pitr.wal-missing, why: WAL segment 000000010000000000000007 is missing.}
packages: {description: Packages to install., returned: state is engine, type: list, elements: str,
           sample: [docker.io, docker-compose]}
scheduled: {description: Whether the lost machine had timers., returned: state is planned,
            type: bool, sample: true}
done: {description: The steps that are done., returned: success, type: list, elements: str,
       sample: [fetched, placed]}
entry:
  description: What incident and decision journal say of the loss, once a copy was fetched.
  returned: success
  type: dict
  sample: {mark: machine 4be1 took over from 9a3b, title: The machine was lost and replaced}
answers_since: {description: "Since when all services answer, in UTC and in the fund's zone.",
                returned: once this machine took over, type: str,
                sample: "2026-11-30 07:22:43 UTC (04:22:43 in São Paulo)"}
new_keys: {description: Files of the public keys that this machine signs with., type: list,
           returned: step is sites, elements: str,
           sample: [/root/.config/pms-ops/keys/trusted/4be1.pub]}
warnings_of_sites: {description: Sites that failed., returned: success, type: list, elements: str,
                    sample: []}
remedy: {description: The operator's next step., returned: failure, type: str, sample: Wait.}
code: {description: Stable name of the error., returned: failure, type: str, sample: host.occupied}
"""

import time
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.pmsops.common import argument_specs, timestamps
from ansible.module_utils.pmsops.common.caller import attended
from ansible.module_utils.pmsops.common.errors import ENDINGS
from ansible.module_utils.pmsops.common.timestamps import moment as time_of
from ansible.module_utils.pmsops.evidence import audit, ledger, ledger_keys
from ansible.module_utils.pmsops.offsite import fence, options
from ansible.module_utils.pmsops.offsite.copies import Copy
from ansible.module_utils.pmsops.offsite.work import Work
from ansible.module_utils.pmsops.recovery import (
    new_host_archive,
    new_host_engine,
    new_host_moment,
    new_host_plan,
    new_host_roles,
    new_host_words,
)
from ansible.module_utils.pmsops.recovery.new_host import NewHost
from ansible.module_utils.pmsops.repository import signing
from ansible.module_utils.pmsops.services import docker_engine

SPEC = options.spec() | {
    "audit": argument_specs.audit(),
    "state": {
        "type": "str",
        "choices": [
            *("engine", "planned", "fetched", "placed", "archived"),
            *("fallen_back", "noted", "finished"),
        ],
        "required": True,
    },
    "set": {"type": "str", "default": "proved"},
    "moment": {
        "type": "str",
        "choices": [new_host_moment.PREFERRED, new_host_moment.NEWEST, "set"],
        "default": new_host_moment.PREFERRED,
    },
    "reached": {"type": "str"},
    "pitr_container": {"type": "str", "default": ""},
    "pitr_image": {"type": "str", "default": ""},
    "database_container": {"type": "str", "default": ""},
    "known_roles": {"type": "list", "elements": "str", "default": []},
    "without_passwords": {"type": "bool", "default": False, "no_log": False},
    "why": {"type": "str", "default": ""},
    "code": {"type": "str", "default": ""},
    "compose_project": {"type": "str"},
    "other_databases": {"type": "list", "elements": "str", "default": []},
    "identity_file": {"type": "path"},
    "step": {"type": "str"},
    "unfired": {"type": "str", "default": ""},
}


def plan(host: NewHost, params: dict, *, check: bool) -> dict:
    """Choose the copy, and say what will be there."""
    host.require_empty(params["pitr_container"])
    host.require_keys()
    work, copy, passed_over = host.choose(params["set"])
    document, parts = host.surroundings(work, copy), host.parts(work, copy)
    if "fetched" not in host.journal().get("steps", {}):
        new_host_plan.require_room(host.root, copy)
    others = host.others(work, copy, params["other_databases"])
    images = new_host_plan.images(host.engine, document)
    moment = choose_moment(host, work, copy, params, check=check)
    seen = new_host_plan.Seen(host.seen, timestamps.now(), params["unfired"])
    will, cannot = new_host_plan.lines(
        copy, work.site, others, document, parts, images, moment, seen
    )
    if must_be_newest(params, host.journal()) and moment.archive is None:
        cannot.append(
            "a machine: the newest moment was asked for, so dr_host.yml will stop before anything"
            " is done (-e host_moment=preferred takes the set instead)"
        )
    keys = host.sites.settings.places.keys
    found = new_host_roles.of_copies(work, [copy, *others.values()], keys)
    lacking = sorted(found - {*params["known_roles"]})
    if lacking:
        cannot.append(new_host_roles.line(lacking, of_moment=moment.archive is not None))
    done = host.journal().get("steps", {})
    if not (check or params["without_passwords"] or moment.archive or "databases" in done):
        new_host_roles.require_passwords(lacking)
    return {
        "roles_without_password": lacking,
        "will": will,
        "cannot": cannot,
        "lost_images": images["lost"],
        "compose": document.get("compose") or {},
        "moment": moment.archive.document() if moment.archive else None,
        "scheduled": bool(document.get("scheduled")),
        "site": work.site,
        "set": copy.set,
        "warnings_of_sites": passed_over,
    }


def fetch(host: NewHost, params: dict) -> dict:
    """Bring everything here, and leave the mark that this machine has the system now."""
    host.require_empty(params["pitr_container"])
    host.require_keys()
    work, copy, _ = host.choose(params["set"])
    archive = choose_moment(host, work, copy, params).archive
    compose = host.surroundings(work, copy).get("compose") or {}
    host.note(
        site=work.site,
        set=copy.set,
        snapshot=copy.snapshot,
        taken_at=copy.taken_at,
        head=copy.head,
        compose=compose,
        moment=archive.document() if archive else None,
    )
    host.fetch(work, copy, host.others(work, copy, params["other_databases"]))
    return {"warnings_of_sites": host.take_over(copy)}


def choose_moment(
    host: NewHost, work: Work, copy: Copy, params: dict, *, check: bool = False
) -> new_host_moment.Choice:
    """Return the archive whose newest moment takes the place of the set, if one does.

    With *check* it is no error if none does, although the newest moment was asked for.

    :raises OpsError: host.no-moment
    """
    wanted = new_host_moment.Wanted(
        params["moment"], params["pitr_container"], params["pitr_image"]
    )
    known = host.journal()
    found = new_host_moment.choose(work, known, copy.taken_at, wanted, host.engine)
    if must_be_newest(params, known) and not check:
        found.require()
    return found


def must_be_newest(params: dict, known: dict) -> bool:
    """Tell whether no set may take the place of the newest moment, and none has."""
    done = known.get("steps", {})
    return params["moment"] == new_host_moment.NEWEST and "databases" not in done


def bring_archive(host: NewHost, params: dict) -> None:
    """Bring base backups and WAL here, and start the engine that reads them."""
    known = host.journal()
    work = next(each for each in host.sites.works() if each.site == known["site"])
    new_host_archive.bring(
        work,
        known["moment"],
        params["pitr_container"],
        params["pitr_image"],
        params["database_container"],
    )


def fall_back(host: NewHost, params: dict) -> None:
    """Note why the moment could not be had, and remove what was brought for it."""
    known = host.note(fell_back={"code": params["code"], "why": params["why"]})
    new_host_archive.drop(known["moment"], params["pitr_container"], params["database_container"])


def new_keys(keys: Path, evidence_root: Path) -> list[str]:
    """Return the files of the public keys that this machine signs sets and ledger with."""
    of_sets, of_ledger = signing.own_id(keys), ledger.inspect(evidence_root).key
    found = [keys / signing.TRUSTED / f"{of_sets}.pub"] if of_sets else []
    if of_ledger:
        found.append(ledger_keys.trusted_folder(keys) / f"{of_ledger}.pub")
    return [str(each) for each in found]


def run(module: AnsibleModule) -> dict:
    """Take one step, unless it is done."""
    params, state = module.params, module.params["state"]
    project = params["compose_project"]
    if state == "engine":
        packages = new_host_engine.missing(compose=bool(project))
        return {"changed": bool(packages), "packages": packages}
    # A plan is made before the engine is installed, too.
    unborn = module.check_mode and state == "planned" and not new_host_engine.here()
    engine = docker_engine.engine() if project and not unborn else None
    host = NewHost(options.sites(params, check=module.check_mode), project or "", engine)
    began = time.monotonic()
    known = host.journal()
    done = known.get("steps", {})
    step = params["step"] if state == "noted" else state
    result = {"changed": False, "warnings_of_sites": []}
    with docker_engine.refusals():
        if state == "planned":
            result |= plan(host, params, check=module.check_mode)
        elif step not in done and not module.check_mode:
            if state == "fetched":
                result |= fetch(host, params)
            elif state == "placed":
                identity = params["identity_file"]
                result["placed"] = host.place(Path(identity) if identity else None)
            elif state == "archived":
                bring_archive(host, params)
            elif state == "fallen_back":
                fall_back(host, params)
            elif state == "finished":
                host.finish()
            elif params["reached"]:
                host.note(moment_at=params["reached"])
            seconds = round(time.monotonic() - began, 1)
            host.note(steps=host.journal().get("steps", {}) | {step: seconds})
            result["changed"] = True
    known = host.journal()
    names = ("site", "set", "compose", "moment", "moment_at", "fell_back")
    shown = {name: known[name] for name in names if name in known}
    if known.get("fell_back"):
        shown["moment"] = None
    steps = {"done": list(known.get("steps", {}))}
    if known.get("set"):
        machine = fence.machine_id(host.root, create=False)
        steps["entry"] = new_host_words.entry(known, machine)
    if known.get("finished"):
        steps["answers_since"] = new_host_words.both_zones(time_of(known["finished"]))
    if step == "sites":
        places = host.sites.settings.places
        steps["new_keys"] = new_keys(Path(places.keys), places.evidence_root)
    return {"moment": None, "moment_at": None, "fell_back": None} | result | shown | steps


def main() -> None:
    """Hand the arguments to run, and turn its errors into a failed task."""
    module = AnsibleModule(
        SPEC, supports_check_mode=True, required_if=[("state", "noted", ["step"])]
    )
    try:
        with attended(module), audit.given(module.params["audit"]):
            result = run(module)
    except ENDINGS as exc:
        module.fail_json(msg=str(exc), remedy=exc.remedy, code=exc.code)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
