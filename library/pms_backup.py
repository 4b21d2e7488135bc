#!/usr/bin/python
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: pms_backup
short_description: Make a backup set of the PMS database
description:
  - Dumps the database and exports tables as CSV. Under the same exported snapshot it records roles,
    settings, the definition of every object, and row count and fingerprint of every table.
  - Writes a signed manifest as the last file and renames the set into place, so a visible set is
    complete. A failed run leaves nothing.
  - A file with the content of a file in an earlier set becomes a hard link to it.
  - Then deletes the sets that the retention policy does not keep. The newest set and the newest
    verified set are always kept.
author: Operations team (@ops)
extends_documentation_fragment: [pmsops.database, pmsops.redis]
attributes:
  check_mode:
    description: Returns what would be dumped, its estimated size, and the sets to be deleted.
    support: full
  diff_mode:
    description: Shows the sets before and after.
    support: full
  idempotent:
    description: Each run makes a new set.
    support: none
options:
  root:
    description: Folder of the backup sets. Created with mode 0700 if it is missing.
    type: path
    required: true
  keys:
    description: Folder of the signing key and the trusted keys. Created at first use.
    type: path
    required: true
  format:
    description:
      - V(directory) is dumped in parallel and shares unchanged tables with earlier sets.
      - V(custom) is a single file, dumped by one process.
    type: str
    choices: [directory, custom]
    default: directory
  jobs:
    description: Processes of pg_dump; only with O(format=directory).
    type: int
    default: 2
  compression:
    description:
      - Compression as pg_dump spells it, V(zstd:1) for example. By default zstd level 1 if the
        client tools support it, else gzip level 1.
    type: str
  tables:
    description: Tables to export as CSV too, with C(schema.) unless it is C(public).
    type: list
    elements: str
    default: []
  api_url:
    description: Base URL of the PMS. Its state over HTTP is written to application.json.
    type: str
  canary:
    description: First write a row to C(pms_ops.canary), which a drill checks.
    type: bool
    default: true
  trial:
    description:
      - V(schema) restores the schema and the constraints of each set into a scratch database on
        the same server, without rows, and drops it again. It also looks for rows that a restore
        would refuse. RV(trial), the manifest and the warnings name them; the set is kept.
      - A server without room for it (disk, connections, workers) is left alone, and RV(trial) says
        so.
      - V(none) leaves it out.
    type: str
    choices: [schema, none]
    default: schema
  statistics:
    description:
      - Whether the set has the planner's statistics, so that a restore need not analyze tables.
        They are samples of the rows, and no proof reads them.
      - V(auto) dumps them from PostgreSQL 18 or newer with a pg_dump of 18 or newer. V(always)
        refuses where that is not so. V(never) leaves them out.
    type: str
    choices: [auto, always, never]
    default: never
  recipients:
    description:
      - Public keys to encrypt the set to, of age (V(age1...)) or SSH. This machine does not need
        the private keys.
      - An encrypted set is one stream. One process dumps it, and it shares no files with earlier
        sets.
    type: list
    elements: str
    default: []
  metrics:
    description:
      - Folder of node_exporter's textfile collector. After each run, also a failed one,
        C(pms_backup.prom) is written there. Without it no metrics are written.
    type: path
  metrics_system:
    description: The label C(system) of the metrics. Without it the name of the database.
    type: str
  max_shared:
    description:
      - How many sets share one unchanged file at most. The next set keeps a file of its own, so
        that a damaged one is not in every set. V(0) sets no limit.
    type: int
    default: 7
  parts:
    description:
      - What surrounds the database and goes into the set, each at a moment of its own. V(databases)
        refers to O(other_sets), V(redis) is the morning packs, V(compose) the Compose files with
        what they name, V(grafana) what the service of Grafana mounts.
      - What cannot be read never fails a backup. RV(parts) and the warnings say what is not in the
        set.
      - Without O(recipients), a file that holds a secret is left out and named.
    type: list
    elements: str
    choices: [databases, redis, grafana, compose]
    default: []
  compose_project:
    description: The Compose project whose files go into the set.
    type: str
  grafana_service:
    description: The project's service of Grafana.
    type: str
    default: grafana
  other_sets:
    description:
      - The id of the set that this run made of each other database; empty if that failed.
      - Retention keeps such a set as long as the one that refers to it.
    type: dict
    default: {}
  keep_last:
    description: Number of newest sets to keep.
    type: int
    default: 7
  keep_daily:
    description: Number of days of which the newest set is kept.
    type: int
    default: 14
  keep_weekly:
    description: Number of ISO weeks of which the newest set is kept.
    type: int
    default: 8
  keep_monthly:
    description: Number of months of which the newest set is kept.
    type: int
    default: 12
"""

EXAMPLES = r"""
- name: Back the database up before a release
  pms_backup:
    database: "{{ pms_database }}"
    root: /var/backups/pms
    keys: /etc/pms-ops/keys
    tables: [portfolio_positions, decision_journal]
"""

RETURN = r"""
set:
  description: Folder of the new set; null in check mode.
  returned: success
  type: str
  sample: /var/backups/pms/2026-11-22_0600
id:
  description: Name of the new set; null in check mode.
  returned: success
  type: str
  sample: 2026-11-22_0600
size_bytes:
  description: Size of the set's files; in check mode an estimate.
  returned: success
  type: int
  sample: 47123568
new_bytes:
  description: Bytes that the set added to the disk; shared files are not counted.
  returned: success
  type: int
  sample: 61479
saved_bytes:
  description: Bytes shared with earlier sets.
  returned: success
  type: int
  sample: 47062090
rows:
  description: Rows in the set.
  returned: success
  type: int
  sample: 1105418
tables:
  description: Tables, partitions and chunks that hold rows.
  returned: success
  type: int
  sample: 46
duration_seconds:
  description: Seconds from the start to the rename.
  returned: success
  type: float
  sample: 1.4
snapshot_at:
  description: Time of the snapshot.
  returned: success
  type: str
  sample: "2026-11-22T06:00:01.678878Z"
phases:
  description: Seconds of each phase.
  returned: success
  type: dict
  sample: {"dump and fingerprint": 1.267, "checksums": 0.04}
manifest_sha256:
  description: SHA-256 of the manifest; the evidence refers to the set by it.
  returned: success
  type: str
  sample: 53d1a83fcbd888c8a90df052244f2d7e7addd9318fb2a35ab79c6bad3dba9d4e
trial:
  description:
    - Whether the set would restore. C(status) is V(passed), V(refused), V(not run) or
      V(off); C(reason) says why all or a part of it was not run. C(findings) name at
      most 100 objects, what is wrong with each, and the remedy; C(count) counts all.
      C(deviations) are lines about what a restored copy has otherwise.
  returned: when a set was made
  type: dict
  sample:
    status: refused
    reason: null
    count: 1
    findings:
      - object: TABLE public.valuations
        what: 12 rows of column price are null, and the restored column takes no nulls.
        remedy: Set the values, or ALTER TABLE public.instruments ALTER COLUMN price DROP NOT NULL.
    deviations: []
    seconds: 1.7
statistics:
  description: Whether the set has the planner's statistics.
  returned: when a set was made
  type: bool
  sample: true
versions:
  description: Versions of server and pg_dump, to the minor.
  returned: success
  type: dict
  sample: {"server": "17.12", "pg_dump": "17.12"}
removed:
  description: Sets that retention deleted, or would delete.
  returned: success
  type: list
  elements: str
  sample: ["2026-11-01_0600"]
cleaned:
  description: Leftovers of killed runs that were removed.
  returned: success
  type: list
  elements: str
  sample: [".partial-2026-11-21_0600"]
losses:
  description: Values that queries show and the dump does not carry, each with table, column, rows,
    chunks and remedy. A restore of the set fails by these names.
  returned: when the set was made
  type: list
  elements: dict
  sample:
    - table: public.md
      column: q
      rows: 503
      chunks: [_timescaledb_internal._hyper_1_1_chunk]
      what: "public.md: column q of 503 rows in 1 compressed chunks has its value (7) from ..."
      remedy: "Decompress and compress the chunks again: ..."
not_restored:
  description: What the database has and no restore of the set brings back, a line each.
  returned: when the set was made
  type: list
  elements: str
  sample: ["indexes: public.by_name is invalid, and pg_dump leaves it out; ..."]
parts:
  description: What surrounds the database, and whether it is in the set, a line each.
  returned: when the set was made
  type: list
  elements: str
  sample:
    - "compose: 3 files of 2026-11-22T06:00:04Z"
    - "redis: NOT TAKEN, Redis at 127.0.0.1:6379 did not answer: TimeoutError."
shrunk:
  description: What the set has lost against the set before, which is held for it, a line each.
  returned: when the set was made
  type: list
  elements: str
  sample: ["table public.trades has 1 rows of 5001"]
warnings:
  description: Problems that do not affect the set.
  returned: when there are any
  type: list
  elements: str
  sample: ["The PMS did not give: journal: HTTP 500"]
remedy:
  description: The operator's next step.
  returned: failure
  type: str
  sample: Free space there, or set backup_root to a larger disk.
code:
  description: The error's stable name, as listed in docs/ERRORS.md.
  returned: failure
  type: str
  sample: disk.full
"""

import time
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.pmsops.backup import run as backup
from ansible.module_utils.pmsops.backup.settings import Settings
from ansible.module_utils.pmsops.common import argument_specs
from ansible.module_utils.pmsops.common.caller import attended
from ansible.module_utils.pmsops.common.errors import ENDINGS
from ansible.module_utils.pmsops.common.progress import Progress
from ansible.module_utils.pmsops.postgresql.connection import Database
from ansible.module_utils.pmsops.repository import metrics as backup_metrics
from ansible.module_utils.pmsops.repository import set_parts, sets, warm_note
from ansible.module_utils.pmsops.services import docker_engine


def argument_spec() -> dict:
    """Return the options."""
    return {
        "database": argument_specs.database(),
        "root": {"type": "path", "required": True},
        "keys": {"type": "path", "required": True, "no_log": False},
        "format": {"type": "str", "choices": ["directory", "custom"], "default": "directory"},
        "jobs": {"type": "int", "default": 2},
        "compression": {"type": "str"},
        "tables": {"type": "list", "elements": "str", "default": []},
        "api_url": {"type": "str"},
        "canary": {"type": "bool", "default": True},
        "trial": {"type": "str", "choices": ["schema", "none"], "default": "schema"},
        "statistics": {"type": "str", "choices": ["auto", "always", "never"], "default": "never"},
        "recipients": {"type": "list", "elements": "str", "default": []},
        "metrics": {"type": "path"},
        "metrics_system": {"type": "str"},
        "max_shared": {"type": "int", "default": 7},
        "redis": argument_specs.redis(),
        "parts": {
            "type": "list",
            "elements": "str",
            "choices": list(set_parts.TAKEN),
            "default": [],
        },
        "compose_project": {"type": "str"},
        "grafana_service": {"type": "str", "default": "grafana"},
        "other_sets": {"type": "dict", "default": {}},
        "keep_last": {"type": "int", "default": 7},
        "keep_daily": {"type": "int", "default": 14},
        "keep_weekly": {"type": "int", "default": 8},
        "keep_monthly": {"type": "int", "default": 12},
    }


def run(module: AnsibleModule, settings: Settings) -> dict:
    """Make the set; in check mode, return what would be made."""
    database = Database.from_options(module.params["database"])
    before = [path.name for path in sets.listed(settings.root)]
    if module.check_mode:
        planned = backup.plan(database, settings)
        after = [*(name for name in before if name not in planned["removed"]), "(a new set)"]
        result = {
            "set": None,
            "id": None,
            "size_bytes": planned["estimated_bytes"],
            "tables": planned["tables"],
            "versions": planned["versions"],
            "removed": planned["removed"],
        }
    else:
        with docker_engine.refusals():
            result = backup.run(database, settings, progress=Progress(settings.progress_file))
        for warning in result.pop("warnings"):
            module.warn(warning)
        after = [path.name for path in sets.listed(settings.root)]
    diff = {"before": "\n".join(before) + "\n", "after": "\n".join(after) + "\n"}
    return {"changed": True, "diff": diff} | result


def publish(module: AnsibleModule, settings: Settings, reason: str, began: float) -> None:
    """Write the metrics; that they cannot be written never fails a backup."""
    if module.check_mode or not module.params["metrics"]:
        return
    folder, database = Path(module.params["metrics"]), module.params["database"]["name"]
    system = module.params["metrics_system"] or database
    try:
        backup_metrics.publish(
            folder,
            settings.root,
            database,
            reason=reason,
            duration_seconds=time.monotonic() - began,
            system=system,
        )
        warm_note.publish(folder, settings.root, database, system=system)
    except OSError as exc:
        module.warn(f"The metrics were not written: {exc}")


def main() -> None:
    """Hand the arguments to run, and turn its errors into a failed task."""
    module = AnsibleModule(argument_spec(), supports_check_mode=True)
    settings, began = Settings.from_options(module.params), time.monotonic()
    try:
        with attended(module):
            result = run(module, settings)
    except ENDINGS as exc:
        publish(module, settings, exc.code, began)
        module.fail_json(msg=str(exc), remedy=exc.remedy, code=exc.code)
    publish(module, settings, "ok", began)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
