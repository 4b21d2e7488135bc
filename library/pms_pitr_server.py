#!/usr/bin/python
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: pms_pitr_server
short_description: Bring a lost server back as it was at a moment of the recovery window
description:
  - Recovers a copy of the whole server in a throw-away container, proves that it can be used, and
    puts its data directory in place of the lost one. All that was in the volume stays, in a new
    volume.
  - Nothing is stopped or changed before the copy has proved itself. If the server does not start
    on it, what was there is brought back.
  - The timeline is new then, so a full base backup is made at once.
author: Operations team (@ops)
extends_documentation_fragment: [pmsops.database, pmsops.services, pmsops.redis, pmsops.queries]
attributes:
  check_mode:
    description: Returns the plan. A container reads the WAL; nothing is restored.
    support: full
  diff_mode:
    description: The plan is in RV(server).
    support: none
  idempotent:
    description: Each run restores; a server that is not lost is refused.
    support: partial
options:
  at:
    description:
      - A time, in the fund's zone unless it has an offset; an LSN; or V(latest).
    type: str
    required: true
  engine:
    description: Which engine protects the server. V(external) is refused, as it is not operated.
    type: str
    choices: [barman, external]
    default: barman
  container:
    description: Name of the container that receives the WAL.
    type: str
    required: true
  image:
    description: Its image.
    type: str
    required: true
  window_days:
    description: Days back to which each moment can be restored.
    type: int
    default: 14
  slot_keep_mb:
    description: How much WAL the new slot may keep on the live disk, in MB.
    type: int
  canary_seconds:
    description:
      - Seconds between two canary rows. The copy must have those of before the moment, and none of
        after it. V(0) does not look for them.
    type: int
    default: 300
  synchronous:
    description: Whether commits wait for the receiver, as in M(pms_pitr).
    type: bool
    default: false
  replace_live:
    description: Also if the server is not lost. Every database of it goes back to the moment.
    type: bool
    default: false
  root:
    description: Folder of the sets, for the locks.
    type: path
    required: true
  evidence_root:
    description: Folder of the ledger, which gets a line of kind C(restore).
    type: path
    required: true
"""

EXAMPLES = r"""
- name: Bring the server back with all that was received
  pms_pitr_server:
    database: "{{ pms_database }}"
    services: "{{ pms_services }}"
    at: latest
    container: pms_pitr
    image: pms/barman:17
    root: /var/backups/pms
    evidence_root: /var/lib/pms-ops/evidence
"""

RETURN = r"""
server:
  description:
    - C(plan), a line each; and when it was done, what was recovered, seen and kept. A run that
      failed returns what it had found out.
  returned: always
  type: dict
  sample:
    plan: ["moment: 2026-11-27 14:59:30.000000-03:00"]
    moment: "2026-11-27T17:59:30Z"
    from_base_backup: 20261122T020001
    wal_bytes: 41943040
    lsn: 0/D002B20
    tables: 175
    rows: 286356
    kept_volume: macro_timescaledb_before_20261127180312
    base_backup: 20261127T180341
    down_seconds: 21.4
    duration_seconds: 48.1
remedy: {description: The operator's next step., returned: failure, type: str, sample: Wait.}
code:
  description: Stable name of the error.
  returned: failure
  type: str
  sample: pitr.server-lives
"""

from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.pmsops.common import argument_specs, signals
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.pitr import own_engine
from ansible.module_utils.pmsops.pitr.run import Protection, Settings
from ansible.module_utils.pmsops.pitr.whole_server import WholeServer
from ansible.module_utils.pmsops.postgresql.connection import Database
from ansible.module_utils.pmsops.services import docker_engine
from ansible.module_utils.pmsops.services.manager import Services
from ansible.module_utils.pmsops.verify import queries

SPEC = {
    "database": argument_specs.database(),
    "services": argument_specs.services(),
    "redis": argument_specs.redis(),
    "at": {"type": "str", "required": True},
    "engine": {"type": "str", "choices": ["barman", "external"], "default": "barman"},
    "container": {"type": "str", "required": True},
    "image": {"type": "str", "required": True},
    "window_days": {"type": "int", "default": 14},
    "slot_keep_mb": {"type": "int"},
    "canary_seconds": {"type": "int", "default": 300},
    "synchronous": {"type": "bool", "default": False},
    "replace_live": {"type": "bool", "default": False},
    "root": {"type": "path", "required": True},
    "evidence_root": {"type": "path", "required": True},
    "queries": queries.argument_spec(),
}


def run(module: AnsibleModule, facts: dict) -> dict:
    """Bring the server back. *facts* receives what is known of a run that fails."""
    params = module.params
    own_engine.require_own(params["engine"], "bring back the whole server")
    keep = params["slot_keep_mb"]
    settings = Settings(
        params["container"],
        params["image"],
        window_days=params["window_days"],
        keep_bytes=keep << 20 if keep is not None else None,
        canary_seconds=params["canary_seconds"],
        synchronous=params["synchronous"],
    )
    wanted = WholeServer(
        Protection(Database.from_options(params["database"]), settings),
        params["at"],
        Path(params["root"]),
        Services.from_options(params["services"]),
        redis=params["redis"],
        replace_live=params["replace_live"],
        queries=[queries.Query(**each) for each in params["queries"]],
        facts=facts,
    )
    if module.check_mode:
        return {"changed": True, "server": {"plan": wanted.plan()}}
    with signals.raised(), docker_engine.refusals():
        wanted.recorded(Path(params["evidence_root"]))
    return {"changed": True, "server": facts}


def main() -> None:
    """Hand the arguments to run, and turn its errors into a failed task."""
    module = AnsibleModule(SPEC, supports_check_mode=True)
    facts: dict = {}
    try:
        result = run(module, facts)
    except OpsError as exc:
        module.fail_json(msg=str(exc), remedy=exc.remedy, code=exc.code, server=facts)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
