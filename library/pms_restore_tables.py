#!/usr/bin/python
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: pms_restore_tables
short_description: Restore single tables of a backup set into a schema, or in place
description:
  - Restores the tables into a staging database, hypertables with all their chunks, compares their
    rows with the manifest, and copies them into the live database.
  - They bring all that belongs to them, which is keys, defaults, identity, sequences, constraints,
    indexes, triggers, policies, rights, comments, statistics and partitions. A hypertable arrives
    as a plain table.
  - With O(into) the live tables are not touched. With O(in_place) the restored tables take the
    names of the live ones, which are kept in a schema of their own.
  - One transaction restores all tables, or none.
  - With O(only) the live database is compared with the set first. The tables that differ are put in
    place, hypertables by the chunks that differ; at the end the whole database is proved.
author: Operations team (@ops)
extends_documentation_fragment: [pmsops.database, pmsops.audit]
attributes:
  check_mode:
    description: Runs the whole preflight, and returns which tables would be restored.
    support: full
  diff_mode:
    description: New tables have no earlier state.
    support: none
  idempotent:
    description: >-
      A second run with O(into) is refused, since the tables exist. One with O(only) or
      O(rolled_back) changes nothing.
    support: partial
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
    description: A set's folder, its dump, or a bare dump; the newest set by default.
    type: path
  tables:
    description: >-
      The tables, as C(schema.table); C(public.) may be omitted.
      With O(only), the only ones that are brought, where they differ.
    type: list
    elements: str
  only:
    description:
      - V(different) compares the live database with the set, and brings the tables that differ in
        place of the live ones, which are kept. It takes them from the warm copy of the set, if
        there is one.
      - What differs and is no table stays, and RV(left) names it. So does a table that the set
        lacks.
      - A table that was written to since the comparison refuses the exchange.
      - If O(database) demands a second person, the plan has to be approved.
    type: str
    choices: [different]
  rolled_back:
    description:
      - Undo the last exchange of tables, if no restore of a whole database came after it. RV(last)
        tells whether that is so.
    type: bool
    default: false
  drop_former:
    description:
      - Drop these schemas of tables that were replaced earlier, V(all) for all of them, and restore
        nothing. RV(dropped) names them.
    type: list
    elements: str
  into:
    description:
      - The schema to restore them into, created if it is missing.
      - Foreign keys to tables that are not restored are left out, and named in RV(left_out).
    type: str
  in_place:
    description:
      - Put the tables in the place of the live ones. A table that was dropped is put back, with the
        foreign keys to it.
      - Foreign keys of other tables and views follow the name. A hypertable is one again. Refused
        for a hypertable that is compressed, or that a continuous aggregate or a job needs, for a
        partition, and for a table that something else depends on, such as a materialized view.
    type: bool
    default: false
  evidence_root:
    description: Folder of the ledger, which gets a line of tables that were put in place.
    type: path
  jobs:
    description: Processes of pg_restore.
    type: int
    default: 2
  trust:
    description: Id of one more key whose sets are accepted.
    type: str
  identity:
    description: Identity file of age, for an encrypted set.
    type: path
  force_name:
    description: Accept a set of a database with another name.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Look at the positions of last night
  pms_restore_tables:
    database: "{{ pms_database }}"
    root: /var/backups/pms
    keys: /etc/pms-ops/keys
    file: /var/backups/pms/2026-11-22_2215
    tables: [portfolio_positions, market_data]
    into: last_night

- name: Bring what differs from the newest set
  pms_restore_tables:
    database: "{{ pms_database }}"
    root: /var/backups/pms
    keys: /etc/pms-ops/keys
    only: different

- name: Put back a table that was dropped
  pms_restore_tables:
    database: "{{ pms_database }}"
    root: /var/backups/pms
    keys: /etc/pms-ops/keys
    tables: [portfolio_positions]
    in_place: true
"""

RETURN = r"""
set:
  description: The set's folder, or the bare dump.
  returned: success
  type: str
  sample: /var/backups/pms/2026-11-22_2215
snapshot_at:
  description: The moment of the database that the set holds; null without a manifest.
  returned: success
  type: str
  sample: "2026-11-22T22:15:01.678878Z"
into:
  description: The schema, null for tables in place.
  returned: success
  type: str
  sample: last_night
left_out:
  description: Foreign keys to tables that are not restored, which O(into) leaves out.
  returned: success
  type: list
  elements: str
  sample: ["deal_desk_fkey of deal to public.desk"]
former_schema:
  description: With O(in_place), the schema that the replaced tables are kept in.
  returned: success
  type: str
  sample: pms_ops_before_20261122221530
different:
  description:
    - With O(only), the tables that are brought. Rows are null where a side lacks the table; chunks
      are those that are exchanged, none where the table comes as a whole.
  returned: with O(only)
  type: list
  elements: dict
  sample:
    - table: public.fills
      rows: 0
      rows_in_set: 50
      chunks: []
      text: "public.fills: 0 rows, 50 in the set (contents: has 0 rows, not 50)"
left:
  description: With O(only), what differs and stays as it is, a line each.
  returned: with O(only)
  type: list
  elements: str
  sample: ["functions: public.guard() has definition ..."]
sequences_ahead:
  description: With O(only), sequences that are ahead of those of the set, which harms nothing.
  returned: with O(only)
  type: list
  elements: str
  sample: ["public.md_id_seq"]
source:
  description: With O(only), the warm copy that the tables come from, or the set's files.
  returned: with O(only)
  type: str
  sample: macro_trading__warm_20261130021500
proved:
  description: With O(only), what the proof at the end covers; null if nothing was brought.
  returned: with O(only)
  type: str
  sample: 311 tables and chunks, and every object, equal the set
written_since:
  description: With O(only), what clients changed elsewhere since the comparison.
  returned: with O(only)
  type: list
  elements: str
  sample: []
last:
  description: With O(rolled_back), whether tables were exchanged last.
  returned: with O(rolled_back)
  type: bool
  sample: true
rolled_back:
  description: With O(rolled_back), the schema whose tables have their names again; null for none.
  returned: with O(rolled_back)
  type: str
  sample: pms_ops_before_20261122221530
consent:
  description:
    - The plan that a second person has to approve, as in M(pms_restore). Null where none is
      demanded.
  returned: with O(only) or O(rolled_back), in check mode
  type: dict
  sample: {"sha256": "4b", "lines": ["system: prod"], "command": "pms-ops approve 4b"}
former:
  description: The tables that were replaced, by their present names.
  returned: success
  type: list
  elements: str
  sample: ["pms_ops_before_20261122221530.portfolio_positions"]
undo:
  description: With O(in_place), the SQL that gives the replaced tables their names again. The
    restored tables then stay in a schema of their own.
  returned: success
  type: str
  sample: SET ROLE "pms_restore"; CALL "pms_ops_before_20261122221530".undo()
dropped:
  description: With O(drop_former), the schemas that were dropped, or would be, with size and age.
  returned: with O(drop_former)
  type: list
  elements: dict
  sample:
    - schema: pms_ops_before_20261122221530
      bytes: 81920
      since: "2026-11-22T22:15:30+00:00"
former_bytes:
  description: Size of the tables that were replaced.
  returned: success
  type: int
  sample: 81920
notes:
  description: What the set has around a dropped table and does not come back with it.
  returned: success
  type: list
  elements: str
  sample: ["View public.dear of the set is missing, and stays so."]
tables:
  description: Name and rows of each table. In check mode the rows are null without a manifest, and
    those of a hypertable also with one of schema 1 or 2.
  returned: success
  type: list
  elements: dict
  sample: [{"name": "public.portfolio_positions", "rows": 41}]
negative_control:
  description:
    - The row that was changed so that the proof of the tables had to find it, as in M(pms_restore).
    - Null of a bare dump, whose rows are not compared.
  returned: success
  type: dict
  sample: {outcome: found, seed: 28824, table: public.fund, kind: deleted row}
phases:
  description: Seconds of each phase.
  returned: success
  type: dict
  sample: {"data": 0.4, "copy": 0.2}
remedy:
  description: The operator's next step.
  returned: failure
  type: str
  sample: Give another schema with -e into=...
code:
  description: The error's stable name, as listed in docs/ERRORS.md.
  returned: failure
  type: str
  sample: restore.into-taken
"""

from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.pmsops.approvals.consent import Consent
from ansible.module_utils.pmsops.common import argument_specs, timestamps
from ansible.module_utils.pmsops.common.caller import attended
from ansible.module_utils.pmsops.common.errors import ENDINGS, BrokenProofError, OpsError
from ansible.module_utils.pmsops.common.progress import Progress
from ansible.module_utils.pmsops.evidence import audit, ledger, restores
from ansible.module_utils.pmsops.postgresql.connection import Database
from ansible.module_utils.pmsops.restore import (
    former_tables,
    single_tables,
    swap_record,
    tables_rollback,
)
from ansible.module_utils.pmsops.restore.only_different import OnlyDifferent
from ansible.module_utils.pmsops.restore.request import Request
from ansible.module_utils.pmsops.services import docker_engine


def argument_spec() -> dict:
    """Return the options."""
    return {
        "database": argument_specs.database(),
        "root": {"type": "path", "required": True},
        "keys": {"type": "path", "required": True, "no_log": False},
        "file": {"type": "path"},
        "tables": {"type": "list", "elements": "str"},
        "drop_former": {"type": "list", "elements": "str"},
        "only": {"type": "str", "choices": ["different"]},
        "rolled_back": {"type": "bool", "default": False},
        "into": {"type": "str"},
        "in_place": {"type": "bool", "default": False},
        "evidence_root": {"type": "path"},
        "audit": argument_specs.audit(),
        "jobs": {"type": "int", "default": 2},
        "trust": {"type": "str"},
        "identity": {"type": "path"},
        "force_name": {"type": "bool", "default": False},
    }


def run(module: AnsibleModule) -> dict:
    """Restore the tables, or say which would be restored."""
    params = module.params
    if params["drop_former"]:
        return dropped(module)
    if params["rolled_back"]:
        return rolled_back(module)
    if params["only"] and not (params["into"] or params["in_place"]):
        return brought(module)
    if not params["tables"] or params["only"]:
        raise OpsError(
            "Nothing says which tables to restore, or two things do.",
            "Give tables= with into= or in_place=true; or only=different, with neither.",
            code="restore.into-or-in-place",
        )
    if bool(params["into"]) == params["in_place"]:
        raise OpsError(
            "Tables go either into a schema or in place.",
            "Give into= with a schema, or in_place=true to replace the live tables.",
            code="restore.into-or-in-place",
        )
    database, request = Database.from_options(params["database"]), asked(params)
    wanted = single_tables.TableRequest.parse(params["tables"], params["into"] or None)
    if module.check_mode:
        return {"changed": True} | single_tables.plan(database, request, wanted)
    with docker_engine.refusals():
        progress = Progress(request.progress_file)
        result = single_tables.run(database, request, wanted, progress=progress)
    for warning in result.pop("warnings"):
        module.warn(warning)
    return {"changed": True} | result


def asked(params: dict) -> Request:
    """Return the request that the options describe."""
    return Request(
        root=Path(params["root"]),
        keys=Path(params["keys"]),
        file=Path(params["file"]) if params["file"] else None,
        jobs=params["jobs"],
        trust=params["trust"] or None,
        evidence=Path(params["evidence_root"]) if params["evidence_root"] else None,
        identity=Path(params["identity"]) if params["identity"] else None,
        force_name=params["force_name"],
        keep=bool(params["only"]),  # a warm copy of the set may be used
    )


def brought(module: AnsibleModule) -> dict:
    """Bring the tables that differ, or say which would be brought."""
    params = module.params
    request = asked(params)
    progress = Progress() if module.check_mode else Progress(request.progress_file)
    one = OnlyDifferent(
        Database.from_options(params["database"]),
        request,
        progress,
        params["tables"] or (),
        Consent.from_options(params["database"].get("consent"), params["evidence_root"]),
    )
    with docker_engine.refusals():
        result = one.plan() if module.check_mode else one.run()
    for warning in result.pop("warnings"):
        module.warn(warning)
    return result


def rolled_back(module: AnsibleModule) -> dict:
    """Undo the last exchange of tables, or say what would be undone."""
    params = module.params
    act = tables_rollback.plan if module.check_mode else tables_rollback.run
    result = act(
        Database.from_options(params["database"]),
        Path(params["root"]),
        Path(params["evidence_root"]) if params["evidence_root"] else None,
        Consent.from_options(params["database"].get("consent"), params["evidence_root"]),
    )
    for warning in result.pop("warnings", []):
        module.warn(warning)
    return result


def dropped(module: AnsibleModule) -> dict:
    """Drop schemas of former tables, or say which would be dropped."""
    params, check = module.params, module.check_mode
    database = Database.from_options(params["database"])
    found = former_tables.drop(database, params["drop_former"], only_plan=check)
    if found and params["evidence_root"] and not check:
        record = {restores.TABLES: [], restores.DROPPED: [each["schema"] for each in found]}
        record |= swap_record.of_root(Path(params["root"]))
        ledger.append(Path(params["evidence_root"]), "restore", record, now=timestamps.now())
    return {"changed": bool(found), "dropped": found}


def main() -> None:
    """Hand the arguments to run, and turn its errors into a failed task."""
    module = AnsibleModule(
        argument_spec(),
        mutually_exclusive=[("tables", "drop_former"), ("only", "drop_former")],
        supports_check_mode=True,
    )
    try:
        with attended(module), audit.given(module.params["audit"]):
            result = run(module)
    except BrokenProofError as exc:
        module.fail_json(
            msg=str(exc), remedy=exc.remedy, code=exc.code, negative_control=exc.record
        )
    except ENDINGS as exc:
        module.fail_json(msg=str(exc), remedy=exc.remedy, code=exc.code)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
