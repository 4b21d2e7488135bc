#!/usr/bin/python
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: pms_evidence_export
short_description: Export the evidence of a period as one signed zip
description:
  - Writes C(exports/SINCE_UNTIL.zip) below O(evidence_root). It has the records of the period, the
    lines of the ledger from the period to the end with what makes them checkable, public keys, time
    stamps, a report for people, and a manifest that the ledger's key signs.
  - Whoever has the zip checks it offline with the file C(verify.py) in it, which needs nothing but
    Python, and the package C(cryptography) for signatures.
  - What is wrong with the evidence is said in the zip and in RV(problems); it does not fail the
    module, since an auditor has to see it.
author: Operations team (@ops)
attributes:
  check_mode:
    description: Reads everything and writes nothing.
    support: full
  diff_mode:
    description: The zip is not shown.
    support: none
  idempotent:
    description: Each export says when it was made.
    support: none
options:
  evidence_root:
    description: Folder of the evidence.
    type: path
    required: true
  keys:
    description: Folder of the keys. The key with which the ledger ends signs the export.
    type: path
    required: true
  since:
    description: First day of the period, such as V(2026-01-01), in the fund's zone.
    type: str
    required: true
  until:
    description: Last day of the period.
    type: str
    required: true
  system:
    description: Name of the system.
    type: str
    default: ""
  anchors:
    description:
      - The anchors, as M(pms_anchor) has them. The root certificates of each authority
        (C(ca_file)) go into the zip.
    type: list
    elements: dict
    default: []
  backup_root:
    description: Folder of the backup sets; without it no set is known to be held or removed.
    type: path
  schedule:
    description:
      - The schedule that the role C(schedule) wrote, by which the report tells what was planned and
        missed. Where it cannot be read, the report says that this was not measured.
    type: path
  language:
    description: Language of the report. V(pt) is Brazilian Portuguese.
    type: str
    choices: [en, pt]
    default: en
  pdf:
    description: Print the report as PDF too, where this host has Chromium.
    type: bool
    default: true
  secrets:
    description: Secrets of the inventory. No file of the export may have one in it.
    type: list
    elements: str
    default: []
"""

EXAMPLES = r"""
- name: Export the evidence of a year
  pms_evidence_export:
    evidence_root: /srv/pms-ops/evidence
    keys: "{{ pms_keys_dir }}"
    since: "2026-01-01"
    until: "2026-12-31"
    system: "{{ pms_db_name }}"
  register: __pms_export
"""

RETURN = r"""
path:
  description: The zip.
  returned: success
  type: str
  sample: /srv/pms-ops/evidence/exports/2026-01-01_2026-12-31.zip
key:
  description: Id of the key that signed it, for whoever checks it.
  returned: success
  type: str
  sample: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
pdf:
  description: The printed report in the zip, or why there is none.
  returned: success
  type: str
  sample: report.pdf
no_attestations:
  description: Why the zip has no in-toto statements of the runs; empty where it has.
  returned: success
  type: str
  sample: this host lacks the packages in-toto-attestation and securesystemslib
lines: {description: Lines of the ledger in the period., returned: success, type: int, sample: 812}
files: {description: Files of the zip., returned: success, type: int, sample: 240}
problems:
  description: What is wrong with the evidence.
  returned: success
  type: list
  elements: str
  sample: ["the ledger is damaged: line 41 is missing"]
remedy: {description: The operator's next step., returned: failure, type: str, sample: Free 2 GB.}
code:
  description: Stable name of the error.
  returned: failure
  type: str
  sample: export.period
"""

from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.pmsops.common import timestamps
from ansible.module_utils.pmsops.common.caller import attended
from ansible.module_utils.pmsops.common.errors import ENDINGS
from ansible.module_utils.pmsops.export import bundle
from ansible.module_utils.pmsops.export.period import Period

SPEC = {
    "evidence_root": {"type": "path", "required": True},
    "keys": {"type": "path", "required": True, "no_log": False},
    "since": {"type": "str", "required": True},
    "until": {"type": "str", "required": True},
    "system": {"type": "str", "default": ""},
    "anchors": {"type": "list", "elements": "dict", "default": []},
    "backup_root": {"type": "path"},
    "schedule": {"type": "path"},
    "language": {"type": "str", "choices": ["en", "pt"], "default": "en"},
    "pdf": {"type": "bool", "default": True},
    "secrets": {"type": "list", "elements": "str", "default": [], "no_log": True},
}


def run(module: AnsibleModule) -> dict:
    """Write the zip, and return where it is."""
    params = module.params
    request = bundle.Request(
        evidence_root=Path(params["evidence_root"]),
        period=Period.parse(params["since"], params["until"]),
        keys=Path(params["keys"]),
        system=params["system"],
        authorities={
            each["name"]: Path(each["ca_file"]) for each in params["anchors"] if each.get("ca_file")
        },
        secrets=frozenset(params["secrets"]),
        backup_root=Path(params["backup_root"]) if params["backup_root"] else None,
        schedule=Path(params["schedule"]) if params["schedule"] else None,
        language=params["language"],
        pdf=params["pdf"],
    )
    return bundle.write(request, now=timestamps.now(), check=module.check_mode)


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
