#!/usr/bin/python
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: pms_drill_elsewhere
short_description: Fetch a set from another site, restore it on this host, prove it and drop it
description:
  - Runs on a host that is not the one of the PMS. It reads the site with the password file of this
    host, checks signature and files by the keys that are trusted here, restores the set, compares
    every object and every row with the manifest, and removes everything again.
  - A drill that was killed is cleaned up by the next one.
author: Operations team (@ops)
extends_documentation_fragment: [pmsops.offsite, pmsops.queries]
attributes:
  check_mode:
    description: Compares the machines, asks the site, and checks signature, room and image.
    support: full
  diff_mode:
    description: It changes nothing that stays.
    support: none
  idempotent:
    description: Each run fetches and restores.
    support: none
options:
  source:
    description: C(machine) of M(pms_machine_info), on the host that the sets come from.
    type: dict
    required: true
  set:
    description: The set to drill, by its id, V(newest) or V(proved).
    type: str
    default: newest
  image:
    description: Image of this host to start a server from; none is pulled.
    type: str
    default: ""
  server:
    description: A PostgreSQL that is there, in place of a server from O(image).
    type: dict
    suboptions:
      access:
        description: Where client tools run; V(container) is in a sidecar of the server's image.
        type: str
        choices: [container, host]
        default: host
      host:
        description: Address, or folder of the socket.
        type: str
        default: 127.0.0.1
      port:
        description: Port.
        type: int
        default: 5432
      user:
        description: A superuser, or a role that may become one.
        type: str
        required: true
      password:
        description: Password of the role. It is none of the source's.
        type: str
      maintenance_name:
        description: Database to connect to.
        type: str
        default: postgres
      container:
        description: The server's container, with C(access=container).
        type: str
      bin_dir:
        description: Folder of pg_restore and psql, if they are not on the PATH.
        type: path
  trust:
    description: Id of one more key whose sets are accepted.
    type: str
  identity:
    description: Identity file of age on this host, for an encrypted set.
    type: path
  jobs:
    description: Processes of pg_restore.
    type: int
    default: 2
  without_extensions:
    description: Extensions to leave out.
    type: list
    elements: str
    default: []
  shown:
    description: Differences to name of each kind; the others are counted.
    type: int
    default: 10
  wait_minutes:
    description:
      - How long to wait for the end of another drill on this host; there is never more than one at
        a time, whichever system it is of.
    type: int
    default: 0
notes:
  - O(root) is a folder of the drill alone, which is removed at its end. O(evidence_root) is not
    used. O(repositories) has one site.
"""

EXAMPLES = r"""
- name: Drill the newest set on this host
  pms_drill_elsewhere:
    system: fund-prod
    root: /var/tmp/pms-ops-drill
    evidence_root: /var/tmp/pms-ops-drill
    keys: /root/.config/pms-ops/keys
    repositories:
      - name: vault
        url: rest:https://vault.example.com:8000/fund-prod
        password_file: /etc/pms-ops/vault.password
    source: "{{ source.machine }}"
    image: timescale/timescaledb:2.21.1-pg17
"""

RETURN = r"""
drill:
  description:
    - What was found out, also by a drill that failed. C(segregated) says whether nothing was common
      to both machines, C(shared) what was. C(rto_seconds) is without the fetch.
  returned: always
  type: dict
  sample:
    set: 2026-11-29_0115
    proved: true
    segregated: true
    shared: []
    source: {kind: offsite, site: vault, snapshot: 5f3c1e0a9b77}
    server: container
    fetch_seconds: 4.2
    restore_seconds: 9.8
    proof_seconds: 2.1
    rto_seconds: 11.9
    rto_with_fetch_seconds: 16.1
failed_drill:
  description: Whether the failure is the outcome of the drill; if not, there was none.
  returned: failure
  type: bool
  sample: true
remedy: {description: The operator's next step., returned: failure, type: str, sample: Wait.}
code:
  description: Stable name of the error.
  returned: failure
  type: str
  sample: drill.same-machine
"""

from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.pmsops.common import file_system
from ansible.module_utils.pmsops.common.caller import attended
from ansible.module_utils.pmsops.common.errors import ENDINGS, BrokenProofError
from ansible.module_utils.pmsops.drills import elsewhere, host_lock
from ansible.module_utils.pmsops.drills.elsewhere import Elsewhere
from ansible.module_utils.pmsops.offsite import options
from ansible.module_utils.pmsops.services import docker_engine
from ansible.module_utils.pmsops.verify import queries

SERVER = {
    "access": {"type": "str", "choices": ["container", "host"], "default": "host"},
    "host": {"type": "str", "default": "127.0.0.1"},
    "port": {"type": "int", "default": 5432},
    "user": {"type": "str", "required": True},
    "password": {"type": "str", "no_log": True},
    "maintenance_name": {"type": "str", "default": "postgres"},
    "container": {"type": "str"},
    "bin_dir": {"type": "path"},
}
SPEC = options.spec() | {
    "source": {"type": "dict", "required": True},
    "set": {"type": "str", "default": "newest"},
    "image": {"type": "str", "default": ""},
    "server": {
        "type": "dict",
        "options": SERVER,
        "required_if": [("access", "container", ["container"])],
    },
    "trust": {"type": "str"},
    "identity": {"type": "path"},
    "jobs": {"type": "int", "default": 2},
    "without_extensions": {"type": "list", "elements": "str", "default": []},
    "shown": {"type": "int", "default": 10},
    "wait_minutes": {"type": "int", "default": 0},
    "queries": queries.argument_spec(),
}


def of_params(params: dict) -> Elsewhere:
    """Return the drill that the options describe."""
    return Elsewhere(
        folder=Path(params["root"]),
        keys=Path(params["keys"]),
        source=params["source"],
        image=params["image"],
        given=params["server"],
        trust=params["trust"] or None,
        options={
            "identity": Path(params["identity"]) if params["identity"] else None,
            "jobs": params["jobs"],
            "without_extensions": tuple(params["without_extensions"]),
            "shown": params["shown"],
            "queries": tuple(queries.Query(**each) for each in params["queries"]),
        },
    )


def run(module: AnsibleModule, drill: Elsewhere) -> None:
    """Drill, or in check mode look whether a drill could be."""
    params = module.params
    with (
        docker_engine.refusals(),
        file_system.coded(drill.folder),
        host_lock.alone(params["system"], minutes=params["wait_minutes"]),
        drill.alone(),
    ):
        inside = params | {"root": str(drill.work_folder)}
        drill.prepare()
        work = drill.open(options.sites(inside, check=module.check_mode))
        if module.check_mode:
            drill.plan(work, params["set"])
        else:
            drill.run(work, params["set"])


def main() -> None:
    """Hand the arguments to run, and turn its errors into a failed task."""
    module = AnsibleModule(SPEC, supports_check_mode=True)
    drill = of_params(module.params)
    try:
        with attended(module):
            run(module, drill)
    except ENDINGS as exc:
        control = {"negative_control": exc.record} if isinstance(exc, BrokenProofError) else {}
        module.fail_json(
            msg=str(exc),
            remedy=exc.remedy,
            code=exc.code,
            failed_drill=elsewhere.outcome(exc),
            drill=drill.facts | control | {"proved": False, "remains": drill.remains},
        )
    for each in drill.remains:
        module.warn(each)
    module.exit_json(changed=True, drill=drill.facts | {"remains": drill.remains})


if __name__ == "__main__":
    main()
