#!/usr/bin/python
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: pms_envelope
short_description: Return the page for the envelope, and test what it names
description:
  - The page names repositories, trusted keys, toolkit and command. It has no secret, and blank
    lines to write passwords on by hand.
  - The test opens each repository by what the page names alone, in an empty home.
author: Operations team (@ops)
extends_documentation_fragment: [pmsops.offsite]
attributes:
  check_mode:
    description: The module only reads.
    support: full
  diff_mode:
    description: The module only reads.
    support: none
  idempotent:
    description: The module only reads.
    support: full
options:
  test:
    description: Open each repository.
    type: bool
    default: false
  database:
    description: Name of the PMS's database, which the command repeats.
    type: str
    required: true
  inventory:
    description: The inventory, as the command names it.
    type: str
    required: true
  target:
    description: Where the inventory goes in the clone of the new machine.
    type: str
    default: inventory/prod
  vault_file:
    description: Where the toolkit of the new machine looks for the password of the vault.
    type: str
    default: ~/.config/pms-ops/vault/prod.pass
  name:
    description: The inventory's name on the new machine, for the commands of the page.
    type: str
    default: prod
  maintenance_role:
    description: The role whose password is pms_db_password.
    type: str
    default: ""
  command:
    description: The command that makes a new machine.
    type: str
    required: true
  clone:
    description: Address that the toolkit was cloned from. User and password in it are left out.
    type: str
    default: ""
  commit:
    description: Commit of the toolkit's clone.
    type: str
    default: ""
  recipients:
    description: Public keys of age that sets are encrypted to.
    type: list
    elements: str
    default: []
  known_roles:
    description: Roles whose passwords the inventory has, and the maintenance role.
    type: list
    elements: str
    default: []
"""

EXAMPLES = r"""
- name: Write the page for the envelope
  pms_envelope:
    system: fund-prod
    root: /var/lib/pms-ops/backups
    evidence_root: /var/lib/pms-ops/evidence
    keys: /root/.config/pms-ops/keys
    repositories: "{{ offsite_repositories }}"
    database: macro_trading
    inventory: inventory/prod
    command: pms-ops -i prod dr host
"""

RETURN = r"""
page: {description: The lines of the page., returned: success, type: list, elements: str,
       sample: ["SYSTEM fund-prod: how to make a new machine from nothing"]}
tests: {description: What each site gave with O(test)., returned: success, type: list,
        elements: dict, sample: [{site: vault, ok: true, set: 2026-11-29_0115}]}
lines: {description: The tests as lines for people., returned: success, type: list, elements: str,
        sample: ["vault: opens; its newest proved set is 2026-11-29_0115"]}
remedy: {description: The operator's next step., returned: failure, type: str, sample: Wait.}
code: {description: Stable name of the error., returned: failure, type: str,
       sample: offsite.restic-missing}
"""

import re

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.pmsops.common.caller import attended
from ansible.module_utils.pmsops.common.errors import ENDINGS
from ansible.module_utils.pmsops.common.version import TOOL
from ansible.module_utils.pmsops.offsite import envelope, options

SPEC = options.spec() | {
    "test": {"type": "bool", "default": False},
    "database": {"type": "str", "required": True},
    "inventory": {"type": "str", "required": True},
    "target": {"type": "str", "default": "inventory/prod"},
    "vault_file": {"type": "str", "default": "~/.config/pms-ops/vault/prod.pass"},
    "name": {"type": "str", "default": "prod"},
    "maintenance_role": {"type": "str", "default": ""},
    "command": {"type": "str", "required": True},
    "clone": {"type": "str", "default": ""},
    "commit": {"type": "str", "default": ""},
    "recipients": {"type": "list", "elements": "str", "default": []},
    "known_roles": {"type": "list", "elements": "str", "default": []},
}


def run(module: AnsibleModule) -> dict:
    """Return the page, and what each site gave."""
    params = module.params
    settings = options.sites(params, check=True).settings
    known = params["known_roles"]
    names = ("database", "inventory", "target", "vault_file", "name", "maintenance_role")
    names += ("command", "commit", "recipients", "known_roles")
    facts = {name: params[name] for name in names} | {
        "toolkit": TOOL["version"],
        "clone": re.sub(r"//[^/@]*@", "//", params["clone"]),
    }
    tests = envelope.test(settings) if params["test"] else []
    page = envelope.page(settings, facts)
    lines = envelope.summary(tests)
    if params["test"]:
        lines += envelope.password_warning(envelope.without_password(settings.places.root, known))
    return {"changed": False, "page": page, "tests": tests, "lines": lines}


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
