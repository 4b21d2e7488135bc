# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the control node knows of a run, for the records that its modules write."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import ansible.module_utils
from ansible import context

_PROJECT = Path(__file__).resolve().parents[2]
_OURS = str(Path(__file__).resolve().parents[2] / "module_utils")
if _OURS not in ansible.module_utils.__path__:
    ansible.module_utils.__path__.append(_OURS)

DOCUMENTATION = r"""
name: pms_audit
short_description: Say what a run is, for its records
description:
  - Returns the code that runs (commit, or digest of its files), the playbook, the ticket, who
    started it and when, as the option O(audit) of the modules takes it.
author: Operations team (@ops)
options:
  _input:
    description:
      - C(ticket) on whose order it runs, C(environment) of the inventory, and C(without), the parts
        that the system does not have.
    type: dict
    required: true
"""

EXAMPLES = r"""
audit: "{{ {'ticket': ticket | default(''), 'environment': 'production'} | pms_audit }}"
"""

RETURN = r"""
_value:
  description: The facts, as docs/schemas/record.schema.json describes them under audit.
  type: dict
"""


def audit(said: Mapping[str, Any]) -> dict[str, Any]:
    """Return what this run is."""
    from ansible.module_utils.pmsops.control import run_facts

    return run_facts.collect(_PROJECT, said, list(context.CLIARGS.get("args") or []))


class FilterModule:
    """The filter."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return it by name."""
        return {"pms_audit": audit}
