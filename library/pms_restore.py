#!/usr/bin/python
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: pms_restore
short_description: Restore a backup set into a staging database and prove it
description:
  - Checks signature and files, creates a staging database, restores into it in phases, and compares
    every object and every row with the manifest. The live database is not touched.
  - If the staging database differs, it is dropped, and the task fails and names each difference.
  - After a successful proof the set is marked as verified (C(verified.json)).
author: Operations team (@ops)
extends_documentation_fragment:
  - pmsops.database
  - pmsops.queries
  - pmsops.services
  - pmsops.audit
attributes:
  check_mode:
    description: Runs the whole preflight, and returns what would be created and how long it takes.
    support: full
  diff_mode:
    description: A staging database has no earlier state.
    support: none
  idempotent:
    description: Each run creates its own staging database.
    support: none
options:
  root:
    description: Folder of the backup sets; locks and journals are kept below it.
    type: path
    required: true
  keys:
    description: Folder of the keys whose sets are trusted.
    type: path
    required: true
  file:
    description:
      - A set's folder, its dump, or a bare dump of C(pg_dump -Fc) without a manifest.
      - The newest set by default.
    type: path
  keep:
    description:
      - Keep the proved staging database for M(pms_swap).
      - Otherwise it is dropped after its proof, which makes the run a drill.
    type: bool
    default: false
  keep_warm:
    description:
      - Keep the proved database of a drill as a warm copy, closed to everybody, if the server's
        disk has room for twice the database and a tenth more; RV(notes) say if it has not. The
        warm copy before it is dropped once this one is proved; that of the newest checkpoint stays.
      - A restore of the same set then proves the copy again in place of a load. With
        V(false), a drill leaves no warm copy.
      - O(keep) ignores it.
    type: bool
    default: false
  fresh:
    description:
      - Load the set from its files, even if the server has a warm copy of it or a former database
        that equals it.
    type: bool
    default: false
  metrics:
    description: Folder for Prometheus's textfile collector; C(pms_warm_copy.prom) is written there.
    type: path
  metrics_system:
    description: The label C(system) of the metrics. Without it the name of the database.
    type: str
  jobs:
    description: Processes of pg_restore.
    type: int
    default: 2
  trust:
    description: Id of one more key whose sets are accepted.
    type: str
  evidence_root:
    description:
      - Folder of the ledger; the sets that it knows and the disk has not are named.
      - With O(keep), a restore that fails is added to it. M(pms_swap) adds one that succeeds.
    type: path
  identity:
    description: Identity file of age, for an encrypted set.
    type: path
  force_name:
    description: Accept a set of a database with another name.
    type: bool
    default: false
  create_roles:
    description: Create missing roles as the set's globals.sql describes them.
    type: bool
    default: false
  without_extensions:
    description:
      - Extensions to leave out, because the server lacks them, or because they may exist in one
        database of a server only, such as pg_cron. Their rows are in plain tables of the
        schema C(pms_ops_extension_NAME) then.
    type: list
    elements: str
    default: []
  role_passwords:
    description:
      - Passwords by role; no set has one. With O(keep) or O(create_roles) each login role of the
        set that has no password is given its own, one that an earlier run made, too. A role that
        has a password keeps it.
    type: dict
    default: {}
  unless_same:
    description:
      - If the live database already matches the set, object by object and row by row, do nothing.
        A database that cannot be read does not match.
    type: bool
    default: false
  shown:
    description: Differences to name of each kind; the others are counted.
    type: int
    default: 10
  counted:
    description: Tables whose rows are counted in check mode, to estimate what a restore would lose.
    type: list
    elements: str
    default: []
  keep_former:
    description:
      - As in M(pms_swap), with O(services), O(slots), O(keep_former_days) and O(probe_writes). They
        are terms of the plan that a second person approves, if O(database.consent) demands it.
    type: int
    default: 0
  keep_former_days:
    description: As in M(pms_swap).
    type: int
    default: 0
  probe_writes:
    description: As in M(pms_swap).
    type: bool
    default: false
  slots:
    description:
      - What becomes of the live database's logical replication slots, which cannot follow its name
        to another database. In any case each consumer has to read all tables again.
      - V(refuse) refuses a restore with O(keep) before anything is changed.
      - V(drop) drops them once the PMS works on the new live database.
      - V(recreate) then also makes new ones of the same names and plugins on the new live database.
    type: str
    choices: [refuse, drop, recreate]
    default: refuse
"""

EXAMPLES = r"""
- name: Prove that the newest set restores
  pms_restore:
    database: "{{ pms_database }}"
    root: /var/backups/pms
    keys: /etc/pms-ops/keys
"""

RETURN = r"""
consent:
  description:
    - The plan that a second person has to approve, with its hash and the command for it. Null where
      O(database.consent) demands none.
  returned: in check mode
  type: dict
  sample: {"sha256": "4be1c0", "lines": ["operation: swap"], "command": "pms-ops approve 4be1c0"}
set:
  description: The set's folder, or the bare dump.
  returned: success
  type: str
  sample: /var/backups/pms/2026-11-22_0600
id:
  description: Name of the set.
  returned: success
  type: str
  sample: 2026-11-22_0600
side:
  description: The staging database that was kept, in check mode its name; null if there is none.
  returned: success
  type: str
  sample: macro_trading__restore_20261123023709
warm_used:
  description: The warm copy that was proved again in place of a load, or the former database that
    equals the set; null if neither. In check mode the warm copy that would be.
  returned: success
  type: str
  sample: macro_trading__warm_20261123023709
warm_kept:
  description: The warm copy that a drill kept; null if it kept none, and in check mode.
  returned: success
  type: str
  sample: macro_trading__warm_20261123023709
objects_sha256:
  description:
    - SHA-256 of every object as the proof read it; null without a manifest, and in check mode. Two
      proofs of one copy have the same.
  returned: success
  type: str
  sample: c92bff0aef069de54eebbe09a63fec09553c3d50962e1a514abe94b0487afbd7
verified:
  description: What the proof covered.
  returned: success
  type: str
  sample: signature, every file, every object and every row
tables:
  description: Number of tables compared; in check mode null without a manifest.
  returned: success
  type: int
  sample: 47
rows:
  description: Number of rows compared; in check mode null without a manifest.
  returned: success
  type: int
  sample: 5105418
canary:
  description: Whether the row written just before the backup was found; null if the set has none.
  returned: success
  type: bool
  sample: true
queries:
  description: For each query its title, the number of rows it returned, and its seconds.
  returned: success
  type: list
  elements: dict
  sample: [{"title": "open positions", "rows": 12, "seconds": 0.004}]
jobs:
  description: Background jobs that are held until the staging database goes live.
  returned: success
  type: list
  elements: int
  sample: [1000, 1001]
formula:
  description: Formula of the fingerprints that were compared, null without a manifest. 3 covers
    every row as queries read it and every kind of object; 1 and 2, of sets of older releases,
    cover rows as they are stored.
  returned: success
  type: int
  sample: 3
not_restored:
  description: What the backup had and no restore of the set brings back, a line each.
  returned: success
  type: list
  elements: str
  sample: ["index public.by_name is invalid in the backup, and no restore brings it back"]
negative_control:
  description:
    - The negative control, in which the proof shows that it can fail. After the proof, one row of a
      table chosen at random is changed in a transaction on the staging database; the comparison has
      to name exactly that table; the transaction is rolled back, and the table compared again.
    - C(outcome) is V(found), V(nothing to change) where all tables are empty, or V(not possible)
      with the reasons in C(refused). A failed run has V(not found) or V(not undone).
    - C(seed) of the choices, C(table), C(kind) of the change, C(column_type) (null for a row),
      the tables that were C(named), and C(seconds). No value of a row is recorded.
  returned: outside check mode, and when the proof is broken (code C(proof.broken))
  type: dict
  sample:
    outcome: found
    seed: 2882400001
    table: public.risk_limits
    kind: flipped float bit
    column_type: double precision
    named: [public.risk_limits]
    refused: []
    seconds: 0.021
notes:
  description: What could not be checked, or will differ from the recorded state.
  returned: success
  type: list
  elements: str
  sample: []
phases:
  description: Seconds of each phase.
  returned: success
  type: dict
  sample: {"data": 4.0, "prove": 1.6}
duration_seconds:
  description: All phases together, in check mode an estimate.
  returned: success
  type: float
  sample: 8.3
duration_today_seconds:
  description: The duration scaled to the size of the live database; null if there is none.
  returned: success
  type: float
  sample: 8.9
snapshot_at:
  description: The moment of the database that the set holds; null without a manifest.
  returned: success
  type: str
  sample: "2026-11-22T06:00:01.678878Z"
rpo_seconds:
  description: How old that moment was when the run began.
  returned: success
  type: float
  sample: 1796.5
system_identifier:
  description: The system identifier of the server that the set was made from.
  returned: success
  type: str
  sample: "7711169040529666066"
manifest_sha256:
  description: SHA-256 of the manifest, which identifies the set in evidence.
  returned: success
  type: str
  sample: c92bff0aef069de54eebbe09a63fec09553c3d50962e1a514abe94b0487afbd7
size_bytes:
  description: Size of the database when the set was made.
  returned: success
  type: int
  sample: 523089587
former:
  description: Former and rolled-back databases on the server.
  returned: in check mode
  type: list
  elements: str
  sample: ["macro_trading__before_20261122060000"]
lost:
  description: What the live database would lose; null if there is none.
  returned: in check mode
  type: str
  sample: >-
    everything committed after 2026-11-22T06:00:01Z, the last 30 minutes: at least 3 rows of
    portfolio_positions
live_exists:
  description: Whether there is a live database.
  returned: in check mode
  type: bool
  sample: true
slots:
  description:
    - What would become of the logical slots of the live database. Each with C(name), C(plugin),
      C(outcome) (the value of O(slots)) and C(text).
  returned: in check mode
  type: list
  elements: dict
  sample: [{"name": "cdc", "plugin": "pgoutput", "outcome": "drop", "text": "cdc (pgoutput, idle)"}]
prepared_transactions:
  description: The prepared transactions of the live database, which refuse a restore with O(keep).
  returned: in check mode
  type: list
  elements: str
  sample: ["'order-7' of macro_user since 2026-11-22T06:00:00Z"]
subscriptions:
  description: The subscriptions of the live database, which stay with the former database.
  returned: in check mode
  type: list
  elements: str
  sample: []
errors:
  description: A row with C(object) and C(error) for each error of pg_restore.
  returned: when pg_restore failed
  type: list
  elements: dict
  sample: [{"object": "TABLE public t owner", "error": "role \"owner\" does not exist"}]
set:
  description: Name of the set, as soon as it was found.
  returned: failure
  type: str
  sample: 2026-11-22_0600
remedy:
  description: The operator's next step.
  returned: failure
  type: str
  sample: Do not restore this set. Take another one.
code:
  description: The error's stable name, as listed in docs/ERRORS.md.
  returned: failure
  type: str
  sample: set.damaged
"""

from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.pmsops.approvals.consent import Consent
from ansible.module_utils.pmsops.common import argument_specs
from ansible.module_utils.pmsops.common.caller import attended
from ansible.module_utils.pmsops.common.errors import (
    ENDINGS,
    BrokenProofError,
    InterruptError,
    OpsError,
)
from ansible.module_utils.pmsops.common.progress import Progress
from ansible.module_utils.pmsops.evidence import audit
from ansible.module_utils.pmsops.postgresql.connection import Database
from ansible.module_utils.pmsops.repository import warm_note
from ansible.module_utils.pmsops.restore import registry, slot_handover, swap_record
from ansible.module_utils.pmsops.restore.pg_restore_errors import RestoreError
from ansible.module_utils.pmsops.restore.plan import plan_restore, result_if_matching
from ansible.module_utils.pmsops.restore.plan_for_approval import Terms, of_swap
from ansible.module_utils.pmsops.restore.request import Request
from ansible.module_utils.pmsops.restore.run import restore_set
from ansible.module_utils.pmsops.services import docker_engine
from ansible.module_utils.pmsops.verify import queries


def argument_spec() -> dict:
    """Return the options."""
    return {
        "database": argument_specs.database(),
        "root": {"type": "path", "required": True},
        "keys": {"type": "path", "required": True, "no_log": False},
        "file": {"type": "path"},
        "keep": {"type": "bool", "default": False},
        "keep_warm": {"type": "bool", "default": False},
        "fresh": {"type": "bool", "default": False},
        "metrics": {"type": "path"},
        "metrics_system": {"type": "str"},
        "jobs": {"type": "int", "default": 2},
        "trust": {"type": "str"},
        "evidence_root": {"type": "path"},
        "audit": argument_specs.audit(),
        "identity": {"type": "path"},
        "force_name": {"type": "bool", "default": False},
        "create_roles": {"type": "bool", "default": False},
        "without_extensions": {"type": "list", "elements": "str", "default": []},
        "role_passwords": {"type": "dict", "default": {}, "no_log": True},
        "slots": {"type": "str", "choices": list(slot_handover.CHOICES), "default": "refuse"},
        "services": argument_specs.services(),
        "probe_writes": {"type": "bool", "default": False},
        "keep_former": {"type": "int", "default": 0},
        "keep_former_days": {"type": "int", "default": 0},
        "unless_same": {"type": "bool", "default": False},
        "shown": {"type": "int", "default": 10},
        "counted": {"type": "list", "elements": "str", "default": []},
        "queries": queries.argument_spec(),
    }


def run(module: AnsibleModule) -> dict:
    """Restore into a staging database and prove it, or say what would be done."""
    params = module.params
    database = Database.from_options(params["database"])
    consent = Consent.from_options(params["database"].get("consent"), params["evidence_root"])

    def plan_for_approval() -> dict:
        """Return the plan of the swap that follows, as the swap finds it."""
        chosen, terms = request.backup_set, Terms.from_options(params)
        return of_swap(consent, database, chosen.id, chosen.manifest_sha256, terms)

    def require_consent() -> None:
        if consent.demanded:
            consent.require(plan_for_approval())

    request = Request(
        root=Path(params["root"]),
        keys=Path(params["keys"]),
        file=Path(params["file"]) if params["file"] else None,
        jobs=params["jobs"],
        trust=params["trust"] or None,
        evidence=Path(params["evidence_root"]) if params["evidence_root"] else None,
        identity=Path(params["identity"]) if params["identity"] else None,
        force_name=params["force_name"],
        create_roles=params["create_roles"],
        without_extensions=tuple(params["without_extensions"]),
        role_passwords=params["role_passwords"],
        keep=params["keep"],
        warm=params["keep_warm"],
        fresh=params["fresh"],
        slots=params["slots"],
        shown=params["shown"],
        queries=tuple(queries.Query(**each) for each in params["queries"]),
        require_consent=require_consent,
    )
    if params["unless_same"] and (matching := result_if_matching(database, request)):
        return {"changed": False} | matching
    if module.check_mode:
        plan = plan_restore(database, request, params["counted"])
        asked = consent.demanded and params["keep"]
        plan["consent"] = consent.shown(plan_for_approval()) if asked else None
        return {"changed": True} | plan
    params["file"] = str(request.backup_set.folder)  # what fails names it
    with docker_engine.refusals():
        result = restore_set(database, request, progress=Progress(request.progress_file))
    if params["metrics"]:
        result["warnings"] += warm_note.publish(
            Path(params["metrics"]),
            request.root,
            database.name,
            system=params["metrics_system"] or database.name,
        )
    for warning in result.pop("warnings"):
        module.warn(warning)
    return {"changed": True} | result


def named(module: AnsibleModule) -> str | None:
    """Return the name of the set, the newest one as soon as it is found."""
    return Path(module.params["file"]).name if module.params["file"] else None


def record_failure(module: AnsibleModule, error: OpsError | InterruptError) -> None:
    """Add a restore that failed to the ledger; a drill is recorded by its role."""
    params = module.params
    if module.check_mode or not params["keep"] or not params["evidence_root"]:
        return
    record = {"set": named(module)} | swap_record.of_root(Path(params["root"]))
    swap_record.refuse(Path(params["evidence_root"]), registry.FORMER, record, error)


def main() -> None:
    """Hand the arguments to run, and turn its errors into a failed task."""
    module = AnsibleModule(argument_spec(), supports_check_mode=True)
    try:
        with attended(module), audit.given(module.params["audit"]):
            try:
                result = run(module)
            except ENDINGS as exc:
                record_failure(module, exc)
                raise
    except BrokenProofError as exc:
        module.fail_json(
            msg=str(exc),
            remedy=exc.remedy,
            code=exc.code,
            set=named(module),
            negative_control=exc.record,
        )
    except RestoreError as exc:
        module.fail_json(
            msg=str(exc), remedy=exc.remedy, code=exc.code, set=named(module), errors=exc.rows
        )
    except ENDINGS as exc:
        module.fail_json(msg=str(exc), remedy=exc.remedy, code=exc.code, set=named(module))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
