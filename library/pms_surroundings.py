#!/usr/bin/python
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: pms_surroundings
short_description: Gather what a new machine needs beside a set
description:
  - Copies the Compose files with their C(.env), what services mount from the host, and O(paths)
    into a folder beside the sets. M(pms_offsite) copies that folder along with each set.
  - A file that O(set) holds among its parts, with the same content, is named and not copied again.
  - A folder of more than 64 MB or 5000 files is data; it is named in RV(left_out) and not copied.
author: Operations team (@ops)
attributes:
  check_mode:
    description: Compares and writes nothing.
    support: full
  diff_mode:
    description: The files are in RV(files).
    support: none
  idempotent:
    description: What is as before is not written again.
    support: full
options:
  root:
    description: Folder of the sets.
    type: path
    required: true
  set:
    description: Folder of the set with which they go; the newest set of O(root) by default.
    type: path
  keys:
    description: Folder of the signing key, which signs the list of files.
    type: path
    required: true
  compose_project:
    description: The PMS's Compose project. Without it only O(paths) are copied.
    type: str
  paths:
    description: More files and folders to copy, as absolute paths.
    type: list
    elements: path
    default: []
  recipients:
    description: Public keys of age to encrypt each file to; none leaves them plain, as with sets.
    type: list
    elements: str
    default: []
  scheduled:
    description: Whether timers of the toolkit run for this system.
    type: bool
    default: false
  toolkit_commit:
    description: Commit of the toolkit's clone.
    type: str
"""

EXAMPLES = r"""
- name: Gather what a new machine needs beside the set
  pms_surroundings:
    root: /var/lib/pms-ops/backups
    keys: /root/.config/pms-ops/keys
    compose_project: macro_trading
    recipients: [age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p]
"""

RETURN = r"""
files:
  description: Paths of the files that are copied, here or as a part of the set.
  returned: success
  type: list
  elements: str
  sample: [/opt/macro_trading/.env, /opt/macro_trading/docker-compose.yml]
held:
  description: How many of them each part of the set holds.
  returned: success
  type: dict
  sample: {compose: 2, grafana: 14}
left_out:
  description: What is in no copy, and why.
  returned: success
  type: list
  elements: str
  sample: ["/srv/marketdata (mounted by api): 120 files, 2147483648 bytes"]
images:
  description: The containers' images. Without digests, no registry has them.
  returned: success
  type: dict
  sample: {"redis:7-alpine": {"services": ["redis"], "digests": ["redis@sha256:0a1b"]}}
remedy: {description: The operator's next step., returned: failure, type: str, sample: Wait.}
code: {description: Stable name of the error., returned: failure, type: str, sample: lock.held}
"""

from collections import Counter
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.pmsops.common.caller import attended
from ansible.module_utils.pmsops.common.errors import ENDINGS
from ansible.module_utils.pmsops.common.version import TOOL
from ansible.module_utils.pmsops.offsite import surroundings
from ansible.module_utils.pmsops.repository import sets
from ansible.module_utils.pmsops.services import docker_engine, project_files

SPEC = {
    "root": {"type": "path", "required": True},
    "set": {"type": "path"},
    "keys": {"type": "path", "required": True, "no_log": False},
    "compose_project": {"type": "str"},
    "paths": {"type": "list", "elements": "path", "default": []},
    "recipients": {"type": "list", "elements": "str", "default": []},
    "scheduled": {"type": "bool", "default": False},
    "toolkit_commit": {"type": "str"},
}


def run(module: AnsibleModule) -> dict:
    """Find what there is, and bring its copy up to date."""
    params = module.params
    found = project_files.Found()
    if project := params["compose_project"]:
        with docker_engine.refusals():
            found = project_files.of_project(docker_engine.engine(), project)
    for path in params["paths"]:
        found.add(Path(path), "named by offsite_paths")
    toolkit = {"version": TOOL["version"], "commit": params["toolkit_commit"]}
    root = Path(params["root"])
    there = [Path(params["set"])] if params["set"] else sets.listed(root)
    changed, document = surroundings.gather(
        root,
        found,
        {"scheduled": params["scheduled"], "toolkit": toolkit},
        params["recipients"],
        keys_folder=Path(params["keys"]),
        check=module.check_mode,
        backup_set=there[-1] if there else None,
    )
    return {
        "changed": changed,
        "files": [each["path"] for each in document["files"] if "bytes" in each],
        "held": dict(Counter(each["part"] for each in document["files"] if "part" in each)),
        "left_out": document["left_out"],
        "images": document["images"],
    }


def main() -> None:
    """Hand the arguments to run, and turn its errors into a failed task."""
    module = AnsibleModule(SPEC, supports_check_mode=True)
    try:
        with attended(module):
            result = run(module)
    except ENDINGS as exc:
        module.fail_json(msg=str(exc), remedy=exc.remedy, code=exc.code)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
