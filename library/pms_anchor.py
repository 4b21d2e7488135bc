#!/usr/bin/python
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: pms_anchor
short_description: Let the head of the evidence ledger leave the machine
description:
  - Gives the number of lines and the hash of the last one to each anchor that is due. Whoever can
    write the ledger and its head on this machine cannot write there.
  - An anchor that fails hinders no other one. It is noted beside the ledger, and the task does not
    fail.
author: Operations team (@ops)
attributes:
  check_mode:
    description: Says which anchors are due.
    support: full
  diff_mode:
    description: The head is in RV(statement).
    support: none
  idempotent:
    description: An anchor that took a head within O(every_hours) is not due.
    support: full
options:
  state:
    description:
      - V(made) gives the head to the anchors that are due.
      - V(noted) notes that a mail with O(statement) was sent by O(name), or O(why) it was not.
      - V(verified) asks each anchor for the heads that it has, and compares the ledger with them.
    type: str
    choices: [made, noted, verified]
    default: made
  evidence_root:
    description: Folder of the ledger.
    type: path
    required: true
  keys:
    description: Folder of the keys, with which O(state=verified) checks the signatures.
    type: path
  anchors:
    description: The anchors.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: Its name.
        type: str
        required: true
      type:
        description:
          - V(rfc3161) asks a time stamping authority at O(anchors[].url), whose root certificates
            are in O(anchors[].ca_file).
          - V(file) appends to O(anchors[].path), on a mount of another machine.
          - V(offsite) makes a snapshot on O(anchors[].site), one of O(repositories).
          - V(mail) leaves a mail to the caller, through the channel O(anchors[].channel).
          - V(git) pushes a commit to O(anchors[].url).
          - V(command) runs O(anchors[].command).
        type: str
        choices: [rfc3161, file, offsite, mail, git, command]
        required: true
      url:
        description: Address of the authority, or of the git repository. Without a password.
        type: str
      ca_file:
        description: Root certificates of the authority, in PEM.
        type: path
      path:
        description: The file. Its folder has to be there.
        type: path
      site:
        description: Name of the site.
        type: str
      channel:
        description: Name of the channel.
        type: str
      branch:
        description: The branch that is pushed.
        type: str
        default: anchors
      key_file:
        description: Private key of SSH for the git repository.
        type: path
      command:
        description:
          - Program and arguments. It gets the head as JSON on its standard input, and in the
            environment variables C(PMS_OPS_HEAD) and C(PMS_OPS_LINES).
        type: list
        elements: str
      read_command:
        description: Program and arguments that print all heads, as JSON lines.
        type: list
        elements: str
        default: []
  system:
    description: Name of the system, for whoever reads the anchor.
    type: str
    default: ""
  every_hours:
    description: Hours within which an anchor takes one head.
    type: float
    default: 24
  force:
    description: Give the head to each anchor, whether it is due or not.
    type: bool
    default: false
  root:
    description: Folder of the backup sets, below which restic's cache is.
    type: path
  repositories:
    description: The other sites, as M(pms_offsite) has them.
    type: list
    elements: dict
    default: []
  restic:
    description: The program restic.
    type: str
    default: restic
  name:
    description: The anchor of O(state=noted).
    type: str
  statement:
    description: The head that was sent.
    type: dict
  why:
    description: Why it was not sent.
    type: str
"""

EXAMPLES = r"""
- name: Let the head leave the machine
  pms_anchor:
    evidence_root: /var/lib/pms-ops/evidence
    system: prod
    anchors:
      - {name: tsa, type: rfc3161, url: "https://tsa.example.com", ca_file: /etc/pms-ops/tsa.pem}
      - {name: vault, type: file, path: /mnt/vault/pms-ledger.jsonl}
"""

RETURN = r"""
anchors:
  description: What each anchor did, or up to which line an outsider can be sure by it.
  returned: success
  type: list
  elements: dict
  sample: [{name: tsa, lines: 42, sha256: 5f3c1e0a9b77}]
due: {description: Names of the anchors that were due., returned: state=made, type: list,
      elements: str, sample: [tsa]}
mails: {description: Those that are mails., returned: state=made, type: list, elements: str,
        sample: [risk]}
statement: {description: The head., returned: state=made, type: dict,
            sample: {system: prod, lines: 42, sha256: 5f3c1e0a9b77}}
problems: {description: Problems of the ledger itself., returned: state=verified, type: list,
           elements: str, sample: []}
lines: {description: Lines of the ledger., returned: state=verified, type: int, sample: 42}
remedy: {description: The operator's next step., returned: failure, type: str, sample: Free 2 GB.}
code: {description: Stable name of the error., returned: failure, type: str,
       sample: anchor.options}
"""

from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.pmsops.anchors import options, run
from ansible.module_utils.pmsops.anchors.offsite import OnSite
from ansible.module_utils.pmsops.common.caller import attended
from ansible.module_utils.pmsops.common.errors import ENDINGS
from ansible.module_utils.pmsops.offsite.restic import Restic
from ansible.module_utils.pmsops.offsite.run import CACHE
from ansible.module_utils.pmsops.repository import sets

SPEC = {
    "state": {"type": "str", "choices": ["made", "noted", "verified"], "default": "made"},
    "evidence_root": {"type": "path", "required": True},
    "keys": {"type": "path", "no_log": False},
    "anchors": {"type": "list", "elements": "dict", "default": [], "options": options.spec()},
    "system": {"type": "str", "default": ""},
    "every_hours": {"type": "float", "default": 24},
    "force": {"type": "bool", "default": False},
    "root": {"type": "path"},
    "repositories": {"type": "list", "elements": "dict", "default": []},
    "restic": {"type": "str", "default": "restic"},
    "name": {"type": "str"},
    "statement": {"type": "dict"},
    "why": {"type": "str"},
}
REQUIRED_IF = [("state", "noted", ["name", "statement"])]


def act(module: AnsibleModule) -> dict:
    """Do what the state names."""
    params = module.params
    root = Path(params["evidence_root"])
    if params["state"] == "noted":
        if not module.check_mode:
            run.note(root, params["name"], params["statement"], params["why"])
        return {"changed": True, "anchors": []}

    def on_site(name: str, site: str) -> OnSite:
        cache = sets.state_folder(Path(params["root"] or root)) / CACHE
        found = options.site_of(params["repositories"], site)
        return OnSite(name, Restic(found, cache, program=params["restic"]), params["system"])

    ways = options.ways(root, params["anchors"], on_site)
    if params["state"] == "verified":
        keys = Path(params["keys"]) if params["keys"] else None
        return {"changed": False, **run.verify(root, ways, keys)}
    made = run.make(
        root,
        ways,
        params["system"],
        hours=params["every_hours"],
        force=params["force"],
        check=module.check_mode,
    )
    for each in made["anchors"]:
        if each.get("code"):
            module.warn(f"{each['why']} {each['remedy']} ({each['code']})")
    return {"changed": bool(made["due"]), **made}


def main() -> None:
    """Hand the arguments to act, and turn its errors into a failed task."""
    module = AnsibleModule(SPEC, supports_check_mode=True, required_if=REQUIRED_IF)
    try:
        with attended(module):
            result = act(module)
    except ENDINGS as exc:
        module.fail_json(msg=str(exc), remedy=exc.remedy, code=exc.code)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
