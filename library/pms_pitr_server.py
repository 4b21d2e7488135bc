#!/usr/bin/python
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: pms_pitr_server
short_description: Bring a lost server back as it was at a moment, or undo that
description:
  - Recovers a copy of the whole server in a throw-away container, proves that it can be used, and
    puts its data directory in place of the lost one. All that was in the volume stays, in a new
    volume, the former server.
  - Nothing is stopped or changed before the copy has proved itself. If the server does not start
    on it, what was there is brought back.
  - The timeline is new then, so a full base backup is made once the server serves.
author: Operations team (@ops)
extends_documentation_fragment:
  - pmsops.audit
  - pmsops.database
  - pmsops.services
  - pmsops.redis
  - pmsops.queries
  - pmsops.former_servers
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
  state:
    description:
      - V(restored) brings the server back as it was at O(at).
      - V(rolled_back) brings the former server back, in the same way. If the last restore was not
        of the whole server, it does nothing and returns no RV(server).
      - V(dropped) removes O(former) for good.
    type: str
    choices: [restored, rolled_back, dropped]
    default: restored
  at:
    description:
      - A time, in the fund's zone unless it has an offset; an LSN; or V(latest).
      - Required with O(state=restored).
    type: str
  former:
    description:
      - The volume of a former server. With O(state=rolled_back) by default the one that the last
        restore of a whole server kept. V(all) with O(state=dropped) means each of them.
    type: str
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

- name: Undo that
  pms_pitr_server:
    database: "{{ pms_database }}"
    services: "{{ pms_services }}"
    state: rolled_back
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
    - It is null with O(state=rolled_back) if the last restore was not of the whole server, and
      empty if it was rolled back already.
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
    serves_after_seconds: 38.0
    duration_seconds: 48.1
dropped:
  description: The former servers that were removed, or would be in check mode.
  returned: success
  type: list
  elements: str
  sample: ["removed the former server macro_timescaledb_before_20261127180312, 1.2 GB"]
remedy: {description: The operator's next step., returned: failure, type: str, sample: Wait.}
code:
  description: Stable name of the error.
  returned: failure
  type: str
  sample: pitr.server-lives
"""

from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.pmsops.approvals.consent import Consent
from ansible.module_utils.pmsops.common import argument_specs
from ansible.module_utils.pmsops.common.caller import attended
from ansible.module_utils.pmsops.common.errors import ENDINGS
from ansible.module_utils.pmsops.evidence import audit, ledger
from ansible.module_utils.pmsops.pitr import former_servers, own_engine, server_rollback
from ansible.module_utils.pmsops.pitr.run import Protection
from ansible.module_utils.pmsops.pitr.server_rollback import ServerRollback
from ansible.module_utils.pmsops.pitr.settings import Settings
from ansible.module_utils.pmsops.pitr.whole_server import WholeServer
from ansible.module_utils.pmsops.postgresql.connection import Database
from ansible.module_utils.pmsops.services import docker_engine
from ansible.module_utils.pmsops.services.manager import Services
from ansible.module_utils.pmsops.verify import queries

SPEC = {
    "database": argument_specs.database(),
    "services": argument_specs.services(),
    "redis": argument_specs.redis(),
    "state": {
        "type": "str",
        "choices": ["restored", "rolled_back", "dropped"],
        "default": "restored",
    },
    "at": {"type": "str"},
    "former": {"type": "str"},
    "engine": {"type": "str", "choices": ["barman", "external"], "default": "barman"},
    "container": {"type": "str", "required": True},
    "image": {"type": "str", "required": True},
    "window_days": {"type": "int", "default": 14},
    "slot_keep_mb": {"type": "int"},
    "canary_seconds": {"type": "int", "default": 300},
    "synchronous": {"type": "bool", "default": False},
    "replace_live": {"type": "bool", "default": False},
    **former_servers.argument_spec(),
    "root": {"type": "path", "required": True},
    "evidence_root": {"type": "path", "required": True},
    "audit": argument_specs.audit(),
    "queries": queries.argument_spec(),
}
REQUIRED = [("state", "restored", ["at"]), ("state", "dropped", ["former"])]


def run(module: AnsibleModule, facts: dict) -> dict:
    """Bring the server back. *facts* receives what is known of a run that fails."""
    params, check = module.params, module.check_mode
    database = Database.from_options(params["database"])
    container, evidence = str(database.container), Path(params["evidence_root"])
    if params["state"] == "dropped":
        wanted = former_servers.chosen(
            former_servers.listed(container), params["former"], container
        )
        dropped = former_servers.drop(container, wanted, check=check)
        return {"changed": True, "server": {}, "dropped": dropped}
    former = None
    if params["state"] == "rolled_back":
        entries = ledger.inspect(evidence).entries
        former = server_rollback.wanted(entries, params["former"], container)
        if not former:
            # Empty: it was done already.
            return {"changed": False, "server": None if former is None else {}, "dropped": []}
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
    protection = Protection(database, settings)
    protection.require_container()
    common = {
        "redis": params["redis"],
        "queries": [queries.Query(**each) for each in params["queries"]],
        "facts": facts,
        "consent": Consent.from_options(params["database"].get("consent"), evidence),
    }
    where = (
        protection,
        Path(params["root"]),
        Services.from_options(params["services"]),
    )
    if former:
        made = ServerRollback(*where, former=former, **common)
    else:
        made = WholeServer(
            *where, asked=params["at"], replace_live=params["replace_live"], **common
        )
    if check:
        return {"changed": True, "server": {"plan": made.plan()}, "dropped": []}
    with docker_engine.refusals():
        made.recorded(evidence)
    if problem := facts.get("cache"):
        module.warn(problem)
    policy = former_servers.Policy.from_options(params)
    dropped = former_servers.drop_due(container, policy, check=False)
    return {"changed": True, "server": facts, "dropped": dropped}


def main() -> None:
    """Hand the arguments to run, and turn its errors into a failed task."""
    module = AnsibleModule(SPEC, supports_check_mode=True, required_if=REQUIRED)
    facts: dict = {}
    try:
        with attended(module), audit.given(module.params["audit"]):
            result = run(module, facts)
    except ENDINGS as exc:
        module.fail_json(msg=str(exc), remedy=exc.remedy, code=exc.code, server=facts)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
