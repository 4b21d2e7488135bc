# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a proof compares and what not, from the code's own tables: for docs/PROOF.md."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import ansible.module_utils

_OURS = str(Path(__file__).resolve().parents[2] / "module_utils")
if _OURS not in ansible.module_utils.__path__:
    ansible.module_utils.__path__.append(_OURS)

DOCUMENTATION = r"""
name: pms_proof_coverage
short_description: List what a proof compares and what it leaves out
description: Turns the tables of the code into lists that docs/PROOF.md is rendered from.
author: Operations team (@ops)
options:
  _input:
    description: One of C(kinds), C(left_out) and C(not_restored).
    type: str
    required: true
"""

EXAMPLES = r"""
kinds: "{{ 'kinds' | pms_proof_coverage }}"
"""

RETURN = r"""
_value:
  description: Of C(kinds), kind, meaning, attributes and those of them that are expressions; of
    C(left_out), reason and columns; of C(not_restored), kind and what happens.
  type: list
  elements: dict
  sample: [{kind: casts, what: casts, attributes: [context, function], expressions: []}]
"""


def proof_coverage(subject: str) -> list[dict[str, Any]]:
    """Return the rows of the table that *subject* names."""
    from ansible.module_utils.pmsops.postgresql import coverage, not_restored
    from ansible.module_utils.pmsops.postgresql.expressions import EXPRESSIONS

    if subject == "kinds":
        attributes = coverage.attributes()
        return [
            {
                "kind": kind,
                "what": what,
                "attributes": attributes.get(kind, []),
                "expressions": list(EXPRESSIONS.get(kind, ())),
            }
            for kind, what in coverage.KINDS.items()
        ]
    if subject == "left_out":
        return [
            {"reason": reason, "columns": columns}
            for reason, columns in coverage.left_out().items()
            if not reason.startswith("follows from")
            and not all(column.endswith(".oid") for column in columns)
        ]
    return [
        {"kind": rule.kind, "what": rule.what.format(statement="the statement that is given")}
        for rule in not_restored.RULES
    ]


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return them by name."""
        return {"pms_proof_coverage": proof_coverage}
