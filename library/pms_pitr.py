#!/usr/bin/python
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: pms_pitr
short_description: Protect the database continuously, by base backups and streamed WAL
description:
  - Runs Barman in a container beside the database's container, or for a database on the host as a
    service of systemd with a user of its own. It receives the WAL by streaming, so that any moment
    since the first base backup can be restored.
  - On the server it adds a role with REPLICATION, a physical slot, one line of pg_hba.conf, a table
    for canary rows in database C(postgres), and a bound on the WAL that a slot may keep. The server
    is reloaded, never restarted.
author: Operations team (@ops)
extends_documentation_fragment: [pmsops.database, pmsops.former_servers]
attributes:
  check_mode:
    description: Returns the steps it would take.
    support: full
  diff_mode:
    description: The steps are in RV(actions).
    support: none
  idempotent:
    description: With O(state=backup), each run makes a base backup.
    support: partial
options:
  state:
    description:
      - V(present) adds what is missing, and makes a base backup if there is none.
      - V(absent) takes away what V(present) added. The volumes with the backups stay.
      - V(status) only looks.
      - V(backup) makes a base backup, and checks every file of it.
      - V(maintained) mends what V(present) would add, and a lost slot; makes the base backup that
        is due, a full one each week and an incremental one each day where the server can; and
        deletes what no moment of the window needs. It is for a scheduler.
      - V(proved) recovers a throw-away copy to the moment of a backup set, and compares every
        object and every row of it with the set's manifest.
      - V(expired) deletes the base backups that no moment of the window needs, those whose room the
        stream needs, and former servers that the policy lets go.
    type: str
    choices: [present, absent, status, backup, maintained, proved, expired]
    default: present
  engine:
    description:
      - V(barman) is the engine of pms-ops. With V(external) the server is protected by another one,
        pgBackRest, Barman or WAL-G; then only V(status) can be had.
    type: str
    choices: [barman, external]
    default: barman
  command:
    description:
      - Arguments of the command that prints the JSON of the external engine, such as
        C(pgbackrest info --output=json). It runs on the database's host, without a shell.
    type: list
    elements: str
    default: []
  command_seconds:
    description: Seconds that this command may take.
    type: int
    default: 60
  container:
    description:
      - Name of the container that receives the WAL; on a host of the service, its user and its
        folders.
    type: str
    required: true
  image:
    description: Image with Barman and the client tools of the server's major version.
    type: str
  archive:
    description: On a host, the folder of base backups and WAL; C(/var/lib/NAME) by default.
    type: path
  barman:
    description: On a host, the program of Barman.
    type: str
    default: barman
  barman_comes:
    description: On a host, in check mode, whether Barman will be installed before.
    type: bool
    default: false
  window_days:
    description: Days back to which each moment can be restored.
    type: int
    default: 14
  archive_free_percent:
    description:
      - Share of the archive's disk that stays free. While it is not, V(maintained) and V(expired)
        let the oldest base backups go, and say which. V(0) lets none go before its time.
    type: int
    default: 10
  window_floor_days:
    description: The window is never made shorter than this for the sake of room.
    type: int
    default: 7
  min_full_backups:
    description: So many full base backups stay, whatever the disk says.
    type: int
    default: 2
  slot_keep_mb:
    description:
      - How much WAL the slot may keep on the live disk while the receiver is away, in MB. By
        default a fifth of the free room, and at least 1 GB.
      - A bound that the server has already is kept.
    type: int
  canary_seconds:
    description:
      - Seconds between two canary rows, which the container writes into a table of its own in
        database C(postgres). V(0) writes none.
    type: int
    default: 300
  kind:
    description:
      - Kind of the base backup that V(backup) makes. V(incremental) needs PostgreSQL 17 with
        summarize_wal, and an earlier full one.
    type: str
    choices: [full, incremental]
    default: full
  root:
    description: Folder of the sets. V(proved) needs it. What is seen is noted there.
    type: path
  keys:
    description: Folder of the signing keys. V(proved) needs it.
    type: path
  file:
    description: The set's folder, with V(proved); the newest set by default.
    type: path
  evidence_root:
    description: Folder of the evidence, whose ledger names the newest proof.
    type: path
  metrics:
    description:
      - Folder for the textfile collector of Prometheus' node exporter; C(pms_pitr.prom) is written
        there. Without it no metrics are written.
    type: path
  metrics_system:
    description: The label C(system) of the metrics. Without it the name of the database.
    type: str
  synchronous:
    description:
      - Let each commit wait until its WAL is on the archive's disk, so that none is lost with the
        server. While the receiver is away, nobody can commit then.
    type: bool
    default: false
  purge:
    description: With V(absent), remove the volumes too, with all base backups and WAL.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Protect the database continuously
  pms_pitr:
    database: "{{ pms_database }}"
    container: pms_pitr
    image: pms/barman:17
"""

RETURN = r"""
actions:
  description: The steps that were taken, or would be in check mode.
  returned: success
  type: list
  elements: str
  sample: ["CREATE ROLE \"pms_pitr\" LOGIN REPLICATION PASSWORD (generated)"]
window:
  description: The moments that can be restored, C(gap) and C(problems).
  returned: with V(status)
  type: dict
  sample:
    earliest: "2026-11-15T02:00:07Z"
    latest: "2026-11-29T14:02:11Z"
    received: "2026-11-29T14:02:08Z"
    gap: null
    missing: null
    backups: 16
    newest_backup: "2026-11-29T02:00:09Z"
    problems: []
seen:
  description: The same at a glance, also if a part does not answer and the module fails.
  returned: with V(status), V(present), V(maintained)
  type: dict
  sample:
    at: "2026-11-29T14:02:11Z"
    earliest: "2026-11-15T02:00:07Z"
    latest: "2026-11-29T14:02:11Z"
    lag_seconds: 0.0
    lag_bytes: 0
    slot: reserved
    problems: []
canary:
  description: The newest canary row, and times of the window without one.
  returned: with V(status)
  type: dict
  sample: {newest: "2026-11-29T13:58:02Z", gaps: []}
engine:
  description: Which engine protects the server, with O(engine=external).
  returned: with V(status)
  type: str
  sample: pgbackrest
unprovable:
  description: Why base backups and WAL cannot be proved here; null if they can.
  returned: with V(status)
  type: str
  sample: null
unknown:
  description: Why nobody can say something of C(window), C(stream), C(chain) or C(content), with
    O(engine=external).
  returned: with V(status)
  type: dict
  sample: {}
stream:
  description: The stream as the server sees it; null if the server does not answer.
  returned: with V(status)
  type: dict
  sample: {active: true, slot: reserved, behind_bytes: 0, seconds: 3.1, kept_bytes: 8388608}
former_servers:
  description: What the restores of whole servers replaced, and from when on each may go.
  returned: with V(status)
  type: list
  elements: dict
  sample:
    - {volume: macro_timescaledb_before_20261127180312, container: macro_timescaledb, why: before,
       kept_at: "2026-11-27T18:03:12Z", size_bytes: 1288490188, goes_at: null,
       data_directory: /var/lib/postgresql/data}
backups:
  description: The base backups, oldest first.
  returned: with V(status)
  type: list
  elements: dict
  sample:
    - {id: 20261129T020001, kind: full, status: DONE, ended_at: "2026-11-29T02:00:09+00:00",
       size_bytes: 57743272}
backup:
  description: The base backup that was made.
  returned: with V(backup)
  type: dict
  sample: {id: 20261129T020001, kind: full, size_bytes: 57743272}
proof:
  description: What was compared. C(crossing) are transactions that are in the copy and not in the
    set, because they ran across its snapshot; C(proved) is false if they make rows different. A
    proof that failed returns what it had found out. C(negative_control) is as in M(pms_restore).
  returned: with V(proved)
  type: dict
  sample:
    of: set
    id: 2026-11-29_0115
    moment: "2026-11-29T01:15:03.105418+00:00"
    manifest_sha256: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
    proved: true
    tables: 47
    rows: 5105418
    crossing: 0
    differences: []
    negative_control: {outcome: found, seed: 28824, table: public.fund, kind: deleted row}
    base_backup: 20261129T020001
    wal_bytes: 41943040
    lsn: 0/236FF060
    phases: {"base backup": 3.2, "recovery": 2.1, "comparison": 6.4}
    canary: {before: "2026-11-29T01:14:11Z", after: "2026-11-29T01:19:11Z", warnings: []}
    duration_seconds: 12.2
remedy: {description: The operator's next step., returned: failure, type: str, sample: Wait.}
code: {description: Stable name of the error., returned: failure, type: str, sample: pitr.image}
"""

from contextlib import suppress
from datetime import timedelta
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.pmsops.common import argument_specs, timestamps
from ansible.module_utils.pmsops.common.caller import attended
from ansible.module_utils.pmsops.common.errors import ENDINGS, OpsError
from ansible.module_utils.pmsops.evidence import ledger
from ansible.module_utils.pmsops.pitr import (
    archive_room,
    damage,
    external,
    former_servers,
    overview,
    own_engine,
    proof,
)
from ansible.module_utils.pmsops.pitr.run import Protection
from ansible.module_utils.pmsops.pitr.settings import Settings
from ansible.module_utils.pmsops.postgresql.connection import Database
from ansible.module_utils.pmsops.services import docker_engine

SPEC = {
    "database": argument_specs.database(),
    "state": {
        "type": "str",
        "choices": ["present", "absent", "status", "backup", "maintained", "proved", "expired"],
        "default": "present",
    },
    "engine": {"type": "str", "choices": ["barman", "external"], "default": "barman"},
    "command": {"type": "list", "elements": "str", "default": []},
    "command_seconds": {"type": "int", "default": 60},
    "container": {"type": "str", "required": True},
    "image": {"type": "str"},
    "archive": {"type": "path"},
    "barman": {"type": "str", "default": "barman"},
    "barman_comes": {"type": "bool", "default": False},
    "window_days": {"type": "int", "default": 14},
    "archive_free_percent": {"type": "int", "default": 10},
    "window_floor_days": {"type": "int", "default": 7},
    "min_full_backups": {"type": "int", "default": 2},
    **former_servers.argument_spec(),
    "slot_keep_mb": {"type": "int"},
    "canary_seconds": {"type": "int", "default": 300},
    "kind": {"type": "str", "choices": ["full", "incremental"], "default": "full"},
    "root": {"type": "path"},
    "keys": {"type": "path", "no_log": False},
    "file": {"type": "path"},
    "evidence_root": {"type": "path"},
    "metrics": {"type": "path"},
    "metrics_system": {"type": "str"},
    "synchronous": {"type": "bool", "default": False},
    "purge": {"type": "bool", "default": False},
}
PLACES = ("root", "evidence_root", "metrics")
REQUIRED = [
    ("state", "proved", ["root", "keys"]),
]
# What only the engine of pms-ops can do.
ACTS = {
    "present": "switch it on",
    "absent": "switch it off",
    "backup": "make a base backup",
    "maintained": "maintain it",
    "proved": "prove it",
    "expired": "delete base backups",
}


def run(module: AnsibleModule, facts: dict) -> dict:
    """Bring the protection into the state, and return the steps or what was seen.

    *facts* receives what is returned if it fails too: what a proof has found out, what was seen.
    """
    params = module.params
    keep = params["slot_keep_mb"]
    settings = Settings(
        container=params["container"],
        image=params["image"] or "",
        window_days=params["window_days"],
        keep_bytes=keep << 20 if keep is not None else None,
        canary_seconds=params["canary_seconds"],
        synchronous=params["synchronous"],
        room=archive_room.Policy.from_options(params),
        former=former_servers.Policy.from_options(params),
        root=Path(params["root"]) if params["root"] else None,
        archive=params["archive"] or "",
        barman=params["barman"],
        barman_comes=bool(params["barman_comes"]) and module.check_mode,
    )
    proved = None
    if params["evidence_root"]:
        entries = ledger.inspect(Path(params["evidence_root"])).entries
        proved = archive_room.last_proved(entries)
    database = Database.from_options(params["database"])
    others = params["engine"] == own_engine.EXTERNAL
    if params["state"] in ACTS:
        own_engine.require_own(params["engine"], ACTS[params["state"]])
    check, state = module.check_mode, params["state"]
    place = overview.Place(
        database.name,
        *(Path(params[name]) if params[name] else None for name in PLACES),
        system=params["metrics_system"] or params["database"]["name"],
    )

    def ask() -> dict:
        if others:
            return external.External(
                database, params["command"], params["command_seconds"]
            ).status()
        return Protection(database, settings, proved).status()

    def look() -> dict | OpsError:
        facts["seen"], answer = overview.take(ask, place.before(), timestamps.now())
        if not check:
            place.keep(facts["seen"])
            if place.root and not others and not isinstance(answer, OpsError):
                with suppress(OpsError, OSError):  # it only helps to name a moment later
                    keep = timedelta(days=params["window_days"])
                    damage.remember(database, place.root, keep, timestamps.now())
        return answer

    if state in ("present", "maintained") and database.access != "host" and not settings.image:
        raise OpsError(
            "pitr_image is not set: the engine runs in a container, beside the database's.",
            "Set it to an image with Barman and the client tools of the server's version"
            " (docs/PITR.md).",
            code="pitr.image",
        )
    if state == "status":
        answer = look()
        if isinstance(answer, OpsError):
            raise answer
        return {"changed": False, "actions": []} | answer
    protection = Protection(database, settings, proved)
    if state == "proved":
        protection.require_container()
        if check:
            return {"changed": False, "actions": ["prove the newest set and the WAL by each other"]}
        file = Path(params["file"]) if params["file"] else None
        folders = Path(params["root"]), Path(params["keys"])
        with docker_engine.refusals():
            found = proof.prove(protection, *folders, file, facts.setdefault("proof", {}))
        return {"changed": False, "actions": [], "proof": found}
    if state == "backup":
        step = f"make a base backup ({params['kind']})"
        if check:
            return {"changed": True, "actions": [step]}
        return {"changed": True, "actions": [step], "backup": protection.backup(params["kind"])}
    if state == "maintained":
        try:
            actions = protection.maintain(check=check)
        finally:
            look()
    elif state == "expired":
        actions = protection.expire(check=check)
    elif state == "absent":
        actions = protection.disable(check=check, purge=params["purge"])
        if not check:
            place.forget()
    else:
        actions = protection.enable(check=check)
        look()
    for note in protection.notes:
        module.warn(note)
    return {"changed": bool(actions), "actions": actions}


def main() -> None:
    """Hand the arguments to run, and turn its errors into a failed task."""
    module = AnsibleModule(
        SPEC,
        supports_check_mode=True,
        required_if=REQUIRED,
    )
    facts: dict = {}
    try:
        with attended(module):
            result = run(module, facts)
    except ENDINGS as exc:
        known = {name: each for name, each in facts.items() if each}
        module.fail_json(msg=str(exc), remedy=exc.remedy, code=exc.code, **known)
    module.exit_json(**(facts | result))


if __name__ == "__main__":
    main()
