#!/usr/bin/python
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: pms_restore_parts
short_description: Restore the parts of a backup set, what surrounds the database
description:
  - Puts the files of the parts V(compose) and V(grafana) where they were. A file that is there with
    other content is kept beside as C(NAME.before-RUN); at no moment is a path without a file.
  - Writes the morning packs of the part V(redis) back, with the rest of their time. A pack whose
    time is over is not written, and no key of Redis is overwritten.
  - Databases are not restored here. RV(databases) names their sets, each compared with what the
    manifest says, for M(pms_restore) and M(pms_swap).
  - Before anything is changed, the signature of the set is checked, and the files of the parts.
author: Operations team (@ops)
extends_documentation_fragment: [pmsops.redis, pmsops.audit]
attributes:
  check_mode:
    description: Checks and compares everything, and says what would become of each file and pack.
    support: full
  diff_mode:
    description: Contents may be secrets. RV(lines) name the paths.
    support: none
  idempotent:
    description: What is as in the set is not written.
    support: full
options:
  root:
    description: Folder of the backup sets.
    type: path
    required: true
  keys:
    description: Folder of the keys whose sets are trusted.
    type: path
    required: true
  trust:
    description: Id of one more signing key to accept, for this run.
    type: str
  evidence_root:
    description: Folder of the ledger. Without it nothing is recorded.
    type: path
  file:
    description: A set's folder; the newest set by default.
    type: path
  parts:
    description:
      - The parts. V(databases) are all other databases of the server, V(dagster) or a database's
        name one of them; V(redis), V(grafana), V(compose); V(all) is what the set has.
    type: list
    elements: str
    required: true
  identity:
    description: Identity file of age, for an encrypted set.
    type: path
  state:
    description:
      - V(restored) puts the parts back.
      - V(rolled_back) puts back the files that the last restore of parts replaced. What was changed
        since is kept beside, too. For V(redis) it is refused.
    type: str
    choices: [restored, rolled_back]
    default: restored
"""

EXAMPLES = r"""
- name: Put the Compose files of a set back
  pms_restore_parts:
    root: /var/backups/pms
    keys: /etc/pms-ops/keys
    file: /var/backups/pms/2026-11-22_0600
    parts: [compose]
"""

RETURN = r"""
set: {description: The set's id., returned: state is restored, type: str, sample: 2026-11-22_0600}
snapshot_at:
  description: Time of the database's snapshot. Each part has a moment of its own.
  returned: state is restored
  type: str
  sample: "2026-11-22T06:00:01.678878Z"
names:
  description: The parts.
  returned: success
  type: list
  elements: str
  sample: [dagster, compose]
lines:
  description: What became of each part, or would, for people.
  returned: success
  type: list
  elements: str
  sample:
    - "compose, of 2026-11-22T06:00:04Z:"
    - "  /opt/pms/.env: replaces the file there, which is kept beside"
databases:
  description: The databases among the parts, each with C(part), C(database) and its set C(file).
  returned: success
  type: list
  elements: dict
  sample:
    - part: dagster
      database: dagster_storage
      file: /var/backups/pms/other_databases/dagster_storage/2026-11-22_0600
kept:
  description: The former files.
  returned: state is restored
  type: list
  elements: str
  sample: [/opt/pms/.env.before-20261122T061502123Z]
next_steps:
  description: What is left to do, for what was put back.
  returned: state is restored
  type: list
  elements: str
  sample: ["Compose reads its files when it starts services: docker compose up --detach."]
remedy:
  description: The operator's next step.
  returned: failure
  type: str
  sample: Take another set, or restore without this part.
code:
  description: The error's stable name, as listed in docs/ERRORS.md.
  returned: failure
  type: str
  sample: parts.not-taken
"""

from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.pmsops.common import argument_specs
from ansible.module_utils.pmsops.common.caller import attended
from ansible.module_utils.pmsops.common.errors import ENDINGS
from ansible.module_utils.pmsops.evidence import audit
from ansible.module_utils.pmsops.restore import parts

SPEC = {
    "root": {"type": "path", "required": True},
    "keys": {"type": "path", "required": True, "no_log": False},
    "trust": {"type": "str"},
    "evidence_root": {"type": "path"},
    "audit": argument_specs.audit(),
    "file": {"type": "path"},
    "parts": {"type": "list", "elements": "str", "required": True},
    "identity": {"type": "path"},
    "redis": argument_specs.redis(),
    "state": {"type": "str", "choices": ["restored", "rolled_back"], "default": "restored"},
}


def run(module: AnsibleModule) -> dict:
    """Put the parts back, or the former files."""
    params = module.params
    paths = {
        name: Path(params[option]) if params[option] else None
        for name, option in (("file", "file"), ("evidence", "evidence_root"), ("identity",) * 2)
    }
    request = parts.Request(
        root=Path(params["root"]),
        keys=Path(params["keys"]),
        names=tuple(params["parts"]),
        trust=params["trust"],
        redis=params["redis"],
        **paths,
    )
    work = parts.run if params["state"] == "restored" else parts.undo
    return work(request, check=module.check_mode)


def main() -> None:
    """Hand the arguments to run, and turn its errors into a failed task."""
    module = AnsibleModule(SPEC, supports_check_mode=True)
    try:
        with attended(module), audit.given(module.params["audit"]):
            result = run(module)
    except ENDINGS as exc:
        module.fail_json(msg=str(exc), remedy=exc.remedy, code=exc.code)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
