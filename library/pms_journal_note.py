#!/usr/bin/python
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: pms_journal_note
short_description: Write an entry to the PMS's decision journal, once
description:
  - Over HTTP if the release of the PMS accepts entries. Otherwise as a row, locked and with the
    hash that the PMS would compute.
  - The entry carries O(mark), and an entry with that mark is never written again.
author: Operations team (@ops)
extends_documentation_fragment: [pmsops.database, pmsops.api]
attributes:
  check_mode:
    description: Returns whether it would write.
    support: full
  diff_mode:
    description: Texts of the journal are not shown.
    support: none
  idempotent:
    description: By the mark.
    support: full
options:
  mark:
    description: Unique identification of the entry.
    type: str
    required: true
  entry_type:
    description: Type of the entry.
    type: str
    default: INCIDENT
  text:
    description: Text of the entry.
    type: str
    required: true
  position_id:
    description: Number of the position it refers to.
    type: int
"""

EXAMPLES = r"""
- name: Write the incident into the decision journal
  pms_journal_note:
    database: "{{ pms_database }}"
    api: "{{ pms_api }}"
    mark: incident 2026-11-22_060000_redis_1a2b
    text: Redis was unavailable for 12 s; nothing was lost.
"""

RETURN = r"""
entry_id:
  description: Id of the entry; null if it is only planned.
  returned: success
  type: int
  sample: 42
way:
  description: Origin of the entry, C(api), C(sql), C(found) or C(planned).
  returned: success
  type: str
  sample: api
remedy: {description: The operator's next step., returned: failure, type: str, sample: Restore.}
code:
  description: Stable name of the error.
  returned: failure
  type: str
  sample: journal.missing
"""

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.pmsops.common import argument_specs
from ansible.module_utils.pmsops.common.caller import attended
from ansible.module_utils.pmsops.common.errors import ENDINGS
from ansible.module_utils.pmsops.pms import decision_journal
from ansible.module_utils.pmsops.pms.client import PmsApi
from ansible.module_utils.pmsops.postgresql.connection import Database

SPEC = {
    "database": argument_specs.database(),
    "api": argument_specs.api(),
    "mark": {"type": "str", "required": True},
    "entry_type": {"type": "str", "default": "INCIDENT"},
    "text": {"type": "str", "required": True},
    "position_id": {"type": "int"},
}


def run(module: AnsibleModule) -> dict:
    """Write the entry and return it."""
    params = module.params
    written = decision_journal.write(
        decision_journal.Note(
            params["mark"], params["entry_type"], params["text"], params["position_id"]
        ),
        Database.from_options(params["database"]),
        PmsApi.if_configured(params["api"]),
        check_mode=module.check_mode,
    )
    return {
        "changed": written.way != "found",
        "entry_id": written.entry_id,
        "way": written.way,
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
