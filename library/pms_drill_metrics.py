#!/usr/bin/python
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: pms_drill_metrics
short_description: Publish the drills on other hosts for Prometheus
description:
  - Reads the drills of the ledger and writes C(pms_drill_elsewhere.prom), with the recovery time
    with and without the fetch of the set.
author: Operations team (@ops)
attributes:
  check_mode:
    description: Writes nothing.
    support: full
  diff_mode:
    description: The file is for Prometheus alone.
    support: none
  idempotent:
    description: A second run writes the same.
    support: full
options:
  evidence_root:
    description: Folder of the ledger.
    type: path
    required: true
  database:
    description: The label C(database) of the gauges.
    type: str
    required: true
  folder:
    description: Folder for the textfile collector of Prometheus' node exporter.
    type: path
    required: true
  metrics_system:
    description: The label C(system) of the gauges. Without it O(database).
    type: str
"""

EXAMPLES = r"""
- name: Publish the newest drill on another host
  pms_drill_metrics:
    evidence_root: /var/lib/pms-ops/evidence
    database: macro_trading
    folder: /var/lib/node_exporter
"""

RETURN = r"""
remedy: {description: The operator's next step., returned: failure, type: str, sample: Wait.}
code: {description: Stable name of the error., returned: failure, type: str, sample: disk.full}
"""

from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.pmsops.common import file_system
from ansible.module_utils.pmsops.common.caller import attended
from ansible.module_utils.pmsops.common.errors import ENDINGS
from ansible.module_utils.pmsops.evidence import drill_metrics, ledger

SPEC = {
    "evidence_root": {"type": "path", "required": True},
    "database": {"type": "str", "required": True},
    "folder": {"type": "path", "required": True},
    "metrics_system": {"type": "str"},
}


def main() -> None:
    """Write the gauges."""
    module = AnsibleModule(SPEC, supports_check_mode=True)
    params, folder = module.params, Path(module.params["folder"])
    try:
        with attended(module):
            entries = ledger.inspect(Path(params["evidence_root"])).entries
            if not module.check_mode:
                with file_system.coded(folder):
                    drill_metrics.publish(
                        folder,
                        params["database"],
                        entries,
                        params["metrics_system"] or params["database"],
                    )
    except ENDINGS as exc:
        module.fail_json(msg=str(exc), remedy=exc.remedy, code=exc.code)
    module.exit_json(changed=False)


if __name__ == "__main__":
    main()
